//! The Debian package: what it says of itself, what its scripts look like, and that a package comes
//! of it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{packaging, read, root, said, tool};

fn debian() -> PathBuf {
    packaging().join("debian")
}

/// The paragraphs of a control file: fields with their continued lines.
fn paragraphs(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut found = vec![BTreeMap::new()];
    let mut name = String::new();
    for line in text.lines() {
        let last = found.last_mut().expect("there is one from the start");
        if line.is_empty() {
            found.push(BTreeMap::new());
        } else if line.starts_with(' ') {
            let field: &mut String = last
                .get_mut(&name)
                .unwrap_or_else(|| panic!("continues nothing: {line}"));
            field.push('\n');
            field.push_str(line);
        } else {
            let (field, value) = line
                .split_once(':')
                .unwrap_or_else(|| panic!("no field: {line}"));
            field.clone_into(&mut name);
            let before = last.insert(field.to_owned(), value.trim().to_owned());
            assert!(before.is_none(), "{field} stands twice");
        }
    }
    found.retain(|paragraph| !paragraph.is_empty());
    found
}

#[test]
fn the_control_file_has_what_debian_asks_for() {
    let text = read(&debian().join("control"));
    let paragraphs = paragraphs(&text);
    let [source, package] = paragraphs.as_slice() else {
        panic!("{} paragraphs", paragraphs.len());
    };
    for field in [
        "Source",
        "Section",
        "Priority",
        "Maintainer",
        "Standards-Version",
    ] {
        assert!(source.contains_key(field), "no {field} of the source");
    }
    for field in ["Package", "Architecture", "Depends", "Description"] {
        assert!(package.contains_key(field), "no {field} of the package");
    }
    assert!(source["Maintainer"].starts_with("The Raft developers <"));
    // The script that is run after the installation calls it.
    assert!(package["Depends"].contains("adduser"));
    let mut description = package["Description"].lines();
    let title = description.next().unwrap();
    assert!(title.len() <= 80 && !title.ends_with('.'), "{title}");
    for line in description {
        assert!(line.len() <= 80, "{line}");
    }
}

#[test]
fn the_changelog_begins_with_the_version_of_the_workspace() {
    let text = read(&debian().join("changelog"));
    let first = text.lines().next().unwrap();
    let manifest: toml::Table = read(&root().join("Cargo.toml")).parse().unwrap();
    let version = manifest["workspace"]["package"]["version"]
        .as_str()
        .unwrap();
    assert!(
        first.starts_with(&format!("raft-cli ({version}-")),
        "{first}"
    );
    let last = text.lines().last().unwrap();
    assert!(last.starts_with(" -- The Raft developers <"), "{last}");
    let (_, date) = last.split_once(">  ").expect("two spaces before the date");
    assert_eq!(date.split_whitespace().count(), 6, "{date}");
}

const SCRIPTS: [&str; 4] = ["build", "postinst", "prerm", "postrm"];

#[test]
fn its_scripts_can_be_run() {
    for name in SCRIPTS {
        let path = debian().join(name);
        let text = read(&path);
        assert!(text.starts_with("#!/bin/sh\n"), "{name}");
        assert!(
            text.lines().any(|line| line.starts_with("set -e")),
            "{name} goes on after errors"
        );
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_ne!(mode & 0o111, 0, "{name} is not executable");
        let output = Command::new("sh").arg("-n").arg(&path).output().unwrap();
        assert!(output.status.success(), "{name}: {}", said(&output));
    }
}

#[test]
fn its_rules_are_a_makefile_with_the_targets_of_the_policy() {
    let rules = debian().join("rules");
    for target in ["build", "build-arch", "build-indep", "binary", "clean"] {
        let mut make = Command::new("make");
        make.arg("-n").arg("-f").arg(&rules).arg(target);
        let Some(output) = tool(&mut make, "nobody reads debian/rules") else {
            return;
        };
        assert!(output.status.success(), "{target}: {}", said(&output));
    }
}

#[test]
fn the_user_of_the_service_is_the_one_that_is_made() {
    let unit = read(&packaging().join("systemd/raft.service"));
    let script = read(&debian().join("postinst"));
    assert!(unit.contains("\nUser=raft\n"));
    assert!(script.contains("adduser --system --group"));
    assert!(script.contains("--home /var/lib/raft --no-create-home raft\n"));
    // Who installs has not said yet which cluster it is: nothing must start by itself.
    for word in ["enable", "start"] {
        let lines = script.lines().filter(|line| line.contains(word));
        for line in lines.filter(|line| !line.trim_start().starts_with(['#', 'e'])) {
            assert!(line.contains("try-restart"), "{line}");
        }
    }
}

/// A package around a stand-in for the program: which one does not matter to how it is packed.
fn package(into: &Path) -> Option<PathBuf> {
    let version = Command::new("dpkg-deb").arg("--version").output();
    if let Err(error) = version {
        eprintln!("skipped, dpkg-deb: {error}; no package is built");
        return None;
    }
    let output = Command::new("sh")
        .arg(debian().join("build"))
        .arg("/bin/sh")
        .arg(into)
        .output()
        .expect("it was there just now");
    assert!(output.status.success(), "{}", said(&output));
    let found = fs::read_dir(into)
        .expect("a directory")
        .next()
        .expect("a package");
    Some(found.expect("it can be read").path())
}

fn dpkg_deb(option: &str, package: &Path) -> String {
    let output = Command::new("dpkg-deb")
        .arg(option)
        .arg(package)
        .output()
        .expect("it was there just now");
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).expect("dpkg-deb writes text")
}

#[test]
fn a_package_comes_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let Some(package) = package(directory.path()) else {
        return;
    };
    let fields = paragraphs(&dpkg_deb("--field", &package)).remove(0);
    assert_eq!(fields["Package"], "raft-cli");
    assert!(fields["Version"].starts_with(env!("CARGO_PKG_VERSION")));
    assert!(fields["Depends"].contains("libc6"), "{}", fields["Depends"]);
    assert!(fields["Installed-Size"].parse::<u64>().unwrap() > 0);
    assert!(!fields.values().any(|value| value.contains('$')));

    let list = dpkg_deb("--contents", &package);
    let conffiles = read(&debian().join("conffiles"));
    let files = [
        "/usr/bin/raft-cli",
        "/usr/lib/systemd/system/raft.service",
        "/usr/share/doc/raft-cli/copyright",
    ];
    for file in files.into_iter().chain(conffiles.lines()) {
        let line = list
            .lines()
            .find(|line| line.ends_with(&format!(" .{file}")));
        let line = line.unwrap_or_else(|| panic!("no {file} in\n{list}"));
        assert!(line.contains(" root/root "), "{line}");
    }
    // All below /etc is the operator's, so an upgrade must not write over it.
    for line in list.lines().filter(|line| line.starts_with('-')) {
        if let Some((_, file)) = line.split_once(" ./etc/") {
            let file = format!("/etc/{file}");
            assert!(conffiles.lines().any(|one| one == file), "{file}");
        }
    }
}
