//! What was foreseen of a sync is what it does, where nothing comes between; and looking changes
//! nothing.

use tandem_client::{Foreseen, Synced, foresee};
use tandem_replica::Replica;
use tandem_tasks::session::End;

use super::World;
use super::disk::Opened;

impl World {
    /// Foresees the next sync of `replica`. None while faults may strike between the two.
    pub(super) fn foresee(&self, replica: usize) -> Option<Foreseen> {
        let (server, options) = {
            let inner = self.look();
            if inner.has_faults {
                return None;
            }
            (inner.actors[replica].server, self.sync_options(&inner))
        };
        let mut remote = self.connect(server);
        let mut ours = Replica::new(Opened(self.open(replica)));
        let now = || self.now(replica);
        let there = || {
            let server = self.look().servers[server].clone();
            let counts = server.counts();
            (counts.add_version, counts.add_snapshot, server.latest())
        };
        // What other programs did is taken notice of at every look.
        if let Err(error) = ours.notice(now()) {
            self.fail(format!("a replica can be read: {error}"));
        }
        let before = (self.pending(replica), ours.all_tasks().ok(), there());
        let foresight = foresee(&mut ours, &mut remote, &options, &now);
        let after = (self.pending(replica), ours.all_tasks().ok(), there());
        if before != after {
            self.fail(format!("looking at replica {replica} changed something"));
        }
        match foresight {
            Ok(foresight) => Some(foresight.foreseen),
            Err(error) => {
                self.fail(format!("foreseeing the sync of {replica}: {error}"));
                None
            }
        }
    }

    /// Whether the sync did what was foreseen.
    pub(super) fn check_foresight(&self, replica: usize, foreseen: &Foreseen, synced: &Synced) {
        let report = &synced.report;
        let has_failed = matches!(report.end, End::Failed(_));
        let is_so = match foreseen {
            Foreseen::InStep => report.end == End::InStep && synced.is_idle(),
            Foreseen::NoHistory => report.end == End::NoHistory,
            Foreseen::Pull => {
                has_failed || report.versions_down > 0 || report.snapshot_loaded.is_some()
            }
            Foreseen::Arrived => report.versions_up > 0,
            Foreseen::Push => has_failed || report.versions_up > 0,
            Foreseen::Snapshot => {
                has_failed || report.snapshot_made.is_some() || report.snapshot_failure.is_some()
            }
            Foreseen::Offer { again } => report.restarted && report.rejoined == *again,
            Foreseen::Reinitialise => has_failed || report.reinitialised,
            Foreseen::Unorphan => has_failed || report.end == End::InStep,
            Foreseen::Asks(question) => report.end == End::Question(question.clone()),
            Foreseen::Fails(failure) => report.end == End::Failed(failure.clone()),
            _ => false,
        };
        self.count(&format!("foreseen {}", word(foreseen)));
        if !is_so {
            self.fail(format!("of replica {replica} {foreseen:?} was foreseen: {report:?}"));
        }
    }
}

fn word(foreseen: &Foreseen) -> String {
    let debug = format!("{foreseen:?}");
    debug.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}
