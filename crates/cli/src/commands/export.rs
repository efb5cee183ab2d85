//! `ta export`: Taskwarrior's JSON.

use std::path::PathBuf;

use tandem_core::TaskId;
use tandem_exchange::{ExportTask, Exporter};
use tandem_words::Line;
use tandem_words::urgency::urgency;

use crate::app::App;
use crate::commands::import::{taskrc_flag, types};
use crate::fail::{Exit, Fail};
use crate::lookup::Lookup;

pub(crate) fn run(app: &mut App<'_>, line: &Line) -> Result<Exit, Fail> {
    let mut rest = line.rest.clone();
    let mut filter = line.filter.clone();
    // The file after `--taskrc` is a word like any other to the grammar, so it may stand there.
    let taskrc: Option<PathBuf> = taskrc_flag(&mut rest, &mut filter)?;
    app.flags("export", &rest, &[])?;
    let context = app.context();
    let vocabulary = app.vocabulary();
    let (types, _) = types(app, taskrc.as_deref())?;
    let mut replica = app.replica()?;
    let mut txn = replica.storage_mut().read()?;
    let found = Lookup::new(txn.as_mut()).select(&filter, &context, &vocabulary, false)?;
    drop(txn);
    let mut exporter = Exporter::start(&mut *app.output, &types)?;
    for task in &found {
        exporter.task(&ExportTask {
            uuid: task.id,
            task: &task.task,
            number: task.number,
            urgency: Some(urgency(&task.candidate(), &context)),
        })?;
    }
    let exported = exporter.finish()?;
    let left_out: Vec<(TaskId, String)> =
        exported.left_out.into_iter().map(|left| (left.uuid, left.property)).collect();
    for (id, property) in left_out.iter().take(10) {
        app.output.notice(format!("Left out {property} of {id}: the format has no place for it"));
    }
    Ok(Exit::Done)
}
