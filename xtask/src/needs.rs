//! What the tests need from the system, and getting it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::run::say;

/// A program that tests start.
struct Need {
    program: &'static str,
    /// The Debian package that brings it.
    package: &'static str,
    /// What for.
    reason: &'static str,
}

const NEEDS: &[Need] = &[
    Need { program: "cc", package: "gcc", reason: "SQLite and the test of flushed writes are C" },
    // Only the program: the package `tinyproxy` would also start a service.
    Need { program: "tinyproxy", package: "tinyproxy-bin", reason: "a real HTTP proxy" },
    // There is no package of the program alone; where services are managed, it also starts one.
    Need {
        program: "nginx",
        package: "nginx-light",
        reason: "a real proxy in front of the server",
    },
    Need { program: "caddy", package: "caddy", reason: "another one" },
    Need { program: "systemd-analyze", package: "systemd", reason: "the server's unit is checked" },
    // Several servers on one database. The tests start clusters of their own.
    Need { program: "initdb", package: "postgresql", reason: "a real PostgreSQL" },
    Need { program: "openssl", package: "openssl", reason: "certificates for TLS to it" },
    Need { program: "python3", package: "python3-venv", reason: "the library's Python binding" },
    Need { program: "task", package: "taskwarrior", reason: "Taskwarrior's own JSON, both ways" },
];

/// Makes sure that everything is there; installs with `apt-get` what is missing, where that is
/// possible (Debian, and root). The tests start the programs themselves.
///
/// # Errors
/// What is missing and how to get it.
pub(crate) fn provide() -> Result<(), Vec<String>> {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| find(need.program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    if find("apt-get").is_some() && is_root() {
        install(&packages).map_err(|error| vec![error])?;
    }
    let findings: Vec<String> = missing
        .iter()
        .filter(|need| find(need.program).is_none())
        .map(|need| {
            format!(
                "`{}` is missing ({}). On Debian: sudo apt-get install {}",
                need.program, need.reason, need.package
            )
        })
        .collect();
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}

/// Installs Debian packages.
///
/// # Errors
/// What `apt-get` says, or that it cannot be run.
pub(crate) fn install(packages: &[&str]) -> Result<(), String> {
    say(&format!("installing {}", packages.join(" ")));
    let _ = apt_get(&["update"]);
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(packages);
    apt_get(&arguments)
}

/// Where programs are looked for: the search path, and where Debian keeps servers.
fn search_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let postgresql = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .chain(postgresql.map(|version| version.path().join("bin")))
        .collect()
}

fn find(program: &str) -> Option<PathBuf> {
    search_path().into_iter().map(|folder| folder.join(program)).find(|path| path.is_file())
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn apt_get(arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new("apt-get");
    command.args(["-q"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("apt-get cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    Err(format!("apt-get {} ended with {}:\n{words}", arguments.join(" "), output.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_name() {
        assert!(find("sh").is_some());
        assert_eq!(find("no-such-program-anywhere"), None);
    }
}
