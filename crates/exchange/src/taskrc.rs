//! Taskwarrior's configuration file, as far as an import needs it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::types::{AttributeType, Types};

/// How deep files may include one another; a circle ends here.
pub const INCLUDE_DEPTH_MAX: usize = 10;

/// How many files are read in all, for files that include each other many times over.
pub const INCLUDES_MAX: usize = 100;

/// A `.taskrc` with everything that it includes. `Debug` shows no values.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Taskrc {
    values: BTreeMap<String, String>,
    warnings: Vec<TaskrcWarning>,
}

/// A user-defined attribute as a `.taskrc` declares it (`uda.NAME.…`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its name, the key in the task's map.
    pub name: String,
    /// What it holds; an unknown type is text.
    pub attribute_type: AttributeType,
    /// What people see as its name.
    pub label: Option<String>,
    /// The only values that it takes, besides none; empty if it takes any.
    pub values: Vec<String>,
    /// What a new task gets unless told otherwise, as it would be typed.
    pub default: Option<String>,
}

/// The sync settings of a `.taskrc` under our names. `Debug` hides what lets others in.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SyncSettings {
    /// Our `server_dir`: `sync.local.server_dir`, which wins over a server in Taskwarrior.
    pub server_dir: Option<PathBuf>,
    /// Our `server_origin`: `sync.server.url`, or the older `sync.server.origin`.
    pub server_origin: Option<String>,
    /// Our `server_client_key`: `sync.server.client_id`.
    pub server_client_key: Option<String>,
    /// Our `encryption_secret`: `sync.encryption_secret`.
    pub encryption_secret: Option<String>,
    /// A setting of a remote that we do not speak to (`sync.gcp.…`, `sync.aws.…`, `sync.git.…`).
    /// Before a server, such a remote wins in Taskwarrior.
    pub unsupported: Option<String>,
}

/// Why a `.taskrc` could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskrcError {
    /// The file itself; includes that cannot be read are warnings.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// Files that include one another in a circle, or too many.
    #[error("{} is included too deep or too often", path.display())]
    TooDeep {
        /// The file.
        path: PathBuf,
    },
}

/// Something in a `.taskrc` that we passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskrcWarning {
    /// An included file that cannot be read, often a colour theme of Taskwarrior's own.
    Unreadable {
        /// The file as it was named.
        path: PathBuf,
    },
    /// A line that is neither a setting, an include nor a comment.
    NotUnderstood {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
}

impl fmt::Display for TaskrcWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path } => {
                write!(
                    f,
                    "{} is included and cannot be read; its settings are missing.",
                    path.display()
                )
            }
            Self::NotUnderstood { path, line } => {
                write!(f, "{}:{line} is no setting; it was passed over.", path.display())
            }
        }
    }
}

impl Taskrc {
    /// Reads a file and what it includes, through `load`, which gives a file's bytes.
    ///
    /// A line is `name=value`, `include FILE`, or nothing; what follows a `#` is a comment, also
    /// within a value (as Taskwarrior's manual says). A later value wins, an empty one unsets.
    /// An included file is looked for beside the file that names it, then beside the first one;
    /// `~/` in its name is `home`.
    ///
    /// # Errors
    /// [`TaskrcError`].
    pub fn read(
        path: &Path,
        home: Option<&Path>,
        load: &mut dyn FnMut(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<Self, TaskrcError> {
        let bytes =
            load(path).map_err(|source| TaskrcError::Read { path: path.to_owned(), source })?;
        let first_folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let mut reader =
            Reader { taskrc: Self::default(), first_folder, home, load, files_count: 1 };
        reader.file(path, &bytes, 1)?;
        Ok(reader.taskrc)
    }

    /// A value; an empty one counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// All values by name.
    pub fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    /// What was passed over.
    pub fn warnings(&self) -> &[TaskrcWarning] {
        &self.warnings
    }

    /// The user-defined attributes, by name: those with a `uda.NAME.type`, and `priority` if its
    /// values are declared, which Taskwarrior itself treats as one of them.
    pub fn attributes(&self) -> Vec<Attribute> {
        let name_of = |key: &str| Some(key.strip_prefix("uda.")?.strip_suffix(".type")?.to_owned());
        let mut names: Vec<String> = self.values.keys().filter_map(|key| name_of(key)).collect();
        if self.get("uda.priority.values").is_some() && !names.iter().any(|name| name == "priority")
        {
            names.push("priority".to_owned());
        }
        names.retain(|name| {
            let is_declared = self.get(&format!("uda.{name}.type")).is_some() || name == "priority";
            is_declared && !name.is_empty()
        });
        names.sort_unstable();
        let attribute = |name: String| {
            let value = |what: &str| self.get(&format!("uda.{name}.{what}")).map(str::to_owned);
            let attribute_type = match value("type").as_deref() {
                Some("numeric") => AttributeType::Number,
                Some("date") => AttributeType::Date,
                Some("duration") => AttributeType::Duration,
                _ => AttributeType::Text,
            };
            let values = value("values").unwrap_or_default();
            let values = values.split(',').map(str::trim).filter(|value| !value.is_empty());
            Attribute {
                attribute_type,
                label: value("label"),
                values: values.map(str::to_owned).collect(),
                default: value("default"),
                name,
            }
        };
        names.into_iter().map(attribute).collect()
    }

    /// The types of user-defined attributes (`uda.NAME.type`); an unknown type is text.
    pub fn types(&self) -> Types {
        let mut types = Types::new();
        for attribute in self.attributes() {
            types.declare(attribute.name, attribute.attribute_type);
        }
        types
    }

    /// The folder of the task list (`data.location`).
    pub fn data_location(&self, home: Option<&Path>) -> Option<PathBuf> {
        self.get("data.location").map(|path| expand(path, home))
    }

    /// The sync settings under our names (section 19).
    pub fn sync_settings(&self, home: Option<&Path>) -> SyncSettings {
        let text = |name: &str| self.get(name).map(str::to_owned);
        let is_cloud = |name: &&String| {
            ["sync.gcp.", "sync.aws.", "sync.git."].iter().any(|prefix| name.starts_with(prefix))
                && self.get(name).is_some()
        };
        SyncSettings {
            server_dir: self.get("sync.local.server_dir").map(|path| expand(path, home)),
            server_origin: text("sync.server.url").or_else(|| text("sync.server.origin")),
            server_client_key: text("sync.server.client_id"),
            encryption_secret: text("sync.encryption_secret"),
            unsupported: self.values.keys().find(is_cloud).cloned(),
        }
    }
}

impl fmt::Debug for Taskrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taskrc")
            .field("names", &self.values.keys())
            .field("warnings", &self.warnings)
            .finish()
    }
}

impl fmt::Debug for SyncSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |value: &Option<String>| value.as_ref().map(|_| "***");
        f.debug_struct("SyncSettings")
            .field("server_dir", &self.server_dir)
            .field("server_origin", &self.server_origin)
            .field("server_client_key", &hidden(&self.server_client_key))
            .field("encryption_secret", &hidden(&self.encryption_secret))
            .field("unsupported", &self.unsupported)
            .finish()
    }
}

fn expand(path: &str, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ if path == "~" => home.map_or_else(|| path.into(), Path::to_owned),
        _ => path.into(),
    }
}

struct Reader<'a> {
    taskrc: Taskrc,
    first_folder: PathBuf,
    home: Option<&'a Path>,
    load: &'a mut dyn FnMut(&Path) -> io::Result<Vec<u8>>,
    files_count: usize,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, bytes: &[u8], depth: usize) -> Result<(), TaskrcError> {
        if depth > INCLUDE_DEPTH_MAX || self.files_count > INCLUDES_MAX {
            return Err(TaskrcError::TooDeep { path: path.to_owned() });
        }
        // An odd byte in a colour or a comment must not hinder an import.
        let text = String::from_utf8_lossy(bytes);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            // First, since a file's name may hold a `=`.
            let included =
                line.strip_prefix("include").filter(|rest| rest.starts_with([' ', '\t']));
            if let Some(file) = included.map(str::trim).filter(|file| !file.starts_with('=')) {
                self.include(path, file, depth)?;
            } else if let Some((name, value)) = line.split_once('=') {
                self.taskrc.values.insert(name.trim().to_owned(), value.trim().to_owned());
            } else {
                let path = path.to_owned();
                let warning = TaskrcWarning::NotUnderstood { path, line: index + 1 };
                self.taskrc.warnings.push(warning);
            }
        }
        Ok(())
    }

    fn include(&mut self, from: &Path, file: &str, depth: usize) -> Result<(), TaskrcError> {
        let file = expand(file, self.home);
        let beside = from.parent().unwrap_or(Path::new("")).join(&file);
        let beside_first = self.first_folder.join(&file);
        for candidate in [beside, beside_first] {
            if let Ok(bytes) = (self.load)(&candidate) {
                self.files_count += 1;
                return self.file(&candidate, &bytes, depth + 1);
            }
        }
        self.taskrc.warnings.push(TaskrcWarning::Unreadable { path: file });
        Ok(())
    }
}
