//! Whom a failure to connect is about: the server, or the proxy on the way to it.
//!
//! The library's errors do not say, and where a proxy speaks TLS, too, nobody could tell its
//! certificate from the server's. The library's seams are used: what a look-up or the chain of
//! connectors says goes out with whom it was about. A connection to a proxy for `CONNECT` is made by
//! the same chain, within that to the server, so the innermost word counts. What a link says that asks
//! a proxy for the connection ([`Asking`]) is about the proxy, too.

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectionDetails, Connector, NextTimeout, Transport};
use ureq::{Error, Proxy};

use super::{HttpSettings, agent};

/// The other end of a connection. Shown as people may read it: a proxy is called one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Peer {
    /// Its name or address.
    pub(super) host: String,
    /// It is the proxy, not the server.
    pub(super) is_proxy: bool,
}

impl Peer {
    /// Who is at the other end of a connection that is there. Within a tunnel that is the server.
    pub(super) fn of(settings: &HttpSettings) -> Self {
        match agent::forwarding_proxy(settings) {
            Ok(Some(proxy)) => Self { host: proxy.host().to_owned(), is_proxy: true },
            _ => Self { host: settings.origin.host().to_owned(), is_proxy: false },
        }
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = if self.is_proxy { "the proxy " } else { "" };
        write!(f, "{what}{}", self.host)
    }
}

/// What was going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// A name was being looked up.
    Lookup,
    /// A connection was being made.
    Connecting,
    /// A proxy had been asked for a connection to the server.
    Asking,
    /// The connection was there, and a request was under way.
    Connected,
}

/// An error of the library with whom it is about.
#[derive(Debug, thiserror::Error)]
#[error("{peer}: {error}")]
pub(super) struct At {
    /// Who it is.
    pub(super) peer: Peer,
    /// What was going on.
    pub(super) stage: Stage,
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

    fn at(&self, uri: &Uri, stage: Stage, error: Error) -> Error {
        if matches!(&error, Error::Other(inner) if inner.is::<At>()) {
            return error;
        }
        let is_to_proxy =
            |proxy: &&Uri| self.is_absolute_form || stage == Stage::Asking || *proxy == uri;
        let proxy = self.proxy.as_ref().filter(is_to_proxy);
        let host = proxy.unwrap_or(uri).host().unwrap_or_default().to_owned();
        let peer = Peer { host, is_proxy: proxy.is_some() };
        Error::Other(Box::new(At { peer, stage, error }))
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
        let named = |error| self.way.at(uri, Stage::Lookup, error);
        self.inner.resolve(uri, config, timeout).map_err(named)
    }
}

impl<T: Connector<()>> Connector<()> for Named<T> {
    type Out = T::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        let named = |error| self.way.at(details.uri, Stage::Connecting, error);
        self.inner.connect(details, chained).map_err(named)
    }
}

/// A link of the chain that asks a proxy for a connection to the server.
#[derive(Debug)]
pub(super) struct Asking<T> {
    inner: T,
    way: Way,
}

impl<T> Asking<T> {
    pub(super) fn new(inner: T, way: &Way) -> Self {
        Self { inner, way: way.clone() }
    }
}

impl<In: Transport, T: Connector<In>> Connector<In> for Asking<T> {
    type Out = T::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let named = |error| self.way.at(details.uri, Stage::Asking, error);
        self.inner.connect(details, chained).map_err(named)
    }
}
