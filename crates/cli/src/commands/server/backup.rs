//! `ta server backup|restore|import`.

use std::path::Path;

use serde_json::json;
use tandem_server::import::{ImportError, Original, Outcome, SnapshotOutcome};
use tandem_server::store::sqlite::OpenError;
use tandem_server::store::sqlite::backup::{self as copies, BackupError, Copied};
use tandem_server::store::sqlite::moment;
use tandem_server::store::sqlite::restore::{Existing, restore as bring_back};
use tandem_server::{Database, PostgresStore};

use super::{Desk, bytes, counted, tag};
use crate::fail::{Exit, Fail, chain};

pub(super) fn backup(
    desk: &mut Desk<'_>,
    folder: &Path,
    keep: Option<usize>,
) -> Result<Exit, Fail> {
    if let Some(database) = &desk.config.database {
        if keep.is_some() {
            let message =
                "`--keep` is for backups of SQLite, which `ta server backup` makes itself";
            return Err(Fail::usage(message).hint(
                "PostgreSQL makes its own: without --keep the command is named, and older files are \
                 yours to remove.",
            ));
        }
        let means_folder = folder.as_os_str().as_encoded_bytes().ends_with(b"/");
        let file = match folder.is_dir() {
            true => folder.join(format!("tandem-{}.dump", moment(desk.now))),
            false if means_folder => {
                return Err(Fail::failed(format!("there is no folder {}", folder.display()))
                    .hint("Make it first, or name a file."));
            }
            false => folder.to_owned(),
        };
        return Err(by_postgresql(database, &file, Tool::Dump));
    }
    let copied = copies::backup(&desk.data_dir, folder, keep, &moment(desk.now))?;
    if desk.output.is_json {
        desk.output.json(&document(&copied));
        return Ok(Exit::Done);
    }
    desk.output.line(format!(
        "{} ({}): {} of {}, checked.",
        copied.path.display(),
        bytes(copied.bytes),
        counted(copied.versions, "version"),
        counted(copied.clients, "client")
    ));
    if !copied.others.is_empty() {
        let older = counted(copied.others.len() as u64, "older backup");
        desk.output.line(format!("Removed: {older}."));
    }
    Ok(Exit::Done)
}

pub(super) fn restore(desk: &mut Desk<'_>, from: &Path, has_force: bool) -> Result<Exit, Fail> {
    if let Some(database) = &desk.config.database {
        if from.is_dir() {
            return Err(BackupError::NoFile { path: from.to_owned() }.into());
        }
        return Err(by_postgresql(database, from, Tool::Restore));
    }
    let existing = if has_force { Existing::PutAside } else { Existing::Refuse };
    let copied = bring_back(from, &desk.data_dir, existing, &moment(desk.now))?;
    if desk.output.is_json {
        desk.output.json(&document(&copied));
        return Ok(Exit::Done);
    }
    desk.output.line(format!(
        "{} has {} of {} again, checked.",
        copied.path.display(),
        counted(copied.versions, "version"),
        counted(copied.clients, "client")
    ));
    desk.output.line(
        "Passwords, tokens and who is shut out are those of the backup, too: `ta server user list` \
         and `client list` show them.",
    );
    for aside in &copied.others {
        desk.output.line(format!("What was there before is in {}", aside.display()));
    }
    Ok(Exit::Done)
}

/// Which of PostgreSQL's tools does it.
#[derive(Clone, Copy)]
enum Tool {
    Dump,
    Restore,
}

/// PostgreSQL has backups of its own, and who runs one has them set up: we do not make a second kind.
fn by_postgresql(database: &Database, path: &Path, tool: Tool) -> Fail {
    let address = match PostgresStore::address_for_tools(database) {
        Ok(address) => address,
        Err(error) => return super::super::serve::fail(error.into()),
    };
    let (address, path) = (quoted(&address), quoted(&path.display().to_string()));
    let (what, how) = match tool {
        Tool::Dump => (
            "makes backups of its own",
            format!(
                "This writes all of it to a file while nodes go on: pg_dump --format=custom \
                 --schema=tandem --file={path} --dbname={address}"
            ),
        ),
        Tool::Restore => (
            "restores its backups itself",
            format!(
                "End all nodes, then: pg_restore --clean --if-exists --single-transaction \
                 --dbname={address} {path}"
            ),
        ),
    };
    Fail::failed(format!("PostgreSQL {what}")).hint(how)
}

/// As a shell takes it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn document(copied: &Copied) -> serde_json::Value {
    let others: Vec<String> = copied.others.iter().map(|path| path.display().to_string()).collect();
    json!({
        "file": copied.path.display().to_string(),
        "bytes": copied.bytes,
        "clients": copied.clients,
        "versions": copied.versions,
        "others": others,
    })
}

pub(super) fn import(desk: &mut Desk<'_>, path: &Path) -> Result<Exit, Fail> {
    // Before a database is made for it.
    Original::find(path)?;
    let store = desk.store_or_new()?;
    // The copy of the original: beside our own database, else where the system keeps such things.
    let work_dir = match desk.config.database {
        None => desk.data_dir.clone(),
        Some(_) => std::env::temp_dir(),
    };
    let original = Original::open(path, &work_dir)?;
    let mut all = Vec::new();
    desk.waiting.block_on(original.import(&store, desk.now, |one| all.push(one)))?;
    let waits = |one: &&tandem_server::import::Imported| {
        matches!(one.outcome, Outcome::Differs | Outcome::Broken)
            || one.snapshot == SnapshotOutcome::LeftOut
    };
    let (versions, added): (u64, u64) =
        all.iter().fold((0, 0), |(all, new), one| (all + one.versions, new + one.added));
    let failed = all.iter().filter(waits).count();
    if desk.output.is_json {
        let clients: Vec<_> = all
            .iter()
            .map(|one| {
                json!({
                    "client": tag(&store, one.client),
                    "outcome": match one.outcome {
                        Outcome::Here => "here",
                        Outcome::Empty => "empty",
                        Outcome::Differs => "differs",
                        Outcome::Broken => "broken",
                    },
                    "versions": one.versions,
                    "added": one.added,
                    "left_out": one.left_out,
                    "snapshot": match one.snapshot {
                        SnapshotOutcome::None => "none",
                        SnapshotOutcome::Here => "here",
                        SnapshotOutcome::LeftOut => "left out",
                    },
                })
            })
            .collect();
        desk.output.json(&json!({ "clients": clients, "versions": versions, "added": added }));
    } else {
        desk.output.line(format!(
            "{}, {}: {added} of them new here.",
            counted(all.len() as u64, "client"),
            counted(versions, "version")
        ));
        for one in all.iter().filter(|one| one.left_out > 0) {
            let tag = tag(&store, one.client);
            let count = one.left_out;
            desk.output.line(format!("{tag}: {count} versions are on no chain and stay out."));
        }
        for one in all.iter().filter(waits) {
            let what = match one.outcome {
                Outcome::Differs => "another history is here under the same client id",
                Outcome::Broken => "its chain is broken in the original",
                _ => "its snapshot shows no version that is there",
            };
            desk.output.notice(format!("{}: {what}", tag(&store, one.client)));
        }
    }
    if failed == 0 {
        return Ok(Exit::Done);
    }
    Err(Fail::failed(format!("{failed} of {} clients could not be taken over", all.len())).hint(
        "The others are here; the original is as it was. `ta server client reset` makes room for a \
         client of which another history is here.",
    ))
}

impl From<BackupError> for Fail {
    fn from(error: BackupError) -> Self {
        let error = match error {
            BackupError::Source(error) => return error.into(),
            error => error,
        };
        let hint = match &error {
            BackupError::Open(OpenError::TooNew { .. }) => "Use the version of `ta` that made it.",
            BackupError::Open(_) => {
                "Give a whole file that `ta server backup` made. No database was changed."
            }
            BackupError::NotThere { .. } | BackupError::NoFile { .. } => {
                "Name one of the files that `ta server backup` has made. Nothing was changed."
            }
            BackupError::NoFolder { .. } => {
                "Name a folder: the copy gets a name with the moment in it. Nothing was changed."
            }
            BackupError::Exists { .. } => "To put what is there aside: --force.",
            BackupError::InUse { .. } => "End the server and other `ta server` commands first.",
            BackupError::Changing { .. } => "End whatever writes to that file first.",
            BackupError::NoRoom { .. } => {
                "Make room, or name another folder. No database was changed."
            }
            BackupError::Unsound { .. } => "Use another backup. `ta server verify` tells more.",
            _ => "Check the folder's owner and room. No database was changed.",
        };
        Self::failed(chain(&error)).hint(hint)
    }
}

impl From<ImportError> for Fail {
    fn from(error: ImportError) -> Self {
        let hint = match &error {
            ImportError::NotTheReferences { .. } => {
                "Name taskchampion-sync-server.sqlite3, or its folder."
            }
            ImportError::Changing { .. } => "End the other server first.",
            _ => "The original is as it was. Run it again: what is here already stays.",
        };
        Self::failed(chain(&error)).hint(hint)
    }
}
