//! What all sources say together: flags win over the environment, which wins over the file, which
//! wins over what holds otherwise; and which one it was. It does not know what values mean, except
//! that an empty one says nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::etcd_only::{self, ETCD_ONLY, Judgement};
use super::file;
use super::nearest::{nearest, suggestion};
use super::table::{self, Fallback, SETTINGS};

/// Names and texts of flags.
pub(super) type Flags = BTreeMap<String, String>;
/// Names and texts of variables.
pub(super) type Environment = BTreeMap<String, String>;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Flag,
    Environment(String),
    File(PathBuf),
    FollowsFrom(&'static str),
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::FollowsFrom(what) => write!(f, "default: {what}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value as a text, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// The values of all settings that are set, what is wrong, and what should be known.
#[derive(Debug, Default)]
pub(super) struct Merged {
    values: BTreeMap<&'static str, Given>,
    /// etcd's flags that are none of ours.
    etcd_only: BTreeMap<&'static str, Given>,
    pub(super) errors: Vec<String>,
    pub(super) warnings: Vec<String>,
}

/// Ours first: it wins.
const PREFIXES: [&str; 2] = ["RAFT_", "ETCD_"];
/// Variables that other verbs read, or that Kubernetes sets for a service called `raft`. Those that
/// end in `_` are how their names begin.
const OF_OTHERS: [&str; 17] = [
    "RAFT_CACERT",
    "RAFT_CERT",
    "RAFT_CLI_",
    "RAFT_COMMAND_TIMEOUT",
    "RAFT_DEBUG",
    "RAFT_DIAL_TIMEOUT",
    "RAFT_ENDPOINTS",
    "RAFT_INSECURE_",
    "RAFT_KEEPALIVE_",
    "RAFT_KEY",
    "RAFT_PASSWORD",
    "RAFT_PORT",
    "RAFT_PORT_",
    "RAFT_SERVICE_",
    "RAFT_USER",
    "RAFT_WATCH_",
    "RAFT_WRITE_OUT",
];

impl Merged {
    /// Puts the sources together. The text of the file goes with its path.
    pub(super) fn new(
        flags: &Flags,
        environment: &Environment,
        file: Option<(&Path, &str)>,
    ) -> Self {
        let mut merged = Self::default();
        for setting in SETTINGS {
            if let Fallback::Is(text) = setting.fallback {
                merged.set(setting.name, text.to_owned(), Origin::Default);
            }
        }
        if let Some((path, text)) = file {
            merged.take_file(path, text);
        }
        merged.take_environment(environment);
        for (name, text) in flags {
            merged.take(name, text.clone(), &Origin::Flag);
        }
        merged.judge();
        merged
    }

    /// What a setting is, if it is set.
    pub(super) fn get(&self, name: &str) -> Option<&Given> {
        self.values.get(name)
    }

    /// Whether somebody said it, rather than that it follows from anything.
    pub(super) fn is_said(&self, name: &str) -> bool {
        self.get(name).is_some_and(|given| match given.origin {
            Origin::Flag | Origin::Environment(_) | Origin::File(_) => true,
            Origin::FollowsFrom(_) | Origin::Default => false,
        })
    }

    /// What follows from other settings, unless it was said.
    pub(super) fn follow(&mut self, name: &'static str, text: String) {
        let what = match table::find(name).map(|setting| setting.fallback) {
            Some(Fallback::FollowsFrom(what)) => what,
            Some(Fallback::Is(_) | Fallback::Unset) | None => "other settings",
        };
        if self.get(name).is_none() {
            self.set(name, text, Origin::FollowsFrom(what));
        }
    }

    /// How whoever set it knows it.
    pub(super) fn called(&self, name: &str) -> String {
        match self.get(name).map(|given| &given.origin) {
            Some(Origin::Environment(variable)) => variable.clone(),
            Some(Origin::File(path)) => format!("{}: {name}", path.display()),
            Some(Origin::Flag | Origin::FollowsFrom(_) | Origin::Default) | None => {
                format!("--{name}")
            }
        }
    }

    fn take_file(&mut self, path: &Path, text: &str) {
        let flat = file::flatten(path, text);
        let origin = Origin::File(path.to_owned());
        for error in flat.errors {
            self.errors.push(format!("{}: {error}", path.display()));
        }
        for (name, text) in flat.said {
            if !self.take(&name, text, &origin) {
                let names = SETTINGS.iter().map(|setting| setting.name);
                let meant = suggestion(&name, names);
                let place = path.display();
                self.errors
                    .push(format!("{place}: there is no setting `{name}`{meant}"));
            }
        }
    }

    fn take_environment(&mut self, environment: &Environment) {
        for prefix in PREFIXES.iter().rev() {
            for (variable, text) in environment {
                let Some(name) = variable.strip_prefix(prefix) else {
                    continue;
                };
                // An empty variable is one that a script did not fill in.
                if text.is_empty() {
                    continue;
                }
                let name = name.to_lowercase().replace('_', "-");
                let origin = Origin::Environment(variable.clone());
                let is_known = self.take(&name, text.clone(), &origin) || name == "config-file";
                if !is_known && *prefix == PREFIXES[0] {
                    self.warn_of(variable, &name);
                }
            }
        }
    }

    fn warn_of(&mut self, variable: &str, name: &str) {
        let is_of_others = OF_OTHERS.iter().any(|other| {
            let is_begin = other.ends_with('_') && variable.starts_with(other);
            is_begin || variable == *other
        });
        if is_of_others {
            return;
        }
        let names = SETTINGS.iter().map(|setting| setting.name);
        let meant = nearest(name, names).map_or_else(String::new, |name| {
            format!(" (did you mean `{}`?)", variable_of(name))
        });
        self.warnings.push(format!(
            "{variable} is set, but there is no such setting{meant}"
        ));
    }

    /// Takes a value over all that were taken before; `false` if there is no such name.
    fn take(&mut self, name: &str, text: String, origin: &Origin) -> bool {
        if let Some(setting) = table::find(name) {
            self.values.remove(setting.name);
            if !text.is_empty() {
                self.set(setting.name, text, origin.clone());
            } else if let Fallback::Is(text) = setting.fallback {
                self.set(setting.name, text.to_owned(), Origin::Default);
            }
            true
        } else if let Some(flag) = etcd_only::find(name) {
            let origin = origin.clone();
            self.etcd_only.insert(flag.name, Given { text, origin });
            true
        } else {
            false
        }
    }

    fn set(&mut self, name: &'static str, text: String, origin: Origin) {
        self.values.insert(name, Given { text, origin });
    }

    fn judge(&mut self) {
        for flag in ETCD_ONLY {
            let Some(given) = self.etcd_only.get(flag.name) else {
                continue;
            };
            let called = match &given.origin {
                Origin::Environment(variable) => variable.clone(),
                Origin::File(path) => format!("{}: {}", path.display(), flag.name),
                Origin::Flag | Origin::FollowsFrom(_) | Origin::Default => {
                    format!("--{}", flag.name)
                }
            };
            let value = match switch(&given.text) {
                Some(is_on) if flag.is_switch => is_on.to_string(),
                Some(_) | None => given.text.clone(),
            };
            match flag.judge(&value) {
                Judgement::Granted => {}
                Judgement::Ignored(instead) => {
                    self.warnings
                        .push(format!("{called} is ignored: {instead}"));
                }
                Judgement::Refused(advice) => {
                    self.errors
                        .push(format!("{called} is not supported: {advice}"));
                }
            }
        }
    }
}

/// The variable of a setting.
pub(super) fn variable_of(name: &str) -> String {
    format!("{}{}", PREFIXES[0], name.to_uppercase().replace('-', "_"))
}

/// The file that the environment names.
pub(super) fn file_in(environment: &Environment) -> Option<&String> {
    let variables = PREFIXES.map(|prefix| format!("{prefix}CONFIG_FILE"));
    let texts = variables
        .iter()
        .filter_map(|variable| environment.get(variable));
    texts.into_iter().find(|text| !text.is_empty())
}

/// Yes or no, as Go reads it.
pub(super) fn switch(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
