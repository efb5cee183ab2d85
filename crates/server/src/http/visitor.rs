//! From where a request came.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::{HeaderMap, HeaderName};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");

/// The other end of the connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Who asks, behind the proxies that are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Visitor {
    /// Their address.
    pub(super) address: IpAddr,
    /// A proxy that is not trusted may stand between.
    may_be_hidden: bool,
}

impl Visitor {
    /// Of what proxies say, only what a trusted one says is believed: from the right, the first
    /// address that is no trusted proxy. Anybody can write the rest.
    pub(super) fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> Self {
        let mut address = peer.to_canonical();
        let names: Vec<&str> = headers
            .get_all(FORWARDED_FOR)
            .iter()
            .flat_map(|value| value.to_str().unwrap_or("-").split(','))
            .map(str::trim)
            .collect();
        let mut names = names.into_iter().rev();
        let mut may_be_hidden = headers.contains_key(FORWARDED);
        while trusted.contains(&address) {
            match names.next().map(str::parse::<IpAddr>) {
                Some(Ok(before)) => address = before.to_canonical(),
                Some(Err(_)) => {
                    may_be_hidden = true;
                    break;
                }
                None => break,
            }
        }
        Self { address, may_be_hidden: may_be_hidden || names.next().is_some() }
    }

    /// Whether it is surely this machine that asks.
    pub(super) fn is_local(&self) -> bool {
        self.address.is_loopback() && !self.may_be_hidden
    }
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
        let trusted: Vec<IpAddr> = trusted.iter().map(|text| text.parse().unwrap()).collect();
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
            ("127.0.0.1", &["nonsense"], &["127.0.0.1"], "127.0.0.1", false),
        ] {
            let found = visitor(peer, forwarded, trusted);
            assert_eq!(found.address, address.parse::<IpAddr>().unwrap(), "{peer} {forwarded:?}");
            assert_eq!(found.is_local(), is_local, "{peer} {forwarded:?}");
        }
    }
}
