//! How a session begins: whose history is this, and may we join it?

use tandem_core::VersionId;

use crate::session::machine::{Session, State};
use crate::session::messages::{Action, Change, End, Question, Relation, Request};

/// A replica that never synced joins a history without asking if it holds at most this many tasks:
/// a few tasks noted before the first sync, not a second list.
pub const JOIN_TASKS_MAX: u64 = 100;

impl Session {
    pub(super) fn begin(&mut self) -> Action {
        match self.facts.relation {
            Relation::Ours if !self.orphans.is_empty() => {
                let versions = self.orphans.clone();
                self.ask(State::RemovingOrphans, Request::RemoveOrphans { versions })
            }
            // What we sent first may have begun the history: a snapshot would hold it, and pending
            // it would be pushed once more.
            Relation::Ours if self.base.is_nil() && self.in_flight.is_some() => {
                self.ask(State::FreshInFlight, Request::GetChildVersion { parent: VersionId::NIL })
            }
            Relation::Ours if self.base.is_nil() => {
                self.is_bulk = self.facts.tasks == 0;
                self.ask(State::FreshSnapshot, Request::GetSnapshot)
            }
            Relation::Ours => self.walk(),
            Relation::Other { last_base: Some(parent) } if !parent.is_nil() => {
                self.ask(State::CheckKnown, Request::GetChildVersion { parent })
            }
            Relation::Other { .. } => self.ask(State::StrangeSnapshot, Request::GetSnapshot),
        }
    }

    pub(super) fn restart(&mut self) -> Action {
        self.report.restarted = true;
        self.commit(State::Restarting, Change::Restart)
    }

    /// A history was found where we come as a stranger: may the lists be joined?
    pub(super) fn may_join(&self) -> bool {
        self.facts.joining
            || self.facts.consent.join
            || (self.facts.relation == Relation::Ours && self.facts.tasks <= JOIN_TASKS_MAX)
    }

    pub(super) fn ask_to_join(&mut self) -> Action {
        self.end(End::Question(Question::TwoLists { tasks_here: self.facts.tasks }))
    }

    pub(super) fn strange_history(&mut self) -> Action {
        if self.facts.consent.join {
            self.facts.joining = true;
            self.restart()
        } else {
            self.ask_to_join()
        }
    }

    /// Neither snapshot nor first version: the remote is empty.
    pub(super) fn nothing_there(&mut self) -> Action {
        if self.facts.tasks == 0 && self.pending.is_empty() {
            if self.facts.is_directory {
                return self.end(End::InStep);
            }
            return match self.facts.needs_new_history {
                true => self.end(End::NoHistory),
                false => self.note(true, false, End::NoHistory),
            };
        }
        if self.facts.needs_new_history && !self.facts.consent.new_history {
            return self.end(End::Question(Question::NewHistory));
        }
        self.at_tip()
    }
}
