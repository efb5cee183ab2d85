//! Who may do what, as far as a client id alone can tell.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;

use sha2::{Digest as _, Sha256};
use tandem_core::ClientId;

/// Which clients are served. A client id is the protocol's only credential.
#[derive(Clone, PartialEq, Eq)]
pub struct Access {
    /// Only these; everybody if none is named.
    pub allowed: Option<BTreeSet<ClientId>>,
    /// Whether an unknown client is made by its first version.
    pub may_create: bool,
    /// Whether client ids must belong to accounts.
    pub mode: Mode,
}

/// What a client id needs to be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Nothing else.
    #[default]
    Open,
    /// An enabled account that it belongs to.
    Accounts,
}

impl Default for Access {
    /// Open to any client id, as the reference.
    fn default() -> Self {
        Self { allowed: None, may_create: true, mode: Mode::Open }
    }
}

impl fmt::Debug for Access {
    /// Without the client ids.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("allowed", &self.allowed.as_ref().map(BTreeSet::len))
            .field("may_create", &self.may_create)
            .field("mode", &self.mode)
            .finish()
    }
}

impl Access {
    /// Whether this client is served at all.
    pub fn is_allowed(&self, client: ClientId) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.contains(&client))
    }

    /// Whether whoever reaches the server can have a history made there.
    pub fn is_open(&self) -> bool {
        self.may_create && self.allowed.is_none() && self.mode == Mode::Open
    }

    /// The first address at which strangers could register, unencrypted: to be refused unless
    /// somebody has said that this is wanted.
    pub fn exposed<'a>(&self, addresses: &'a [SocketAddr]) -> Option<&'a SocketAddr> {
        addresses.iter().find(|address| self.is_open() && !is_loopback(address))
    }
}

/// True if only this machine can reach it.
fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// A client as logs show it: the same for the same client at one installation, and of no use to
/// whoever reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientTag([u8; 5]);

impl ClientTag {
    /// Shortens a client id with the installation's key.
    pub fn new(log_key: &[u8; 32], client: ClientId) -> Self {
        // Both lengths are fixed, so key and id cannot run into each other.
        let hash = Sha256::new().chain_update(log_key).chain_update(client.to_bytes()).finalize();
        Self([hash[0], hash[1], hash[2], hash[3], hash[4]])
    }
}

impl fmt::Display for ClientTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_may_register_on_loopback_only() {
        let open = Access::default();
        let closed = Access { may_create: false, ..Access::default() };
        let listed = Access { allowed: Some(BTreeSet::new()), ..Access::default() };
        let at = |text: &str| vec![text.parse::<SocketAddr>().unwrap()];
        for inside in ["127.0.0.1:8080", "127.9.9.9:1", "[::1]:8080", "[::ffff:127.0.0.1]:8080"] {
            assert_eq!(open.exposed(&at(inside)), None, "{inside}");
        }
        for outside in ["0.0.0.0:8080", "[::]:8080", "192.168.1.2:8080", "[fe80::1]:8080"] {
            assert!(open.exposed(&at(outside)).is_some(), "{outside}");
            assert_eq!(closed.exposed(&at(outside)), None, "{outside}");
            assert_eq!(listed.exposed(&at(outside)), None, "{outside}");
        }
        let accounts = Access { mode: Mode::Accounts, ..Access::default() };
        assert_eq!(accounts.exposed(&at("0.0.0.0:8080")), None);
        let mut both = at("127.0.0.1:1");
        both.extend(at("0.0.0.0:2"));
        assert_eq!(open.exposed(&both), Some(&both[1]));
    }

    #[test]
    fn a_tag_hides_the_id_and_is_the_same_each_time() {
        let client = ClientId::from_bytes([7; 16]);
        let tag = ClientTag::new(&[1; 32], client);
        assert_eq!(tag, ClientTag::new(&[1; 32], client));
        assert_ne!(tag, ClientTag::new(&[2; 32], client));
        assert_eq!(tag.to_string().len(), 10);
        assert!(
            !format!("{:?}", Access { allowed: Some([client].into()), ..Access::default() })
                .contains("0707")
        );
    }
}
