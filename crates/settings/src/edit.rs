//! `ta config set` and `ta config unset`: edits of the file that keep its comments and order.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item, RawString, Value as TomlValue};
use zeroize::Zeroizing;

use crate::certificates;
use crate::environment::Environment;
use crate::error::{SettingsError, ValueError};
use crate::file::{read_text, syntax_error};
use crate::key::Key;
use crate::notice::Notice;
use crate::origin::Origin;
use crate::value::{Context, Relative, Value, from_text};
use crate::write::{LockedFolder, create_folder, follow_links, parent, replace, wide_mode};

/// What an edit did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The file that was written, links followed.
    pub path: PathBuf,
    /// The value now, in its normal form; `None` after [`unset`]. Its `Display` hides what is hidden.
    pub value: Option<Value>,
    /// False if the file said so already (or, for [`unset`], did not set the key).
    pub has_changed: bool,
    /// What the person should know, one line each.
    pub notices: Vec<Notice>,
}

/// Sets a key in a file, which is created with its folders if absent.
///
/// The value is checked and brought into its normal form first; a relative path is made absolute,
/// since later commands run elsewhere. A file of certificates must be one, and what is in the place
/// of a folder a folder. `origin` is where the value comes from, for what is wrong with it. Comments, order and unknown keys stay. The file is replaced
/// as a whole, through links, and closed to others (mode 0600) once it holds a hidden value.
///
/// # Errors
/// [`SettingsError::BadValue`], what is wrong with the file's text, or what hindered writing; the
/// file is as it was.
pub fn set(
    file: &Path,
    key: Key,
    value: &str,
    origin: Origin,
    environment: &Environment,
) -> Result<Edited, SettingsError> {
    let context = Context { environment, relative: Relative::MadeAbsolute };
    let value = from_text(key.kind(), OsStr::new(value), context)
        .and_then(|value| fits_the_disk(key, &value).map(|()| value))
        .map_err(|problem| SettingsError::BadValue { key, origin, problem })?;
    let mut edited = edit(file, |document| set_in(document, key, &to_toml(&value)))?;
    match &value {
        Value::Secret(secret) => edited.notices.extend(secret.weakness().map(Notice::WeakSecret)),
        Value::ServerOrigin(origin) if !origin.is_https() && !origin.is_loopback() => {
            edited.notices.push(Notice::ClearOrigin { host: origin.host().to_owned() });
        }
        _ => {}
    }
    let variable = key.variable();
    if environment.variable(&variable).is_some() {
        edited.notices.push(Notice::Overridden { variable });
    }
    edited.value = Some(value);
    Ok(edited)
}

/// Whether what a path names can be what its key wants of it.
fn fits_the_disk(key: Key, value: &Value) -> Result<(), ValueError> {
    match (key, value) {
        (Key::CaFile, Value::Path(path)) => certificates::check(path),
        // Folders are made when they are first needed.
        (Key::DataDir | Key::ServerDir, Value::Path(path)) if path.is_file() => {
            Err(ValueError::NoFolder { path: path.clone() })
        }
        _ => Ok(()),
    }
}

/// Removes a key from a file. Comments above it stay, one on its own line goes with it.
///
/// # Errors
/// What is wrong with the file's text, or what hindered writing; the file is as it was.
pub fn unset(file: &Path, key: Key, environment: &Environment) -> Result<Edited, SettingsError> {
    let mut edited = edit(file, |document| unset_in(document, key))?;
    let variable = key.variable();
    if environment.variable(&variable).is_some() {
        edited.notices.push(Notice::Overridden { variable });
    }
    Ok(edited)
}

/// Reads, changes and writes the file under one lock, so that two edits in one moment both stay.
fn edit(
    file: &Path,
    change: impl FnOnce(&mut DocumentMut) -> bool,
) -> Result<Edited, SettingsError> {
    let target = follow_links(file)
        .map_err(|source| SettingsError::Read { path: file.to_owned(), source })?;
    create_folder(parent(&target))?;
    let folder = LockedFolder::lock(parent(&target))?;
    let before = read_text(&target)?;
    let text = before.as_ref().map_or("", |text| text.as_str());
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        syntax_error(&target, text, error.span().map(|span| span.start), error.message())
    })?;
    let has_changed = change(&mut document);
    let holds_hidden =
        Key::ALL.iter().any(|key| key.is_hidden() && document.contains_key(key.name()));
    let wide = wide_mode(&target).filter(|_| holds_hidden);
    if has_changed || wide.is_some() {
        let content = Zeroizing::new(document.to_string());
        let keep_mode = before.is_some() && !holds_hidden;
        replace(&target, content.as_bytes(), keep_mode, &folder)?;
    }
    let tightened = |mode_before| Notice::Tightened { path: target.clone(), mode_before };
    let notices = wide.map(tightened).into_iter().collect();
    Ok(Edited { path: target, value: None, has_changed, notices })
}

fn to_toml(value: &Value) -> TomlValue {
    match value {
        Value::Bool(value) => (*value).into(),
        // The table's bounds are far below.
        Value::Number(number) => i64::try_from(*number).unwrap_or(i64::MAX).into(),
        text => (*Zeroizing::new(text.dangerously_reveal())).as_str().into(),
    }
}

fn set_in(document: &mut DocumentMut, key: Key, value: &TomlValue) -> bool {
    let mut value = value.clone();
    match document.get_mut(key.name()) {
        Some(Item::Value(existing)) => {
            if is_same(existing, &value) {
                return false;
            }
            // What stands around the old value: a comment on its line.
            *value.decor_mut() = existing.decor().clone();
            *existing = value;
        }
        _ => {
            document.insert(key.name(), Item::Value(value));
            append(document, key);
        }
    }
    true
}

/// Moves a key that was just inserted below the comments at the end of the file, where a person
/// would have written it; above them it would stand over a headline.
fn append(document: &mut DocumentMut, key: Key) {
    // Before a table the end of the file is not ours to write to.
    if !document.iter().all(|(_, item)| item.is_value()) {
        return;
    }
    let mut comments = document.trailing().as_str().unwrap_or_default().to_owned();
    if !comments.is_empty() && !comments.ends_with('\n') {
        comments.push('\n');
    }
    if let Some(mut name) = document.key_mut(key.name()) {
        name.leaf_decor_mut().set_prefix(comments);
        document.set_trailing("");
    }
}

fn is_same(a: &TomlValue, b: &TomlValue) -> bool {
    match (a, b) {
        (TomlValue::String(a), TomlValue::String(b)) => a.value() == b.value(),
        (TomlValue::Integer(a), TomlValue::Integer(b)) => a.value() == b.value(),
        (TomlValue::Boolean(a), TomlValue::Boolean(b)) => a.value() == b.value(),
        _ => false,
    }
}

fn unset_in(document: &mut DocumentMut, key: Key) -> bool {
    let names: Vec<String> = document.iter().map(|(name, _)| name.to_owned()).collect();
    let Some(position) = names.iter().position(|name| name == key.name()) else { return false };
    let prefix = |decor: &toml_edit::Decor| {
        decor.prefix().and_then(RawString::as_str).unwrap_or_default().to_owned()
    };
    let comments = document.key(key.name()).map(|key| prefix(key.leaf_decor())).unwrap_or_default();
    document.remove(key.name());
    if comments.contains('#') {
        // They stood above the key; now they stand above what follows it.
        match names.get(position + 1).and_then(|next| document.key_mut(next)) {
            Some(mut next) => {
                let joined = format!("{comments}{}", prefix(next.leaf_decor()));
                next.leaf_decor_mut().set_prefix(joined);
            }
            None => {
                let trailing = document.trailing().as_str().unwrap_or_default();
                let joined = format!("{comments}{trailing}");
                document.set_trailing(joined);
            }
        }
    }
    true
}
