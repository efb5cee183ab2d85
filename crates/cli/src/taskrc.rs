//! The `.taskrc` that belongs to the list at hand: where its user-defined attributes are declared.

use std::path::{Path, PathBuf};

use tandem_exchange::{AttributeType, Taskrc, Types};
use tandem_words::{Uda, UdaKind, Vocabulary};

use crate::app::App;
use crate::fail::Fail;

impl App<'_> {
    /// The attributes that words may name: those that every task has, and those that the `.taskrc`
    /// of this list declares.
    pub(crate) fn vocabulary(&mut self) -> Result<Vocabulary, Fail> {
        Ok(self.attributes()?.0)
    }

    /// The same, with the types by which they are read from JSON and written to it.
    pub(crate) fn attributes(&mut self) -> Result<(Vocabulary, Types), Fail> {
        let Some(taskrc) = self.taskrc()? else { return Ok((Vocabulary::default(), Types::new())) };
        let text = |text: String| text.as_str().into();
        let uda = |attribute: tandem_exchange::Attribute| Uda {
            name: text(attribute.name),
            kind: match attribute.attribute_type {
                AttributeType::Number => UdaKind::Number,
                AttributeType::Date => UdaKind::Date,
                AttributeType::Duration => UdaKind::Duration,
                _ => UdaKind::Text,
            },
            label: attribute.label.map(text),
            values: attribute.values.into_iter().map(text).collect(),
            default: attribute.default.map(text),
        };
        let udas = taskrc.attributes().into_iter().map(uda).collect();
        Ok((Vocabulary::new(udas), taskrc.types()))
    }

    /// The `.taskrc` named by `--taskrc`, else by `TASKRC`, else the home folder's if it is the one
    /// of the list that `data_dir` names.
    fn taskrc(&mut self) -> Result<Option<Taskrc>, Fail> {
        if let Some(taskrc) = self.named_taskrc()? {
            return Ok(Some(taskrc));
        }
        if let Some(path) = taskrc_variable() {
            match read(&path, self.environment.home()) {
                Ok(taskrc) => return Ok(Some(taskrc)),
                // It is another program's variable, so that is no reason to do nothing; but words
                // for its attributes would be taken for text.
                Err(error) => self.output.notice(format!(
                    "warning: TASKRC: {}; its user-defined attributes are not known now",
                    crate::fail::chain(&error)
                )),
            }
        }
        let data_dir = self.data_dir()?;
        Ok(usual_taskrc(&data_dir, self.environment.home()))
    }

    /// The `.taskrc` that the line names, with a word about what was passed over in it.
    pub(crate) fn named_taskrc(&mut self) -> Result<Option<Taskrc>, Fail> {
        let Some(path) = &self.taskrc_flag else { return Ok(None) };
        let taskrc = read(path, self.environment.home())?;
        for warning in taskrc.warnings() {
            self.output.notice(format!("warning: {warning}"));
        }
        Ok(Some(taskrc))
    }
}

/// The file that `TASKRC` names.
fn taskrc_variable() -> Option<PathBuf> {
    std::env::var_os("TASKRC").filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn read(path: &Path, home: Option<&Path>) -> Result<Taskrc, tandem_exchange::TaskrcError> {
    Taskrc::read(path, home, &mut |path| std::fs::read(path))
}

/// The `.taskrc` in one of Taskwarrior's places, if its list is the one in `folder`.
fn usual_taskrc(folder: &Path, home: Option<&Path>) -> Option<Taskrc> {
    let home = home?;
    let places = [home.join(".taskrc"), home.join(".config/task/taskrc")];
    places
        .iter()
        .find_map(|place| read(place, Some(home)).ok().filter(|rc| names(rc, folder, home)))
}

/// The `.taskrc` that belongs to a folder which is taken over: `TASKRC` or the home folder's if it
/// names this folder, or one that lies in it.
pub(crate) fn taskrc_of(folder: &Path, home: Option<&Path>) -> Option<Taskrc> {
    let named = taskrc_variable().and_then(|path| read(&path, home).ok());
    let named = named.filter(|taskrc| home.is_some_and(|home| names(taskrc, folder, home)));
    let inside =
        || [".taskrc", "taskrc"].iter().find_map(|name| read(&folder.join(name), home).ok());
    named.or_else(inside).or_else(|| usual_taskrc(folder, home))
}

/// True if the list that a `.taskrc` is about is the one in `folder`.
fn names(taskrc: &Taskrc, folder: &Path, home: &Path) -> bool {
    let location = taskrc.data_location(Some(home)).unwrap_or_else(|| home.join(".task"));
    match (std::fs::canonicalize(location), std::fs::canonicalize(folder)) {
        (Ok(location), Ok(folder)) => location == folder,
        _ => false,
    }
}
