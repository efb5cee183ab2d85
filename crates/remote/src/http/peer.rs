//! Whom a failure to connect is about: the server, or the proxy on the way to it.
//!
//! The library's errors do not say, and where a proxy speaks TLS, too, nobody could tell its
//! certificate from the server's. The library's seams are used: what a look-up or the chain of
//! connectors says goes out with whom it was about. A connection to a proxy for `CONNECT` is made by
//! the same chain, within that to the server, so the innermost word counts.

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectionDetails, Connector, NextTimeout};
use ureq::{Error, Proxy};

/// The other end of a connection. Shown as people may read it: a proxy is called one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Peer {
    /// Its name or address.
    pub(super) host: String,
    /// It is the proxy, not the server.
    pub(super) is_proxy: bool,
}

impl Peer {
    /// The server itself.
    pub(super) fn server(host: &str) -> Self {
        Self { host: host.to_owned(), is_proxy: false }
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = if self.is_proxy { "the proxy " } else { "" };
        write!(f, "{what}{}", self.host)
    }
}

/// An error of the library with whom it is about.
#[derive(Debug, thiserror::Error)]
#[error("{peer}: {error}")]
pub(super) struct At {
    /// Who it is.
    pub(super) peer: Peer,
    /// Its name was being looked up; else a connection was being made.
    pub(super) is_lookup: bool,
    /// What the library says.
    pub(super) error: Error,
}

/// Which way connections go.
#[derive(Debug, Clone)]
pub(super) struct Way {
    proxy: Option<Uri>,
    /// No connection goes to the server, whatever address is asked for.
    is_absolute_form: bool,
}

impl Way {
    /// By this proxy, if there is one; in the absolute form, or by `CONNECT`.
    pub(super) fn new(proxy: Option<&Proxy>, is_absolute_form: bool) -> Self {
        Self { proxy: proxy.map(|proxy| proxy.uri().clone()), is_absolute_form }
    }

    fn at(&self, uri: &Uri, is_lookup: bool, error: Error) -> Error {
        if matches!(&error, Error::Other(inner) if inner.is::<At>()) {
            return error;
        }
        let proxy = self.proxy.as_ref().filter(|proxy| self.is_absolute_form || *proxy == uri);
        let host = proxy.unwrap_or(uri).host().unwrap_or_default().to_owned();
        let peer = Peer { host, is_proxy: proxy.is_some() };
        Error::Other(Box::new(At { peer, is_lookup, error }))
    }
}

/// A resolver or a chain of connectors whose errors say whom they are about.
#[derive(Debug)]
pub(super) struct Named<T> {
    inner: T,
    way: Way,
}

impl<T> Named<T> {
    pub(super) fn new(inner: T, way: &Way) -> Self {
        Self { inner, way: way.clone() }
    }
}

impl<T: Resolver> Resolver for Named<T> {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        self.inner.resolve(uri, config, timeout).map_err(|error| self.way.at(uri, true, error))
    }
}

impl<T: Connector<()>> Connector<()> for Named<T> {
    type Out = T::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        self.inner.connect(details, chained).map_err(|error| self.way.at(details.uri, false, error))
    }
}
