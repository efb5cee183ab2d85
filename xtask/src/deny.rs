//! The dependency tree against `deny.toml`: licences, banned crates, crates that must be one.
//!
//! `cargo deny` reads the same file and knows more (advisories, sources); this reads the part that
//! must hold on a machine that has only Rust. Every entry there carries its reason.

use std::collections::{BTreeMap, BTreeSet};

use crate::workspace::Package;

/// Crates of which the tree may hold one version: each brings state or code that must be single.
const ONE_VERSION: &[(&str, &str)] = &[
    ("libsqlite3-sys", "one SQLite"),
    ("rusqlite", "one SQLite"),
    ("rustls", "one TLS stack"),
    ("ring", "one cryptographic provider of TLS"),
    ("jiff", "one time crate"),
    ("serde", "one way to serialise"),
];

/// What `deny.toml` says, as far as we read it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    licences: BTreeSet<String>,
    banned: BTreeMap<String, String>,
}

impl Rules {
    /// Reads the lists `[licenses] allow` and `[bans] deny`, one entry a line.
    ///
    /// # Errors
    /// An entry without a reason.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut rules = Self::default();
        let (mut section, mut list) = (String::new(), String::new());
        for (index, line) in text.lines().enumerate() {
            let (line, number) = (line.trim(), index + 1);
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
                && list.is_empty()
            {
                name.clone_into(&mut section);
            } else if list.is_empty() && line.ends_with('[') {
                list = line.split('=').next().unwrap_or_default().trim().to_owned();
            } else if line == "]" {
                list.clear();
            } else if (section.as_str(), list.as_str()) == ("licenses", "allow") {
                let Some(name) = quoted(line) else { continue };
                if !line.contains('#') {
                    return Err(format!("deny.toml:{number}: {name} is allowed without a reason"));
                }
                rules.licences.insert(name.to_owned());
            } else if (section.as_str(), list.as_str()) == ("bans", "deny") {
                let Some(name) = quoted(line) else { continue };
                let reason = line.split_once("reason").and_then(|(_, rest)| quoted(rest));
                let Some(reason) = reason else {
                    return Err(format!("deny.toml:{number}: {name} is banned without a reason"));
                };
                rules.banned.insert(name.to_owned(), reason.to_owned());
            }
        }
        Ok(rules)
    }

    /// Checks every package.
    ///
    /// # Errors
    /// What is against the rules, one line each.
    pub(crate) fn check(&self, packages: &[Package]) -> Result<(), Vec<String>> {
        let mut findings = Vec::new();
        for package in packages {
            let name = format!("{} {}", package.name, package.version);
            match &package.licence {
                None => findings.push(format!("{name} states no licence")),
                Some(text) => match allows(text, &self.licences) {
                    Ok(true) => {}
                    Ok(false) => findings
                        .push(format!("{name} is under `{text}`, which deny.toml does not allow")),
                    Err(error) => findings.push(format!("{name}: the licence `{text}`: {error}")),
                },
            }
            if let Some(reason) = self.banned.get(&package.name) {
                findings.push(format!("{name} is banned: {reason}"));
            }
        }
        for (name, reason) in ONE_VERSION {
            let versions: BTreeSet<&str> = packages
                .iter()
                .filter(|package| package.name == *name)
                .map(|package| package.version.as_str())
                .collect();
            if versions.len() > 1 {
                let versions: Vec<&str> = versions.into_iter().collect();
                findings.push(format!("{name} is there as {}: {reason}", versions.join(" and ")));
            }
        }
        if findings.is_empty() { Ok(()) } else { Err(findings) }
    }
}

fn quoted(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('"')?;
    rest.split_once('"').map(|(inside, _)| inside)
}

/// True if a licence expression can be met with the allowed licences alone.
///
/// The grammar of SPDX, as far as crates use it: `OR` (also the old `/`), `AND`, `WITH`, brackets.
fn allows(expression: &str, allowed: &BTreeSet<String>) -> Result<bool, String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut tokens: Vec<&str> = spaced.split_whitespace().collect();
    tokens.reverse();
    let is_allowed = any(&mut tokens, allowed)?;
    match tokens.last() {
        None => Ok(is_allowed),
        Some(token) => Err(format!("`{token}` is not expected there")),
    }
}

fn any(tokens: &mut Vec<&str>, allowed: &BTreeSet<String>) -> Result<bool, String> {
    let mut is_allowed = all(tokens, allowed)?;
    while tokens.last() == Some(&"OR") {
        tokens.pop();
        is_allowed |= all(tokens, allowed)?;
    }
    Ok(is_allowed)
}

fn all(tokens: &mut Vec<&str>, allowed: &BTreeSet<String>) -> Result<bool, String> {
    let mut is_allowed = one(tokens, allowed)?;
    while tokens.last() == Some(&"AND") {
        tokens.pop();
        is_allowed &= one(tokens, allowed)?;
    }
    Ok(is_allowed)
}

fn one(tokens: &mut Vec<&str>, allowed: &BTreeSet<String>) -> Result<bool, String> {
    match tokens.pop() {
        Some("(") => {
            let is_allowed = any(tokens, allowed)?;
            if tokens.pop() == Some(")") { Ok(is_allowed) } else { Err("a bracket is open".into()) }
        }
        Some(licence) if !matches!(licence, ")" | "OR" | "AND" | "WITH") => {
            let mut name = licence.to_owned();
            if tokens.last() == Some(&"WITH") {
                tokens.pop();
                let exception = tokens.pop().ok_or("no exception after WITH")?;
                name = format!("{name} WITH {exception}");
            }
            Ok(allowed.contains(&name))
        }
        other => Err(format!("`{}` is not a licence", other.unwrap_or("nothing"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
[graph]
all-features = true

[licenses]
# Ours, and most of the world's.
allow = [
    "MIT", # ours
    "Apache-2.0", # ours
    "Apache-2.0 WITH LLVM-exception", # more permissive than without
]

[bans]
multiple-versions = "allow"
deny = [
    { crate = "openssl", reason = "one TLS stack" },
]
"#;

    fn package(name: &str, version: &str, licence: Option<&str>) -> Package {
        Package {
            name: name.into(),
            version: version.into(),
            licence: licence.map(str::to_owned),
            is_ours: false,
            features: vec![],
            programs: vec![],
            tests: vec![],
        }
    }

    #[test]
    fn expressions_are_met_or_not() {
        let rules = Rules::read(FILE).unwrap();
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("MIT OR GPL-3.0", true),
            ("MIT AND GPL-3.0", false),
            ("MIT/Apache-2.0", true),
            ("(MIT OR GPL-3.0) AND Apache-2.0", true),
            ("GPL-3.0 OR MIT AND Apache-2.0", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("MIT WITH LLVM-exception", false),
        ] {
            assert_eq!(allows(expression, &rules.licences), Ok(expected), "{expression}");
        }
        for wrong in ["", "OR", "MIT OR", "(MIT", "MIT MIT", "MIT WITH"] {
            assert!(allows(wrong, &rules.licences).is_err(), "{wrong}");
        }
    }

    #[test]
    fn packages_against_the_rules_are_named() {
        let rules = Rules::read(FILE).unwrap();
        let packages = [
            package("good", "1.0.0", Some("MIT")),
            package("silent", "1.0.0", None),
            package("openssl", "0.1.0", Some("MIT")),
            package("rustls", "0.23.0", Some("MIT")),
            package("rustls", "0.24.0", Some("MIT")),
        ];
        let findings = rules.check(&packages).unwrap_err();
        assert_eq!(findings.len(), 3, "{findings:?}");
        assert_eq!(rules.check(&packages[..1]), Ok(()));
    }

    #[test]
    fn an_entry_needs_its_reason() {
        assert!(Rules::read("[licenses]\nallow = [\n\"MIT\",\n]\n").is_err());
        assert!(Rules::read("[bans]\ndeny = [\n{ crate = \"x\" },\n]\n").is_err());
    }

    #[test]
    fn the_real_file_can_be_read() {
        let rules = Rules::read(include_str!("../../deny.toml")).unwrap();
        assert!(rules.licences.contains("MIT") && rules.banned.contains_key("aws-lc-rs"));
    }
}
