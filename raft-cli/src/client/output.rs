//! Answers as etcdctl prints them. It does not know how they were got.

mod auth;
mod endpoint;
mod json;
mod kv;
mod lease;
mod member;
mod quote;
mod table;
mod text;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use prost::Message;

pub(crate) use auth::interval;
pub(crate) use endpoint::{Hash, Health, Standing};
pub(crate) use kv::type_of;
pub(crate) use quote::{quoted, unquoted};
use text::Text;

use crate::exit::Exit;
use crate::out::Out;

/// How to print.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// The format of what is printed [default: simple]
    #[arg(short, long, global = true, value_name = "FORMAT")]
    write_out: Option<Format>,
    /// Print keys, values and ids as hexadecimal numbers
    #[arg(long, global = true)]
    hex: bool,
}

/// etcdctl's formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A line for each thing, for people.
    Simple,
    /// A line for each field.
    Fields,
    /// What Go makes of etcd's messages.
    Json,
    /// The message itself.
    Protobuf,
    /// A table, for people, where there are rows.
    Table,
}

/// Prints answers.
#[derive(Debug)]
pub(crate) struct Printer {
    format: Format,
    is_hex: bool,
    /// Values without their keys, where both would be printed.
    pub(crate) is_value_only: bool,
    out: Out,
}

impl OutputArgs {
    /// The printer that they ask for.
    pub(crate) fn printer(&self) -> Result<Printer, Exit> {
        let format = match self.write_out {
            Some(format) => format,
            None => from_environment()?.unwrap_or(Format::Simple),
        };
        Ok(Printer {
            format,
            is_hex: self.hex,
            is_value_only: false,
            out: Out::new(),
        })
    }
}

fn from_environment() -> Result<Option<Format>, Exit> {
    for name in ["RAFT_WRITE_OUT", "ETCDCTL_WRITE_OUT"] {
        if let Ok(text) = std::env::var(name) {
            let format = Format::from_str(&text, false);
            let format = format.map_err(|_| {
                let formats = "simple, fields, json, protobuf or table";
                Exit::BadInput(anyhow!("{name}: `{text}` is none of {formats}"))
            })?;
            return Ok(Some(format));
        }
    }
    Ok(None)
}

impl Printer {
    /// In which format.
    pub(crate) const fn format(&self) -> Format {
        self.format
    }

    /// A line for people or scripts, the same in each format.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), Exit> {
        self.out.line(line)?;
        self.out.flush()
    }

    /// What etcdctl has no format of its own for.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Result<(), Exit> {
        self.out.bytes(bytes)?;
        self.out.flush()
    }

    fn text(&mut self, fill: impl FnOnce(&mut Text)) -> Result<(), Exit> {
        let mut text = Text::new(self.is_hex);
        fill(&mut text);
        self.raw(text.bytes())
    }

    /// `message`, whose full name is `name`.
    fn json(&mut self, name: &str, message: &impl Message) -> Result<(), Exit> {
        let json = json::of(name, message)?;
        self.line(&json)
    }

    fn protobuf(&mut self, message: &impl Message) -> Result<(), Exit> {
        self.raw(&message.encode_to_vec())
    }

    /// The formats that need no knowledge of the message; for the others, what etcdctl prints.
    fn show(
        &mut self,
        name: &str,
        message: &impl Message,
        simple: impl FnOnce(&mut Text),
        fields: impl FnOnce(&mut Text),
    ) -> Result<(), Exit> {
        match self.format {
            Format::Simple => self.text(simple),
            Format::Fields => self.text(fields),
            Format::Json => self.json(name, message),
            Format::Protobuf => self.protobuf(message),
            Format::Table => Err(unsupported("table")),
        }
    }
}

/// etcdctl's words for it.
pub(crate) fn unsupported(format: &str) -> Exit {
    Exit::BadInput(anyhow!("{format} not supported as output format"))
}
