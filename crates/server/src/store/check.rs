//! Whether what is stored of a client keeps the promises, as a pure walk over its rows.
//!
//! A storage reads the client's row, its versions by number and its snapshots, all of one moment, and
//! tells them to a [`ChainCheck`]; nothing but the row before is remembered.

use tandem_core::{Timestamp, VersionId};
use tandem_tasks::serve::SNAPSHOT_RECENT_VERSIONS;
use tandem_tasks::serve::retention::{Mark, SNAPSHOT_GENERATIONS};

/// Findings about one client; more of the same would not help.
const FINDINGS_MAX: usize = 20;

/// A client's row, as far as its chain must agree with it.
#[derive(Debug, Clone, Copy)]
pub struct ChainFacts {
    /// The latest version, nil while there is none.
    pub latest: VersionId,
    /// Its number, 0 while there is none.
    pub latest_number: u64,
    /// The number of the oldest version that is there.
    pub first_number: u64,
    /// The bytes of the bodies that are there.
    pub version_bytes: u64,
    /// The number of the newest snapshot's version.
    pub snapshot_number: Option<u64>,
    /// The history began in the middle, and there has been no snapshot since.
    pub is_adopted: bool,
}

/// What a storage notes beside the chain, for retention and for asking for snapshots.
#[derive(Debug, Clone)]
pub struct Upkeep {
    /// Versions added since the newest snapshot was stored, or ever.
    pub versions_since_snapshot: u64,
    /// When the newest snapshot was stored, as the client's row says.
    pub snapshot_at: Option<Timestamp>,
    /// The same, as the snapshot's row says.
    pub stored_at: Option<Timestamp>,
    /// Which snapshots were stored on which days.
    pub stored: Vec<Mark>,
    /// Which positions were asked for on which days.
    pub asked: Vec<Mark>,
}

/// A version without its body.
#[derive(Debug, Clone, Copy)]
pub struct VersionRow {
    /// Its place in the chain.
    pub number: u64,
    /// Its id.
    pub version: VersionId,
    /// The version before.
    pub parent: VersionId,
    /// The bytes of its body.
    pub bytes: u64,
}

/// A snapshot without its body.
#[derive(Debug, Clone, Copy)]
pub struct SnapshotRow {
    /// The number of its version.
    pub number: u64,
    /// Its version.
    pub version: VersionId,
    /// The bytes of its body.
    pub bytes: u64,
}

/// The walk along one chain.
#[derive(Debug)]
pub struct ChainCheck {
    facts: ChainFacts,
    snapshots: Vec<SnapshotRow>,
    first_parent: Option<VersionId>,
    before: Option<VersionRow>,
    versions: u64,
    bytes: u64,
    findings: Vec<String>,
}

impl ChainCheck {
    /// Begins with the client's row and its snapshots, newest first.
    pub fn new(facts: ChainFacts, snapshots: Vec<SnapshotRow>) -> Self {
        let (first_parent, before) = (None, None);
        Self { facts, snapshots, first_parent, before, versions: 0, bytes: 0, findings: vec![] }
    }

    /// What is noted beside the chain. Once, for a storage that keeps it in this form.
    pub fn upkeep(&mut self, upkeep: &Upkeep) {
        let ChainFacts { latest_number: latest, snapshot_number, .. } = self.facts;
        let since = latest.saturating_sub(snapshot_number.unwrap_or(0));
        // A snapshot may be of one of the newest versions, and those after it are not counted.
        let uncounted = snapshot_number.map_or(0, |_| SNAPSHOT_RECENT_VERSIONS as u64 - 1);
        let noted = upkeep.versions_since_snapshot;
        if noted > since || noted < since.saturating_sub(uncounted) {
            self.find(format!(
                "{since} versions are after the newest snapshot's, and {noted} are noted"
            ));
        }
        if upkeep.snapshot_at != upkeep.stored_at {
            self.find("the newest snapshot was not stored when that is noted".to_owned());
        }
        let last = upkeep.stored.iter().map(|mark| mark.number).max();
        if last != snapshot_number {
            self.find("the days of snapshots do not end with the newest one".to_owned());
        }
        if upkeep.asked.iter().any(|mark| mark.number > latest) {
            self.find("a position after the latest version is noted as asked for".to_owned());
        }
        let mut stored = upkeep.stored.clone();
        stored.sort_unstable_by_key(|mark| mark.day);
        if stored.windows(2).any(|two| two[1].number < two[0].number) {
            self.find("an older snapshot is noted for a later day".to_owned());
        }
    }

    /// The next version, in the order of numbers.
    pub fn version(&mut self, row: VersionRow) {
        self.versions += 1;
        self.bytes = self.bytes.saturating_add(row.bytes);
        let VersionRow { number, version, .. } = row;
        match self.before {
            None => {
                self.first_parent = Some(row.parent);
                if number != self.facts.first_number {
                    let wanted = self.facts.first_number;
                    self.find(format!("the oldest version is {number}, and should be {wanted}"));
                }
            }
            Some(before) if number != before.number + 1 => {
                self.find(format!("version {number} follows {}: a hole", before.number));
            }
            Some(before) if row.parent != before.version => {
                self.find(format!("version {number} ({version}) is no child of the one before"));
            }
            Some(_) => {}
        }
        if row.bytes == 0 {
            self.find(format!("version {number} ({version}) is empty"));
        }
        for snapshot in &self.snapshots {
            if snapshot.number == number && snapshot.version != version {
                let what = format!("the snapshot of version {number} names another one");
                self.findings.push(what);
            }
        }
        self.before = Some(row);
    }

    /// How many versions there were, and what is wrong.
    pub fn end(mut self) -> (u64, Vec<String>) {
        let facts = self.facts;
        match self.before {
            Some(last) if last.version != facts.latest || last.number != facts.latest_number => {
                self.find(format!("the chain ends at {}, not at the latest version", last.number));
            }
            None if !facts.latest.is_nil() => self.find("no version is there".to_owned()),
            _ => {}
        }
        if self.bytes != facts.version_bytes {
            let (found, noted) = (self.bytes, facts.version_bytes);
            self.find(format!("the bodies have {found} bytes, and {noted} are noted"));
        }
        let newest = self.snapshots.first().map(|snapshot| snapshot.number);
        if newest != facts.snapshot_number {
            self.find("the newest snapshot is not the one that is noted".to_owned());
        }
        if self.snapshots.len() > SNAPSHOT_GENERATIONS {
            self.find(format!("{} snapshots are there", self.snapshots.len()));
        }
        for snapshot in self.snapshots.clone() {
            let SnapshotRow { number, version, bytes } = snapshot;
            if bytes == 0 {
                self.find(format!("the snapshot of {version} is empty"));
            }
            if number > facts.latest_number || number + 1 < facts.first_number {
                self.find(format!("versions after the snapshot of {version} are missing"));
            }
        }
        // The law: a new replica has a way to the present, or it is known that it has none.
        let from_nil = self.first_parent.is_none_or(VersionId::is_nil);
        if !from_nil && self.snapshots.is_empty() && !facts.is_adopted {
            self.find("the beginning is gone, and there is no snapshot".to_owned());
        }
        (self.versions, self.findings)
    }

    fn find(&mut self, finding: String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use tandem_tasks::serve::retention::Day;

    use super::*;

    fn id(number: u64) -> VersionId {
        VersionId::from_bytes(u128::from(number).to_be_bytes())
    }

    fn row(number: u64) -> VersionRow {
        VersionRow { number, version: id(number), parent: id(number - 1), bytes: 10 }
    }

    fn facts() -> ChainFacts {
        ChainFacts {
            latest: id(5),
            latest_number: 5,
            first_number: 1,
            version_bytes: 50,
            snapshot_number: Some(4),
            is_adopted: false,
        }
    }

    fn findings(facts: ChainFacts, rows: &[VersionRow], snapshots: &[u64]) -> Vec<String> {
        let snapshot =
            |number: &u64| SnapshotRow { number: *number, version: id(*number), bytes: 1 };
        let mut check = ChainCheck::new(facts, snapshots.iter().map(snapshot).collect());
        rows.iter().for_each(|row| check.version(*row));
        check.end().1
    }

    #[test]
    fn a_whole_chain_has_nothing_wrong() {
        let rows: Vec<VersionRow> = (1..=5).map(row).collect();
        assert_eq!(findings(facts(), &rows, &[4, 2]), Vec::<String>::new());
        let trimmed = ChainFacts { first_number: 3, version_bytes: 30, ..facts() };
        assert_eq!(findings(trimmed, &rows[2..], &[4, 2]), Vec::<String>::new());
        let adopted = ChainFacts { snapshot_number: None, is_adopted: true, ..trimmed };
        assert_eq!(findings(adopted, &rows[2..], &[]), Vec::<String>::new());
    }

    #[test]
    fn what_is_noted_beside_the_chain_is_compared_with_it() {
        let at = |seconds| Some(Timestamp::from_seconds(seconds));
        let mark = |number, day| Mark { number, day: Day(day) };
        let good = Upkeep {
            versions_since_snapshot: 1,
            snapshot_at: at(7),
            stored_at: at(7),
            stored: vec![mark(4, 12), mark(2, 10)],
            asked: vec![mark(5, 11), mark(0, 9)],
        };
        let found = |upkeep: &Upkeep| {
            let snapshots =
                [4, 2].map(|number| SnapshotRow { number, version: id(number), bytes: 1 }).to_vec();
            let mut check = ChainCheck::new(facts(), snapshots);
            check.upkeep(upkeep);
            (1..=5).for_each(|number| check.version(row(number)));
            check.end().1
        };
        assert_eq!(found(&good), Vec::<String>::new());
        for (upkeep, part) in [
            (Upkeep { versions_since_snapshot: 2, ..good.clone() }, "and 2 are noted"),
            (Upkeep { snapshot_at: at(8), ..good.clone() }, "was not stored when"),
            (Upkeep { stored: vec![mark(2, 10)], ..good.clone() }, "do not end with"),
            (Upkeep { stored: vec![mark(4, 9), mark(2, 10)], ..good.clone() }, "a later day"),
            (Upkeep { asked: vec![mark(6, 11)], ..good }, "after the latest version"),
        ] {
            let found = found(&upkeep);
            assert!(found.iter().any(|finding| finding.contains(part)), "{part}: {found:?}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_found() {
        let rows: Vec<VersionRow> = (1..=5).map(row).collect();
        let mut fork = rows.clone();
        fork[2].parent = id(1);
        let hole = [&rows[..2], &rows[3..]].concat();
        let mut empty = rows.clone();
        empty[1].bytes = 0;
        let trimmed = ChainFacts { first_number: 4, version_bytes: 20, ..facts() };
        let lost = ChainFacts { snapshot_number: None, ..trimmed };
        for (facts, rows, snapshots, part) in [
            (facts(), &fork[..], &[4, 2][..], "no child"),
            (facts(), &hole, &[4, 2], "a hole"),
            (facts(), &rows[..4], &[4], "not at the latest"),
            (facts(), &rows[1..], &[4], "should be 1"),
            (facts(), &empty, &[4], "is empty"),
            (facts(), &rows, &[5, 4], "not the one that is noted"),
            (facts(), &rows, &[4, 3, 2], "3 snapshots"),
            (facts(), &[], &[4], "no version"),
            (trimmed, &rows[3..], &[4, 2], "are missing"),
            (lost, &rows[3..], &[], "the beginning is gone"),
        ] {
            let found = findings(facts, rows, snapshots);
            assert!(found.iter().any(|finding| finding.contains(part)), "{part}: {found:?}");
        }
    }
}
