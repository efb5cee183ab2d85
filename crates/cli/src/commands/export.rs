//! `ta export`: Taskwarrior's JSON.

use tandem_core::TaskId;
use tandem_exchange::{ExportTask, Exporter};
use tandem_words::Line;
use tandem_words::urgency::urgency;

use crate::app::App;
use crate::fail::{Exit, Fail};
use crate::lookup::Lookup;

pub(crate) fn run(app: &mut App<'_>, line: &Line) -> Result<Exit, Fail> {
    app.flags("export", &line.rest, &[])?;
    let context = app.context();
    let (vocabulary, types) = app.attributes()?;
    let mut replica = app.replica()?;
    let mut txn = replica.storage_mut().read()?;
    let found = Lookup::new(txn.as_mut()).select(&line.filter, &context, &vocabulary, false)?;
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
