//! What the compiler does not see: manifests, left-over marks, stray paths, sizes.

use crate::workspace::File;
use crate::workspace::Metadata;
use crate::{deny, links};

/// Lines that a source may have. Above it, ask whether there are two ideas in it.
const LINES_MAX: usize = 700;

/// Sources above the limit, with the lines that they may have and why. Let them only shrink.
const LONG_FILES: &str = include_str!("../long-files.txt");

/// Marks that are a defect, not a plan. Written in pieces, or this file would be one.
const MARKS: &[&str] = &[
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("FIX", "ME"),
    concat!("#[ig", "nore"),
];

/// Folders of somebody's machine, which mean nothing to others.
const STRAY_PATHS: &[&str] = &[concat!("/ro", "ot/"), concat!("/wo", "rk/")];

/// Folders of the workspace's packages; those of `interop/` stand alone.
const OURS: &[&str] = &["crates/", "xtask/", "bench/"];

/// Checks everything that needs no build.
///
/// # Errors
/// The findings, one line each.
pub(crate) fn check(files: &[File], metadata: &Metadata) -> Result<(), Vec<String>> {
    let mut findings = Vec::new();
    for file in files {
        if file.is("Cargo.toml") && OURS.iter().any(|folder| file.path.starts_with(folder)) {
            findings.extend(manifest(file));
        }
        if file.is(".rs") {
            findings.extend(marks(file));
        }
        findings.extend(stray_paths(file));
    }
    findings.extend(long_files(files, LONG_FILES));
    findings.extend(links::check(files).err().into_iter().flatten());
    let rules = files.iter().find(|file| file.path == "deny.toml").map(|file| file.text.as_str());
    match deny::Rules::read(rules.unwrap_or_default()) {
        Ok(rules) => findings.extend(rules.check(&metadata.packages).err().into_iter().flatten()),
        Err(error) => findings.push(error),
    }
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}

fn manifest(file: &File) -> Vec<String> {
    let mut section = "";
    let (mut is_described, mut is_linted) = (false, false);
    for line in file.text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        }
        let compact: String = line.chars().filter(|c| !c.is_whitespace()).collect();
        is_described |= section == "[package]"
            && compact.starts_with("description=\"")
            && compact != "description=\"\"";
        is_linted |= section == "[lints]" && compact == "workspace=true";
    }
    let mut findings = Vec::new();
    if !is_described {
        findings.push(format!("{}: no description", file.path));
    }
    if !is_linted {
        findings.push(format!("{}: no `[lints] workspace = true`", file.path));
    }
    findings
}

fn marks(file: &File) -> Vec<String> {
    on_lines(file, |line| MARKS.iter().copied().find(|mark| line.contains(mark)))
}

fn stray_paths(file: &File) -> Vec<String> {
    on_lines(file, |line| {
        STRAY_PATHS.iter().copied().find(|path| {
            let inside = |c: char| c.is_alphanumeric() || "._~-/*}$)".contains(c);
            line.match_indices(path).any(|(at, _)| !line[..at].ends_with(inside))
        })
    })
}

fn on_lines<'a>(file: &File, found: impl Fn(&str) -> Option<&'a str>) -> Vec<String> {
    let lines = file.text.lines().enumerate();
    lines
        .filter_map(|(index, line)| {
            found(line).map(|what| format!("{}:{}: `{what}`", file.path, index + 1))
        })
        .collect()
}

/// `list` holds lines `PATH LINES REASON`.
fn long_files(files: &[File], list: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let mut known = Vec::new();
    for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut parts = line.splitn(3, ' ');
        let entry = (parts.next(), parts.next().and_then(|n| n.parse().ok()), parts.next());
        match entry {
            (Some(path), Some(lines), Some(_reason)) => known.push((path, lines)),
            _ => findings.push(format!("xtask/long-files.txt: `{line}` is not PATH LINES REASON")),
        }
    }
    for file in files.iter().filter(|file| file.is(".rs")) {
        let lines = file.text.lines().count();
        let allowed = known.iter().find(|(path, _)| *path == file.path).map(|(_, lines)| *lines);
        if lines > allowed.unwrap_or(LINES_MAX) {
            findings.push(format!(
                "{}: {lines} lines, and {} are the limit: are there two ideas in it?",
                file.path,
                allowed.unwrap_or(LINES_MAX)
            ));
        }
        if allowed.is_some() && lines <= LINES_MAX {
            findings.push(format!("{} is short now: take it off xtask/long-files.txt", file.path));
        }
    }
    let is_gone = |path: &str| files.iter().all(|file| file.path != path);
    let gone = known.iter().filter(|(path, _)| is_gone(path));
    findings.extend(gone.map(|(path, _)| format!("xtask/long-files.txt: there is no {path}")));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.into(), text: text.into() }
    }

    #[test]
    fn a_manifest_describes_and_lints() {
        let good = "[package]\nname = \"x\"\ndescription = \"Y.\"\n[lints]\nworkspace = true\n";
        assert!(manifest(&file("crates/x/Cargo.toml", good)).is_empty());
        let bad = "[package]\nname = \"x\"\n[lib]\nworkspace = true\ndescription = \"Y.\"\n";
        assert_eq!(manifest(&file("crates/x/Cargo.toml", bad)).len(), 2);
    }

    #[test]
    fn marks_and_stray_paths_are_found_with_their_lines() {
        let text = format!("a\n{}()\n", MARKS[0]);
        assert_eq!(marks(&file("a.rs", &text)), [format!("a.rs:2: `{}`", MARKS[0])]);
        let stray = format!(
            "see {}x and ~{}y and /home{}z",
            STRAY_PATHS[1], STRAY_PATHS[1], STRAY_PATHS[0]
        );
        assert_eq!(stray_paths(&file("a.md", &stray)).len(), 1);
        let fine = format!("~{}y and /home{}z", STRAY_PATHS[1], STRAY_PATHS[0]);
        assert_eq!(stray_paths(&file("a.md", &fine)).len(), 0);
    }

    #[test]
    fn long_files_only_shrink() {
        let of = |lines: usize| file("a.rs", &"x\n".repeat(lines));
        assert!(long_files(&[of(700)], "").is_empty());
        assert_eq!(long_files(&[of(701)], "").len(), 1);
        assert!(long_files(&[of(800)], "# list\na.rs 800 because\n").is_empty());
        assert_eq!(long_files(&[of(801)], "a.rs 800 because\n").len(), 1);
        assert_eq!(long_files(&[of(700)], "a.rs 800 because\n").len(), 1);
        assert_eq!(long_files(&[], "a.rs 800 because\nb.rs many\n").len(), 2);
    }
}
