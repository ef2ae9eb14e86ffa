//! The command line as clap has it, and the examples of its help.

use clap::{Args, Command, FromArgMatches};

use crate::server::config::merged::Environment;
use crate::server::config::table::SETTINGS;
use crate::server::config::{ServerArgs, ServerConfig, help};

fn command() -> Command {
    ServerArgs::augment_args(Command::new("server").no_binary_name(true))
}

fn parse(line: &[&str]) -> Result<ServerArgs, clap::Error> {
    let matches = command().try_get_matches_from(line)?;
    ServerArgs::from_arg_matches(&matches)
}

fn resolve(line: &[&str]) -> ServerConfig {
    let mut line = line.to_vec();
    line.push("--engine=memory");
    let args = parse(&line).unwrap();
    args.resolve_in(&Environment::new()).unwrap()
}

#[test]
fn the_command_is_sound() {
    command().debug_assert();
}

#[test]
fn flags_are_written_as_go_has_them() {
    let config = resolve(&["--name", "n1", "--max-txn-ops=7", "--replace-member"]);
    assert_eq!(config.name, "n1");
    assert_eq!(config.limits.txn_ops, 7);
    assert!(config.cluster.replace);
    assert!(!resolve(&["--replace-member=false"]).cluster.replace);
    assert_eq!(resolve(&["--name", "n1", "--name", "n2"]).name, "n2");
    assert_eq!(resolve(&["--quota-backend-bytes", "-1"]).quota_bytes, 0);
    assert_eq!(resolve(&["--pre-vote=false"]).warnings.len(), 1);
    assert!(resolve(&["--pre-vote"]).warnings.is_empty());
    assert!(parse(&["--nane", "n1"]).is_err());
    assert!(parse(&["n1"]).is_err());
}

#[test]
fn help_names_every_setting_and_its_default() {
    let help = command().term_width(100).render_long_help().to_string();
    for setting in SETTINGS {
        let flag = format!("--{} ", setting.name);
        let switch = format!("--{}[=", setting.name);
        assert!(help.contains(&flag) || help.contains(&switch), "{flag}");
        assert!(help.contains(setting.group.heading()), "{flag}");
    }
    assert!(help.contains("[default: http://localhost:2379]"));
    assert!(
        !help.contains("--force-new-cluster"),
        "etcd's others are not for help"
    );
}

#[test]
fn the_examples_of_help_are_good() {
    let joined = help::LONG.replace("\\\n", " ");
    let begin = "raft-cli server";
    let lines = joined.lines().map(str::trim);
    let examples: Vec<&str> = lines.filter(|line| line.starts_with(begin)).collect();
    assert_eq!(examples.len(), 7);
    for example in examples {
        let line = example[begin.len()..].split('>').next().unwrap();
        let mut words: Vec<&str> = line.split_whitespace().collect();
        // A file that an example made before.
        words.retain(|word| *word != "--config-file" && *word != "n1.toml");
        let warnings = resolve(&words).warnings;
        assert!(warnings.is_empty(), "{example}: {warnings:?}");
    }
}
