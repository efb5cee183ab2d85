//! Where things are, and what cargo says about the workspace.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::json::{self, Json};

/// The folder of the whole project.
pub(crate) fn root() -> PathBuf {
    // Set by `cargo run`, so a moved checkout works; the compiled-in one serves a bare start.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .unwrap_or_else(|| OsString::from(env!("CARGO_MANIFEST_DIR")));
    Path::new(&manifest).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// The cargo that started us, run from the project's folder.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(arguments);
    command
}

/// A package of the dependency tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// The licence expression, if it states one.
    pub(crate) licence: Option<String>,
    /// True for the packages of this workspace.
    pub(crate) is_ours: bool,
    /// The features that it declares.
    pub(crate) features: Vec<String>,
    /// Names of its programs.
    pub(crate) programs: Vec<String>,
    /// Names of its test targets.
    pub(crate) tests: Vec<String>,
}

/// What `cargo metadata` tells.
#[derive(Debug)]
pub(crate) struct Metadata {
    /// Every package of the lock file.
    pub(crate) packages: Vec<Package>,
    /// Where builds go.
    pub(crate) target: PathBuf,
}

impl Metadata {
    /// Asks cargo.
    ///
    /// # Errors
    /// What cargo said, for instance that the lock file is out of date.
    pub(crate) fn load() -> Result<Self, String> {
        let output = cargo(["metadata", "--format-version", "1", "--locked"])
            .output()
            .map_err(|error| format!("cargo cannot be run: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned());
        }
        Self::read(&json::parse(&String::from_utf8_lossy(&output.stdout))?)
    }

    fn read(json: &Json) -> Result<Self, String> {
        let ours: Vec<&str> =
            json.get("workspace_members").list().iter().filter_map(Json::text).collect();
        let target = json.get("target_directory").text().ok_or("cargo names no target folder")?;
        let packages = json.get("packages").list().iter().map(|it| package(it, &ours)).collect();
        Ok(Self { packages, target: target.into() })
    }

    /// The packages of this workspace.
    pub(crate) fn ours(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.is_ours)
    }

    /// `package/feature` for each of our packages that declares one of these features.
    pub(crate) fn features(&self, names: &[&str]) -> Vec<String> {
        self.ours()
            .flat_map(|package| {
                let chosen = package.features.iter().filter(|name| names.contains(&name.as_str()));
                chosen.map(|feature| format!("{}/{feature}", package.name))
            })
            .collect()
    }
}

fn package(json: &Json, ours: &[&str]) -> Package {
    let text = |name: &str| json.get(name).text().map(str::to_owned);
    let targets = |kind: &str| {
        let is_kind =
            |target: &&Json| target.get("kind").list().iter().any(|it| it.text() == Some(kind));
        let found = json.get("targets").list().iter().filter(is_kind);
        found.filter_map(|target| target.get("name").text().map(str::to_owned)).collect()
    };
    Package {
        name: text("name").unwrap_or_default(),
        version: text("version").unwrap_or_default(),
        licence: text("license").filter(|licence| !licence.trim().is_empty()),
        is_ours: json.get("id").text().is_some_and(|id| ours.contains(&id)),
        features: json.get("features").members().iter().map(|(name, _)| name.clone()).collect(),
        programs: targets("bin"),
        tests: targets("test"),
    }
}

/// A file of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    /// Its path from the project's folder, with `/`.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
}

impl File {
    /// True if its name ends so.
    pub(crate) fn is(&self, extension: &str) -> bool {
        self.path.ends_with(extension)
    }
}

/// Folders that hold nothing of ours.
const SKIPPED: &[&str] = &["target", ".git", "corpus", "node_modules"];

/// Endings of the files that are text to us.
const TEXTS: &[&str] =
    &[".rs", ".toml", ".md", ".sql", ".sh", ".txt", ".json", ".c", ".yml", ".yaml", "/run"];

/// Every text file of the project, in order of path.
///
/// # Errors
/// The file or folder that cannot be read.
pub(crate) fn files() -> Result<Vec<File>, String> {
    let root = root();
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        let cannot = |error| format!("{} cannot be read: {error}", folder.display());
        for entry in fs::read_dir(&folder).map_err(cannot)? {
            let path = entry.map_err(cannot)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                if !SKIPPED.contains(&name.as_str()) {
                    folders.push(path);
                }
            } else {
                let inside = path.strip_prefix(&root).unwrap_or(&path);
                let shown = inside.to_string_lossy().replace('\\', "/");
                if TEXTS.iter().any(|ending| shown.ends_with(ending)) {
                    let text = fs::read(&path).map_err(|error| format!("{shown}: {error}"))?;
                    let text = String::from_utf8_lossy(&text).into_owned();
                    files.push(File { path: shown, text });
                }
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{
        "packages": [
            {"id": "path+file:///a#tandem-cli@0.1.0", "name": "tandem-cli", "version": "0.1.0",
             "license": "MIT OR Apache-2.0", "features": {"interop": [], "testing": ["x/y"]},
             "targets": [{"kind": ["bin"], "name": "ta"}, {"kind": ["test"], "name": "interop"}]},
            {"id": "registry+https://example.org/#serde@1.0.0", "name": "serde", "version": "1.0.0",
             "license": null, "features": {"testing": []}, "targets": []}
        ],
        "workspace_members": ["path+file:///a#tandem-cli@0.1.0"],
        "target_directory": "/a/target"
    }"#;

    #[test]
    fn metadata_names_our_packages_and_their_features() {
        let metadata = Metadata::read(&json::parse(METADATA).unwrap()).unwrap();
        assert_eq!(metadata.target, Path::new("/a/target"));
        assert_eq!(metadata.ours().count(), 1);
        assert_eq!(metadata.packages[1].licence, None);
        assert_eq!(metadata.packages[0].programs, ["ta"]);
        assert_eq!(metadata.packages[0].tests, ["interop"]);
        assert_eq!(metadata.features(&["testing"]), ["tandem-cli/testing"]);
    }
}
