//! Reading a server's answer, as pure functions of status, headers and body.
//!
//! Whatever is not in the protocol's words is no success: a captive portal answers 200 with a page
//! of its own, a mistyped path 404 with another.
//!
//! # Source
//! `protocols/taskchampion.md` section 7.

use std::str::FromStr;

use tandem_core::{VersionId, limits};
use tandem_tasks::session::{Failure, Urgency};

use super::failure::refused_by;
use super::peer::Peer;

/// Content type of a version's body.
pub(super) const SEGMENT_TYPE: &str = "application/vnd.taskchampion.history-segment";
/// Content type of a snapshot's body.
pub(super) const SNAPSHOT_TYPE: &str = "application/vnd.taskchampion.snapshot";

/// An answer as it came, with the headers that the protocol has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) version: Option<String>,
    pub(super) parent: Option<String>,
    pub(super) snapshot_request: Option<String>,
    pub(super) location: Option<String>,
    pub(super) retry_after: Option<String>,
    /// The server's clock.
    pub(super) date: Option<String>,
    /// The calls of our own that the server offers.
    pub(super) tandem: Option<String>,
    /// The proxy that passed the request on: the answer may be its own.
    pub(super) forwarder: Option<Peer>,
    /// Whole if it has the type that was asked for, else only its beginning.
    pub(super) body: Vec<u8>,
    /// Its length was known beforehand or marked, so it is certainly whole.
    pub(super) is_delimited: bool,
}

/// What GetChildVersion or GetSnapshot brought, still sealed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SealedBody {
    pub(super) version: VersionId,
    /// Nil for a snapshot.
    pub(super) parent: VersionId,
    pub(super) bytes: Vec<u8>,
    pub(super) is_delimited: bool,
}

/// Answers to GetChildVersion.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ChildAnswer {
    Version(SealedBody),
    UpToDate,
    NoSuchClient,
    StrangeNotFound,
    Gone,
}

/// Answers to AddVersion.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AddAnswer {
    Accepted {
        version: VersionId,
        urgency: Urgency,
    },
    Conflict {
        latest: VersionId,
    },
    /// It cannot be told whether the version was stored.
    Unknown(Failure),
}

impl Answer {
    pub(super) fn into_child(self) -> Result<ChildAnswer, Failure> {
        match self.status {
            200 => {
                self.check_body(SEGMENT_TYPE)?;
                let version = self.id("X-Version-Id", &self.version)?;
                let parent = self.id("X-Parent-Version-Id", &self.parent)?;
                if version.is_nil() {
                    return Err(strange("it names a version nil".to_owned()));
                }
                let Self { body: bytes, is_delimited, .. } = self;
                Ok(ChildAnswer::Version(SealedBody { version, parent, bytes, is_delimited }))
            }
            404 => Ok(match self.words().as_str() {
                "no such version" => ChildAnswer::UpToDate,
                "no such client" => ChildAnswer::NoSuchClient,
                _ => ChildAnswer::StrangeNotFound,
            }),
            410 => Ok(ChildAnswer::Gone),
            _ => Err(self.failure()),
        }
    }

    pub(super) fn into_snapshot(self) -> Result<Option<SealedBody>, Failure> {
        match self.status {
            200 => {
                self.check_body(SNAPSHOT_TYPE)?;
                let version = self.id("X-Version-Id", &self.version)?;
                if version.is_nil() {
                    return Err(strange("it names a version nil".to_owned()));
                }
                let Self { body: bytes, is_delimited, .. } = self;
                let parent = VersionId::NIL;
                Ok(Some(SealedBody { version, parent, bytes, is_delimited }))
            }
            // The page names no words for this one, so any short text that is no web page counts.
            // Whoever goes on from here asks for the first version, where the words are known.
            404 if self.words().len() <= 80 && !self.is_page() => Ok(None),
            _ => Err(self.failure()),
        }
    }

    pub(super) fn into_added(self) -> Result<AddAnswer, Failure> {
        match self.status {
            200 => match self.id("X-Version-Id", &self.version) {
                Ok(version) if !version.is_nil() => {
                    Ok(AddAnswer::Accepted { version, urgency: self.urgency() })
                }
                // A reply spoilt on its way, perhaps of a server that has stored the version.
                Ok(_) => Ok(AddAnswer::Unknown(strange("it names a version nil".to_owned()))),
                Err(failure) => Ok(AddAnswer::Unknown(failure)),
            },
            201..=299 => Ok(AddAnswer::Unknown(self.failure())),
            409 => {
                let latest = self.id("X-Parent-Version-Id", &self.parent)?;
                Ok(AddAnswer::Conflict { latest })
            }
            404 => Err(match self.words().as_str() {
                "no such client" | "" => Failure::ClientUnknown,
                _ => self.failure(),
            }),
            // An unknown outcome of the server's own commit is a 5xx, too.
            500..=599 => Ok(AddAnswer::Unknown(self.failure())),
            _ => Err(self.failure()),
        }
    }

    pub(super) fn check_snapshot_added(self) -> Result<(), Failure> {
        match self.status {
            200 if !self.is_page() => Ok(()),
            200 => Err(strange("it is a web page".to_owned())),
            404 => Err(match self.words().as_str() {
                "no such client" | "" => Failure::ClientUnknown,
                _ => self.failure(),
            }),
            _ => Err(self.failure()),
        }
    }

    /// True for the answers after which the same request may succeed later.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self.status, 500..=599)
    }

    /// What an answer that the protocol does not have at this place means.
    fn failure(&self) -> Failure {
        if let Some(told) = self.told() {
            return told;
        }
        if let Some(proxy) = self.forwarder.as_ref().filter(|_| self.is_of_a_proxy()) {
            return refused_by(proxy, self.status);
        }
        match self.status {
            401 | 403 => Failure::Forbidden,
            404 => Failure::StrangeNotFound,
            // nginx's words, and Go's, of which Caddy is made.
            400 if ["to https port", "to an https server"]
                .iter()
                .any(|words| self.words().contains(words)) =>
            {
                strange("it speaks TLS there, so server_origin begins with https://".to_owned())
            }
            // From one that we were not told of.
            407 => strange("a proxy on the way asks for a name and a password".to_owned()),
            413 => strange(
                "status 413: the server, or a proxy before it, does not take bodies of this size; \
                 raise its limit (nginx: client_max_body_size)"
                    .to_owned(),
            ),
            400 if self.words() == "overflow" => Failure::TooLarge {
                what: "the request".to_owned(),
                bytes_max: limits::SEALED_BYTES_MAX as u64,
            },
            status @ 500..=599 => Failure::ServerError { status },
            // As the standard words it, for a server or a proxy that gives no words of its own.
            status @ 429 => Failure::Told {
                status,
                code: "busy".to_owned(),
                message: "too many requests (status 429)".to_owned(),
                retry_seconds: self.retry_seconds(),
            },
            status if self.is_page() => strange(format!("status {status} with a web page")),
            status => {
                let text = readable(&self.body);
                let comma = if text.is_empty() { "" } else { ": " };
                strange(format!("status {status}{comma}{text}"))
            }
        }
    }

    /// It is what proxies say, and no task server: that they want a password or have found nobody, and
    /// web pages about what they allow.
    fn is_of_a_proxy(&self) -> bool {
        match self.status {
            407 | 502..=504 => true,
            403 | 405 | 500..=599 => self.is_page(),
            _ => false,
        }
    }

    /// A Tandem's own words, for what the protocol has none for: one JSON document,
    /// `{code, message, hint, request_id}`. What is refused for good is not among it.
    pub(super) fn told(&self) -> Option<Failure> {
        let may_pass = matches!(self.status, 408 | 429 | 500..=599);
        let is_document = self.content_type.as_deref() == Some("application/json");
        if !may_pass || !is_document {
            return None;
        }
        let document: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        let text = |name: &str| Some(readable(document.get(name)?.as_str()?.as_bytes()));
        Some(Failure::Told {
            status: self.status,
            code: text("code")?,
            message: text("message")?,
            retry_seconds: self.retry_seconds(),
        })
    }

    fn retry_seconds(&self) -> Option<u32> {
        self.retry_after.as_deref()?.trim().parse().ok()
    }

    fn check_body(&self, expected: &str) -> Result<(), Failure> {
        if self.content_type.as_deref() != Some(expected) {
            return Err(strange(match &self.content_type {
                Some(other) if self.is_page() => {
                    format!("it is a web page ({})", readable(other.as_bytes()))
                }
                Some(other) => format!("its content type is {}", readable(other.as_bytes())),
                None => "it states no content type".to_owned(),
            }));
        }
        match self.content_encoding.as_deref() {
            None | Some("identity" | "") => Ok(()),
            Some(other) => Err(strange(format!(
                "something has compressed it ({})",
                readable(other.as_bytes())
            ))),
        }
    }

    fn id(&self, name: &str, value: &Option<String>) -> Result<VersionId, Failure> {
        let value = value.as_deref().ok_or_else(|| {
            strange(if self.is_page() {
                "it is a web page".to_owned()
            } else {
                format!("it has no {name}")
            })
        })?;
        VersionId::from_str(value.trim())
            .map_err(|_| strange(format!("its {name} is {}", readable(value.as_bytes()))))
    }

    /// The body as the protocol's words are compared.
    fn words(&self) -> String {
        String::from_utf8_lossy(&self.body).trim().to_ascii_lowercase()
    }

    fn is_page(&self) -> bool {
        self.content_type.as_deref().is_some_and(|kind| kind.to_ascii_lowercase().contains("html"))
            || self.body.trim_ascii_start().starts_with(b"<")
    }

    /// Unknown wishes count as none.
    fn urgency(&self) -> Urgency {
        let wish = self.snapshot_request.as_deref().unwrap_or_default().trim();
        match wish.to_ascii_lowercase().as_str() {
            "urgency=high" => Urgency::High,
            "urgency=low" => Urgency::Low,
            _ => Urgency::None,
        }
    }
}

pub(super) fn strange(what: String) -> Failure {
    Failure::NotTheProtocol { what }
}

/// Text from a server for a person's eyes: no control characters, no line breaks, short.
pub(super) fn readable(bytes: &[u8]) -> String {
    const CHARACTERS_MAX: usize = 120;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * CHARACTERS_MAX)]);
    let clean: String =
        text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let clean = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    if clean.chars().count() <= CHARACTERS_MAX {
        return clean;
    }
    clean.chars().take(CHARACTERS_MAX).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
