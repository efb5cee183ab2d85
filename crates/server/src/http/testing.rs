//! The reading of heads without a line, for tests that throw bytes at it.

use std::net::IpAddr;

use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::account;
use super::visitor::Visitor;
use crate::network::Network;

/// What was understood of a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Who asks.
    pub address: IpAddr,
    /// Whether it is surely this machine.
    pub is_local: bool,
    /// The name of the account whose password is shown; empty for a token.
    pub account: Option<String>,
}

/// Reads X-Forwarded-For and Authorization as they came from `peer`, behind proxies of these networks.
/// None if they cannot stand in a head at all.
pub fn read_head(
    peer: IpAddr,
    trusted: &[Network],
    forwarded: &[u8],
    authorization: &[u8],
) -> Option<Head> {
    let mut headers = HeaderMap::new();
    let name = HeaderName::from_static("x-forwarded-for");
    headers.append(name, HeaderValue::from_bytes(forwarded).ok()?);
    headers.append(AUTHORIZATION, HeaderValue::from_bytes(authorization).ok()?);
    let visitor = Visitor::of(peer, &headers, trusted);
    let account = account::shown_name(&headers);
    Some(Head { address: visitor.address, is_local: visitor.is_local(), account })
}
