use std::fs;
use std::sync::{Arc, Barrier};

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

const NIL: VersionId = VersionId::NIL;

fn remote(folder: &Path) -> DirectoryRemote {
    DirectoryRemote::new(folder, DirectoryOptions::default())
}

fn sql(folder: &Path) -> Connection {
    Connection::open(folder.join(FILE_NAME)).unwrap()
}

/// What the real program leaves behind when it has opened a directory.
fn made_by_the_reference(folder: &Path) -> Connection {
    fs::create_dir_all(folder).unwrap();
    let connection = sql(folder);
    connection
        .execute_batch(
            "CREATE TABLE data (key STRING PRIMARY KEY, value STRING);
             CREATE TABLE versions (version_id STRING PRIMARY KEY, parent_version_id STRING, data STRING);",
        )
        .unwrap();
    connection
}

/// Adds a version as the real program does after its check.
fn insert(connection: &Connection, version: VersionId, parent: VersionId, data: &[u8]) {
    connection
        .execute(
            "INSERT INTO versions VALUES (?1, ?2, ?3)",
            (version.to_string(), parent.to_string(), data),
        )
        .unwrap();
    connection
        .execute(
            "INSERT OR REPLACE INTO data VALUES ('latest_version_id', ?1)",
            [version.to_string()],
        )
        .unwrap();
}

fn version(number: u8) -> VersionId {
    VersionId::from_bytes([number; 16])
}

fn segment(task: u8, title: &str) -> Vec<u8> {
    let uuid = version(task);
    format!(
        r#"{{"operations":[{{"Create":{{"uuid":"{uuid}"}}}},{{"Update":{{"uuid":"{uuid}","property":"title","value":"{title}","timestamp":"2026-01-01T00:00:00Z"}}}}]}}"#
    )
    .into_bytes()
}

fn add(remote: &mut DirectoryRemote, parent: VersionId, segment: &[u8]) -> Added {
    match remote.call(Call::AddVersion { parent, segment: segment.to_vec() }) {
        Outcome::Answer(Response::Added(added)) => added,
        other => panic!("{other:?}"),
    }
}

fn accepted(remote: &mut DirectoryRemote, parent: VersionId, segment: &[u8]) -> VersionId {
    match add(remote, parent, segment) {
        Added::Accepted { version, urgency: Urgency::None } => version,
        other => panic!("{other:?}"),
    }
}

fn child(remote: &mut DirectoryRemote, parent: VersionId) -> Child {
    match remote.call(Call::GetChildVersion { parent }) {
        Outcome::Answer(Response::Child(child)) => child,
        other => panic!("{other:?}"),
    }
}

fn refused(remote: &mut DirectoryRemote, call: Call) -> Failure {
    match remote.call(call) {
        Outcome::Refused(failure) => failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_file_is_the_references_with_an_index_and_a_table_beside() {
    let folder = TempDir::new().unwrap();
    let mut remote = remote(folder.path());
    let first = accepted(&mut remote, NIL, br#"{"operations":[]}"#);
    let second = accepted(&mut remote, first, b"two");

    let connection = sql(folder.path());
    let mut schema = connection.prepare("SELECT sql FROM sqlite_schema WHERE sql != ''").unwrap();
    let schema: Vec<String> =
        schema.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(
        schema,
        [
            "CREATE TABLE data (key STRING PRIMARY KEY, value STRING)",
            "CREATE TABLE versions (version_id STRING PRIMARY KEY, parent_version_id STRING, data STRING)",
            "CREATE INDEX tandem_versions_by_parent ON versions (parent_version_id)",
            "CREATE TABLE tandem_directory (key TEXT PRIMARY KEY, value TEXT)",
            "CREATE TABLE tandem_orphan (version_id TEXT PRIMARY KEY, \
             parent_version_id TEXT NOT NULL, data BLOB)",
        ]
    );
    let latest: (String, String) =
        connection.query_row("SELECT * FROM data", [], |r| Ok((r.get(0)?, r.get(1)?))).unwrap();
    assert_eq!(latest, ("latest_version_id".to_owned(), second.to_string()));
    let row: (String, String, String, Vec<u8>) = connection
        .query_row(
            "SELECT typeof(version_id), parent_version_id, typeof(data), data FROM versions WHERE version_id = ?1",
            [second.to_string()],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .unwrap();
    assert_eq!(row, ("text".to_owned(), first.to_string(), "blob".to_owned(), b"two".to_vec()));
    let journal: String =
        connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(journal, "delete", "as the reference leaves it");
}

#[test]
fn reading_a_file_of_the_reference_writes_nothing() {
    let folder = TempDir::new().unwrap();
    let connection = made_by_the_reference(folder.path());
    insert(&connection, version(1), NIL, b"one");
    insert(&connection, version(2), version(1), b"two");
    connection
        .execute(
            "UPDATE versions SET data = '{\"text\":1}' WHERE version_id = ?1",
            [version(2).to_string()],
        )
        .unwrap();
    drop(connection);
    let before = fs::read(folder.path().join(FILE_NAME)).unwrap();

    let mut remote = remote(folder.path());
    let identity = remote.identity().unwrap().unwrap();
    assert_eq!(identity.key, format!("dir {}", version(1)));
    assert_eq!(identity.label, folder.path().display().to_string());
    assert_eq!(
        child(&mut remote, version(1)),
        Child::Version {
            version: version(2),
            parent: version(1),
            segment: b"{\"text\":1}".to_vec()
        }
    );
    assert_eq!(child(&mut remote, version(2)), Child::UpToDate);
    assert_eq!(child(&mut remote, version(9)), Child::Gone);
    assert_eq!((remote.versions().unwrap(), remote.orphan_count().unwrap()), (2, 0));
    assert!(remote.size_bytes() >= 4096);
    assert_eq!(fs::read(folder.path().join(FILE_NAME)).unwrap(), before);

    let third = accepted(&mut remote, version(2), b"three");
    assert_eq!(remote.identity().unwrap().unwrap(), identity, "writing changes no identity");
    assert_eq!(child(&mut remote, third), Child::UpToDate);
}

#[test]
#[cfg(unix)]
fn folder_and_file_are_made_for_the_owner_alone_and_only_by_adding() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = TempDir::new().unwrap();
    let folder = parent.path().join("a/b");
    let mut remote = remote(&folder);
    assert_eq!(remote.identity().unwrap(), None);
    assert_eq!(child(&mut remote, NIL), Child::UpToDate);
    assert_eq!((remote.versions().unwrap(), remote.size_bytes()), (0, 0));
    assert!(!folder.exists());

    accepted(&mut remote, NIL, b"one");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join(FILE_NAME)), 0o600);
    assert!(!remote.is_open_to_others());
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(!remote.is_open_to_others(), "the file is closed");
    fs::set_permissions(folder.join(FILE_NAME), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(remote.is_open_to_others());
}

#[test]
fn a_directory_that_was_in_use_and_is_gone_is_never_a_new_history() {
    let parent = TempDir::new().unwrap();
    let folder = parent.path().join("d");
    let missing = |failure| assert!(matches!(failure, Failure::DirectoryMissing { .. }));

    // A base from before, and nothing here: an unmounted disk.
    let mut remote = remote(&folder);
    missing(refused(&mut remote, Call::GetChildVersion { parent: version(1) }));
    missing(refused(&mut remote, Call::AddVersion { parent: version(1), segment: vec![] }));
    assert!(!folder.exists());

    // It vanishes in the middle of a session.
    accepted(&mut remote, NIL, b"one");
    fs::rename(&folder, parent.path().join("away")).unwrap();
    missing(refused(&mut remote, Call::GetChildVersion { parent: NIL }));
    missing(refused(&mut remote, Call::AddVersion { parent: NIL, segment: vec![] }));
    missing(refused(&mut remote, Call::RemoveOrphans { versions: vec![] }));
    assert!(!folder.exists());
    // An empty one in its place is no better.
    drop(made_by_the_reference(&folder));
    missing(refused(&mut remote, Call::GetChildVersion { parent: NIL }));
    missing(refused(&mut remote, Call::AddVersion { parent: NIL, segment: vec![] }));
    // It comes back.
    fs::remove_dir_all(&folder).unwrap();
    fs::rename(parent.path().join("away"), &folder).unwrap();
    assert!(matches!(child(&mut remote, NIL), Child::Version { .. }));

    let options = DirectoryOptions { create: false, ..DirectoryOptions::default() };
    let mut remote = DirectoryRemote::new(parent.path().join("not made"), options);
    missing(refused(&mut remote, Call::AddVersion { parent: NIL, segment: vec![] }));
}

#[test]
fn two_that_race_get_one_chain() {
    let folder = TempDir::new().unwrap();
    let first = accepted(&mut remote(folder.path()), NIL, b"first");
    let start = Arc::new(Barrier::new(4));
    let racers: Vec<_> = (0..4)
        .map(|_| {
            let (mut remote, start) = (remote(folder.path()), Arc::clone(&start));
            std::thread::spawn(move || {
                start.wait();
                let mut base = first;
                for _ in 0..25 {
                    base = match add(&mut remote, base, b"more") {
                        Added::Accepted { version, .. } => version,
                        Added::Conflict { latest } => accepted_after(&mut remote, latest),
                    };
                }
            })
        })
        .collect();
    for racer in racers {
        racer.join().unwrap();
    }
    let mut remote = remote(folder.path());
    assert_eq!((remote.versions().unwrap(), remote.orphan_count().unwrap()), (101, 0));
}

/// Tries until it is its turn.
fn accepted_after(remote: &mut DirectoryRemote, mut base: VersionId) -> VersionId {
    loop {
        match add(remote, base, b"more") {
            Added::Accepted { version, .. } => return version,
            Added::Conflict { latest } => base = latest,
        }
    }
}

#[test]
fn a_version_that_a_race_left_off_the_chain_is_told_and_removed() {
    let folder = TempDir::new().unwrap();
    let mut remote = remote(folder.path());
    let first = accepted(&mut remote, NIL, &segment(7, "at the fork"));
    let ours = accepted(&mut remote, first, &segment(7, "ours"));
    // A real program that had checked before us inserts after us.
    insert(&sql(folder.path()), version(9), first, &segment(7, "theirs"));

    let Child::Orphaned(orphaned) = child(&mut remote, ours) else { panic!("not told") };
    assert_eq!(orphaned.fork, first);
    assert_eq!(orphaned.orphans, [(ours, segment(7, "ours"))]);
    let task = orphaned.tasks_at_fork.values().next().unwrap();
    assert_eq!(task.get("title"), Some("at the fork"));
    // Nobody walks onto it.
    assert!(
        matches!(child(&mut remote, first), Child::Version { version: v, .. } if v == version(9))
    );
    assert_eq!(remote.orphan_count().unwrap(), 1);

    // Of what is asked to go, only what is off the chain goes.
    let versions = vec![ours, version(9), first];
    let removed = remote.call(Call::RemoveOrphans { versions: versions.clone() });
    assert!(matches!(removed, Outcome::Answer(Response::OrphansRemoved)));
    assert!(matches!(remote.call(Call::RemoveOrphans { versions }), Outcome::Answer(_)));
    assert_eq!((remote.versions().unwrap(), remote.orphan_count().unwrap()), (2, 0));
    // Another of ours that stands there still learns what it was.
    let Child::Orphaned(again) = child(&mut remote, ours) else { panic!("not told") };
    assert_eq!(again, orphaned);
}

#[test]
fn what_stands_on_an_orphan_that_was_taken_away_is_told_with_it() {
    let folder = TempDir::new().unwrap();
    let mut one = remote(folder.path());
    let mut two = remote(folder.path());
    let first = accepted(&mut one, NIL, &segment(7, "at the fork"));
    let orphan = accepted(&mut one, first, &segment(7, "one"));
    let after = accepted(&mut two, orphan, &segment(8, "two"));
    insert(&sql(folder.path()), version(9), first, &segment(7, "theirs"));
    let removed = one.call(Call::RemoveOrphans { versions: vec![orphan] });
    assert!(matches!(removed, Outcome::Answer(Response::OrphansRemoved)));

    let Child::Orphaned(orphaned) = child(&mut two, after) else { panic!("not told") };
    assert_eq!(orphaned.fork, first);
    assert_eq!(orphaned.orphans, [(orphan, segment(7, "one")), (after, segment(8, "two"))]);
}

#[test]
fn a_race_for_the_first_version_changes_no_identity() {
    for is_ours_older in [true, false] {
        let folder = TempDir::new().unwrap();
        let connection = made_by_the_reference(folder.path());
        let (older, newer) = (version(1), version(2));
        insert(&connection, older, NIL, &segment(7, "older"));
        let mut remote = remote(folder.path());
        let identity = remote.identity().unwrap().unwrap();
        insert(&connection, newer, NIL, &segment(7, "newer"));
        let orphan = if is_ours_older {
            older
        } else {
            let latest = [older.to_string()];
            connection.execute("UPDATE data SET value = ?1", latest).unwrap();
            newer
        };
        assert_eq!(remote.identity().unwrap().as_ref(), Some(&identity));
        let Child::Orphaned(orphaned) = child(&mut remote, orphan) else { panic!("not told") };
        assert_eq!(orphaned.fork, NIL);
        assert!(orphaned.tasks_at_fork.is_empty());
        let removed = remote.call(Call::RemoveOrphans { versions: vec![orphan] });
        assert!(matches!(removed, Outcome::Answer(Response::OrphansRemoved)));
        assert_eq!(remote.identity().unwrap().as_ref(), Some(&identity));
        assert_eq!(remote.versions().unwrap(), 1);
    }
}

#[test]
fn a_history_adopted_in_its_middle_has_no_beginning_but_an_identity() {
    let folder = TempDir::new().unwrap();
    let connection = made_by_the_reference(folder.path());
    insert(&connection, version(5), version(4), b"five");
    insert(&connection, version(6), version(5), b"six");
    let mut remote = remote(folder.path());
    assert_eq!(remote.identity().unwrap().unwrap().key, format!("dir {}", version(5)));
    assert_eq!(child(&mut remote, NIL), Child::Gone);
    assert!(matches!(child(&mut remote, version(4)), Child::Version { .. }));
}

#[track_caller]
fn trouble(failure: &Failure) -> DirectoryTrouble {
    match failure {
        Failure::Directory { trouble, .. } => *trouble,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unusable_file_is_an_error_with_a_text_and_stays_as_it_is() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join(FILE_NAME);
    let expect = |kind: DirectoryTrouble, text: &str| {
        let mut remote = remote(folder.path());
        let failures = [
            remote.identity().unwrap_err(),
            refused(&mut remote, Call::GetChildVersion { parent: version(1) }),
            refused(&mut remote, Call::AddVersion { parent: NIL, segment: vec![] }),
        ];
        for failure in failures {
            let Failure::Directory { trouble, what } = failure else { panic!("{failure:?}") };
            assert_eq!(trouble, kind, "{what}");
            assert!(what.contains(text), "{what}");
        }
    };
    fs::write(&file, "not a database, whatever its name says".repeat(99)).unwrap();
    expect(DirectoryTrouble::NotAHistory, "not a database");
    assert!(fs::read(&file).unwrap().starts_with(b"not a database"));

    fs::remove_file(&file).unwrap();
    sql(folder.path()).execute_batch("CREATE TABLE photos (name)").unwrap();
    expect(DirectoryTrouble::NotAHistory, "something else");

    fs::remove_file(&file).unwrap();
    let connection = made_by_the_reference(folder.path());
    insert(&connection, version(1), NIL, b"one");
    connection.execute("UPDATE data SET value = 'rubbish'", []).unwrap();
    expect(DirectoryTrouble::Damaged, "damaged: `rubbish`");

    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    expect(DirectoryTrouble::NotAHistory, "is not a file");

    let mut remote = remote(&folder.path().join(FILE_NAME).join("below/a/file"));
    assert_eq!(remote.identity().unwrap(), None);
    fs::write(folder.path().join("plain"), "").unwrap();
    let failure = tests::remote(&folder.path().join("plain")).identity().unwrap_err();
    assert_eq!(trouble(&failure), DirectoryTrouble::NotAFolder);
    assert!(failure.to_string().contains("is not a folder"), "{failure}");
}

#[test]
fn a_file_that_somebody_holds_is_waited_for_and_then_named() {
    let folder = TempDir::new().unwrap();
    accepted(&mut remote(folder.path()), NIL, b"one");
    let holder = sql(folder.path());
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let options =
        DirectoryOptions { busy_wait: Duration::from_millis(50), ..DirectoryOptions::default() };
    let mut remote = DirectoryRemote::new(folder.path(), options);
    let failure = refused(&mut remote, Call::AddVersion { parent: NIL, segment: vec![] });
    assert_eq!(trouble(&failure), DirectoryTrouble::Held);
    assert!(failure.to_string().contains("another program holds it"), "{failure}");
    holder.execute_batch("ROLLBACK").unwrap();
    assert!(matches!(add(&mut remote, NIL, b"x"), Added::Conflict { .. }));

    // A reader in the way of the commit: refused, not unknown, and nothing of it is left.
    holder.execute_batch("BEGIN; SELECT * FROM data").unwrap();
    let latest = match add_while_read(&mut remote) {
        Outcome::Refused(failure) => {
            assert!(failure.to_string().contains("another program holds it"), "{failure}");
            holder.execute_batch("COMMIT").unwrap();
            remote.identity().unwrap().unwrap().key
        }
        other => panic!("{other:?}"),
    };
    assert!(latest.starts_with("dir "));
    assert_eq!(remote.versions().unwrap(), 1);
}

fn add_while_read(remote: &mut DirectoryRemote) -> Outcome {
    let first = remote.identity().unwrap().unwrap().key;
    let parent = first.trim_start_matches("dir ").parse().unwrap();
    remote.call(Call::AddVersion { parent, segment: b"two".to_vec() })
}

#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    let folder = TempDir::new().unwrap();
    let mut remote = remote(folder.path());
    let first = accepted(&mut remote, NIL, b"one");
    let open = remote.open.as_ref().unwrap();
    open.history.limit_pages(16);
    let segment = vec![7; 1_000_000];
    let failure = refused(&mut remote, Call::AddVersion { parent: first, segment });
    assert_eq!(trouble(&failure), DirectoryTrouble::Full);
    assert!(failure.to_string().contains("the disk is full"), "{failure}");
    assert_eq!(child(&mut remote, first), Child::UpToDate);
    assert!(matches!(child(&mut remote, NIL), Child::Version { .. }));
    accepted(&mut remote, first, b"small");
}

#[test]
fn oversized_and_empty_rows_are_named() {
    let folder = TempDir::new().unwrap();
    let connection = made_by_the_reference(folder.path());
    insert(&connection, version(1), NIL, b"one");
    connection.execute("UPDATE versions SET data = NULL", []).unwrap();
    let mut remote = remote(folder.path());
    let ask = || Call::GetChildVersion { parent: NIL };
    assert!(matches!(refused(&mut remote, ask()), Failure::Malformed { .. }));
    let bytes = i64::try_from(tandem_core::limits::SEALED_BYTES_MAX).unwrap() + 1;
    connection.execute("UPDATE versions SET data = zeroblob(?1)", [bytes]).unwrap();
    assert!(matches!(refused(&mut remote, ask()), Failure::TooLarge { .. }));
}

#[test]
#[cfg(unix)]
fn a_read_only_directory_can_be_read_and_says_why_it_cannot_be_written() {
    let folder = TempDir::new().unwrap();
    let first = accepted(&mut remote(folder.path()), NIL, b"one");
    // Modes do not hold root back, who runs tests in containers; SQLite's flag does.
    let mut remote = remote(folder.path());
    remote.identity().unwrap();
    remote.open.as_ref().unwrap().history.refuse_writes();
    assert_eq!(child(&mut remote, first), Child::UpToDate);
    let failure = refused(&mut remote, Call::AddVersion { parent: first, segment: vec![] });
    assert_eq!(trouble(&failure), DirectoryTrouble::ReadOnly);
    assert!(failure.to_string().contains("cannot be written"), "{failure}");
}
