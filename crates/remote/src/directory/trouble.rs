//! What a person can do about a directory that cannot be used.
//!
//! A [`Failure::Directory`] carries a sentence only; the sentences stand here beside their cures, so
//! that one cannot change without the other.

use tandem_tasks::session::Failure;

pub(super) const NOT_A_DATABASE: &str = "it is not a database";
pub(super) const DAMAGED: &str = "the database is damaged";
pub(super) const FULL: &str = "the disk is full";
pub(super) const HELD: &str = "another program holds it";
pub(super) const NOT_A_FILE: &str = "is not a file";
pub(super) const NOT_A_FOLDER: &str = "is not a folder";
pub(super) const NO_ROOM: &str = "there is no room left";

/// What to do about a directory that cannot be used; nothing for any other failure.
pub fn cure(failure: &Failure) -> Option<&'static str> {
    let Failure::Directory { what } = failure else { return None };
    let is = |sentence: &str| what.ends_with(sentence) || what.starts_with(sentence);
    Some(if is(NOT_A_DATABASE) || is(NOT_A_FILE) {
        "The file is none of ours and was left as it is. Set another folder: ta config set \
         server_dir FOLDER"
    } else if is(NOT_A_FOLDER) {
        "Name a folder, which is made if it is not there: ta config set server_dir FOLDER"
    } else if is(DAMAGED) {
        "Put a backup of the file back. Without one, set server_dir to a new folder and sync: this \
         list goes there as a whole."
    } else if is(FULL) || is(NO_ROOM) {
        "Make room, then sync again."
    } else if is(HELD) {
        "Wait for it to end, then sync again."
    } else {
        "Check the folder's owner, mode and free space."
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_has_a_cure_of_its_own() {
        for (what, part) in [
            (format!("/x/y.sqlite3: {DAMAGED}"), "backup"),
            (format!("/x/y.sqlite3: {NOT_A_DATABASE}"), "none of ours"),
            (format!("/x/y.sqlite3 {NOT_A_FILE}"), "none of ours"),
            (format!("/x {NOT_A_FOLDER}"), "Name a folder"),
            (format!("/x/y.sqlite3: {FULL}"), "Make room"),
            (format!("{NO_ROOM} for /x"), "Make room"),
            (format!("/x/y.sqlite3: {HELD}"), "Wait"),
            ("no permission for /x".to_owned(), "owner"),
        ] {
            let cure = cure(&Failure::Directory { what: what.clone() }).unwrap_or_default();
            assert!(cure.contains(part), "{what}: {cure}");
        }
        assert_eq!(cure(&Failure::HistoryMissing), None);
    }
}
