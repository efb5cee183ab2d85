//! `ta sync`.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use tandem_client::{
    LOCK_WAIT, LastSync, LockError, Progress, SyncLock, SyncOptions, connect, sync, system_now,
};
use tandem_tasks::session::{Consent, End};

use crate::app::{App, REPLICA_FILE};
use crate::commands::gc::keep;
use crate::fail::{Exit, Fail, chain};
use crate::told;

/// The flags, for one that is mistyped.
const FLAGS: [&str; 4] = ["--join", "--new-history", "--upload-difference", "--wait"];

/// A sync that ends sooner shows no bar.
const BAR_AFTER: Duration = Duration::from_millis(500);

pub(crate) fn run(app: &mut App<'_>, rest: &[String]) -> Result<Exit, Fail> {
    let (options, wait) = options(app, rest)?;
    let mut remote = connect(&app.settings).map_err(connect_fail)?;
    if !app.data_dir()?.join(REPLICA_FILE).exists() {
        // A new replica will open a snapshot: the key is derived while the file is made.
        remote.expect_to_seal();
    }
    let mut replica = app.replica()?;
    let lock = SyncLock::take(&app.data_dir()?, wait, app.now);
    let _lock = match lock {
        Ok(lock) => lock,
        Err(LockError::Held { holder }) => return Ok(held(app, holder)),
        Err(error) => return Err(error.into()),
    };
    let mut bar = Bar::new(app.output.is_json || app.output.is_quiet);
    let synced = sync(&mut replica, remote.as_mut(), &options, &system_now, &mut |progress| {
        bar.show(progress);
    });
    bar.end();
    let synced = synced?;
    if synced.report.end == End::InStep && !told::has_found_nothing(&synced) {
        let last = LastSync { at: system_now(), with: synced.label.clone() };
        // It is in step, whether that could be noted or not.
        if let Err(error) = last.store(&app.data_dir()?) {
            app.output.notice(format!("warning: the time of this sync could not be kept: {error}"));
        }
    }
    let words = told::words(&synced);
    if app.output.is_json {
        let document = told::as_json(&synced, &words);
        app.output.json(&document);
    } else if !app.output.is_quiet || words.is_worth_telling {
        for line in &words.lines {
            app.output.text(line);
            app.output.text("\n");
        }
    }
    match words.fail {
        Some(fail) if app.output.is_json => {
            app.output.notice(format!("ta: {}", fail.message));
            Ok(fail.exit)
        }
        Some(fail) => Err(fail),
        None => Ok(Exit::Done),
    }
}

fn options(app: &App<'_>, rest: &[String]) -> Result<(SyncOptions, Duration), Fail> {
    let mut consent = Consent::default();
    let mut wait = LOCK_WAIT;
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--join" => consent.join = true,
            "--new-history" => consent.new_history = true,
            "--upload-difference" => consent.upload_difference = true,
            "--wait" => {
                let seconds = words.next().and_then(|text| text.parse().ok()).ok_or_else(|| {
                    Fail::usage("`--wait` needs a number of seconds").hint("Write `--wait 30`.")
                })?;
                wait = Duration::from_secs(seconds);
            }
            other => {
                // What stands behind `=` may be a secret.
                let other = other.split_once('=').map_or(other, |(flag, _)| flag);
                let meant = tandem_core::nearest(other, FLAGS);
                let meant = meant.map(|flag| format!("Did you mean `{flag}`? "));
                return Err(Fail::usage(format!(
                    "`{}` means nothing here",
                    tandem_words::text::escape(other)
                ))
                .hint(format!("{}`ta help sync` lists the flags.", meant.unwrap_or_default())));
            }
        }
    }
    let options = SyncOptions {
        consent,
        avoid_snapshots: app.settings.avoid_snapshots(),
        keep: keep(app),
        ..SyncOptions::default()
    };
    Ok((options, wait))
}

pub(crate) fn connect_fail(error: tandem_client::ConnectError) -> Fail {
    use tandem_client::ConnectError;
    match error {
        ConnectError::Settings(error) => error.into(),
        ConnectError::Secret(error) => {
            Fail::new(Exit::Settings, error.to_string()).hint(error.hint())
        }
        other => Fail::new(Exit::Settings, chain(&other)).hint("See: ta config list"),
    }
}

/// Another sync is at it: that is no failure, its outcome will be ours.
fn held(app: &mut App<'_>, holder: Option<tandem_client::Holder>) -> Exit {
    let context = app.context();
    let who = match &holder {
        Some(holder) => format!(
            "process {} since {}",
            holder.pid,
            tandem_words::dates::date_time(holder.since.seconds(), &context)
        ),
        None => "a process that left no name".into(),
    };
    if app.output.is_json {
        app.output.json(&json!({
            "outcome": "already_running",
            "pid": holder.as_ref().map(|holder| holder.pid),
            "since": holder.as_ref().map(|holder| holder.since.to_string()),
        }));
    } else {
        app.output
            .line(format!("Another sync of this replica is running ({who}); nothing to do here."));
    }
    Exit::Done
}

/// A bar on a terminal, for syncs that take long.
struct Bar {
    bar: Option<ProgressBar>,
    is_off: bool,
    began: std::time::Instant,
}

impl Bar {
    fn new(is_off: bool) -> Self {
        let is_off = is_off || !std::io::stderr().is_terminal();
        Self { bar: None, is_off, began: std::time::Instant::now() }
    }

    fn show(&mut self, progress: Progress) {
        if self.is_off || self.began.elapsed() < BAR_AFTER {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar
        });
        bar.set_message(format!(
            "down {} · up {} · {} to go up",
            progress.operations_down, progress.operations_up, progress.operations_waiting
        ));
        bar.tick();
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
