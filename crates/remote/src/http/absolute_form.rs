//! Plain HTTP through an HTTP proxy: `GET http://host/path` instead of `GET /path`.
//!
//! The HTTP library speaks to every HTTP proxy by `CONNECT`, which is right for https; but many
//! proxies allow that method for port 443 alone, so for plain HTTP the form of RFC 9112 section
//! 3.2.2 is needed. The library's seams are used for it: a resolver that looks up the proxy instead
//! of the server, and a transport that completes the first line of every request.

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};
use ureq::{Error, Proxy};

/// Looks up the proxy, whatever is asked for.
#[derive(Debug)]
pub(super) struct ProxyResolver {
    proxy: Uri,
    inner: DefaultResolver,
}

impl ProxyResolver {
    pub(super) fn new(proxy: &Proxy) -> Self {
        Self { proxy: proxy.uri().clone(), inner: DefaultResolver::default() }
    }
}

impl Resolver for ProxyResolver {
    fn resolve(
        &self,
        _: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        self.inner.resolve(&self.proxy, config, timeout)
    }
}

/// Wraps a connection to the proxy.
pub(super) struct AbsoluteFormConnector {
    /// What goes before the path: `http://host[:port]`.
    root: String,
    /// The header that goes to the proxy with every request, with its line end, or nothing.
    authorization: String,
}

impl std::fmt::Debug for AbsoluteFormConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AbsoluteFormConnector({})", self.root)
    }
}

impl AbsoluteFormConnector {
    pub(super) fn new(root: String, proxy: &Proxy) -> Self {
        let authorization = match (proxy.username(), proxy.password()) {
            (None, None) => String::new(),
            (name, password) => {
                let pair = format!("{}:{}", name.unwrap_or_default(), password.unwrap_or_default());
                format!("Proxy-Authorization: Basic {}\r\n", base64(pair.as_bytes()))
            }
        };
        Self { root, authorization }
    }
}

impl<In: Transport> Connector<In> for AbsoluteFormConnector {
    type Out = AbsoluteForm<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| AbsoluteForm {
            inner,
            root: self.root.clone(),
            authorization: self.authorization.clone(),
            is_at_head: true,
        }))
    }
}

/// A connection to a proxy.
pub(super) struct AbsoluteForm<In> {
    inner: In,
    root: String,
    authorization: String,
    /// The next bytes to go out begin a request: nothing has been sent since the last answer.
    is_at_head: bool,
}

impl<In> std::fmt::Debug for AbsoluteForm<In> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AbsoluteForm({})", self.root)
    }
}

impl<In: Transport> Transport for AbsoluteForm<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if !std::mem::take(&mut self.is_at_head) {
            return self.inner.transmit_output(amount, timeout);
        }
        let output = self.inner.buffers().output();
        let head = complete(&output[..amount], &self.root, &self.authorization)
            .filter(|head| head.len() <= output.len())
            .ok_or(Error::ConnectionFailed)?;
        output[..head.len()].copy_from_slice(&head);
        self.inner.transmit_output(head.len(), timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.is_at_head = true;
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }
}

/// Puts the root before the path of the first line, and the header after that line.
fn complete(head: &[u8], root: &str, authorization: &str) -> Option<Vec<u8>> {
    let method = head.iter().position(|byte| *byte == b' ')? + 1;
    let line = head.windows(2).position(|bytes| bytes == b"\r\n")? + 2;
    if head.get(method) != Some(&b'/') || line < method {
        return None;
    }
    Some(
        [
            &head[..method],
            root.as_bytes(),
            &head[method..line],
            authorization.as_bytes(),
            &head[line..],
        ]
        .concat(),
    )
}

/// Base64 with padding (RFC 4648 section 4); one line of use is not worth a crate.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let number = (0..3).fold(0_usize, |number, place| {
            number << 8 | usize::from(group.get(place).copied().unwrap_or(0))
        });
        for place in 0..4 {
            let digit = DIGITS[number >> (18 - 6 * place) & 63];
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_becomes_absolute_and_the_rest_stays() {
        let head = b"GET /v1/x HTTP/1.1\r\nhost: h\r\n\r\nbody";
        let done = complete(head, "http://h:8", "Proxy-Authorization: Basic eA==\r\n").unwrap();
        assert_eq!(
            String::from_utf8(done).unwrap(),
            "GET http://h:8/v1/x HTTP/1.1\r\nProxy-Authorization: Basic eA==\r\nhost: h\r\n\r\nbody"
        );
        assert_eq!(complete(b"no request", "http://h", ""), None);
        assert_eq!(complete(b"GET x HTTP/1.1\r\n", "http://h", ""), None);
    }

    #[test]
    fn base64_has_its_test_vectors() {
        let cases =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (plain, text) in cases {
            assert_eq!(base64(plain.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
    }
}
