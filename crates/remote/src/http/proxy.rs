//! Which proxy a request goes through, decided as `curl` does.
//!
//! From the environment: `http_proxy` or `https_proxy` by the server's scheme, else `all_proxy`,
//! each in lower case first and then in capitals, unless `no_proxy` names the server. Three things
//! differ from `curl`:
//! * A server on this machine is never asked through a proxy that came from the environment: the
//!   proxy's loopback is another machine's.
//! * `HTTP_PROXY` in capitals is read too, as the reference does, but not where `REQUEST_METHOD` is
//!   set: a CGI server passes a visitor's `Proxy:` header under that very name.
//! * `no_proxy` entries are names (with all below them), addresses, `*`, each with a port or
//!   without; address ranges (`10.0.0.0/8`) are understood for IPv4.

use std::fmt;
use std::net::Ipv4Addr;

use super::Origin;

/// Where the proxy comes from.
#[derive(Clone, Default)]
pub enum ProxySetting {
    /// From the environment.
    #[default]
    Environment,
    /// None, whatever the environment says.
    Direct,
    /// This one, for every server: `http://[name:password@]host:port`, or `https`, `socks4`,
    /// `socks4a`, `socks5`, `socks5h`.
    Url(String),
}

impl fmt::Debug for ProxySetting {
    /// Without the address, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "Environment",
            Self::Direct => "Direct",
            Self::Url(_) => "Url(***)",
        })
    }
}

impl ProxySetting {
    /// The proxy's address for this server, if there is to be one.
    pub(super) fn choose(
        &self,
        origin: &Origin,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Option<String> {
        match self {
            Self::Direct => None,
            Self::Url(url) => Some(url.clone()),
            Self::Environment if origin.is_loopback() => None,
            Self::Environment => from_environment(origin, environment),
        }
    }
}

fn from_environment(
    origin: &Origin,
    environment: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    let filled = |name: &str| environment(name).filter(|value| !value.trim().is_empty());
    let either = |lower: &str, upper: &str| filled(lower).or_else(|| filled(upper));
    let no_proxy = either("no_proxy", "NO_PROXY").unwrap_or_default();
    if no_proxy.split([',', ' ', '\t']).any(|entry| excepts(entry.trim(), origin)) {
        return None;
    }
    let by_scheme = if origin.is_https() {
        either("https_proxy", "HTTPS_PROXY")
    } else if environment("REQUEST_METHOD").is_some() {
        filled("http_proxy")
    } else {
        either("http_proxy", "HTTP_PROXY")
    };
    let url = by_scheme.or_else(|| either("all_proxy", "ALL_PROXY"))?;
    Some(url.trim().to_owned())
}

/// True if this entry of `no_proxy` names the server.
fn excepts(entry: &str, origin: &Origin) -> bool {
    if entry == "*" {
        return true;
    }
    let (name, port) = match entry.rsplit_once(':') {
        // More than one colon outside brackets is an IPv6 address without a port.
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
        _ => (entry, None),
    };
    if port.is_some_and(|port| port.parse() != Ok(origin.port())) {
        return false;
    }
    let bare = |host: &str| host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let host = bare(origin.host());
    let name = bare(name);
    let name = name.trim_start_matches("*.").trim_start_matches('.').trim_end_matches('.');
    if name.is_empty() {
        return false;
    }
    if let Some((network, bits)) = name.split_once('/') {
        return is_within(&host, network, bits);
    }
    host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))
}

fn is_within(host: &str, network: &str, bits: &str) -> bool {
    let (Ok(host), Ok(network), Ok(bits)) =
        (host.parse::<Ipv4Addr>(), network.parse::<Ipv4Addr>(), bits.parse::<u32>())
    else {
        return false;
    };
    let mask = u32::MAX.checked_shl(32 - bits.min(32)).unwrap_or(0);
    bits <= 32 && u32::from(host) & mask == u32::from(network) & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(origin: &str, variables: &[(&str, &str)]) -> Option<String> {
        let environment = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        ProxySetting::Environment.choose(&Origin::parse(origin).unwrap(), environment)
    }

    #[test]
    fn the_environment_is_read_by_scheme() {
        let all = [("http_proxy", "h"), ("HTTPS_PROXY", "s"), ("all_proxy", "a")];
        assert_eq!(chosen("http://x.org", &all).as_deref(), Some("h"));
        assert_eq!(chosen("https://x.org", &all).as_deref(), Some("s"));
        assert_eq!(chosen("https://x.org", &[("http_proxy", "h")]), None);
        assert_eq!(chosen("https://x.org", &[("ALL_PROXY", " a ")]).as_deref(), Some("a"));
        let both = [("http_proxy", "lower"), ("HTTP_PROXY", "upper")];
        assert_eq!(chosen("http://x.org", &both).as_deref(), Some("lower"));
        assert_eq!(chosen("http://x.org", &[("http_proxy", "")]), None);
        let upper = [("HTTP_PROXY", "upper")];
        assert_eq!(chosen("http://x.org", &upper).as_deref(), Some("upper"));
        let cgi = [("HTTP_PROXY", "upper"), ("REQUEST_METHOD", "GET")];
        assert_eq!(chosen("http://x.org", &cgi), None);
    }

    #[test]
    fn exceptions_are_names_addresses_and_ranges() {
        let cases = [
            ("x.org", "http://x.org", true),
            ("x.org", "http://a.x.org", true),
            (".x.org", "http://x.org", true),
            ("*.x.org", "http://a.x.org", true),
            ("x.org", "http://axx.org", false),
            ("a.x.org", "http://x.org", false),
            ("X.ORG", "http://x.org", true),
            ("y.org, x.org", "http://x.org", true),
            ("x.org:8080", "http://x.org:8080", true),
            ("x.org:8080", "http://x.org", false),
            ("*", "http://x.org", true),
            ("", "http://x.org", false),
            ("10.0.0.0/8", "http://10.9.9.9", true),
            ("10.0.0.0/8", "http://11.9.9.9", false),
            ("10.0.0.0/99", "http://10.9.9.9", false),
            ("10.9.9.9", "http://10.9.9.9", true),
            ("fe80::1", "http://[fe80::1]", true),
            ("[fe80::1]:80", "http://[fe80::1]", true),
            ("fe80::2", "http://[fe80::1]", false),
        ];
        for (no_proxy, origin, is_direct) in cases {
            let variables = [("all_proxy", "p"), ("no_proxy", no_proxy)];
            assert_eq!(chosen(origin, &variables).is_none(), is_direct, "{no_proxy} for {origin}");
        }
    }

    #[test]
    fn loopback_meets_a_proxy_only_when_asked() {
        let all = [("all_proxy", "p")];
        assert_eq!(chosen("http://127.0.0.1:1", &all), None);
        let asked = ProxySetting::Url("p".to_owned());
        let origin = Origin::parse("http://127.0.0.1:1").unwrap();
        assert_eq!(asked.choose(&origin, |_| None).as_deref(), Some("p"));
        assert_eq!(ProxySetting::Direct.choose(&origin, |_| Some("p".to_owned())), None);
        assert_eq!(format!("{asked:?}"), "Url(***)");
    }
}
