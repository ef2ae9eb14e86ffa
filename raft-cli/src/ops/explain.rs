//! Says in words what is the matter with a cluster: why there is no leader, why a member lags, why
//! a change of members waits, why leadership moved last, what is near its limit. Each answer comes
//! with its likeliest causes, what speaks for them, and what to do.
//!
//! Everything follows from the members' reports, by rules that are plain functions, a file a
//! question. It changes nothing.

mod lag;
mod leader;
mod limits;
mod membership;
mod moved;
mod picture;
mod trouble;

use std::fmt::Write as _;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use serde::Serialize;

use self::picture::Picture;
use super::reports::{self, Asked};
use crate::client::connect::ConnectArgs;
use crate::exit::Exit;
use crate::out::Out;

/// Say in words what is the matter with a cluster, and what to do.
///
/// Asks the endpoints, and the members that these name. Ends with 5 if something is wrong.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// What to explain; everything if it is not said.
    #[arg(value_enum)]
    question: Option<Question>,
    /// How to print it.
    #[arg(short, long, value_enum, default_value = "simple")]
    write_out: Form,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Question {
    /// Why is there no leader?
    Leader,
    /// Why does a member lag?
    Lag,
    /// Why does a change of members wait?
    Membership,
    /// Why did leadership move last?
    Moved,
    /// What is near its limit?
    Limits,
    /// What else is wrong with a member?
    Trouble,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Simple,
    Json,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Weight {
    /// Something does not work, or is not safe any more.
    Wrong,
    /// It will be if nothing is done.
    Warning,
    /// Good to know.
    Fact,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// To which question.
    pub(crate) question: Question,
    /// How bad it is.
    pub(crate) weight: Weight,
    /// What is so.
    pub(crate) says: String,
    /// Why, the likeliest first.
    pub(crate) causes: Vec<Why>,
}

/// A cause of something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Why {
    /// What it is.
    pub(crate) because: String,
    /// What speaks for it.
    pub(crate) evidence: Vec<String>,
    /// What to do about it.
    pub(crate) next: String,
}

impl Why {
    fn new(because: impl Into<String>, evidence: Vec<String>, next: impl Into<String>) -> Self {
        Self {
            because: because.into(),
            evidence,
            next: next.into(),
        }
    }
}

/// Does what the command line says.
pub(crate) fn run(args: ExplainArgs) -> Result<(), Exit> {
    let settings = args.connect.resolve()?;
    let runtime = tokio::runtime::Runtime::new().map_err(anyhow::Error::new)?;
    let asked = runtime.block_on(reports::fetch(&settings));
    let findings = explain(&asked, args.question);
    let mut out = Out::new();
    match args.write_out {
        Form::Simple => out.bytes(text(&findings).as_bytes())?,
        Form::Json => {
            let json = serde_json::to_string(&findings).map_err(anyhow::Error::new)?;
            out.line(json)?;
        }
    }
    out.flush()?;
    let wrong = findings
        .iter()
        .filter(|finding| finding.weight == Weight::Wrong);
    match wrong.count() {
        0 => Ok(()),
        count => Err(Exit::Unwell(anyhow!("{count} of these need attention"))),
    }
}

/// Finds what there is to say to one question.
type Answer = fn(&Picture<'_>) -> Vec<Finding>;

/// The answers that follow from what was said, the worst first.
pub(crate) fn explain(asked: &[Asked], question: Option<Question>) -> Vec<Finding> {
    let picture = Picture::of(asked);
    let answers: [(Question, Answer); 6] = [
        (Question::Leader, leader::explain),
        (Question::Trouble, trouble::explain),
        (Question::Lag, lag::explain),
        (Question::Membership, membership::explain),
        (Question::Limits, limits::explain),
        (Question::Moved, moved::explain),
    ];
    let mut findings = Vec::new();
    for (about, answer) in answers {
        if question.is_none_or(|question| question == about) {
            findings.extend(answer(&picture));
        }
    }
    findings.sort_by_key(|finding| finding.weight);
    findings
}

/// For people.
fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let mark = match finding.weight {
            Weight::Wrong => "WRONG",
            Weight::Warning => "SOON",
            Weight::Fact => "FACT",
        };
        told(&mut text, format_args!("{mark:<6}{}", finding.says));
        for why in &finding.causes {
            told(&mut text, format_args!("      because  {}", why.because));
            for seen in &why.evidence {
                told(&mut text, format_args!("      seen     {seen}"));
            }
            if !why.next.is_empty() {
                told(&mut text, format_args!("      do       {}", why.next));
            }
        }
    }
    if findings.is_empty() {
        text.push_str("Nothing of the kind.\n");
    }
    text
}

fn told(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a string takes everything");
}

#[cfg(test)]
mod tests;
