//! A database with the reference's tables, taken over once, twice, and after both went on.

use tempfile::TempDir;

use super::*;
use std::fs;

use crate::SqliteStore;
use crate::store::SnapshotFound;

const TABLES: &str = "
    CREATE TABLE clients (client_id STRING PRIMARY KEY, latest_version_id STRING,
        snapshot_version_id STRING, versions_since_snapshot INTEGER, snapshot_timestamp INTEGER,
        snapshot BLOB);
    CREATE TABLE versions (version_id STRING PRIMARY KEY, client_id STRING,
        parent_version_id STRING, history_segment BLOB);
    CREATE INDEX versions_by_parent ON versions (parent_version_id);";

fn id(number: u8) -> VersionId {
    VersionId::from_bytes([number; 16])
}

fn client(number: u8) -> ClientId {
    ClientId::from_bytes([number; 16])
}

/// The reference's database of a test.
struct Reference {
    folder: TempDir,
    connection: Connection,
}

impl Reference {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let connection = Connection::open(folder.path().join(REFERENCE_FILE)).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.execute_batch(TABLES).unwrap();
        Self { folder, connection }
    }

    fn version(&self, client: ClientId, parent: VersionId, version: VersionId) {
        self.connection
            .execute(
                "INSERT INTO versions VALUES (?1, ?2, ?3, ?4)",
                (version.to_string(), client.to_string(), parent.to_string(), version.to_bytes()),
            )
            .unwrap();
    }

    fn client(&self, client: ClientId, latest: VersionId, snapshot: Option<VersionId>) {
        self.connection
            .execute(
                "INSERT INTO clients VALUES (?1, ?2, ?3, 1, 1700000000, ?4)
                 ON CONFLICT DO UPDATE SET latest_version_id = excluded.latest_version_id",
                (
                    client.to_string(),
                    latest.to_string(),
                    snapshot.map(|version| version.to_string()),
                    snapshot.map(|_| b"snapshot".to_vec()),
                ),
            )
            .unwrap();
    }

    async fn import(&self, store: &Arc<dyn Store>, work: &TempDir) -> Vec<Imported> {
        let look = |name: &str| fs::read(self.folder.path().join(name)).unwrap_or_default();
        let names = [REFERENCE_FILE, "taskchampion-sync-server.sqlite3-wal"];
        let before = names.map(look);
        let original = Original::open(self.folder.path(), work.path()).unwrap();
        let mut all = Vec::new();
        let now = Timestamp::from_seconds(1_800_000_000);
        original.import(store, now, |one| all.push(one)).await.unwrap();
        drop(original);
        assert_eq!(names.map(look), before, "the original is as it was");
        let left = fs::read_dir(work.path()).unwrap().filter(|entry| {
            entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("import-")
        });
        assert_eq!(left.count(), 0, "no copy is left");
        all
    }
}

async fn chain(store: &Arc<dyn Store>, client: ClientId) -> Vec<VersionId> {
    let (mut chain, mut parent) = (Vec::new(), VersionId::NIL);
    let at = Timestamp::from_seconds(1_800_000_000);
    let child = |parent| store.child_version(client, parent, at, u64::MAX);
    while let Child::Found(stored) = child(parent).await.unwrap() {
        assert_eq!(stored.segment, stored.version.to_bytes()[..]);
        parent = stored.version;
        chain.push(parent);
    }
    chain
}

#[tokio::test]
async fn every_chain_and_snapshot_comes_over_and_a_second_run_changes_nothing() {
    let reference = Reference::new();
    let (ann, bob, new) = (client(1), client(2), client(3));
    for number in 1..=20_u8 {
        let parent = if number == 1 { VersionId::NIL } else { id(number - 1) };
        reference.version(ann, parent, id(number));
    }
    reference.version(ann, id(4), id(99));
    reference.client(ann, id(20), Some(id(7)));
    reference.version(bob, VersionId::NIL, id(50));
    reference.client(bob, id(50), None);
    reference.client(new, VersionId::NIL, None);
    let work = TempDir::new().unwrap();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(work.path()).unwrap());
    let all = reference.import(&store, &work).await;
    let facts = |one: &Imported| (one.outcome, one.versions, one.added, one.left_out, one.snapshot);
    assert_eq!(facts(&all[0]), (Outcome::Here, 20, 20, 1, SnapshotOutcome::Here));
    assert_eq!(facts(&all[1]), (Outcome::Here, 1, 1, 0, SnapshotOutcome::None));
    assert_eq!(facts(&all[2]), (Outcome::Empty, 0, 0, 0, SnapshotOutcome::None));
    let expected: Vec<VersionId> = (1..=20).map(id).collect();
    assert_eq!(chain(&store, ann).await, expected);
    let known = store.client(ann).await.unwrap().unwrap();
    assert_eq!(known.snapshots[0].version, id(7));
    assert_eq!(known.snapshots[0].stored_at, Timestamp::from_seconds(1_700_000_000));
    assert_eq!((known.versions_since_snapshot, known.is_adopted), (13, false));
    let again = reference.import(&store, &work).await;
    assert_eq!(facts(&again[0]), (Outcome::Here, 20, 0, 1, SnapshotOutcome::Here));
    assert_eq!(chain(&store, ann).await, expected);
    // The old server went on for one client, ours for the other.
    reference.version(ann, id(20), id(21));
    reference.client(ann, id(21), None);
    let at = Timestamp::from_seconds(1_800_000_001);
    let ours = AddVersion {
        client: bob,
        parent: id(50),
        version: id(51),
        segment: Bytes::copy_from_slice(&id(51).to_bytes()),
        at,
        targets: SnapshotTargets::default(),
        may_create: false,
    };
    store.add_version(ours).await.unwrap();
    let third = reference.import(&store, &work).await;
    assert_eq!((third[0].added, third[1].added), (1, 0));
    assert_eq!(third[1].outcome, Outcome::Here);
    assert_eq!(chain(&store, bob).await, [id(50), id(51)]);
}

#[tokio::test]
async fn a_history_that_was_trimmed_to_its_snapshot_keeps_its_way_in() {
    let reference = Reference::new();
    let ann = client(1);
    for number in 5..=16_u8 {
        reference.version(ann, id(number - 1), id(number));
    }
    reference.client(ann, id(16), Some(id(4)));
    let work = TempDir::new().unwrap();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(work.path()).unwrap());
    for added in [12, 0] {
        let all = reference.import(&store, &work).await;
        assert_eq!((all[0].outcome, all[0].added), (Outcome::Here, added));
        assert_eq!(all[0].snapshot, SnapshotOutcome::Here);
    }
    let at = Timestamp::from_seconds(1_800_000_000);
    let found = store.snapshot(ann, at, u64::MAX).await.unwrap();
    assert!(matches!(found, SnapshotFound::Found(found) if found.version == id(4)));
    let child = store.child_version(ann, id(4), at, u64::MAX).await.unwrap();
    assert!(matches!(child, Child::Found(child) if child.version == id(5)), "and on from there");
    let known = store.client(ann).await.unwrap().unwrap();
    assert_eq!((known.versions_since_snapshot, known.is_adopted), (12, false));
    let checked = store.admin().unwrap().check_client(None).await.unwrap().unwrap();
    assert_eq!(checked.findings, Vec::<String>::new());
}

#[tokio::test]
async fn what_differs_or_is_broken_is_told_and_left_alone() {
    let reference = Reference::new();
    let (fork, circle) = (client(1), client(2));
    reference.version(fork, VersionId::NIL, id(1));
    reference.client(fork, id(1), None);
    reference.version(circle, id(11), id(10));
    reference.version(circle, id(10), id(11));
    reference.client(circle, id(11), None);
    let work = TempDir::new().unwrap();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(work.path()).unwrap());
    let ours = AddVersion {
        client: fork,
        parent: VersionId::NIL,
        version: id(5),
        segment: Bytes::copy_from_slice(&id(5).to_bytes()),
        at: Timestamp::from_seconds(1_800_000_000),
        targets: SnapshotTargets::default(),
        may_create: true,
    };
    store.add_version(ours).await.unwrap();
    let all = reference.import(&store, &work).await;
    assert_eq!((all[0].outcome, all[1].outcome), (Outcome::Differs, Outcome::Broken));
    assert_eq!(chain(&store, fork).await, [id(5)]);
    assert_eq!(store.client(circle).await.unwrap(), None);
    let folder = TempDir::new().unwrap();
    let missing = Original::open(folder.path(), work.path());
    assert!(matches!(missing, Err(ImportError::NotTheReferences { .. })));
    fs::write(folder.path().join(REFERENCE_FILE), b"junk").unwrap();
    assert!(Original::open(folder.path(), work.path()).is_err());
    // A database of another kind.
    fs::remove_file(folder.path().join(REFERENCE_FILE)).unwrap();
    let other = Connection::open(folder.path().join(REFERENCE_FILE)).unwrap();
    other.execute_batch("CREATE TABLE x (y)").unwrap();
    let found = Original::open(folder.path(), work.path());
    assert!(matches!(found, Err(ImportError::NotTheReferences { .. })));
}

/// In a container every process has the same id: what a kill left must not be in the way for ever.
#[test]
fn what_a_killed_import_left_is_removed_by_the_next() {
    let reference = Reference::new();
    let work = TempDir::new().unwrap();
    let left = work.path().join(format!("import-{}", std::process::id()));
    fs::create_dir(&left).unwrap();
    fs::write(left.join("copy"), b"all of it").unwrap();
    let running = Original::open(reference.folder.path(), work.path()).unwrap();
    assert!(!left.exists());
    let second = Original::open(reference.folder.path(), work.path()).unwrap();
    let folders = || fs::read_dir(work.path()).unwrap().count();
    assert_eq!(folders(), 2, "of one that runs nothing is removed");
    drop((running, second));
    assert_eq!(folders(), 0);
}
