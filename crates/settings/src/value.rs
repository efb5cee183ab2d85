//! Checked values, and how texts and TOML values become them.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tandem_core::ClientId;
use tandem_seal::Secret;
use toml::de::DeValue;

use crate::environment::Environment;
use crate::error::ValueError;
use crate::key::Kind;
use crate::server_origin::ServerOrigin;

/// A checked value in its normal form.
///
/// `Display` is what lists show: a secret as `set (hidden)`, a client key as its first eight
/// characters and `…`. `Debug` shows no more than that.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// A file or folder, `~/` expanded. From the file it is relative only if the file was named by
    /// a relative path; from the environment it is as given.
    Path(PathBuf),
    /// The address of a sync server.
    ServerOrigin(ServerOrigin),
    /// Names a task history at a server, and opens it.
    ClientKey(ClientId),
    /// The text from which keys are derived.
    Secret(Arc<Secret>),
    /// `true` or `false`.
    Bool(bool),
    /// A number within the key's bounds.
    Number(u64),
}

impl Value {
    /// The whole value as text, hidden ones too: for an explicit `ta config get KEY` alone.
    ///
    /// A path that is not UTF-8 is shown with replacement characters.
    pub fn dangerously_reveal(&self) -> String {
        match self {
            Self::Secret(secret) => secret.dangerously_expose().to_owned(),
            Self::ClientKey(key) => key.to_string(),
            shown => shown.to_string(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::ServerOrigin(origin) => write!(f, "{origin}"),
            Self::ClientKey(key) => f.write_str(&shortened(*key)),
            Self::Secret(_) => f.write_str("set (hidden)"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

/// The first eight characters of a client key, enough to recognise it and not to use it.
pub(crate) fn shortened(key: ClientId) -> String {
    format!("{}…", &key.to_simple()[..8])
}

/// Where a value was written, as far as its meaning depends on it.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) relative: Relative<'a>,
}

/// From where a relative path starts.
#[derive(Clone, Copy)]
pub(crate) enum Relative<'a> {
    /// From this folder: of the file that says it.
    From(&'a Path),
    /// It is left as it is, so it starts at the working folder, as paths in the environment do.
    Kept,
    /// At the working folder, but it is going to be stored, so it is made absolute now.
    MadeAbsolute,
}

/// Reads a value that was written as text, in the environment or on the command line.
pub(crate) fn from_text(
    kind: Kind,
    text: &OsStr,
    context: Context<'_>,
) -> Result<Value, ValueError> {
    if let Kind::Path = kind {
        return path(Path::new(text), context);
    }
    let text = text.to_str().ok_or(ValueError::NotUtf8)?;
    match kind {
        Kind::Path | Kind::ServerOrigin | Kind::ClientKey | Kind::Secret => {
            from_string(kind, text, context)
        }
        Kind::Bool => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(Value::Bool(true)),
            "false" | "no" | "off" | "0" => Ok(Value::Bool(false)),
            _ => Err(ValueError::NotBool),
        },
        Kind::Number { min, max } => number(text.parse().ok(), min, max),
    }
}

/// Reads a value of the file.
pub(crate) fn from_toml(
    kind: Kind,
    value: &DeValue<'_>,
    context: Context<'_>,
) -> Result<Value, ValueError> {
    match (kind, value) {
        (Kind::Bool, DeValue::Boolean(value)) => Ok(Value::Bool(*value)),
        (Kind::Number { min, max }, DeValue::Integer(integer)) => {
            number(u64::from_str_radix(integer.as_str(), integer.radix()).ok(), min, max)
        }
        (
            Kind::Path | Kind::ServerOrigin | Kind::ClientKey | Kind::Secret,
            DeValue::String(text),
        ) => from_string(kind, text, context),
        (kind, value) => Err(ValueError::WrongType { kind, found: value.type_str() }),
    }
}

fn from_string(kind: Kind, text: &str, context: Context<'_>) -> Result<Value, ValueError> {
    match kind {
        Kind::Path => path(Path::new(text), context),
        Kind::ServerOrigin => {
            Ok(Value::ServerOrigin(text.parse().map_err(ValueError::ServerOrigin)?))
        }
        Kind::ClientKey => client_key(text).map(Value::ClientKey),
        Kind::Secret if text == "-" || text.starts_with("file:") => Err(ValueError::SecretSource),
        Kind::Secret => Secret::new(text.to_owned())
            .map(|secret| Value::Secret(Arc::new(secret)))
            .map_err(ValueError::Secret),
        Kind::Bool | Kind::Number { .. } => Err(ValueError::WrongType { kind, found: "string" }),
    }
}

fn client_key(text: &str) -> Result<ClientId, ValueError> {
    if text.is_empty() {
        return Err(ValueError::Empty);
    }
    // Said apart: the rest of it is usually right, and the cure is another one.
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(ValueError::WhiteSpaceInClientKey);
    }
    text.parse().map_err(|_| ValueError::NotClientKey)
}

fn number(number: Option<u64>, min: u64, max: u64) -> Result<Value, ValueError> {
    match number {
        Some(number) if (min..=max).contains(&number) => Ok(Value::Number(number)),
        _ => Err(ValueError::NotInRange { min, max }),
    }
}

/// Puts the home folder in the place of a leading `~/`.
pub(crate) fn expand_home(path: &Path, environment: &Environment) -> Result<PathBuf, ValueError> {
    let mut components = path.components();
    let Some(first) = components.next() else { return Err(ValueError::Empty) };
    let first = first.as_os_str().as_encoded_bytes();
    if first == b"~" {
        let home = environment.home().ok_or(ValueError::NoHome)?;
        return Ok(home.join(components.as_path()));
    }
    // A shell would have put another person's home here; a folder named `~name` is nearly never meant.
    if first.starts_with(b"~") {
        return Err(ValueError::OtherHome);
    }
    Ok(path.to_owned())
}

fn path(path: &Path, context: Context<'_>) -> Result<Value, ValueError> {
    let expanded = expand_home(path, context.environment)?;
    let absolute = match context.relative {
        _ if expanded.is_absolute() => expanded,
        Relative::Kept => expanded,
        Relative::From(folder) => folder.join(without_dots(&expanded)),
        Relative::MadeAbsolute => {
            let folder = context.environment.current_dir().ok_or(ValueError::RelativePath)?;
            folder.join(without_dots(&expanded))
        }
    };
    Ok(Value::Path(absolute))
}

/// Drops the `.` steps of a path; `..` stays, since it may lead out of a linked folder.
fn without_dots(path: &Path) -> PathBuf {
    path.components().filter(|step| !matches!(step, std::path::Component::CurDir)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    fn read(key: Key, text: &str) -> Result<String, ValueError> {
        let environment =
            Environment::from_variables([("HOME", "/home/u")]).with_current_dir("/cwd");
        let context = Context { environment: &environment, relative: Relative::MadeAbsolute };
        from_text(key.kind(), OsStr::new(text), context).map(|value| value.dangerously_reveal())
    }

    #[test]
    fn texts_become_normal_forms() {
        for (key, text, normal) in [
            (Key::DataDir, "~/tasks", "/home/u/tasks"),
            (Key::DataDir, "~", "/home/u/"),
            (Key::DataDir, "./tasks/x", "/cwd/tasks/x"),
            (Key::DataDir, "/a/b", "/a/b"),
            (Key::AvoidSnapshots, "Yes", "true"),
            (Key::AvoidSnapshots, "0", "false"),
            (Key::HistoryDays, "7", "7"),
            (Key::ServerOrigin, "HTTPS://Example.com/", "https://example.com"),
            (
                Key::ServerClientKey,
                "{56E0BE07-C61F-494C-A54C-BDCFDD52D2A7}",
                "56e0be07-c61f-494c-a54c-bdcfdd52d2a7",
            ),
            (Key::EncryptionSecret, "two words", "two words"),
        ] {
            assert_eq!(read(key, text).unwrap(), normal, "{key} {text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (key, text, message) in [
            (Key::DataDir, "", "it is empty"),
            (Key::DataDir, "~bob/x", "`~` with a name"),
            (Key::AvoidSnapshots, "maybe", "neither true nor false"),
            (Key::HistoryDays, "-1", "from 0 to 36500"),
            (Key::HistoryDays, "1e3", "from 0 to 36500"),
            (Key::ReadTimeoutSeconds, "0", "from 1 to 86400"),
            (Key::ServerClientKey, "56e0be07-c61f-494c-a54c-bdcfdd52d2a7\n", "white space"),
            (Key::ServerClientKey, "56e0be07", "not a UUID"),
            (Key::EncryptionSecret, "secret\n", "white space"),
            (Key::EncryptionSecret, "", "empty"),
        ] {
            let error = read(key, text).unwrap_err();
            assert!(error.to_string().contains(message), "{key} {text}: {error}");
            assert!(!error.hint().is_empty());
        }
    }

    #[test]
    fn hidden_values_are_not_shown() {
        let secret = Value::Secret(Arc::new(Secret::new("hunter2".to_owned()).unwrap()));
        assert_eq!(format!("{secret} {secret:?}"), "set (hidden) `set (hidden)`");
        let id: ClientId = "56e0be07-c61f-494c-a54c-bdcfdd52d2a7".parse().unwrap();
        assert_eq!(format!("{:?}", Value::ClientKey(id)), "`56e0be07…`");
    }
}
