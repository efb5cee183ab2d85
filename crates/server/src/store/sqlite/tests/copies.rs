//! Copies and the way back, also after kills and over what is damaged.

use super::*;
use crate::copying::beside;
use crate::store::sqlite::backup::BackupError;
use crate::store::sqlite::restore::{Existing, restore};

#[tokio::test]
async fn a_copy_made_in_use_brings_back_the_same_chains() {
    let folder = TempDir::new().unwrap();
    let copies = folder.path().join("copies");
    let data = folder.path().join("data");
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&data).unwrap());
    let client = Customer::new(&store);
    let row = client.add_row(VersionId::NIL, 5).await;
    client.snap(row[4], b"snapshot").await;
    for (number, moment) in
        ["20260101T000000Z", "20260102T000000Z", "20260102T000000Z"].iter().enumerate()
    {
        let copied = backup::backup(&data, &copies, Some(2), moment).unwrap();
        assert_eq!((copied.clients, copied.versions), (1, 5));
        assert_eq!(copied.others.len(), usize::from(number == 2), "the oldest goes");
    }
    std::fs::write(copies.join("tandem-server-mine.sqlite3"), b"").unwrap();
    let copy = copies.join("tandem-server-20260102T000000Z.sqlite3");
    client.add_row(row[4], 2).await;
    let busy = restore(&copy, &data, Existing::PutAside, "x");
    assert!(matches!(busy, Err(BackupError::InUse { .. })), "{busy:?}");
    store.close().await.unwrap();
    let (id, now) = (client.id, client.now);
    drop((client, store));
    let there = restore(&copy, &data, Existing::Refuse, "x");
    assert!(matches!(there, Err(BackupError::Exists { .. })), "{there:?}");
    let back = restore(&copy, &data, Existing::PutAside, "x").unwrap();
    assert_eq!((back.versions, back.others.len()), (5, 1));
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&data).unwrap());
    let mut client = Customer::new(&store);
    (client.id, client.now) = (id, now);
    assert_eq!(client.walk(VersionId::NIL).await, row);
    assert!(matches!(client.snapshot().await, SnapshotFound::Found(_)));
    drop((client, store));
    std::fs::write(folder.path().join("junk"), b"no database").unwrap();
    let junk = folder.path().join("junk");
    assert!(restore(&junk, &data, Existing::PutAside, "y").is_err());
    let other = folder.path().join("other.sqlite3");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE tasks (id INTEGER)").unwrap();
    for foreign in [&junk, &other] {
        let new = folder.path().join("new");
        let told = restore(foreign, &new, Existing::Refuse, "y");
        assert!(matches!(told, Err(BackupError::Open(OpenError::NotOurs { .. }))), "{told:?}");
        assert!(!new.exists(), "nothing was made");
    }
    SqliteStore::open_existing(&data).unwrap();
}

/// The names in a folder that are not always there.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !name.ends_with(".lock") && !name.ends_with(".reserve"))
        .collect();
    names.sort();
    names
}

/// A database as a kill leaves it, with its content in the log; how many versions it has.
async fn killed(folder: &Path) -> (PathBuf, u64) {
    let room = TempDir::new().unwrap();
    let own = open(&room);
    let store: Arc<dyn Store> = own.clone();
    Customer::new(&store).add_row(VersionId::NIL, 7).await;
    let path = folder.join("killed");
    for end in ["", "-wal"] {
        std::fs::copy(beside(own.path(), end), beside(&path, end)).unwrap();
    }
    assert!(std::fs::metadata(beside(&path, "-wal")).unwrap().len() > 0);
    (path, 7)
}

#[tokio::test]
async fn a_file_is_brought_back_with_what_its_log_holds() {
    let room = TempDir::new().unwrap();
    let (from, versions) = killed(room.path()).await;
    let data = room.path().join("data");
    let back = restore(&from, &data, Existing::Refuse, "x").unwrap();
    assert_eq!((back.clients, back.versions), (1, versions));
    assert_eq!(names(&data), [DATABASE_FILE], "nothing of the copying is left");
    let store = SqliteStore::open(&data).unwrap();
    assert_eq!(store.totals().await.unwrap().versions, versions);
}

#[tokio::test]
async fn a_damaged_database_is_put_aside_as_it_is() {
    let room = TempDir::new().unwrap();
    let (from, versions) = killed(room.path()).await;
    let (database, log) = (vec![0x5a; 20_000], b"not a log".to_vec());
    let header = |mut bytes: Vec<u8>| {
        bytes[..16].copy_from_slice(b"SQLite format 3\0");
        bytes
    };
    for damaged in [database.clone(), header(database)] {
        let data = TempDir::new().unwrap();
        let path = data.path().join(DATABASE_FILE);
        std::fs::write(&path, &damaged).unwrap();
        std::fs::write(beside(&path, "-wal"), &log).unwrap();
        let back = restore(&from, data.path(), Existing::PutAside, "x").unwrap();
        assert_eq!((back.versions, back.others.len()), (versions, 1));
        assert!(std::fs::read(&back.others[0]).unwrap() == damaged, "as it was");
        assert_eq!(std::fs::read(beside(&back.others[0], "-wal")).unwrap(), log);
        assert!(!beside(&path, "-wal").exists(), "no log of the one meets the other");
        let store = SqliteStore::open(data.path()).unwrap();
        assert_eq!(store.totals().await.unwrap().versions, versions);
    }
}

#[tokio::test]
async fn a_copy_of_a_later_program_is_not_brought_back() {
    let room = TempDir::new().unwrap();
    let (from, _) = killed(room.path()).await;
    Connection::open(&from).unwrap().pragma_update(None, "user_version", 1000).unwrap();
    let data = room.path().join("data");
    let refused = restore(&from, &data, Existing::Refuse, "x");
    assert!(matches!(refused, Err(BackupError::Open(OpenError::TooNew { .. }))), "{refused:?}");
    assert_eq!(names(&data), Vec::<String>::new());
}

#[tokio::test]
async fn what_kills_have_left_goes_with_the_next_of_its_kind() {
    let room = TempDir::new().unwrap();
    let (from, _) = killed(room.path()).await;
    let data = room.path().join("data");
    std::fs::create_dir(&data).unwrap();
    for end in ["", "-wal", "-shm", "-journal"] {
        let left = data.join(format!("{DATABASE_FILE}.incoming{end}"));
        std::fs::write(left, b"left by a restore").unwrap();
    }
    restore(&from, &data, Existing::Refuse, "x").unwrap();
    assert_eq!(names(&data), [DATABASE_FILE]);
    let copies = room.path().join("copies");
    std::fs::create_dir(&copies).unwrap();
    std::fs::write(copies.join("tandem-server-20260101T000000Z.7.partial"), b"left").unwrap();
    let busy = copies.join("tandem-server-20260101T000000Z.8.partial");
    let at_it = files::create(&busy, files::Owner::Maker).unwrap();
    at_it.lock().unwrap();
    backup::backup(&data, &copies, None, "20260102T000000Z").unwrap();
    let left =
        ["tandem-server-20260101T000000Z.8.partial", "tandem-server-20260102T000000Z.sqlite3"];
    assert_eq!(names(&copies), left);
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_may_have_any_name_and_must_have_room() {
    use std::os::unix::ffi::OsStrExt as _;
    let room = TempDir::new().unwrap();
    drop(SqliteStore::open(room.path()).unwrap());
    let copies = room.path().join(std::ffi::OsStr::from_bytes(b"no \xff text"));
    let copied = backup::backup(room.path(), &copies, None, "20260102T000000Z").unwrap();
    assert_eq!(copied.path.parent(), Some(copies.as_path()));
    assert_eq!(names(&copies), ["tandem-server-20260102T000000Z.sqlite3"]);
    let refused = backup::check_room(room.path(), u64::MAX);
    assert!(matches!(refused, Err(BackupError::NoRoom { .. })), "{refused:?}");
}

/// A command of root in the folder of a service. Without privileges there is one owner, and nothing
/// to go wrong.
#[cfg(unix)]
#[tokio::test]
async fn what_is_made_in_a_folder_belongs_to_whom_the_folder_does() {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let room = TempDir::new().unwrap();
    let (from, _) = killed(room.path()).await;
    let owner = |path: &Path| std::fs::metadata(path).unwrap().uid();
    for is_restored in [true, false] {
        let data = TempDir::new().unwrap();
        // Another owner if that can be given.
        let _ = chown(data.path(), Some(65_534), Some(65_534));
        if is_restored {
            restore(&from, data.path(), Existing::Refuse, "x").unwrap();
        } else {
            older(&data.path().join(DATABASE_FILE), 1);
            let _ = chown(data.path().join(DATABASE_FILE), Some(65_534), Some(65_534));
        }
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(data.path()).unwrap());
        Customer::new(&store).add_row(VersionId::NIL, 1).await;
        let inner = data.path().join("backups");
        let inner = if is_restored { Vec::new() } else { names(&inner) };
        let inner = inner.iter().map(|name| data.path().join("backups").join(name));
        let files = std::fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().path());
        let all: Vec<_> = files.chain(inner).collect();
        assert!(all.len() >= 5, "{all:?}");
        for path in all {
            assert_eq!(owner(&path), owner(data.path()), "{}", path.display());
        }
    }
}
