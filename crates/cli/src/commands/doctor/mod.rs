//! `ta doctor`: is everything as it should be, and if not, what is to be done?
//!
//! One line for each thing looked at, in the order in which one depends on the other: what could not
//! be looked at because of an earlier one says so. Nothing is changed, here or at the server; what
//! another program has done to the file meanwhile is taken notice of first, as by every command that
//! works with it (`Replica::notice`, which says why).

mod here;
pub(super) mod there;
pub(super) mod verdict;

use serde_json::json;
use tandem_words::text::escape;

use crate::app::App;
use crate::fail::{Exit, Fail};
use crate::told::count;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    /// As it should be.
    Well,
    /// It works, and could be better.
    Warning,
    /// It must be mended; the exit code that a sync would end with.
    Ill(Exit),
    /// There was nothing to look at, or no way to it.
    Skipped,
}

impl Health {
    fn name(self) -> &'static str {
        match self {
            Self::Well => "ok",
            Self::Warning => "warning",
            Self::Ill(_) => "problem",
            Self::Skipped => "skipped",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug)]
struct Check {
    name: &'static str,
    health: Health,
    /// What was found.
    found: String,
    /// What to do about it.
    cure: Option<String>,
    /// What it is, for programs, where the code does not say all.
    kind: Option<String>,
}

impl Check {
    fn well(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, health: Health::Well, found: found.into(), cure: None, kind: None }
    }

    fn skipped(name: &'static str, why: impl Into<String>) -> Self {
        Self { name, health: Health::Skipped, found: why.into(), cure: None, kind: None }
    }

    fn warning(name: &'static str, found: impl Into<String>, cure: impl Into<String>) -> Self {
        let cure = Some(cure.into());
        Self { name, health: Health::Warning, found: found.into(), cure, kind: None }
    }

    fn ill(
        name: &'static str,
        exit: Exit,
        found: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        let cure = Some(cure.into());
        Self { name, health: Health::Ill(exit), found: found.into(), cure, kind: None }
    }

    /// From what another command would say about it.
    fn of_fail(name: &'static str, fail: Fail) -> Self {
        let health = Health::Ill(fail.exit);
        Self { name, health, found: fail.message, cure: fail.hint, kind: fail.kind }
    }
}

pub(crate) fn run(app: &mut App<'_>, rest: &[String]) -> Result<Exit, Fail> {
    app.flags("doctor", rest, &[])?;
    let mut checks = vec![here::settings(app)];
    let (mut more, mut stand) = here::replica(app);
    checks.append(&mut more);
    checks.append(&mut there::checks(app, stand.as_mut()));
    checks.push(here::last_sync(app, stand.as_ref()));
    let first = checks.iter().find_map(|check| match check.health {
        Health::Ill(exit) => Some((check, exit)),
        _ => None,
    });
    let exit = first.map_or(Exit::Done, |(_, exit)| exit);
    let number = |wanted: fn(Health) -> bool| {
        checks.iter().filter(|check| wanted(check.health)).count() as u64
    };
    let problems = number(|health| matches!(health, Health::Ill(_)));
    let warnings = number(|health| health == Health::Warning);
    if app.output.is_json {
        let shown = checks.iter().map(|check| {
            json!({
                "name": check.name,
                "health": check.health.name(),
                "found": check.found,
                "cure": check.cure,
                "code": match check.health {
                    Health::Ill(exit) => Some(exit as u8),
                    _ => None,
                },
            })
        });
        let shown: Vec<_> = shown.collect();
        let code = exit as u8;
        let error = first.map(|(check, _)| {
            json!({
                "code": code, "kind": check.kind, "message": check.found, "hint": check.cure,
            })
        });
        app.output.json(&json!({
            "checks": shown, "problems": problems, "warnings": warnings, "code": code, "error": error,
        }));
        return Ok(exit);
    }
    for check in &checks {
        let (name, health) = (check.name, check.health.name());
        app.output.line(format!("{health:<8} {name:<9} {}", escape(&check.found)));
        if let Some(cure) = &check.cure {
            app.output.line(format!("{:<18} → {}", "", escape(cure)));
        }
    }
    app.output.line("");
    app.output.line(match (problems, warnings) {
        (0, 0) => "All is well.".to_owned(),
        (0, n) => format!("It works. {} to look at.", count(n, "thing")),
        (n, _) => format!("{} to mend, the first one first.", count(n, "thing")),
    });
    Ok(exit)
}
