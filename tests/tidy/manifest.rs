//! A `Cargo.toml` as the rules see it: who depends on whom, and from where versions come.
//!
//! It deliberately is no TOML parser: it reads manifests as we write them, one dependency a line.

/// One dependency as one manifest declares it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    /// The crate's name, also where it is renamed.
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) optional: bool,
    /// Needed only by tests and benchmarks.
    pub(crate) dev: bool,
    /// Takes its version from the workspace.
    pub(crate) inherited: bool,
}

/// What the rules need of one manifest.
pub(crate) struct Manifest {
    /// Relative to the root.
    pub(crate) path: String,
    /// Empty in the virtual manifest at the root.
    pub(crate) package: String,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) inherits_lints: bool,
}

impl Manifest {
    pub(crate) fn parse(path: &str, text: &str) -> Manifest {
        let mut manifest = Manifest {
            path: path.to_owned(),
            package: String::new(),
            dependencies: Vec::new(),
            inherits_lints: false,
        };
        let mut section = String::new();
        for (index, line) in text.lines().enumerate() {
            if let Some(header) = line.strip_prefix('[') {
                section = header.trim_end().trim_end_matches(']').to_owned();
                manifest
                    .dependencies
                    .extend(from_header(&section, index + 1));
            } else if let Some((key, value)) = key_and_value(line) {
                if section == "package" && key == "name" {
                    manifest.package = value.trim_matches('"').to_owned();
                } else if section == "lints" && key == "workspace" {
                    manifest.inherits_lints = value == "true";
                } else if is_dependencies(&section) {
                    manifest
                        .dependencies
                        .push(from_line(&section, index + 1, key, value));
                }
            }
        }
        manifest
    }
}

/// Keys begin a line; what is indented continues the value above.
fn key_and_value(line: &str) -> Option<(&str, &str)> {
    if !line.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
        return None;
    }
    let (key, value) = line.split_once('=')?;
    Some((key.trim(), value.trim()))
}

/// True of `dependencies`, with any prefix: `dev-`, `workspace.`, `target.'cfg(..)'.`.
fn is_dependencies(section: &str) -> bool {
    section.ends_with("dependencies")
}

/// `[dependencies.name]`: a section for one dependency. It counts as required and not inherited.
fn from_header(section: &str, line: usize) -> Option<Dependency> {
    let (table, name) = section.rsplit_once("dependencies.")?;
    let dev = table.ends_with("dev-");
    Some(Dependency {
        name: name.to_owned(),
        line,
        optional: false,
        dev,
        inherited: false,
    })
}

fn from_line(section: &str, line: usize, key: &str, value: &str) -> Dependency {
    let key_name = key.split('.').next().unwrap_or(key);
    Dependency {
        name: renamed(value).unwrap_or(key_name).to_owned(),
        line,
        optional: value.contains("optional = true"),
        dev: section.ends_with("dev-dependencies"),
        inherited: key.ends_with(".workspace") || value.contains("workspace = true"),
    }
}

/// The crate behind `alias = { package = "name", .. }`.
fn renamed(value: &str) -> Option<&str> {
    let (_, rest) = value.split_once("package = \"")?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"[package]
name = "raft-log"

[dependencies]
bytes.workspace = true
serde = { workspace = true, optional = true }
log = { package = "raft-net", version = "1", features = [
    "x = y",
] }
[dev-dependencies]
tempfile = "3"
[target.'cfg(unix)'.dependencies]
rustix.workspace = true
[dependencies.tokio]
version = "1"
[lints]
workspace = true
"#;

    #[test]
    fn every_form_of_dependency_is_seen() {
        let manifest = Manifest::parse("raft-log/Cargo.toml", SAMPLE);
        let row = |dependency: &Dependency| {
            let Dependency {
                name,
                line,
                optional,
                dev,
                inherited,
            } = dependency;
            (name.clone(), *line, *optional, *dev, *inherited)
        };
        let rows: Vec<_> = manifest.dependencies.iter().map(row).collect();
        let expected = [
            ("bytes".to_owned(), 5, false, false, true),
            ("serde".to_owned(), 6, true, false, true),
            ("raft-net".to_owned(), 7, false, false, false),
            ("tempfile".to_owned(), 11, false, true, false),
            ("rustix".to_owned(), 13, false, false, true),
            ("tokio".to_owned(), 14, false, false, false),
        ];
        assert_eq!(rows, expected);
        assert_eq!(manifest.package, "raft-log");
        assert!(manifest.inherits_lints);
    }
}
