//! A server's address, in the one spelling under which it is known again.

use std::fmt;

use ureq::http::Uri;

/// A server's address: scheme, host, port and path, normalised.
///
/// Scheme and host are in lower case, a default port is not written, and the path ends with exactly
/// one slash, so every spelling of one server is one text. The path's case is kept: it may matter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    is_https: bool,
    host: String,
    port: u16,
    path: String,
}

/// Says why a text is not a server's address. All are the person's to fix in `server_origin`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    /// Another scheme than `http` or `https`, or none.
    #[error("a server's address begins with https:// or http://")]
    Scheme,
    /// A name or password before the host. Credentials do not belong into an address, which is
    /// shown and logged.
    #[error("a server's address holds no name or password")]
    Credentials,
    /// A query or a fragment.
    #[error("a server's address has no `?` or `#`")]
    Query,
    /// No host, or not an address at all.
    #[error("that is not a server's address")]
    Malformed,
}

impl Origin {
    /// Reads an address; white space around it is ignored.
    ///
    /// # Errors
    /// The [`OriginError`] that says what is wrong. It carries nothing of the text.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").ok_or(OriginError::Scheme)?;
        let is_https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(OriginError::Scheme),
        };
        if rest.contains(['?', '#']) {
            return Err(OriginError::Query);
        }
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.contains('@') {
            return Err(OriginError::Credentials);
        }
        let uri: Uri = text.parse().map_err(|_| OriginError::Malformed)?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(OriginError::Malformed)?;
        // "host:" and "host:99999" parse, but have no port.
        let port = match authority.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
            None => default_port(is_https),
            Some(_) => uri.port_u16().filter(|port| *port > 0).ok_or(OriginError::Malformed)?,
        };
        let path = uri.path().trim_matches('/');
        let path = if path.is_empty() { "/".to_owned() } else { format!("/{path}/") };
        Ok(Self { is_https, host: host.to_ascii_lowercase(), port, path })
    }

    /// True for `https`.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// The host: a name, or an address (in brackets for IPv6).
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, a default one included.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// True if the host is this machine by its loopback addresses or the name `localhost`.
    pub fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host.ends_with(".localhost")
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Scheme, host and port, without a path: what must not change in a redirect.
    pub(super) fn root(&self) -> String {
        let scheme = if self.is_https { "https" } else { "http" };
        if self.port == default_port(self.is_https) {
            format!("{scheme}://{}", self.host)
        } else {
            format!("{scheme}://{}:{}", self.host, self.port)
        }
    }

    /// The full address of a path below this one.
    pub(super) fn join(&self, path: &str) -> String {
        format!("{}{}{path}", self.root(), self.path)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.root(), self.path)
    }
}

fn default_port(is_https: bool) -> u16 {
    if is_https { 443 } else { 80 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_server_is_one() {
        let cases = [
            ("https://Tasks.Example.org", "https://tasks.example.org/"),
            ("HTTPS://tasks.example.org:443/", "https://tasks.example.org/"),
            (" https://tasks.example.org//\n", "https://tasks.example.org/"),
            ("http://10.0.0.1:80", "http://10.0.0.1/"),
            ("http://10.0.0.1:443", "http://10.0.0.1:443/"),
            ("http://[::1]:8080/a/B", "http://[::1]:8080/a/B/"),
            ("http://[::1]", "http://[::1]/"),
            ("https://host/tasks/", "https://host/tasks/"),
        ];
        for (text, expected) in cases {
            assert_eq!(Origin::parse(text).unwrap().to_string(), expected, "{text}");
        }
        let origin = Origin::parse("https://host/tasks").unwrap();
        assert_eq!(origin.join("v1/client/snapshot"), "https://host/tasks/v1/client/snapshot");
    }

    #[test]
    fn what_is_no_address_is_named() {
        let cases = [
            ("", OriginError::Scheme),
            ("tasks.example.org", OriginError::Scheme),
            ("ftp://tasks.example.org", OriginError::Scheme),
            ("https://me:pass@host", OriginError::Credentials),
            ("https://host/?a=b", OriginError::Query),
            ("https://host/#there", OriginError::Query),
            ("https://", OriginError::Malformed),
            ("https:///path", OriginError::Malformed),
            ("https://a b", OriginError::Malformed),
            ("https://host:99999", OriginError::Malformed),
            ("https://host:", OriginError::Malformed),
            ("https://host:0", OriginError::Malformed),
        ];
        for (text, expected) in cases {
            assert_eq!(Origin::parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn loopback_is_known_by_name_and_number() {
        let is_loopback = |text: &str| Origin::parse(text).unwrap().is_loopback();
        for text in
            ["http://localhost", "http://127.0.0.7:99", "http://[::1]", "http://a.localhost"]
        {
            assert!(is_loopback(text), "{text}");
        }
        for text in ["http://10.0.0.1", "http://localhost.example.org", "http://127.example.org"] {
            assert!(!is_loopback(text), "{text}");
        }
    }
}
