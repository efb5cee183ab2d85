//! Links of the documents: every one inside the project must lead somewhere.

use std::collections::{BTreeMap, BTreeSet};

use crate::workspace::{File, root};

/// Checks the links of all Markdown files, and the documents that sources cite.
///
/// # Errors
/// The links that lead nowhere, one line each.
pub(crate) fn check(files: &[File]) -> Result<(), Vec<String>> {
    let documents: BTreeMap<&str, BTreeSet<String>> = files
        .iter()
        .filter(|file| file.is(".md"))
        .map(|file| (file.path.as_str(), anchors(&file.text)))
        .collect();
    let mut findings = Vec::new();
    for file in files {
        if file.is(".md") {
            for (line, target) in targets(&file.text) {
                if let Some(problem) = problem(&file.path, &target, &documents) {
                    findings.push(format!("{}:{line}: the link `{target}` {problem}", file.path));
                }
            }
        } else if file.is(".rs") && !file.path.starts_with("xtask/") {
            for (line, path) in cited_documents(&file.text) {
                if !documents.contains_key(path.as_str()) {
                    findings.push(format!("{}:{line}: there is no {path}", file.path));
                }
            }
        }
    }
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}

fn problem(
    from: &str,
    target: &str,
    documents: &BTreeMap<&str, BTreeSet<String>>,
) -> Option<&'static str> {
    let is_elsewhere = ["http://", "https://", "mailto:"].iter().any(|it| target.starts_with(it));
    if is_elsewhere {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if path.is_empty() { from.to_owned() } else { resolve(from, path) };
    match documents.get(path.as_str()) {
        Some(anchors) if !anchor.is_empty() && !anchors.contains(anchor) => {
            Some("names a heading that is not there")
        }
        None if !root().join(&path).exists() => Some("leads nowhere"),
        _ => None,
    }
}

/// The path that `link` means in the document `from`.
fn resolve(from: &str, link: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Link targets with their lines; code is no link.
fn targets(markdown: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut is_code = false;
    for (index, line) in markdown.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
            continue;
        }
        if is_code {
            continue;
        }
        let prose: String = line
            .split('`')
            .enumerate()
            .map(|(n, part)| if n % 2 == 0 { part } else { "x" })
            .collect();
        for (at, _) in prose.match_indices("](") {
            let rest = &prose[at + 2..];
            let end = rest.find(')').unwrap_or(rest.len());
            let target = rest[..end].split_whitespace().next().unwrap_or_default();
            found.push((index + 1, target.to_owned()));
        }
    }
    found
}

/// The anchors of a document's headings, as the web pages of code hosts make them.
fn anchors(markdown: &str) -> BTreeSet<String> {
    let mut is_code = false;
    let mut anchors = BTreeSet::new();
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code && line.starts_with('#') {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            anchors.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
        }
    }
    anchors
}

/// Documents below `docs/` that a source names.
fn cited_documents(source: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, line) in source.lines().enumerate() {
        for (at, _) in line.match_indices("docs/") {
            let is_other =
                line[..at].ends_with(|c: char| c.is_alphanumeric() || "/.-_".contains(c));
            let end = line[at..].find(|c: char| !(c.is_alphanumeric() || "/.-_".contains(c)));
            let path = line[at..].get(..end.unwrap_or(line.len() - at)).unwrap_or_default();
            if !is_other && path.ends_with(".md") {
                found.push((index + 1, path.to_owned()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_outside_code_are_found() {
        let text = "See [a](b.md) and [c](d/e.md#f \"title\").\n```\n[x](y)\n```\n`[x](y)` [z](#w)";
        let expected = [(1, "b.md"), (1, "d/e.md#f"), (5, "#w")].map(|(n, t)| (n, t.to_owned()));
        assert_eq!(targets(text), expected);
    }

    #[test]
    fn paths_are_taken_from_the_document() {
        assert_eq!(resolve("docs/protocol/README.md", "../guide/x.md"), "docs/guide/x.md");
        assert_eq!(resolve("README.md", "./docs/"), "docs");
    }

    #[test]
    fn headings_become_anchors() {
        let text = "# The house\n```\n# no\n```\n## 2. A `code`, and more\n";
        let anchors: Vec<String> = anchors(text).into_iter().collect();
        assert_eq!(anchors, ["2-a-code-and-more", "the-house"]);
    }

    #[test]
    fn links_are_judged() {
        let documents = BTreeMap::from([("docs/a.md", BTreeSet::from(["here".to_owned()]))]);
        assert_eq!(problem("docs/a.md", "#here", &documents), None);
        assert!(problem("docs/a.md", "#there", &documents).is_some());
        assert!(problem("docs/a.md", "nowhere.md", &documents).is_some());
        assert_eq!(problem("docs/a.md", "https://example.org/x.md#y", &documents), None);
        assert_eq!(problem("docs/a.md", "../deny.toml", &documents), None);
    }

    #[test]
    fn sources_cite_documents() {
        let source = "//! See `docs/protocol/feed.md`, section 3.\n// https://x.org/docs/y.md\n";
        assert_eq!(cited_documents(source), [(1, "docs/protocol/feed.md".to_owned())]);
    }
}
