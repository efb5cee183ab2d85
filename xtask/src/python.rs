//! The Python binding of TaskChampion, built for the Python that is here.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::needs;
use crate::run;
use crate::workspace::root;

/// Makes a Python environment below `target` that has what `interop/python-client/requirements.txt`
/// names; its Python. Built once: a finished one says for which list it was made.
///
/// # Errors
/// What could not be run.
pub(crate) fn environment(target: &Path) -> Result<PathBuf, Vec<String>> {
    let list = root().join("interop/python-client/requirements.txt");
    let wanted = std::fs::read_to_string(&list)
        .map_err(|error| vec![format!("{} cannot be read: {error}", list.display())])?;
    let folder = target.join("python");
    let (python, note) = (folder.join("bin/python"), folder.join("built-for"));
    // Another Python than the one it was built for does not find it.
    let has_it = || {
        let mut command = Command::new(&python);
        let command = command.args(["-c", "import taskchampion"]).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if std::fs::read_to_string(&note).is_ok_and(|built| built == wanted) && has_it() {
        return Ok(python);
    }
    let make = || {
        let mut command = Command::new("python3");
        run::command(command.args(["-m", "venv", "--clear"]).arg(&folder))
    };
    // Debian has the module in a package of its own, which nobody can tell by a program's name.
    make().or_else(|mut found| {
        let installed = needs::install(&["python3-venv"]);
        installed.map_err(|error| {
            found.push(error);
            found.push("On Debian: sudo apt-get install python3-venv".to_owned());
            found
        })?;
        make()
    })?;
    // The builder first; then the binding with it, in the development profile: it is built in a third
    // of the time, and nobody measures it.
    for package in entries(&wanted) {
        // Hashes are taken from files only.
        let one = folder.join("requirement.txt");
        std::fs::write(&one, package)
            .map_err(|error| vec![format!("{} cannot be written: {error}", one.display())])?;
        let mut command = Command::new(&python);
        command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        command.args(["--no-deps", "--no-build-isolation", "--prefer-binary"]);
        command.args(["--require-hashes", "--requirement"]).arg(&one);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places = std::iter::once(folder.join("bin")).chain(std::env::split_paths(&path));
        let path = std::env::join_paths(places).map_err(|error| vec![error.to_string()])?;
        command
            .env("PATH", path)
            .env("CARGO_TARGET_DIR", target)
            // A flag for it would not reach what a file asks for.
            .env("MATURIN_PEP517_ARGS", "--profile dev")
            .env("CARGO_PROFILE_DEV_DEBUG", "0");
        run::command(&mut command)?;
    }
    std::fs::write(&note, &wanted)
        .map_err(|error| vec![format!("{} cannot be written: {error}", note.display())])?;
    Ok(python)
}

/// The packages of a list, each with its hashes, which follow on lines of their own.
fn entries(list: &str) -> Vec<String> {
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    let joined = text.replace("\\\n", " ");
    joined.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_stands_with_its_hashes() {
        let list =
            "# why\n# more\none==1 \\\n    --hash=a \\\n    --hash=b\n\ntwo==2 \\\n    --hash=c\n";
        let entries = entries(list);
        let words: Vec<Vec<&str>> =
            entries.iter().map(|entry| entry.split_whitespace().collect()).collect();
        assert_eq!(words, [vec!["one==1", "--hash=a", "--hash=b"], vec!["two==2", "--hash=c"]]);
    }

    /// A file that is not the one that was looked at is not installed.
    #[test]
    fn every_package_of_ours_has_a_hash() {
        let list = root().join("interop/python-client/requirements.txt");
        let list = std::fs::read_to_string(list).unwrap();
        let entries = entries(&list);
        assert_eq!(entries.len(), 2);
        assert!(entries.iter().all(|entry| entry.contains("--hash=sha256:")), "{entries:?}");
    }
}
