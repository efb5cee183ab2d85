//! The lines and the servers at their other end.
//!
//! # Fault model
//! **Network**, per call: the request is lost; the server does it and the reply is lost; the
//! request arrives later, perhaps after the process has died (its reply goes nowhere); the server
//! says 5xx and does nothing. Requests are not duplicated by the line and bodies are not altered:
//! sealing and TLS answer for that.
//! **Server**: accepts, refuses and asks for snapshots by the protocol's own rules; may delete what
//! lies behind its snapshot; may be restored from an older backup; in a directory, a program that
//! races leaves the latest version off the chain. It never loses a version otherwise.

use tandem_core::VersionId;
use tandem_remote::{Call, MemoryRemote, Remote as _};

use super::{CALLS_MAX, World};
use crate::plan::Workload;

/// What the network does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    Good,
    LoseRequest,
    LoseReply,
    Delay,
    Refuse,
}

impl World {
    pub(crate) fn line(&self) -> Line {
        let mut inner = self.look();
        inner.calls += 1;
        if inner.calls > CALLS_MAX {
            drop(inner);
            self.fail(format!("more than {CALLS_MAX} calls: somebody does not come to an end"));
            return Line::LoseRequest;
        }
        if !inner.has_faults {
            return Line::Good;
        }
        let plan = inner.plan.clone();
        for (chance, line) in [
            (plan.lose_request, Line::LoseRequest),
            (plan.lose_reply, Line::LoseReply),
            (plan.delay, Line::Delay),
            (plan.refuse, Line::Refuse),
        ] {
            if inner.random.chance(chance) {
                return line;
            }
        }
        Line::Good
    }

    pub(crate) fn delay(&self, server: usize, call: Call) {
        self.look().delayed.push((server, call));
    }

    /// A line to a server.
    pub(crate) fn connect(&self, server: usize) -> MemoryRemote {
        let inner = self.look();
        let mut remote = MemoryRemote::new(&inner.servers[server], &format!("server {server}"));
        if inner.plan.workload == Workload::Directory {
            remote = remote.as_directory();
        } else if inner.plan.has_secret {
            remote = remote.with_secret("correct horse");
        }
        remote
    }

    pub(super) fn deliver(&self) {
        let delayed = {
            let mut inner = self.look();
            if inner.delayed.is_empty() {
                return;
            }
            let count = inner.delayed.len();
            let at = inner.random.below(count);
            inner.delayed.remove(at)
        };
        let (server, call) = delayed;
        let mut remote = self.connect(server);
        let told = format!("delayed {}", crate::faulty::name(&call));
        let outcome = remote.call(call);
        self.tell(&format!("{told}: {}", crate::faulty::told(&outcome)));
        self.check_servers();
    }

    pub(super) fn expire(&self) {
        let (servers, workload) = {
            let inner = self.look();
            (inner.servers.clone(), inner.plan.workload)
        };
        let server = &servers[0];
        let Some((version, _)) = server.snapshot() else { return };
        // A server that keeps the law keeps its latest version.
        if version != server.latest() {
            server.expire(version);
            self.count("expired");
        }
        if workload == Workload::MissingHistory {
            server.drop_snapshot();
        }
    }

    pub(super) fn restore(&self) {
        let mut guard = self.look();
        let inner = &mut *guard;
        if inner.has_restored {
            return;
        }
        if let Some(backup) = &inner.backup {
            inner.servers[0].restore(backup);
            let latest = inner.servers[0].latest();
            inner.latest[0] = latest;
            // The lines broke when it went down.
            inner.delayed.clear();
            inner.has_restored = true;
            *inner.counts.entry("restored".into()).or_default() += 1;
        }
    }

    /// A racing program adds a version beside the latest one, over the same parent.
    pub(super) fn orphan(&self) {
        let server = self.look().servers[0].clone();
        if server.latest().is_nil() || server.chain().len() < 2 {
            return;
        }
        let parent = server.chain().iter().rev().nth(1).map_or(VersionId::NIL, |v| v.version);
        let at_parent = self.look().archive.state_at(parent).unwrap_or_default();
        let changes = self.draw_changes(0);
        let now = self.now(0);
        let operations: Vec<_> = changes
            .iter()
            .filter(|change| !change.is_purge && at_parent.contains_key(&change.id))
            .map(|change| tandem_tasks::Operation::Update {
                uuid: change.id,
                property: change.property.into(),
                value: change.value.as_deref().map(Into::into),
                timestamp: now,
            })
            .collect();
        if operations.is_empty() {
            return;
        }
        let version = server.orphan_latest(tandem_tasks::segment::write(&operations));
        self.look().latest[0] = parent;
        self.tell(&format!("orphaned by {version}: {operations:?}"));
        self.count("orphaned");
    }
}
