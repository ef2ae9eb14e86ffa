//! A TOML file of settings, made flat: names and texts, as flags have them.
//!
//! Keys are the names of flags. The founders may be a table (`[initial-cluster]`, a name and a URL
//! a line), and the files of TLS may stand in the two tables that etcd's own file has. It does not
//! know which names there are.

use std::path::Path;

use toml::{Table, Value};

/// The table of all files about clients in etcd's file, and what its keys are here.
const CLIENT_TLS: (&str, &str) = ("client-transport-security", "");
/// The same about members.
const PEER_TLS: (&str, &str) = ("peer-transport-security", "peer-");
/// Keys of those tables that are not the flag without `peer-`.
const KEYS_IN_TLS: [(&str, &str); 2] = [
    ("allowed-cn", "cert-allowed-cn"),
    ("allowed-hostname", "cert-allowed-hostname"),
];

/// What a file says, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Flat {
    pub(super) said: Vec<(String, String)>,
    pub(super) errors: Vec<String>,
}

/// Makes the text of a file flat.
pub(super) fn flatten(path: &Path, text: &str) -> Flat {
    let mut flat = Flat::default();
    let table = match text.parse::<Table>() {
        Ok(table) => table,
        Err(error) => {
            flat.errors.push(no_toml(path, &error));
            return flat;
        }
    };
    for (key, value) in table {
        if let Value::Table(inner) = value {
            flat.table(key, inner);
        } else {
            flat.say(key, value);
        }
    }
    flat
}

fn no_toml(path: &Path, error: &toml::de::Error) -> String {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let advice = match extension {
        Some("yml" | "yaml") => "; etcd's `key: value` is `key = \"value\"` in TOML",
        Some(_) | None => "",
    };
    format!("it is no TOML{advice}: {error}")
}

impl Flat {
    fn say(&mut self, key: String, value: Value) {
        match text_of(value) {
            Some(text) => self.said.push((key, text)),
            None => self.errors.push(format!(
                "`{key}` must be a text, a number, true, false, or a list of texts"
            )),
        }
    }

    fn table(&mut self, key: String, inner: Table) {
        if key == "initial-cluster" {
            self.founders(inner);
        } else if key == CLIENT_TLS.0 {
            self.files(CLIENT_TLS, inner);
        } else if key == PEER_TLS.0 {
            self.files(PEER_TLS, inner);
        } else {
            self.say(key, Value::Table(inner));
        }
    }

    fn founders(&mut self, table: Table) {
        let mut parts = Vec::new();
        for (name, url) in table {
            if let Value::String(url) = url {
                parts.push(format!("{name}={url}"));
            } else {
                self.errors.push(format!(
                    "`initial-cluster.{name}` must be a URL, and is `{url}`"
                ));
            }
        }
        self.said
            .push(("initial-cluster".to_owned(), parts.join(",")));
    }

    fn files(&mut self, (_, prefix): (&str, &str), table: Table) {
        for (key, value) in table {
            let other = KEYS_IN_TLS.iter().find(|(theirs, _)| *theirs == key);
            let key = other.map_or(key.as_str(), |(_, ours)| ours);
            self.say(format!("{prefix}{key}"), value);
        }
    }
}

fn text_of(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Integer(number) => Some(number.to_string()),
        Value::Boolean(is_on) => Some(is_on.to_string()),
        Value::Array(parts) => {
            let parts = parts.into_iter().map(|part| match part {
                Value::String(part) => Some(part),
                Value::Integer(_)
                | Value::Float(_)
                | Value::Boolean(_)
                | Value::Datetime(_)
                | Value::Array(_)
                | Value::Table(_) => None,
            });
            Some(parts.collect::<Option<Vec<_>>>()?.join(","))
        }
        Value::Float(_) | Value::Datetime(_) | Value::Table(_) => None,
    }
}
