//! What a task server decides, without knowing how it stores or speaks.
//!
//! The state of one client, as far as these rules need it: the latest version (nil while there is
//! none), the child of a given version, the newest few versions and the snapshot's version and age.
//! Whoever stores them (memory, a database) reads them and writes the outcome **in one transaction
//! per client**; the rules themselves keep nothing. Version ids are rolled by the caller.
//!
//! ```text
//!   nil ◀── v1 ◀── v2 ◀── v3 ◀── v4        one unbranched chain, v4 is the latest
//!            ▲             ▲
//!       kept history    snapshot             "versions since" = 1
//! ```
//!
//! When versions and snapshots may go is [`retention`], whether the date is believed [`rounds`]. Left to others: identity of clients, limits
//! on bodies.
//!
//! # Source
//! `protocols/taskchampion.md` sections 6 and 11.

pub mod retention;
pub mod rounds;

use tandem_core::VersionId;

use crate::session::Urgency;

/// How far behind the latest version a snapshot may be and still be taken: it must show one of this
/// many newest versions.
pub const SNAPSHOT_RECENT_VERSIONS: usize = 5;

/// What becomes of an offered version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddVersion {
    /// Store it under a new id, which becomes the latest.
    Accept,
    /// Refuse it and name the latest version.
    Conflict {
        /// The latest version.
        latest: VersionId,
    },
}

/// Decides on a version that is offered after `parent`.
///
/// While there is no version any parent is taken: that lets a replica move to a fresh server in the
/// middle of its history.
pub fn add_version(latest: VersionId, parent: VersionId) -> AddVersion {
    if latest.is_nil() || latest == parent {
        AddVersion::Accept
    } else {
        AddVersion::Conflict { latest }
    }
}

/// What a question for the version after another is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildVersion {
    /// This one.
    Found(VersionId),
    /// There is none: the asker is up to date.
    UpToDate,
    /// There was one and it has been deleted, or the asker was never on this chain.
    Gone,
}

/// Decides what follows `parent`, given the stored version whose parent it is, if there is one.
///
/// A server without any version answers "up to date" to everybody, so that a replica may go on from
/// where it is.
pub fn child_version(
    latest: VersionId,
    parent: VersionId,
    child: Option<VersionId>,
) -> ChildVersion {
    match child {
        Some(child) => ChildVersion::Found(child),
        None if latest.is_nil() || latest == parent => ChildVersion::UpToDate,
        None => ChildVersion::Gone,
    }
}

/// True if a client whose latest version is `latest` had a history once, and the asker stands on it: an
/// operator has removed it. It is told so in the words for a client that is not there, which real
/// clients take for "up to date" (`protocols/taskchampion.md` section 7: both are 404), and on which
/// `ta` gives the server its list again.
pub fn is_emptied(latest: VersionId, parent: VersionId) -> bool {
    latest.is_nil() && !parent.is_nil()
}

/// True if a snapshot of `version` is to replace the stored one. A refused snapshot is still
/// answered as a success: the client could do nothing about it.
///
/// `recent` are the latest version and its ancestors, newest first; no more than
/// [`SNAPSHOT_RECENT_VERSIONS`] of them are looked at. A stored snapshot that is not among those is
/// older than all of them.
pub fn accepts_snapshot(
    recent: &[VersionId],
    stored: Option<VersionId>,
    version: VersionId,
) -> bool {
    let recent = &recent[..recent.len().min(SNAPSHOT_RECENT_VERSIONS)];
    let place = |wanted: VersionId| recent.iter().position(|recent| *recent == wanted);
    match (place(version), stored.and_then(place)) {
        (None, _) => false,
        (Some(_), _) if version.is_nil() => false,
        (Some(offered), Some(stored)) => offered < stored,
        (Some(_), None) => true,
    }
}

/// When a server begins to ask for a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotTargets {
    /// Whole days since the last snapshot.
    pub days: u32,
    /// Versions since the last snapshot.
    pub versions: u32,
}

impl Default for SnapshotTargets {
    /// The reference's 14 days and 100 versions.
    fn default() -> Self {
        Self { days: 14, versions: 100 }
    }
}

/// How old the stored snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SnapshotAge {
    /// Whole days since it was stored; 0 if the clock went back.
    pub days: u32,
    /// Versions added since.
    pub versions: u32,
}

/// How much the server wants a snapshot, told with an accepted version.
///
/// `snapshot` is the state *before* that version is added, none if there is no snapshot. Past a
/// target is low, past one and a half times a target (rounded down) is high, and the stronger of
/// the two reasons counts.
pub fn urgency(snapshot: Option<SnapshotAge>, targets: SnapshotTargets) -> Urgency {
    let Some(age) = snapshot else { return Urgency::High };
    let by = |age: u32, target: u32| {
        if u64::from(age) >= u64::from(target) * 3 / 2 { 2 } else { u8::from(age >= target) }
    };
    match by(age.days, targets.days).max(by(age.versions, targets.versions)) {
        0 => Urgency::None,
        1 => Urgency::Low,
        _ => Urgency::High,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIL: VersionId = VersionId::NIL;

    fn version(number: u8) -> VersionId {
        VersionId::from_bytes([number; 16])
    }

    #[test]
    fn a_version_is_taken_after_the_latest_or_into_an_empty_history() {
        let (one, two) = (version(1), version(2));
        let cases = [
            ("first version", NIL, NIL, AddVersion::Accept),
            ("moved here in the middle of a history", NIL, two, AddVersion::Accept),
            ("after the latest", two, two, AddVersion::Accept),
            ("after an older one", two, one, AddVersion::Conflict { latest: two }),
            ("a second first version", two, NIL, AddVersion::Conflict { latest: two }),
        ];
        for (name, latest, parent, expected) in cases {
            assert_eq!(add_version(latest, parent), expected, "{name}");
        }
    }

    #[test]
    fn a_child_is_found_or_not_there_yet_or_gone() {
        let (one, two, strange) = (version(1), version(2), version(9));
        let cases = [
            ("stored child", two, one, Some(two), ChildVersion::Found(two)),
            ("first version", two, NIL, Some(one), ChildVersion::Found(one)),
            ("at the latest", two, two, None, ChildVersion::UpToDate),
            ("no versions at all", NIL, NIL, None, ChildVersion::UpToDate),
            ("no versions, asked from elsewhere", NIL, strange, None, ChildVersion::UpToDate),
            ("never on this chain", two, strange, None, ChildVersion::Gone),
            ("deleted, or history without a beginning", two, NIL, None, ChildVersion::Gone),
        ];
        for (name, latest, parent, child, expected) in cases {
            assert_eq!(child_version(latest, parent, child), expected, "{name}");
        }
    }

    #[test]
    fn a_snapshot_must_be_recent_and_newer_than_the_stored_one() {
        let newest_first: Vec<_> = (1..=7).rev().map(version).collect();
        let cases = [
            ("of the latest, none stored", None, 7, true),
            ("of the fourth ancestor", None, 3, true),
            ("of the fifth ancestor", None, 2, false),
            ("of a version that is not there", None, 99, false),
            ("newer than the stored one", Some(6), 7, true),
            ("the stored one again", Some(6), 6, false),
            ("older than the stored one", Some(6), 5, false),
            ("newer than a stored one that is no longer recent", Some(1), 4, true),
        ];
        for (name, stored, offered, expected) in cases {
            let accepted = accepts_snapshot(&newest_first, stored.map(version), version(offered));
            assert_eq!(accepted, expected, "{name}");
        }
        assert!(!accepts_snapshot(&[], None, version(1)), "no versions");
        assert!(!accepts_snapshot(&[version(1), NIL], None, NIL), "nil is no version");
    }

    #[test]
    fn urgency_follows_the_stronger_of_age_and_number() {
        use Urgency::{High, Low, None};
        let targets = SnapshotTargets::default();
        assert_eq!(urgency(Option::None, targets), High, "no snapshot at all");
        let cases = [
            (0, 0, None),
            (13, 99, None),
            (14, 0, Low),
            (0, 100, Low),
            (20, 149, Low),
            (21, 0, High),
            (0, 150, High),
            (14, 150, High),
            (u32::MAX, u32::MAX, High),
        ];
        for (days, versions, expected) in cases {
            let age = Some(SnapshotAge { days, versions });
            assert_eq!(urgency(age, targets), expected, "{days} days, {versions} versions");
        }
        // Rounded down: one and a half times 3 is 4.
        let odd = SnapshotTargets { days: 3, versions: u32::MAX };
        assert_eq!(urgency(Some(SnapshotAge { days: 4, versions: 0 }), odd), High);
        assert_eq!(
            urgency(Some(SnapshotAge::default()), SnapshotTargets { days: 0, versions: 0 }),
            High
        );
    }
}
