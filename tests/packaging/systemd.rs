//! The systemd unit and the settings beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use super::{command_line, packaging, read, said, tool};

/// What the unit exposes at most, on the scale of `systemd-analyze security`: 0 is nothing, 10 all.
const EXPOSURE_MAX: f64 = 1.5;

/// Settings by section and name; one that is given twice keeps both values.
fn unit() -> BTreeMap<(String, String), Vec<String>> {
    let mut settings: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let mut section = String::new();
    for line in read(&packaging().join("systemd/raft.service")).lines() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[') {
            name.trim_end_matches(']').clone_into(&mut section);
        } else if !line.is_empty() && !line.starts_with('#') {
            let (name, value) = line
                .split_once('=')
                .unwrap_or_else(|| panic!("no setting: {line}"));
            settings
                .entry((section.clone(), name.to_owned()))
                .or_default()
                .push(value.to_owned());
        }
    }
    settings
}

#[test]
fn the_unit_says_what_the_server_relies_on() {
    let unit = unit();
    let check = |section: &str, name: &str, expected: &str| {
        let values = unit.get(&(section.to_owned(), name.to_owned()));
        let values = values.unwrap_or_else(|| panic!("{section}: no {name}"));
        assert_eq!(values, &[expected], "{section}: {name}");
    };
    check("Service", "Type", "notify");
    check("Service", "User", "raft");
    check("Service", "Group", "raft");
    check("Service", "StateDirectory", "raft");
    check("Service", "Restart", "on-failure");
    check("Service", "ExecReload", "/bin/kill -HUP $MAINPID");
    check("Service", "NoNewPrivileges", "true");
    check("Service", "ProtectSystem", "strict");
    check("Service", "CapabilityBoundingSet", "");
    check("Install", "WantedBy", "multi-user.target");
    let files = &unit[&("Service".to_owned(), "LimitNOFILE".to_owned())];
    assert!(files[0].parse::<u64>().unwrap() >= 65_536);
}

#[test]
fn what_the_unit_starts_is_understood() {
    let unit = unit();
    let start = &unit[&("Service".to_owned(), "ExecStart".to_owned())][0];
    let words: Vec<&str> = start.split_whitespace().collect();
    assert_eq!(words[0], "/usr/bin/raft-cli");
    command_line::check(&words, "ExecStart");
}

#[test]
fn systemd_finds_no_fault_with_the_unit() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("raft.service");
    let text = read(&packaging().join("systemd/raft.service"));
    // The program need not be installed here, and systemd insists that what it starts is there.
    assert!(text.contains("/usr/bin/raft-cli"));
    fs::write(&path, text.replace("/usr/bin/raft-cli", "/bin/sh")).unwrap();
    let instead = "the unit is checked by our own rules alone";
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no"]).arg(&path);
    let Some(output) = tool(&mut verify, instead) else {
        return;
    };
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "systemd-analyze verify: {}",
        said(&output)
    );
    check_exposure(&path);
}

fn check_exposure(path: &std::path::Path) {
    let mut security = Command::new("systemd-analyze");
    security
        .args(["security", "--offline=yes", "--no-pager"])
        .arg(path);
    let output = tool(&mut security, "nobody judges the hardening").expect("it was there just now");
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() && !report.contains("exposure level") {
        eprintln!(
            "skipped: this systemd judges no unit that is not loaded; {}",
            said(&output)
        );
        return;
    }
    let level = report
        .rsplit_once("exposure level for raft.service:")
        .and_then(|(_, level)| level.split_whitespace().next()?.parse::<f64>().ok())
        .unwrap_or_else(|| panic!("no level in {report}"));
    assert!(level <= EXPOSURE_MAX, "{level} is more than {EXPOSURE_MAX}");
}

/// Names of all settings in the file, those in comments too.
fn keys(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.lines()
        .filter_map(|line| line.trim_start_matches('#').split_once(" = "))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.chars().all(is_name))
        .collect()
}

#[test]
fn each_setting_of_the_file_is_a_flag_of_the_server() {
    let text = read(&packaging().join("systemd/raft.toml"));
    let known = command_line::server_flags();
    let keys = keys(&text);
    assert!(keys.contains("peer-cert-file") && keys.contains("data-dir"));
    let unknown: Vec<&String> = keys.difference(&known).collect();
    assert!(unknown.is_empty(), "raft.toml: {unknown:?}");
}

#[test]
fn the_server_accepts_the_file_as_it_is_and_with_all_of_it_switched_on() {
    let text = read(&packaging().join("systemd/raft.toml"));
    let all: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if setting.contains(" = ") && !setting.starts_with(' ') => {
                format!("{setting}\n")
            }
            Some(_) | None => format!("{line}\n"),
        })
        .collect();
    assert_ne!(all, text);
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().to_str().expect("temporary paths are text");
    for name in ["server.crt", "server.key", "peer.crt", "peer.key", "ca.crt"] {
        fs::write(format!("{directory}/{name}"), "").unwrap();
    }
    let all = all.replace("http://", "https://");
    let all = all.replace("/etc/raft/tls", directory);
    for (name, text) in [("as-it-is.toml", text), ("all.toml", all)] {
        let path = format!("{directory}/{name}");
        fs::write(&path, text).unwrap();
        command_line::check_server(&["raft-cli", "server", "--config-file", &path], name);
    }
}

#[test]
fn the_data_lies_in_the_directory_that_systemd_makes() {
    let settings: toml::Table = read(&packaging().join("systemd/raft.toml"))
        .parse()
        .unwrap();
    let directory = settings["data-dir"].as_str().unwrap();
    let unit = unit();
    let state = &unit[&("Service".to_owned(), "StateDirectory".to_owned())][0];
    assert_eq!(directory, format!("/var/lib/{state}"));
}
