//! Where a database is and how to get in, as a person wrote it. Never shown: a password may be in it.

use std::fmt;
use std::path::PathBuf;

/// The address of a database, and where its password may come from.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Database {
    /// `postgres://…`, libpq's words (`host=… user=…`), or `file:PATH` for a file with one of them.
    pub address: String,
    /// The user where the address names none.
    pub user: Option<String>,
    /// The password where the address has none.
    pub password: Option<String>,
    /// The file of passwords that is looked into after that.
    pub password_file: Option<PathBuf>,
    /// The address was written on the command line, where every process of the machine can read it.
    pub is_on_command_line: bool,
}

impl Database {
    /// Takes the address, and what libpq's variables say beside it.
    pub fn new(
        address: String,
        is_on_command_line: bool,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let home = || set("HOME").map(|home| PathBuf::from(home).join(".pgpass"));
        Self {
            address,
            user: set("PGUSER").or_else(|| set("USER")),
            password: set("PGPASSWORD"),
            password_file: set("PGPASSFILE").map(PathBuf::from).or_else(home),
            is_on_command_line,
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}
