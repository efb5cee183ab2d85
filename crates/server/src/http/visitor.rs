//! From where a request came.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::{HeaderMap, HeaderName};

use crate::network::{Network, is_near};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");

/// Who asks, behind the proxies that are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Visitor {
    /// Their address.
    pub(super) address: IpAddr,
    /// A proxy that is not trusted may stand between.
    may_be_hidden: bool,
    /// Such a one says that it does, from nearby: others may come from the same address.
    is_shared: bool,
}

impl Visitor {
    /// Of what proxies say, only what a trusted one says is believed: from the right, the first
    /// address that is no trusted proxy. Anybody can write the rest.
    pub(super) fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> Self {
        let mut address = peer.to_canonical();
        let names: Vec<&str> = headers
            .get_all(FORWARDED_FOR)
            .iter()
            .flat_map(|value| value.to_str().unwrap_or("-").split(','))
            .map(str::trim)
            .collect();
        let mut names = names.into_iter().rev();
        let mut may_be_hidden = headers.contains_key(FORWARDED);
        let is_trusted = |address| trusted.iter().any(|network| network.contains(address));
        while is_trusted(address) {
            match names.next().map(read) {
                Some(Some(before)) => address = before.to_canonical(),
                Some(None) => {
                    may_be_hidden = true;
                    break;
                }
                None => break,
            }
        }
        may_be_hidden |= names.next().is_some();
        Self { address, may_be_hidden, is_shared: may_be_hidden && is_near(address) }
    }

    /// Whether a proxy that nobody declared stands there, as far as it tells: then the address says
    /// little of who asks.
    pub(super) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Whether it is surely this machine that asks.
    pub(super) fn is_local(&self) -> bool {
        self.address.is_loopback() && !self.may_be_hidden
    }
}

/// An address as proxies write it: some add the port, and IPv6 may stand in brackets.
fn read(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn visitor(peer: &str, forwarded: &[&str], trusted: &[&str]) -> Visitor {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(value).unwrap());
        }
        let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        Visitor::of(peer.parse().unwrap(), &headers, &trusted)
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_what_it_saw_itself() {
        for (peer, forwarded, trusted, address, is_local) in [
            ("192.0.2.1", &[][..], &[][..], "192.0.2.1", false),
            ("127.0.0.1", &[], &[], "127.0.0.1", true),
            ("::ffff:127.0.0.1", &[], &[], "127.0.0.1", true),
            ("192.0.2.1", &["127.0.0.1"], &[], "192.0.2.1", false),
            ("127.0.0.1", &["192.0.2.9"], &[], "127.0.0.1", false),
            ("127.0.0.1", &["192.0.2.9"], &["127.0.0.1"], "192.0.2.9", false),
            ("127.0.0.1", &["127.0.0.1, 192.0.2.9"], &["127.0.0.1"], "192.0.2.9", false),
            ("127.0.0.1", &["1.1.1.1", "192.0.2.9"], &["127.0.0.1"], "192.0.2.9", false),
            ("10.0.0.1", &["192.0.2.9, 10.0.0.2"], &["10.0.0.1", "10.0.0.2"], "192.0.2.9", false),
            ("10.0.0.1", &["192.0.2.9, 10.7.0.2"], &["10.0.0.0/8"], "192.0.2.9", false),
            ("127.0.0.1", &["192.0.2.9:5678"], &["127.0.0.1"], "192.0.2.9", false),
            ("127.0.0.1", &["[2001:db8::9]:9"], &["127.0.0.1"], "2001:db8::9", false),
            ("127.0.0.1", &["[2001:db8::9]"], &["127.0.0.1"], "2001:db8::9", false),
            ("127.0.0.1", &["nonsense"], &["127.0.0.1"], "127.0.0.1", false),
        ] {
            let found = visitor(peer, forwarded, trusted);
            assert_eq!(found.address, address.parse::<IpAddr>().unwrap(), "{peer} {forwarded:?}");
            assert_eq!(found.is_local(), is_local, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn an_address_is_shared_if_a_proxy_nearby_says_so_and_nobody_declared_it() {
        let hop = &["192.0.2.9"][..];
        assert!(visitor("172.17.0.1", hop, &[]).is_shared());
        assert!(!visitor("172.17.0.1", hop, &["172.17.0.1"]).is_shared(), "it is declared");
        assert!(!visitor("172.17.0.1", &[], &[]).is_shared(), "it says nothing");
        assert!(!visitor("198.51.100.1", hop, &[]).is_shared(), "anybody can write a header");
    }
}
