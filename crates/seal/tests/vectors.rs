//! Golden bytes: what the real programs (and our own earlier versions) wrote must open, and sealing
//! the same content with the same nonce must give the same bytes. Every change of a byte must be
//! refused.

use std::collections::BTreeMap;

use tandem_seal::{
    BoundId, Key, LazyKey, NONCE_BYTES, OVERHEAD_BYTES, OpenError, Salt, Sealed, Secret, is_proof,
    open, open_in_place, prove, seal, seal_in_place,
};

const KEY: &str = include_str!("vectors/key.txt");
const PROOF: &str = include_str!("vectors/proof.txt");
const ENVELOPES: [(&str, &str); 3] = [
    ("V1", include_str!("vectors/v1-history-segment.txt")),
    ("V2", include_str!("vectors/v2-history-segment.txt")),
    ("V3", include_str!("vectors/v3-snapshot.txt")),
];

/// The `name = hexadecimal digits` lines of a vector file; lines that begin with `#` explain it.
struct Vector(BTreeMap<&'static str, Vec<u8>>);

impl Vector {
    fn read(text: &'static str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let entries = lines.map(|line| {
            let (name, digits) = line.split_once(" = ").expect("name = digits");
            (name, from_hex(digits))
        });
        Self(entries.collect())
    }

    fn bytes(&self, name: &str) -> &[u8] {
        &self.0[name]
    }

    fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.bytes(name).try_into().expect("a vector of this length")
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name).to_vec()).expect("text")
    }
}

fn from_hex(digits: &str) -> Vec<u8> {
    assert!(digits.len().is_multiple_of(2), "whole bytes");
    let pairs = (0..digits.len()).step_by(2).map(|start| &digits[start..start + 2]);
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal digits")).collect()
}

/// The published key, without the cost of deriving it.
fn published_key() -> Key {
    Key::from_bytes(&Vector::read(KEY).array("key"))
}

/// The envelope with its content and what it is bound to.
fn envelopes() -> impl Iterator<Item = (&'static str, BoundId, Vec<u8>, Vec<u8>)> {
    ENVELOPES.into_iter().map(|(name, text)| {
        let vector = Vector::read(text);
        let version = vector.array("version");
        let bound = if name == "V3" {
            BoundId::snapshot(version)
        } else {
            BoundId::history_segment(version)
        };
        (name, bound, vector.bytes("plain").to_vec(), vector.bytes("envelope").to_vec())
    })
}

#[test]
fn the_published_key_is_derived() {
    let vector = Vector::read(KEY);
    let secret = Secret::new(vector.text("secret")).unwrap();
    let salt = Salt::from_client_id(vector.array("client_id"));
    assert_eq!(Key::derive(&secret, &salt), published_key());
    assert_eq!(LazyKey::new(secret, salt).derive(), &published_key());
}

#[test]
fn published_envelopes_open() {
    let key = published_key();
    for (name, bound, plain, envelope) in envelopes() {
        assert_eq!(open(&key, bound, &envelope).unwrap().as_bytes(), plain, "{name}");
        assert_eq!(open_in_place(&key, bound, envelope).unwrap().into_bytes(), plain, "{name}");
    }
}

#[test]
fn sealing_again_gives_the_published_bytes() {
    let key = published_key();
    for (name, bound, plain, envelope) in envelopes() {
        let nonce: [u8; NONCE_BYTES] = envelope[1..13].try_into().unwrap();
        assert_eq!(seal(&key, bound, nonce, &plain).as_bytes(), envelope, "{name}");
        assert_eq!(seal_in_place(&key, bound, nonce, plain).into_bytes(), envelope, "{name}");
    }
}

#[test]
fn another_secret_or_client_id_does_not_open_them() {
    let vector = Vector::read(KEY);
    let secret = |text: &str| Secret::new(text.to_owned()).unwrap();
    let client_id = vector.array("client_id");
    let mut other_client_id = client_id;
    other_client_id[15] ^= 1;
    let strangers = [
        Key::derive(&secret("correct-horsf"), &Salt::from_client_id(client_id)),
        Key::derive(&secret("correct-horse"), &Salt::from_client_id(other_client_id)),
        // What a stray line break would have done, and why `Secret::new` refuses it.
        Key::derive(
            &Secret::exactly_as_given("correct-horse\n".to_owned()).unwrap(),
            &Salt::from_client_id(client_id),
        ),
    ];
    for (name, bound, _, envelope) in envelopes() {
        for (index, stranger) in strangers.iter().enumerate() {
            let answer = open(stranger, bound, &envelope);
            assert_eq!(answer, Err(OpenError::WrongKey), "{name}, stranger {index}");
        }
    }
}

#[test]
fn another_version_does_not_open_them() {
    let key = published_key();
    let versions: Vec<[u8; 16]> =
        ENVELOPES.map(|(_, text)| Vector::read(text).array("version")).to_vec();
    for ((name, bound, _, envelope), own) in envelopes().zip(&versions) {
        for other in versions.iter().filter(|other| *other != own) {
            let other = BoundId::history_segment(*other);
            assert_ne!(other, bound);
            assert_eq!(open(&key, other, &envelope), Err(OpenError::WrongKey), "{name}");
        }
        for bit in 0..128 {
            let mut other = *own;
            other[bit / 8] ^= 1 << (bit % 8);
            let answer = open(&key, BoundId::snapshot(other), &envelope);
            assert_eq!(answer, Err(OpenError::WrongKey), "{name}, bit {bit} of the version");
        }
    }
}

#[test]
fn cut_envelopes_do_not_open() {
    let key = published_key();
    for (name, bound, _, envelope) in envelopes() {
        for len in 0..envelope.len() {
            let expected = if len < OVERHEAD_BYTES {
                OpenError::TooShort { len }
            } else {
                OpenError::WrongKey
            };
            assert_eq!(open(&key, bound, &envelope[..len]), Err(expected), "{name} cut to {len}");
            let owned = envelope[..len].to_vec();
            assert_eq!(open_in_place(&key, bound, owned), Err(expected), "{name} cut to {len}");
        }
        let mut longer = envelope.clone();
        longer.push(0);
        assert_eq!(open(&key, bound, &longer), Err(OpenError::WrongKey), "{name} one byte longer");
    }
}

#[test]
fn a_flipped_bit_anywhere_does_not_open() {
    let key = published_key();
    for (name, bound, _, mut envelope) in envelopes() {
        for bit in 0..envelope.len() * 8 {
            envelope[bit / 8] ^= 1 << (bit % 8);
            let expected = if bit < 8 {
                OpenError::UnknownFormat { byte: envelope[0] }
            } else {
                OpenError::WrongKey
            };
            assert_eq!(open(&key, bound, &envelope), Err(expected), "{name}, bit {bit} flipped");
            envelope[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn what_is_no_envelope_is_named_by_its_first_byte() {
    let page = b"<!DOCTYPE html><title>Log in to this network</title>";
    assert_eq!(
        open(&published_key(), BoundId::snapshot([0; 16]), page),
        Err(OpenError::UnknownFormat { byte: b'<' })
    );
}

#[test]
fn our_proof_token_keeps_its_bytes() {
    let vector = Vector::read(PROOF);
    let identity = vector.bytes("remote_identity");
    let token = vector.bytes("token");
    assert!(is_proof(&published_key(), identity, token));
    assert_eq!(prove(&published_key(), identity, vector.array("nonce")), token);
}

#[test]
fn all_types_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Secret>();
    shared::<Key>();
    shared::<LazyKey>();
    shared::<Sealed>();
    shared::<OpenError>();
}
