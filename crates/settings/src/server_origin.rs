//! The address of a sync server, in one spelling.
//!
//! Two replicas are in step only if they talk to the same place, and what was told of a server
//! (how far we are with it) is stored under its address. So `HTTPS://Example.com:443/` and
//! `https://example.com` must be one text.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The address of a sync server: scheme, host, port and path, normalised.
///
/// Scheme and host are in lower case, the default port and slashes at the end are gone, the path is
/// kept as given. There is no user, no query and no fragment. Requests go to this text plus
/// `/v1/client/…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerOrigin {
    text: String,
    host: String,
    is_https: bool,
}

/// Says why a text is not the address of a server. Carries none of it: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerOriginError {
    /// No characters.
    #[error("it is empty")]
    Empty,
    /// White space or a control character, often at an end, from copying.
    #[error("it contains white space or a line break")]
    WhiteSpace,
    /// Neither `http://` nor `https://` in front.
    #[error("it does not begin with https:// or http://")]
    Scheme,
    /// `user@` or `user:password@` before the host.
    #[error("it contains a user name or password")]
    UserInfo,
    /// A `?` or `#`.
    #[error("it contains a query (`?`) or a fragment (`#`)")]
    QueryOrFragment,
    /// No host, or not one.
    #[error("the host name is not valid")]
    Host,
    /// Not a number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// A path with characters that have to be written as `%XX`, or with `.` or `..` steps.
    #[error("the path is not valid")]
    Path,
}

impl ServerOriginError {
    /// What the person can do about it, in a sentence.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Empty | Self::Scheme => {
                "Give the whole address, such as https://tasks.example.com"
            }
            Self::WhiteSpace => {
                "Remove the blanks or line breaks; copying often adds one at the end."
            }
            Self::UserInfo => {
                "Leave out everything up to the `@`: a sync server knows no users, only client keys."
            }
            Self::QueryOrFragment => "Cut the address before the `?` or `#`.",
            Self::Host => {
                "Give a host name (other alphabets in their xn-- form) or an address; IPv6 in brackets."
            }
            Self::Port => "Give a port such as :8080, or none.",
            Self::Path => {
                "Write other characters than letters and digits as %XX, and no `..` steps."
            }
        }
    }
}

impl ServerOrigin {
    /// The whole address, without a slash at the end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host alone, an IPv6 address in its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// True if the connection is encrypted.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// True if the host is this machine, so that nothing leaves it.
    pub fn is_loopback(&self) -> bool {
        if let Ok(address) = self.host.parse::<Ipv4Addr>() {
            return address.is_loopback();
        }
        if let Some(address) = bracketed(&self.host) {
            return address.is_loopback()
                || address.to_ipv4_mapped().is_some_and(|address| address.is_loopback());
        }
        let name = self.host.strip_suffix('.').unwrap_or(&self.host);
        name == "localhost" || name.ends_with(".localhost")
    }
}

impl fmt::Display for ServerOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn bracketed(host: &str) -> Option<Ipv6Addr> {
    host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

fn strip_scheme<'t>(text: &'t str, scheme: &str) -> Option<&'t str> {
    let (start, rest) = text.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// Checks a host and gives its one spelling.
fn normalise_host(host: &str) -> Option<String> {
    if host.starts_with('[') {
        return bracketed(host).map(|address| format!("[{address}]"));
    }
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let has_empty_label = host.starts_with('.') || host.contains("..");
    if host.is_empty() || host.len() > 253 || !host.bytes().all(is_allowed) || has_empty_label {
        return None;
    }
    // A name whose last label is a number is an address or a slip (RFC 3696): `10.0.0` or `1.2.3.400`.
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return host.parse::<Ipv4Addr>().ok().map(|address| address.to_string());
    }
    Some(host.to_ascii_lowercase())
}

fn is_valid_path(path: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    path.bytes().all(is_allowed) && !path.split('/').any(|step| step == "." || step == "..")
}

impl FromStr for ServerOrigin {
    type Err = ServerOriginError;

    /// Reads an address in any spelling.
    ///
    /// # Errors
    /// The first thing that is wrong, see [`ServerOriginError`].
    fn from_str(text: &str) -> Result<Self, ServerOriginError> {
        use ServerOriginError as E;
        if text.is_empty() {
            return Err(E::Empty);
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(E::WhiteSpace);
        }
        let (is_https, rest) = match (strip_scheme(text, "https://"), strip_scheme(text, "http://"))
        {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(E::Scheme),
        };
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(E::UserInfo);
        }
        if path.contains(['?', '#']) {
            return Err(E::QueryOrFragment);
        }
        // The colon of a port comes after the bracket of an IPv6 address.
        let after_bracket = authority.rfind(']').unwrap_or(0);
        let (host, port) = match authority[after_bracket..].find(':') {
            Some(colon) => {
                (&authority[..after_bracket + colon], &authority[after_bracket + colon + 1..])
            }
            None => (authority, ""),
        };
        let host = normalise_host(host).ok_or(E::Host)?;
        let port = match port {
            "" => None,
            port if !port.bytes().all(|byte| byte.is_ascii_digit()) => return Err(E::Port),
            port => Some(port.parse::<u16>().ok().filter(|port| *port != 0).ok_or(E::Port)?),
        };
        let path = path.trim_end_matches('/');
        if !is_valid_path(path) {
            return Err(E::Path);
        }
        let (scheme, default_port) = if is_https { ("https", 443) } else { ("http", 80) };
        let port = match port {
            Some(port) if port != default_port => format!(":{port}"),
            _ => String::new(),
        };
        Ok(Self { text: format!("{scheme}://{host}{port}{path}"), host, is_https })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_spelling_becomes_one() {
        for (given, normal) in [
            ("https://example.com", "https://example.com"),
            ("https://example.com/", "https://example.com"),
            ("HTTPS://Example.COM:443//", "https://example.com"),
            ("http://example.com:80", "http://example.com"),
            ("http://example.com:443", "http://example.com:443"),
            ("https://example.com:/", "https://example.com"),
            ("https://example.com:08443/Sync/", "https://example.com:8443/Sync"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[0:0:0:0:0:0:0:1]:8080/", "http://[::1]:8080"),
            ("https://my_host/a%20b/~c", "https://my_host/a%20b/~c"),
        ] {
            assert_eq!(given.parse::<ServerOrigin>().unwrap().as_str(), normal, "{given}");
        }
    }

    #[test]
    fn what_is_no_address_is_named() {
        use ServerOriginError as E;
        for (given, error) in [
            ("", E::Empty),
            ("https://example.com\n", E::WhiteSpace),
            (" https://example.com", E::WhiteSpace),
            ("example.com", E::Scheme),
            ("ftp://example.com", E::Scheme),
            ("https:/example.com", E::Scheme),
            ("https://me:pw@example.com", E::UserInfo),
            ("https://example.com/?a", E::QueryOrFragment),
            ("https://example.com#a", E::QueryOrFragment),
            ("https://", E::Host),
            ("https:///path", E::Host),
            ("https://exämple.com", E::Host),
            ("https://10.0.0", E::Host),
            ("https://1.2.3.400", E::Host),
            ("https://a..b", E::Host),
            ("https://[::1", E::Host),
            ("https://[::1]x", E::Host),
            ("https://h:0", E::Port),
            ("https://h:65536", E::Port),
            ("https://h:+80", E::Port),
            ("https://h\\path", E::Path),
            ("https://h/a/../b", E::Path),
            ("https://h/ä", E::Path),
        ] {
            assert_eq!(given.parse::<ServerOrigin>().unwrap_err(), error, "{given}");
            assert!(!error.hint().is_empty());
        }
    }

    #[test]
    fn this_machine_is_known() {
        for (given, expected) in [
            ("http://localhost:8080", true),
            ("http://LOCALHOST.", true),
            ("http://tasks.localhost", true),
            ("http://127.1.2.3", true),
            ("http://[::1]", true),
            ("http://[::ffff:127.0.0.1]", true),
            ("http://192.168.1.1", false),
            ("http://localhost.example.com", false),
            ("http://[fe80::1]", false),
        ] {
            assert_eq!(given.parse::<ServerOrigin>().unwrap().is_loopback(), expected, "{given}");
        }
    }

    proptest! {
        #[test]
        fn normal_forms_stay_as_they_are(
            text in "(https?|HTTP)://[a-zA-Z0-9.\\[\\]:@-]{0,20}(/[a-z./%?]{0,10})?"
        ) {
            if let Ok(origin) = text.parse::<ServerOrigin>() {
                prop_assert_eq!(&origin.as_str().parse::<ServerOrigin>().unwrap(), &origin);
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<ServerOrigin>();
        }
    }
}
