//! How a session begins: whose history is this, and may we join it?

use tandem_core::VersionId;

use crate::session::failure::Failure;
use crate::session::machine::{Session, State};
use crate::session::messages::{Action, Change, Child, End, Question, Relation, Request};

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
            // it would be pushed once more. A directory has a name only since then.
            _ if self.base.is_nil() && self.in_flight.is_some() => {
                self.ask(State::FreshInFlight, Request::GetChildVersion { parent: VersionId::NIL })
            }
            Relation::Ours if self.base.is_nil() => {
                self.is_bulk = self.facts.tasks == 0;
                self.ask(State::FreshSnapshot, Request::GetSnapshot)
            }
            Relation::Ours => self.walk(),
            // A directory is known by its first version, whatever its path.
            Relation::Other { .. } if !self.base.is_nil() && !self.facts.is_directory => {
                let parent = self.base;
                self.ask(State::CheckSame { is_parent: false }, Request::GetChildVersion { parent })
            }
            Relation::Other { .. } => self.come_as_another(),
        }
    }

    /// The remote may be the one that we know, under another address: then its chain holds our base.
    ///
    /// A child of the base says so. "None" may also come from an empty server, so the base itself is
    /// asked for then, where its parent is known.
    pub(super) fn same_or_not(&mut self, is_parent: bool, child: Child) -> Action {
        match child {
            Child::Version { version, .. } if !is_parent || version == self.base => {
                self.adopt_address()
            }
            Child::UpToDate if !is_parent && let Some(parent) = self.base_parent => {
                self.ask(State::CheckSame { is_parent: true }, Request::GetChildVersion { parent })
            }
            _ => self.come_as_another(),
        }
    }

    pub(super) fn adopt_address(&mut self) -> Action {
        self.is_proved = true;
        self.report.address_changed = true;
        self.commit(State::Adopting, Change::Adopt)
    }

    /// The base was left by another program, and nobody knows yet at which remote.
    pub(super) fn is_base_from_elsewhere(&self) -> bool {
        !self.facts.is_base_known
            && !self.base.is_nil()
            && self.facts.relation == Relation::Ours
            && self.group.versions.is_empty()
    }

    /// The list has a history, and this remote knows nothing of the client: a new place for it, or a
    /// typo, which only a person can tell.
    pub(super) fn come_from_elsewhere(&mut self) -> Action {
        self.facts.relation = Relation::Other { last_base: None };
        self.facts.needs_new_history = !self.report.client_is_expected;
        self.come_as_another()
    }

    /// The base belongs to another remote than this one.
    pub(super) fn come_as_another(&mut self) -> Action {
        match self.facts.relation {
            Relation::Other { last_base: Some(parent) } if !parent.is_nil() => {
                self.ask(State::CheckKnown, Request::GetChildVersion { parent })
            }
            _ => self.ask(State::StrangeSnapshot, Request::GetSnapshot),
        }
    }

    pub(super) fn restart(&mut self) -> Action {
        self.report.restarted = true;
        let again = self.report.rejoined;
        self.commit(State::Restarting, Change::Restart { again })
    }

    /// A history was found where we come as a stranger: may the lists be joined?
    pub(super) fn may_join(&self) -> bool {
        self.facts.joining
            || self.facts.consent.join
            || (self.facts.relation == Relation::Ours && self.facts.tasks <= JOIN_TASKS_MAX)
    }

    /// A list that was never in step meets one. Of one that is on its way from elsewhere
    /// [`SyncReport::restarted`](crate::session::SyncReport::restarted) tells.
    pub(super) fn meet(&mut self) {
        self.report.joined = self.facts.tasks > 0 && !self.facts.joining;
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
        let is_empty = self.is_empty();
        if is_empty && self.facts.is_directory {
            return self.end(End::InStep);
        }
        // Nobody is told how to begin a history where none can be begun.
        let is_unexpected = is_empty && !self.report.client_is_expected;
        if is_unexpected || self.is_beginning_asked() {
            return self.ask(State::AskingReady, Request::AskReady);
        }
        if is_empty {
            return self.end(End::NoHistory);
        }
        self.report.began_history = !self.facts.consent.new_history;
        self.at_tip()
    }

    /// Nothing is there, and the remote has said why it takes nothing new, if it does not.
    pub(super) fn ready_or_not(&mut self, refusal: Option<Failure>) -> Action {
        let brings_nothing = self.facts.relation == Relation::Ours && self.is_empty();
        match refusal {
            // That this is no time for it is no matter to a list that brings nothing.
            Some(failure) if !brings_nothing || failure == Failure::ClientUnknown => {
                self.fail(failure)
            }
            _ if brings_nothing && self.facts.needs_new_history => self.end(End::NoHistory),
            // Noted, a later sync with tasks will ask whether a history is to begin.
            _ if brings_nothing => self.note(true, false, End::NoHistory),
            _ if self.is_beginning_asked() => self.end(End::Question(Question::NewHistory)),
            _ => self.restart(),
        }
    }

    fn is_empty(&self) -> bool {
        self.facts.tasks == 0 && self.pending.is_empty()
    }

    /// Whether a history is to begin there, only a person can say, and has not said.
    fn is_beginning_asked(&self) -> bool {
        self.facts.needs_new_history && !self.facts.consent.new_history
    }
}
