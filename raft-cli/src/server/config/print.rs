//! The settings in force as a TOML file, and where each came from. What is printed here is a file
//! that a server starts with. It does not know what is in force: it is told.

use std::fmt::Write as _;

use toml::Value;

use super::merged::{Given, Merged, switch};
use super::table::{Group, Kind, SETTINGS, Setting};

/// The file.
pub(super) fn print(merged: &Merged) -> String {
    let mut text = String::new();
    let mut group: Option<Group> = None;
    for setting in SETTINGS {
        if group != Some(setting.group) {
            let gap = if group.is_some() { "\n" } else { "" };
            line(
                &mut text,
                format_args!("{gap}# {}", setting.group.heading()),
            );
            group = Some(setting.group);
        }
        let name = setting.name;
        match merged.get(name) {
            Some(given) => {
                let value = value(setting, given);
                line(
                    &mut text,
                    format_args!("{name} = {value} # {}", given.origin),
                );
            }
            None => line(&mut text, format_args!("# {name} is not set")),
        }
    }
    text
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a text does not fail.
    let _ = writeln!(text, "{line}");
}

/// As TOML has it. What can't be read is printed as it was written, so that it can be mended.
fn value(setting: &Setting, given: &Given) -> Value {
    let text = &given.text;
    let as_text = || Value::String(text.clone());
    match setting.kind {
        Kind::Text | Kind::Path | Kind::Duration | Kind::Choice(_) => as_text(),
        Kind::Switch => switch(text).map_or_else(as_text, Value::Boolean),
        Kind::Number(..) | Kind::Millis | Kind::Retention => {
            text.parse().map_or_else(|_| as_text(), Value::Integer)
        }
        Kind::List => {
            let parts = text.split(',').map(str::trim);
            Value::Array(parts.map(|part| Value::String(part.to_owned())).collect())
        }
    }
}
