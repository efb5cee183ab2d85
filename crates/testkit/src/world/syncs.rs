//! Syncs of ours, of other programs, and of replicas that come new; and the ends that can never be
//! right.

use std::fmt::Write as _;

use tandem_client::{SyncOptions, sync};
use tandem_core::Timestamp;
use tandem_replica::{Keep, MemoryStorage, Replica};
use tandem_tasks::session::{Consent, End, Failure};

use super::checks::differences;
use super::disk::Process;
use super::{Inner, World};
use crate::faulty::{FaultyRemote, FaultyStorage};
use crate::foreign;
use crate::plan::Workload;

impl World {
    pub(super) fn sync(&self, replica: usize) -> Option<End> {
        let (server, options) = {
            let mut inner = self.look();
            if inner.actors[replica].is_syncing {
                return None;
            }
            inner.actors[replica].is_syncing = true;
            (inner.actors[replica].server, self.sync_options(&inner))
        };
        let foreseen = self.foresee(replica);
        let process = Process::default();
        let storage =
            FaultyStorage::new(self.clone(), replica, process.clone(), self.open(replica));
        let mut ours = Replica::new(storage);
        let mut remote = FaultyRemote::new(self.clone(), replica, server, process.clone());
        let now = || self.now(replica);
        let result = sync(&mut ours, &mut remote, &options, &now, &mut |_| {});
        drop((ours, remote));
        self.look().actors[replica].is_syncing = false;
        if !process.is_dead() {
            // It has looked at the file at least once, but others may have written since.
            self.look().actors[replica].is_foreign = true;
        }
        let end = match result {
            Ok(synced) => {
                if let Some(foreseen) = foreseen {
                    self.check_foresight(replica, &foreseen, &synced);
                }
                let end = synced.report.end.clone();
                let mut told = format!(
                    "synced {replica}: {end:?}, up {} down {}",
                    synced.report.operations_up, synced.report.operations_down
                );
                for (is, word) in [
                    (synced.report.reinitialised, "reinitialised"),
                    (synced.report.restarted, "restarted"),
                    (synced.report.snapshot_made.is_some(), "snapshot made"),
                    (synced.report.snapshot_loaded.is_some(), "snapshot loaded"),
                    (!synced.conflicts.is_empty(), "conflicts"),
                    (!synced.kept.is_empty(), "kept"),
                ] {
                    if is {
                        let _ = write!(told, ", {word}");
                        self.count(word);
                    }
                }
                self.tell(&told);
                self.count(&match &end {
                    End::Failed(failure) => {
                        let debug = format!("{failure:?}");
                        let kind = debug.split([' ', '{', '(']).next().unwrap_or("");
                        format!("end Failed {kind}")
                    }
                    End::Question(question) => {
                        let debug = format!("{question:?}");
                        format!("end Question {}", debug.split([' ', '{']).next().unwrap_or(""))
                    }
                    other => format!("end {other:?}"),
                });
                self.check_end(replica, &end);
                Some(end)
            }
            Err(error) => {
                self.tell(&format!("sync of {replica} broke off: {error}"));
                self.count("end broke off");
                None
            }
        };
        self.look().actors[replica].last_end.clone_from(&end);
        end
    }

    pub(super) fn sync_options(&self, inner: &Inner) -> SyncOptions {
        SyncOptions {
            consent: Consent {
                join: inner.plan.workload != Workload::Usual,
                new_history: true,
                upload_difference: true,
            },
            avoid_snapshots: inner.plan.avoid_snapshots,
            keep: if inner.plan.prunes { Keep { days: 0, commands: 2 } } else { Keep::default() },
            segment_bytes_max: inner.plan.segment_bytes_max,
            group_bytes_max: inner.plan.group_bytes_max,
        }
    }

    /// Ends that can never be right in a world whose servers keep the protocol.
    fn check_end(&self, replica: usize, end: &End) {
        let workload = self.look().plan.workload;
        let is_wrong = match end {
            // Refused after its parent had been taken back: the next sync finds the server as it is.
            End::Failed(Failure::OutOfSync { .. }) => workload != Workload::RestoredServer,
            End::Failed(
                Failure::Malformed { .. }
                | Failure::FutureKind { .. }
                | Failure::StrangeNotFound
                | Failure::WrongSecret { .. },
            ) => true,
            End::Failed(Failure::NotTheProtocol { what }) => {
                !what.contains("moved on before its snapshot")
            }
            End::Failed(Failure::HistoryMissing) => {
                // A server that was restored empty is adopted in the middle of a history: until the
                // snapshot that it asks for arrives, others find no way.
                !matches!(
                    workload,
                    Workload::MissingHistory
                        | Workload::Retention
                        | Workload::RestoredServer
                        // Gone twice in one sync, which begins again only once.
                        | Workload::Directory
                )
            }
            _ => false,
        };
        if is_wrong {
            self.fail(format!("sync of {replica} ended with {end:?}"));
        }
    }

    pub(super) fn foreign_sync(&self, replica: usize) {
        // The real program does not know our lock: it may sync while we do.
        let server = self.look().actors[replica].server;
        let mut storage = self.open(replica);
        let mut remote = self.connect(server);
        let told = match foreign::sync(storage.as_mut(), &mut remote) {
            Ok((told, dropped)) => {
                let mut inner = self.look();
                dropped.into_iter().for_each(|id| inner.ledger.undone(replica, id));
                told
            }
            Err(error) => format!("foreign sync failed: {error}"),
        };
        self.look().actors[replica].is_foreign = true;
        self.tell(&told);
        self.count("foreign sync");
    }

    /// A fresh replica syncs, undisturbed, and holds what the chain says or is told that it cannot.
    pub(super) fn newcomer(&self) {
        let (server, workload, options) = {
            let inner = self.look();
            (inner.servers[0].clone(), inner.plan.workload, self.sync_options(&inner))
        };
        let may_be_missing =
            matches!(workload, Workload::MissingHistory | Workload::RestoredServer);
        let Some(expected) = self.look().archive.state_at(server.latest()) else {
            return self.fail("the chain has no replay".into());
        };
        let mut fresh = Replica::new(MemoryStorage::new());
        let mut remote = self.connect(0);
        let now = || Timestamp::from_seconds(1_800_000_000);
        match sync(&mut fresh, &mut remote, &options, &now, &mut |_| {}) {
            Ok(synced) => match synced.report.end {
                End::InStep | End::NoHistory => {
                    let tasks = fresh.all_tasks().expect("memory can be read");
                    if tasks != *expected {
                        self.fail(format!(
                            "a fresh replica is not what the chain says: {}",
                            differences(&tasks, &expected)
                        ));
                    }
                }
                End::Failed(Failure::HistoryMissing) if may_be_missing => {}
                end => self.fail(format!("a fresh replica ended with {end:?}")),
            },
            Err(error) => self.fail(format!("a fresh replica: {error}")),
        }
    }
}
