//! The command line of `raft-cli server`, as the table of settings has it. Values stay texts here,
//! because the environment and the file have their say as well; and what is wrong with them is said
//! all at once, whichever source it came from.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::etcd_only::ETCD_ONLY;
use super::help;
use super::merged::{Environment, Flags, Merged, file_in};
use super::reader::Reader;
use super::table::{Fallback, Kind, SETTINGS, Setting};
use super::{ServerConfig, build, check, follow, print, rules};
use crate::exit::Exit;
use crate::out::{Out, say};
use crate::server::home::Home;

/// What somebody wrote on the command line.
#[derive(Clone, Debug, Default)]
pub struct ServerArgs {
    flags: Flags,
    config_file: Option<String>,
    question: Option<Question>,
}

/// What is asked of the settings, instead of a server that goes by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    /// Whether they are any good.
    Check,
    /// What they are.
    Print,
}

/// What there is to do.
#[derive(Debug)]
pub(crate) enum Task {
    /// A server is wanted.
    Run(Box<ServerConfig>),
    /// What was asked is answered.
    Answered,
}

const CONFIG_FILE: &str = "config-file";
const CHECK: &str = "check-config";
const PRINT: &str = "print-config";

impl ServerArgs {
    /// Flags by name, as if they were on a command line; for what starts servers by itself.
    #[must_use]
    pub fn of_flags<'a>(flags: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let flags = flags.into_iter();
        Self {
            flags: flags
                .map(|(name, text)| (name.to_owned(), text.to_owned()))
                .collect(),
            ..Self::default()
        }
    }

    /// Answers what is asked of the settings, or says what to run.
    pub(crate) fn task(self, out: &mut Out) -> Result<Task, Exit> {
        let Some(question) = self.question else {
            return Ok(Task::Run(Box::new(self.resolve()?)));
        };
        let settled = self.settle(&environment())?;
        if question == Question::Print {
            out.bytes(print::print(&settled.merged).as_bytes())?;
        }
        for warning in &settled.config.warnings {
            say(format_args!("Warning: {warning}"));
        }
        let mut errors = settled.errors;
        if question == Question::Check {
            errors.extend(check::files(&settled.config));
        }
        if errors.is_empty() && question == Question::Check {
            out.line("ok")?;
        }
        out.flush()?;
        refuse(&errors)?;
        Ok(Task::Answered)
    }

    /// What they come to, with the environment and the file that they name.
    pub(crate) fn resolve(self) -> Result<ServerConfig, Exit> {
        self.resolve_in(&environment())
    }

    /// The same in an environment of the caller's choice.
    pub(crate) fn resolve_in(&self, environment: &Environment) -> Result<ServerConfig, Exit> {
        let settled = self.settle(environment)?;
        refuse(&settled.errors)?;
        Ok(settled.config)
    }

    /// The level of the log as it is said by now: for whoever reads it again while a server runs.
    ///
    /// # Errors
    /// When the file can't be read any more. The level itself may be none.
    pub fn log_level(&self) -> Result<String, Exit> {
        Ok(self.settle(&environment())?.config.log.level)
    }

    fn settle(&self, environment: &Environment) -> Result<Settled, Exit> {
        let path = self.config_file.as_ref();
        let path = path.or_else(|| file_in(environment)).map(Path::new);
        let text = path.map(|path| {
            fs::read_to_string(path).map_err(|error| {
                let path = path.display();
                Exit::BadInput(anyhow::anyhow!("--{CONFIG_FILE}: {path}: {error}"))
            })
        });
        let text = text.transpose()?;
        let file = path.zip(text.as_deref());
        Ok(settle(Merged::new(&self.flags, environment, file)))
    }
}

/// Settings that were read and looked at, good or bad.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) config: ServerConfig,
    pub(super) merged: Merged,
    pub(super) errors: Vec<String>,
}

/// Reads what all sources say together.
pub(super) fn settle(mut merged: Merged) -> Settled {
    follow::fill_in(&mut merged);
    let mut errors = merged.errors.clone();
    let mut reader = Reader::new(&merged);
    let mut config = build::build(&mut reader);
    config.warnings.clone_from(&merged.warnings);
    let is_new = !Home::is_at(&config.data_dir);
    let told = rules::check(&mut reader, &config, is_new);
    errors.append(&mut reader.errors);
    config.warnings.extend(told);
    Settled {
        config,
        merged,
        errors,
    }
}

fn refuse(errors: &[String]) -> Result<(), Exit> {
    let (first, others) = match errors {
        [] => return Ok(()),
        [first, others @ ..] => (first, others),
    };
    if others.is_empty() {
        return Err(Exit::BadInput(anyhow::anyhow!("{first}")));
    }
    let mut text = format!("{} settings are wrong", errors.len());
    for error in errors {
        // Writing to a text does not fail.
        let _ = write!(text, "\n  {error}");
    }
    Err(Exit::BadInput(anyhow::anyhow!("{text}")))
}

/// What of the environment is text; the names of settings are.
fn environment() -> Environment {
    let all = std::env::vars_os();
    let texts = all.filter_map(|(name, text)| {
        let name = name.into_string().ok()?;
        Some((name, text.into_string().ok()?))
    });
    texts.collect()
}

impl clap::Args for ServerArgs {
    fn augment_args(command: Command) -> Command {
        let command = command
            .arg(file_arg())
            .arg(question_arg(
                CHECK,
                "Say whether the settings are any good, and end",
            ))
            .arg(question_arg(
                PRINT,
                "Print all settings as a file, and where each came from, and end",
            ))
            .after_help(help::SHORT)
            .after_long_help(help::LONG);
        let command = SETTINGS
            .iter()
            .fold(command, |command, setting| command.arg(arg(setting)));
        ETCD_ONLY.iter().fold(command, |command, flag| {
            let arg = Arg::new(flag.name).hide(true);
            command.arg(valued(arg, flag.name, flag.is_switch))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for ServerArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let ours = SETTINGS.iter().map(|setting| setting.name);
        let names = ours.chain(ETCD_ONLY.iter().map(|flag| flag.name));
        let flags = names.filter_map(|name| {
            let text = matches.get_one::<String>(name)?;
            Some((name.to_owned(), text.clone()))
        });
        let question = if matches.get_flag(CHECK) {
            Some(Question::Check)
        } else {
            matches.get_flag(PRINT).then_some(Question::Print)
        };
        Ok(Self {
            flags: flags.collect(),
            config_file: matches.get_one::<String>(CONFIG_FILE).cloned(),
            question,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn file_arg() -> Arg {
    Arg::new(CONFIG_FILE)
        .long(CONFIG_FILE)
        .value_name("FILE")
        .help("A TOML file of settings, under the names of the flags [env: RAFT_CONFIG_FILE]")
        .action(ArgAction::Set)
        .overrides_with(CONFIG_FILE)
}

fn question_arg(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .help(help)
        .action(ArgAction::SetTrue)
}

fn arg(setting: &'static Setting) -> Arg {
    let help = match setting.fallback {
        Fallback::Is(text) => format!("{} [default: {text}]", setting.help),
        Fallback::FollowsFrom(what) => format!("{} [default: {what}]", setting.help),
        Fallback::Unset => setting.help.to_owned(),
    };
    let arg = Arg::new(setting.name)
        .help(help)
        .help_heading(setting.group.heading())
        .value_name(value_name(setting));
    valued(arg, setting.name, setting.kind == Kind::Switch)
}

/// As Go has flags: the last one counts, and a switch has its value behind `=` or not at all.
fn valued(arg: Arg, name: &'static str, is_switch: bool) -> Arg {
    let arg = arg
        .long(name)
        .action(ArgAction::Set)
        .overrides_with(name)
        .allow_hyphen_values(true);
    if is_switch {
        arg.num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
    } else {
        arg.num_args(1)
    }
}

fn value_name(setting: &Setting) -> &'static str {
    match setting.kind {
        Kind::Text if setting.name.ends_with("urls") => "URL",
        Kind::Text => "TEXT",
        Kind::Path => "PATH",
        Kind::Switch => "true|false",
        Kind::Number(..) => "N",
        Kind::Millis => "MS",
        Kind::Duration => "DURATION",
        Kind::Retention => "DURATION|N",
        Kind::List if setting.name.ends_with("urls") => "URL,..",
        Kind::List => "NAME=URL,..",
        Kind::Choice(["new", "existing"]) => "new|existing",
        Kind::Choice(["periodic", "revision"]) => "periodic|revision",
        Kind::Choice(["rocksdb", "memory"]) => "rocksdb|memory",
        Kind::Choice(["text", "json", ..]) => "text|json",
        Kind::Choice(_) => "WORD",
    }
}
