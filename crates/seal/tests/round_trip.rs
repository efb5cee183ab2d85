//! Properties: whatever is sealed opens as itself under its key and version, and as nothing
//! otherwise.

use proptest::collection::vec;
use proptest::prelude::*;
use tandem_seal::{
    BoundId, Key, NONCE_BYTES, OVERHEAD_BYTES, OpenError, is_proof, open, open_in_place, prove,
    seal, seal_in_place,
};

proptest! {
    #[test]
    fn sealed_bytes_open_as_themselves(
        key: [u8; 32],
        version: [u8; 16],
        nonce: [u8; NONCE_BYTES],
        // Around the cipher's blocks of 64 and the tag's of 16, and some way beyond.
        plain in vec(any::<u8>(), 0..300),
    ) {
        let (key, bound) = (Key::from_bytes(&key), BoundId::history_segment(version));
        let sealed = seal(&key, bound, nonce, &plain);
        prop_assert_eq!(sealed.as_bytes().len(), plain.len() + OVERHEAD_BYTES);
        let opened = open(&key, bound, sealed.as_bytes()).unwrap();
        prop_assert_eq!(opened.as_bytes(), &plain);
        prop_assert_eq!(&seal_in_place(&key, bound, nonce, plain.clone()), &sealed);
        let opened = open_in_place(&key, bound, sealed.into_bytes()).unwrap();
        prop_assert_eq!(opened.into_bytes(), plain);
    }

    #[test]
    fn nothing_else_opens_them(
        key: [u8; 32],
        other_key: [u8; 32],
        version: [u8; 16],
        other_version: [u8; 16],
        nonce: [u8; NONCE_BYTES],
        plain in vec(any::<u8>(), 0..200),
    ) {
        prop_assume!(key != other_key && version != other_version);
        let (key, other_key) = (Key::from_bytes(&key), Key::from_bytes(&other_key));
        let (bound, other) = (BoundId::snapshot(version), BoundId::snapshot(other_version));
        let sealed = seal(&key, bound, nonce, &plain);
        prop_assert_eq!(open(&other_key, bound, sealed.as_bytes()), Err(OpenError::WrongKey));
        prop_assert_eq!(open(&key, other, sealed.as_bytes()), Err(OpenError::WrongKey));
    }

    #[test]
    fn both_ways_of_opening_refuse_any_bytes_alike(
        key: [u8; 32],
        version: [u8; 16],
        first in prop_oneof![Just(1_u8), any::<u8>()],
        rest in vec(any::<u8>(), 0..120),
    ) {
        let (key, bound) = (Key::from_bytes(&key), BoundId::object_store_segment(version));
        let mut bytes = vec![first];
        bytes.extend(rest);
        let error = open(&key, bound, &bytes).unwrap_err();
        prop_assert_eq!(open_in_place(&key, bound, bytes.clone()).unwrap_err(), error);
        prop_assert!(!is_proof(&key, &version, &bytes));
    }

    #[test]
    fn a_proof_holds_for_its_key_and_remote_alone(
        key: [u8; 32],
        other_key: [u8; 32],
        remote in vec(any::<u8>(), 0..80),
        other_remote in vec(any::<u8>(), 0..80),
        nonce: [u8; NONCE_BYTES],
    ) {
        prop_assume!(key != other_key && remote != other_remote);
        let (key, other_key) = (Key::from_bytes(&key), Key::from_bytes(&other_key));
        let token = prove(&key, &remote, nonce);
        prop_assert!(is_proof(&key, &remote, &token));
        prop_assert!(!is_proof(&other_key, &remote, &token));
        prop_assert!(!is_proof(&key, &other_remote, &token));
    }
}
