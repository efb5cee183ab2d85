//! The pure crates reach no runtime, file, socket, clock or randomness.
//!
//! Two looks, since each alone can be deceived: the dependency tree against a list of crates that
//! do such things, and the sources against what `std` offers for them. Tests may do as they like.

use std::collections::BTreeSet;

use crate::source::{code_only, line_of, without_tests, words};
use crate::workspace::{File, cargo};

/// A crate that must stay pure.
struct Pure {
    folder: &'static str,
    package: &'static str,
    /// Crates of [`OUTSIDE`] that this one may use all the same, because of how it uses them.
    but: &'static [&'static str],
}

const PURE: &[Pure] = &[
    Pure { folder: "core", package: "tandem-core", but: &[] },
    Pure { folder: "seal", package: "tandem-seal", but: &[] },
    Pure { folder: "tasks", package: "tandem-tasks", but: &[] },
    Pure { folder: "exchange", package: "tandem-exchange", but: &[] },
    // Calendar arithmetic: without its `std` feature jiff can read neither clock nor zone file.
    Pure { folder: "words", package: "tandem-words", but: &["jiff"] },
];

/// Crates that reach outside. A name ending in `*` stands for all that begin so.
const OUTSIDE: &[&str] = &[
    // Runtimes and sockets.
    "tokio*",
    "async-std",
    "smol",
    "mio",
    "polling",
    "socket2",
    "hyper*",
    "ureq*",
    "reqwest",
    "rustls*",
    "native-tls",
    "openssl*",
    "ring",
    "aws-lc-*",
    "curl*",
    // Randomness. (`rand_core` is traits only.)
    "rand",
    "rand_chacha",
    "rand_pcg",
    "getrandom",
    "fastrand",
    "oorandom",
    "ahash",
    // Clocks and time zones.
    "time",
    "chrono",
    "jiff",
    "jiff-tzdb-platform",
    "iana-time-zone",
    "humantime",
    "quanta",
    // Files, databases and terminals.
    "rusqlite",
    "libsqlite3-sys",
    "sqlx*",
    "tempfile",
    "memmap2",
    "walkdir",
    "dirs*",
    "etcetera",
    "rustix",
    "nix",
    "console",
    "indicatif",
    "crossterm",
    // Our own shells.
    "tandem-replica",
    "tandem-remote",
    "tandem-client",
    "tandem-settings",
    "tandem-cli",
    "tandem-server",
    "tandem-testkit",
];

/// Modules of `std` that reach outside, or hide randomness in threads' timing.
const MODULES: &[&str] = &["fs", "net", "env", "process", "thread", "os"];

/// Names that reach outside, wherever they come from.
const NAMES: &[&str] = &[
    "SystemTime",
    "RandomState",
    "stdin",
    "stdout",
    "stderr",
    "println",
    "eprintln",
    "print",
    "eprint",
    "extern crate",
];

/// Checks all pure crates.
///
/// # Errors
/// What reaches outside, one line each.
pub(crate) fn check(files: &[File]) -> Result<(), Vec<String>> {
    let mut findings = Vec::new();
    for pure in PURE {
        match dependencies(pure.package) {
            Ok(names) => {
                findings.extend(outside(&names, pure.but).map(|name| {
                    format!("{} depends on {name}, which reaches outside", pure.package)
                }))
            }
            Err(error) => findings.push(error),
        }
        let folder = format!("crates/{}/src/", pure.folder);
        let sources = files.iter().filter(|file| file.is(".rs") && file.path.starts_with(&folder));
        for file in sources.filter(|file| !is_test_file(&file.path)) {
            for (line, what) in reaches(&file.text) {
                findings.push(format!("{}:{line}: {what} in a pure crate", file.path));
            }
        }
    }
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}

fn dependencies(package: &str) -> Result<BTreeSet<String>, String> {
    let arguments = ["tree", "--locked", "--prefix", "none", "--edges", "normal", "-p", package];
    let output = cargo(arguments).output().map_err(|error| format!("cargo tree: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned());
    }
    Ok(tree_names(&String::from_utf8_lossy(&output.stdout), package))
}

/// The crates that `cargo tree --prefix none` lists, without the package itself.
fn tree_names(tree: &str, package: &str) -> BTreeSet<String> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != package && !name.starts_with('[')).map(str::to_owned).collect()
}

fn outside<'a>(names: &'a BTreeSet<String>, but: &'a [&str]) -> impl Iterator<Item = &'a String> {
    names.iter().filter(move |name| {
        let fits = |pattern: &&str| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == pattern,
        };
        OUTSIDE.iter().any(fits) && !but.contains(&name.as_str())
    })
}

fn is_test_file(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "testing.rs"))
}

/// Where a source reaches outside: line and what.
fn reaches(source: &str) -> Vec<(usize, String)> {
    let code = without_tests(&code_only(source));
    let mut found = Vec::new();
    for name in NAMES {
        found.extend(words(&code, name).map(|at| (line_of(&code, at), format!("`{name}`"))));
    }
    for at in words(&code, "std") {
        let Some(path) = code[at + 3..].trim_start().strip_prefix("::") else { continue };
        for module in first_segments(path.trim_start()) {
            let is_clock = module == "time" && words(imported(path), "Instant").next().is_some();
            if MODULES.contains(&module.as_str()) || is_clock {
                found.push((line_of(&code, at), format!("`std::{module}`")));
            }
        }
    }
    for (name, arguments) in [("HashMap", 3), ("HashSet", 2)] {
        let random =
            words(&code, name).filter(|at| is_randomly_hashed(&code[at + name.len()..], arguments));
        found.extend(
            random.map(|at| (line_of(&code, at), format!("`{name}` with its random hasher"))),
        );
    }
    found.sort();
    found
}

/// What a path goes on with, up to the end of its statement.
fn imported(path: &str) -> &str {
    &path[..path.find([';', '(']).unwrap_or(path.len())]
}

/// The first names of what follows `std::`: one, or those of a group in braces.
fn first_segments(path: &str) -> Vec<String> {
    let first = |text: &str| -> String {
        text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = path.strip_prefix('{') else { return vec![first(path)] };
    let mut depth = 0_usize;
    let mut segments = vec![String::new()];
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                segments.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(segment) = segments.last_mut() {
            segment.push(c);
        }
    }
    segments.iter().map(|segment| first(segment)).collect()
}

/// True for `HashMap<K, V>` and `HashMap::new()`, which hash with randomness; false for
/// `HashMap<K, V, S>` and for the bare name in a `use`.
fn is_randomly_hashed(after: &str, arguments_needed: usize) -> bool {
    let after = after.trim_start();
    if let Some(path) = after.strip_prefix("::") {
        // `HashMap::<…>` is judged by its arguments, `HashMap::new` makes a random hasher.
        return !path.trim_start().starts_with('<')
            || is_randomly_hashed(path.trim_start(), arguments_needed);
    }
    let Some(arguments) = after.strip_prefix('<') else { return false };
    let (mut depth, mut count, mut previous) = (0_i32, 1, ' ');
    for c in arguments.chars() {
        match c {
            '>' if previous == '-' => {}
            '>' if depth == 0 => break,
            '<' | '(' | '[' => depth += 1,
            '>' | ')' | ']' => depth -= 1,
            ',' if depth == 0 => count += 1,
            _ => {}
        }
        previous = c;
    }
    count < arguments_needed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_read() {
        let tree =
            "tandem-core v0.1.0 (/x/crates/core)\nserde v1.0.0\nuuid v1.2.3\nserde v1.0.0 (*)\n";
        let names: Vec<String> = tree_names(tree, "tandem-core").into_iter().collect();
        assert_eq!(names, ["serde", "uuid"]);
    }

    #[test]
    fn crates_that_reach_outside_are_named() {
        let names: BTreeSet<String> =
            ["serde", "jiff", "tokio-util", "rand_core"].map(String::from).into();
        assert_eq!(outside(&names, &[]).collect::<Vec<_>>(), ["jiff", "tokio-util"]);
        assert_eq!(outside(&names, &["jiff"]).collect::<Vec<_>>(), ["tokio-util"]);
    }

    #[test]
    fn what_reaches_outside_is_found() {
        for source in [
            "use std::fs;",
            "use std::fs::File;",
            "use std::{collections::BTreeMap, net::{TcpStream, UdpSocket}};",
            "let home = std::env::var(\"HOME\");",
            "use std::time::{Duration, SystemTime};",
            "use std::time::Instant;",
            "use std::{fmt, time::{Duration, Instant}};",
            "std::thread::spawn(f);",
            "let m = HashMap::new();",
            "fn f(m: &HashMap<K, V>) {}",
            "let s: HashSet<Vec<(A, B)>> = x;",
            "let m = i.collect::<HashMap<_, fn(A) -> B>>();",
            "println!(\"x\");",
        ] {
            assert_eq!(reaches(source).len(), 1, "{source}: {:?}", reaches(source));
        }
    }

    #[test]
    fn what_stays_inside_passes() {
        for source in [
            "use std::collections::HashMap;\ntype Map<K, V> = HashMap<K, V, BuildHasherDefault<D>>;",
            "type S = HashSet<(A, B), D>;",
            "// std::fs is not for us\nlet a = \"std::net\";",
            "#[cfg(test)]\nmod tests { use std::fs; fn f() { let t = Instant::now(); } }",
            "use std::{fmt, str::FromStr, time::Duration};\nuse crate::Instant;",
            "use crate::fs; let stdx = std::mem::take(&mut env);",
        ] {
            assert_eq!(reaches(source), [], "{source}");
        }
    }
}
