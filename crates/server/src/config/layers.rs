//! Layers over one another: defaults, file, variables (the reference's, then ours), flags. The last
//! that says something wins, and every value knows where it came from.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::error::ConfigError;
use super::flags::repeatable;
use super::key::{Key, Kind};

/// The largest file that is read, in bytes. One with every setting has about 2,000.
pub const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A file.
    File {
        /// Which.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// A variable.
    Variable(String),
    /// A flag, as it was written.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A value, of the kind that its setting has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// See [`Kind::Text`].
    Text(String),
    /// See [`Kind::Texts`].
    Texts(Vec<String>),
    /// See [`Kind::Bool`].
    Bool(bool),
    /// See [`Kind::Number`].
    Number(u64),
    /// Credentials, which are not shown.
    Hidden {
        /// How many.
        count: usize,
    },
}

impl Value {
    /// Reads a value of a variable, a flag or a table of defaults.
    pub(super) fn of_text(kind: Kind, text: &str) -> Option<Self> {
        match kind {
            Kind::Text => Some(Self::Text(text.to_owned())),
            Kind::Texts => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Some(Self::Texts(parts.map(str::to_owned).collect()))
            }
            Kind::Bool => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Some(Self::Bool(true)),
                "false" | "0" | "no" | "off" => Some(Self::Bool(false)),
                _ => None,
            },
            Kind::Number { min, max } => {
                let number = text.trim().parse().ok()?;
                (min..=max).contains(&number).then_some(Self::Number(number))
            }
        }
    }

    fn of_toml(kind: Kind, value: &DeValue<'_>) -> Option<Self> {
        match (kind, value) {
            (Kind::Bool, DeValue::Boolean(is_so)) => Some(Self::Bool(*is_so)),
            (Kind::Number { .. }, DeValue::Integer(number)) => {
                Self::of_text(kind, number.as_str()).filter(|_| number.radix() == 10)
            }
            (Kind::Text | Kind::Texts, DeValue::String(text)) => Self::of_text(kind, text),
            (Kind::Texts, DeValue::Array(values)) => {
                let texts = values.iter().map(|value| match value.get_ref() {
                    DeValue::String(text) => Some(text.to_string()),
                    _ => None,
                });
                Some(Self::Texts(texts.collect::<Option<_>>()?))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    /// As TOML.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &String| toml::Value::String(text.clone()).to_string();
        match self {
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Texts(texts) => {
                write!(f, "[{}]", texts.iter().map(quoted).collect::<Vec<_>>().join(", "))
            }
            Self::Bool(is_so) => write!(f, "{is_so}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Hidden { count } => write!(f, "({count} hidden)"),
        }
    }
}

/// All values in force, with their origins.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Layers {
    values: BTreeMap<Key, (Value, Origin)>,
}

impl fmt::Debug for Layers {
    /// Without the values: some are credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl Layers {
    pub(super) fn defaults() -> Self {
        let of = |key: &Key| {
            let text = key.default_text();
            let value = Value::of_text(key.kind(), text).filter(|_| !text.is_empty())?;
            Some((*key, (value, Origin::Default)))
        };
        Self { values: Key::ALL.iter().filter_map(of).collect() }
    }

    pub(super) fn get(&self, key: Key) -> Option<&(Value, Origin)> {
        self.values.get(&key)
    }

    pub(super) fn set(
        &mut self,
        key: Key,
        value: Option<Value>,
        origin: Origin,
    ) -> Result<(), ConfigError> {
        match value {
            Some(value) => {
                self.values.insert(key, (value, origin));
                Ok(())
            }
            None => Err(ConfigError::BadValue { key, origin }),
        }
    }

    /// Reads a file.
    pub(super) fn take_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let failed = |source| ConfigError::Read { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(failed)?;
        let mut text = String::new();
        file.take(CONFIG_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
        if text.len() as u64 > CONFIG_BYTES_MAX {
            let error = std::io::Error::other("it is too large for a configuration file");
            return Err(failed(error));
        }
        self.take_text(path, &text)
    }

    fn take_text(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let line = |offset: usize| {
            1 + text.as_bytes()[..offset.min(text.len())].iter().filter(|b| **b == b'\n').count()
        };
        let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            line: line(error.span().map_or(text.len(), |span| span.start)),
            message: error.message().lines().collect::<Vec<_>>().join(", "),
        })?;
        for (name, value) in table.get_ref() {
            let line = line(name.span().start);
            let Some(key) = Key::find(name.get_ref()) else {
                let name = repeatable(name.get_ref());
                if let DeValue::Table(_) = value.get_ref() {
                    return Err(ConfigError::Section { path: path.to_owned(), line, name });
                }
                return Err(ConfigError::UnknownKey { path: path.to_owned(), line, name });
            };
            let mut value = Value::of_toml(key.kind(), value.get_ref());
            if let Some(Value::Text(text)) = &mut value {
                // From the file's folder: a service starts anywhere.
                let folder = path.parent().unwrap_or(Path::new(""));
                let of = |path: &str| folder.join(path).to_string_lossy().into_owned();
                match (key, text.strip_prefix("file:")) {
                    (Key::Database, Some(path)) => *text = format!("file:{}", of(path)),
                    _ if key.is_path() && !text.is_empty() => *text = of(text),
                    _ => {}
                }
            }
            self.set(key, value, Origin::File { path: path.to_owned(), line })?;
        }
        Ok(())
    }

    /// Reads variables, ours and the reference's. An empty one counts as not set, but for a list of
    /// who is served: nobody is not everybody.
    pub(super) fn take_variables(
        &mut self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<(), ConfigError> {
        for key in Key::ALL.iter().copied() {
            let names = [key.reference_variable().map(str::to_owned), Some(key.variable())];
            for name in names.into_iter().flatten() {
                let is_said = |text: &String| !text.is_empty() || key == Key::AllowClientId;
                if let Some(text) = variable(&name).filter(is_said) {
                    let value = Some(text).filter(|text| !text.is_empty());
                    let value = value.and_then(|text| Value::of_text(key.kind(), &text));
                    self.set(key, value, Origin::Variable(name))?;
                }
            }
        }
        Ok(())
    }

    /// Lists take the place of those of other layers, and add to one another.
    pub(super) fn set_flag(
        &mut self,
        key: Key,
        value: Option<Value>,
        origin: Origin,
    ) -> Result<(), ConfigError> {
        match (self.values.get_mut(&key), value) {
            (Some((Value::Texts(texts), Origin::Flag(_))), Some(Value::Texts(more))) => {
                texts.extend(more);
                Ok(())
            }
            (_, value) => self.set(key, value, origin),
        }
    }
}
