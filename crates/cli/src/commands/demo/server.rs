//! The demo's second act: the same list through `ta serve`, in this process and on loopback.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tandem_client::{Replica, SyncOptions, Synced, sync, system_now};
use tandem_core::{ClientId, TaskId};
use tandem_remote::http::{HttpRemote, HttpSettings, Origin, ProxySetting};
use tandem_seal::{LazyKey, Salt, Secret};
use tandem_server::{EmbeddedServer, Options};
use tandem_tasks::serve::SnapshotTargets;
use tandem_tasks::serve::retention::Rules;
use tandem_tasks::session::End;

use super::{Stage, edit, told};
use crate::fail::Fail;

/// Ask for a snapshot after so few versions that the demo sees some.
const SNAPSHOT_VERSIONS: u32 = 4;

/// Edits while one machine is away.
const EDITS: i64 = 11;

/// For how long it is away; versions are kept for 180.
const DAYS_AWAY: i64 = 200;

/// The demo's server, whose clock can be set forward, and the way to it.
struct Serving {
    server: EmbeddedServer,
    days: Arc<AtomicI64>,
    origin: Origin,
    client: ClientId,
    key: Arc<LazyKey>,
}

impl Stage<'_> {
    /// The list moves to a server; a machine stays away until its history has gone.
    pub(super) fn play_server(
        &mut self,
        laptop: &mut Replica,
        [shared, tagged, done]: [TaskId; 3],
    ) -> Result<(), Fail> {
        self.output.line("Now through a server (ta serve), which sees sealed bytes only:");
        let serving = Serving::start(self)?;
        self.sync_there("laptop", laptop, &serving)?;
        let mut tablet = self.replica("tablet")?;
        let joined = self.sync_there("tablet", &mut tablet, &serving)?;
        check(joined.report.snapshot_loaded.is_some(), "the tablet did not begin from a snapshot")?;

        self.output.line("");
        self.output.line("The tablet is put into a drawer, with one change that it never sent,");
        self.output.line(format!("while the laptop goes on for {DAYS_AWAY} days:"));
        edit(&mut tablet, tagged, "tag_found", "x", 3)?;
        for number in 0..EDITS {
            edit(laptop, shared, "description", &format!("call number {number}"), 4 + number)?;
            self.sync_quietly(laptop, &serving)?;
        }
        serving.days.store(DAYS_AWAY, Ordering::Relaxed);
        edit(laptop, done, "description", "something done half a year later", 4 + EDITS)?;
        self.sync_quietly(laptop, &serving)?;
        let gone = serving.server.retain(Rules::default(), serving.now());
        let gone = gone.map_err(|error| Fail::failed(error.to_string()))?;
        check(gone > 0, "the server let nothing go")?;
        self.output.line(format!(
            "  {:<12} {} older than its snapshots and half a year went, as it does by itself",
            "server",
            told::count(gone, "version")
        ));

        self.output.line("");
        self.output.line("The tablet comes back, and the history on which it stood is no more:");
        let back = self.sync_there("tablet", &mut tablet, &serving)?;
        check(back.report.reinitialised, "the tablet's history was still there")?;
        self.sync_there("laptop", laptop, &serving)?;
        let (ours, theirs) = (laptop.all_tasks()?, tablet.all_tasks()?);
        check(ours == theirs, "laptop and tablet differ")?;
        let kept = ours.get(&tagged).and_then(|task| task.get("tag_found")) == Some("x");
        check(kept, "the tablet's change was lost")?;
        self.output.line("  Both hold the same, and the change from the drawer is there.");
        self.output.line("");
        Ok(())
    }

    fn sync_there(
        &mut self,
        name: &str,
        replica: &mut Replica,
        serving: &Serving,
    ) -> Result<Synced, Fail> {
        let synced = self.sync_quietly(replica, serving)?;
        for line in told::words(&synced).lines {
            self.output.line(format!("  {name:<12} {line}"));
        }
        Ok(synced)
    }

    fn sync_quietly(&mut self, replica: &mut Replica, serving: &Serving) -> Result<Synced, Fail> {
        self.go_on()?;
        let mut remote = serving.remote()?;
        let synced = sync(replica, &mut remote, &SyncOptions::default(), &system_now, &mut |_| {})
            .map_err(|error| Fail::failed(error.to_string()))?;
        if let Some(fail) = told::words(&synced).fail {
            return Err(fail);
        }
        check(synced.report.end == End::InStep, "the sync did not end in step")?;
        Ok(synced)
    }
}

impl Serving {
    fn start(stage: &Stage<'_>) -> Result<Self, Fail> {
        let days = Arc::new(AtomicI64::new(0));
        let (clock, at) = (Arc::clone(&days), system_now());
        let options = Options {
            targets: SnapshotTargets { versions: SNAPSHOT_VERSIONS, ..SnapshotTargets::default() },
            clock: Arc::new(move || at.plus_seconds(clock.load(Ordering::Relaxed) * 24 * 60 * 60)),
            ..Options::default()
        };
        let failed = |error: &dyn std::error::Error| Fail::failed(crate::fail::chain(error));
        let server = EmbeddedServer::start(&stage.folder.join("server"), options)
            .map_err(|error| failed(&error))?;
        let origin = Origin::parse(&format!("http://{}", server.address()))
            .map_err(|error| failed(&error))?;
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| Fail::failed(error.to_string()))?;
        let client = ClientId::from_bytes(id);
        let salt = Salt::from_client_id(client.to_bytes());
        let key = Arc::new(LazyKey::new(secret()?, salt));
        Ok(Self { server, days, origin, client, key })
    }

    /// The server's clock.
    fn now(&self) -> tandem_core::Timestamp {
        system_now().plus_seconds(self.days.load(Ordering::Relaxed) * 24 * 60 * 60)
    }

    /// A way to it; the key is derived once for all.
    fn remote(&self) -> Result<HttpRemote, Fail> {
        let mut settings = HttpSettings::new(self.origin.clone(), self.client, secret()?);
        settings.key = Arc::clone(&self.key);
        settings.proxy = ProxySetting::Direct;
        Ok(HttpRemote::new(settings))
    }
}

/// Nothing that is kept is sealed with it.
fn secret() -> Result<Secret, Fail> {
    Secret::new("only for as long as the demo runs".to_owned())
        .map_err(|error| Fail::failed(error.to_string()))
}

fn check(is_so: bool, else_text: &str) -> Result<(), Fail> {
    if is_so {
        return Ok(());
    }
    Err(Fail::failed(else_text).hint("That must never happen: please report it."))
}
