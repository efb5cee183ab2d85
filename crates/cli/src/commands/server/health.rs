//! `ta server health`: whether the running server is ready. For supervisors and containers.

use serde_json::json;
use tandem_server::probe;

use super::Desk;
use crate::fail::{Exit, Fail};

pub(super) fn run(desk: &mut Desk<'_>) -> Result<Exit, Fail> {
    let ready = probe::ready(&desk.config).map_err(|error| {
        let fail = Fail::new(Exit::Unreachable, format!("the server does not answer: {error}"));
        fail.hint(match error.kind() {
            std::io::ErrorKind::InvalidData => {
                "Another server may listen there, or this one with other settings: give those that it \
                 has, with --tls-cert and --tls-key if it speaks TLS, or its file with --config."
            }
            _ => "Is it running? It is looked for where --listen, its variable or the file say.",
        })
    })?;
    let document: Option<serde_json::Value> = serde_json::from_str(&ready.words).ok();
    let why = |part: &str| {
        let text = document.as_ref().and_then(|document| document[part].as_str());
        text.unwrap_or("It does not say why.").to_owned()
    };
    if desk.output.is_json {
        desk.output.json(&json!({
            "address": ready.address.to_string(),
            "ready": ready.is_ready,
            "why": document,
        }));
    } else if ready.is_ready {
        desk.output.line(format!("The server at {} is ready.", ready.address));
    }
    if ready.is_ready {
        return Ok(Exit::Done);
    }
    let message = format!("the server at {} is not ready: {}", ready.address, why("message"));
    // The document is printed already.
    desk.output.is_json = false;
    Err(Fail::failed(message).hint(why("hint")))
}
