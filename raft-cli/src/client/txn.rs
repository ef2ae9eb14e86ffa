//! `txn`: reads comparisons, and what to do when they hold and when they don't. It does not know
//! how answers look.

use std::io::{self, BufRead};

use anyhow::anyhow;
use bytes::Bytes;
use clap::{Args, Parser};

use super::context::{Context, Verb};
use super::kv::{DelArgs, GetArgs, PutArgs};
use super::output::{Printer, unquoted};
use super::services;
use super::words::words;
use crate::exit::Exit;
use crate::pb::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use crate::pb::etcdserverpb::request_op::Request;
use crate::pb::etcdserverpb::{Compare, RequestOp, TxnRequest};

/// The lists stand on standard input.
#[derive(Debug, Args)]
pub(crate) struct TxnArgs {
    /// Say which list is to be typed
    #[arg(short, long)]
    interactive: bool,
}

impl Verb for TxnArgs {
    async fn run(self, context: &mut Context) -> Result<(), Exit> {
        let printer = &mut context.printer;
        let prompt = |printer: &mut Printer, text: &str| {
            if self.interactive {
                printer.line(text)
            } else {
                Ok(())
            }
        };
        let mut input = io::stdin().lock();
        prompt(printer, "compares:")?;
        let compare = list(&mut input, comparison)?;
        prompt(printer, "success requests (get, put, del):")?;
        let success = list(&mut input, operation)?;
        prompt(printer, "failure requests (get, put, del):")?;
        let failure = list(&mut input, operation)?;
        drop(input);
        let request = TxnRequest {
            compare,
            success,
            failure,
        };
        let client = context.client().await?;
        let answer = client
            .call(request, |channel, request| async move {
                services::kv(channel).txn(request).await
            })
            .await?;
        context.printer.txn(&answer)
    }
}

/// What stands in the lines up to an empty one.
fn list<T>(
    input: &mut impl BufRead,
    parse: impl Fn(&str) -> Result<T, Exit>,
) -> Result<Vec<T>, Exit> {
    let mut entries = Vec::new();
    loop {
        let mut line = String::new();
        let count = input.read_line(&mut line);
        let count = count.map_err(|error| Exit::BadInput(anyhow!("standard input: {error}")))?;
        if count == 0 {
            return Err(Exit::BadInput(anyhow!(
                "standard input ended within a list: each of the three ends with an empty line"
            )));
        }
        match line.trim() {
            "" => return Ok(entries),
            entry => entries.push(parse(entry)?),
        }
    }
}

fn malformed(line: &str, why: &str) -> Exit {
    Exit::BadInput(anyhow!("malformed comparison: {line} ({why})"))
}

/// `target("key") operator "value"`.
fn comparison(line: &str) -> Result<Compare, Exit> {
    let form = || malformed(line, "say mod(\"key\") > \"0\"");
    let (target, rest) = line.split_once('(').ok_or_else(form)?;
    let (key, rest) = unquoted(rest.trim_start()).ok_or_else(form)?;
    let rest = rest.strip_prefix(')').ok_or_else(form)?.trim_start();
    let end = rest.find([' ', '\t', '"', '`']).ok_or_else(form)?;
    let (operator, rest) = rest.split_at(end);
    let (value, rest) = unquoted(rest.trim_start()).ok_or_else(form)?;
    if !rest.trim().is_empty() {
        return Err(form());
    }
    let result = match operator {
        "=" => CompareResult::Equal,
        "!=" => CompareResult::NotEqual,
        ">" => CompareResult::Greater,
        "<" => CompareResult::Less,
        _ => return Err(malformed(line, "the operators are =, !=, < and >")),
    };
    let (target, union) = target_of(target.trim(), value).map_err(|why| malformed(line, why))?;
    Ok(Compare {
        result: result.into(),
        target: target.into(),
        key: key.into(),
        range_end: Bytes::new(),
        target_union: Some(union),
    })
}

fn target_of(name: &str, value: Vec<u8>) -> Result<(CompareTarget, TargetUnion), &'static str> {
    let number = |radix| {
        let text = std::str::from_utf8(&value).ok();
        let number = text.and_then(|text| i64::from_str_radix(text, radix).ok());
        number.ok_or("its right side is no number")
    };
    Ok(match name {
        "ver" | "version" => (CompareTarget::Version, TargetUnion::Version(number(10)?)),
        "c" | "create" => (
            CompareTarget::Create,
            TargetUnion::CreateRevision(number(10)?),
        ),
        "m" | "mod" => (CompareTarget::Mod, TargetUnion::ModRevision(number(10)?)),
        "lease" => (CompareTarget::Lease, TargetUnion::Lease(number(16)?)),
        "val" | "value" => (CompareTarget::Value, TargetUnion::Value(value.into())),
        _ => return Err("unknown target"),
    })
}

/// A line of the other two lists.
#[derive(Debug, Parser)]
#[command(
    no_binary_name = true,
    disable_help_flag = true,
    disable_help_subcommand = true
)]
enum Operation {
    Put(PutArgs),
    Get(GetArgs),
    Del(DelArgs),
}

fn operation(line: &str) -> Result<RequestOp, Exit> {
    let wrong = |why: String| {
        let why = why.trim_start_matches("error: ");
        let why = why.lines().next().unwrap_or_default();
        Exit::BadInput(anyhow!("invalid txn request: {line} ({why})"))
    };
    let words = words(line).map_err(wrong)?;
    let operation = Operation::try_parse_from(words).map_err(|error| wrong(error.to_string()))?;
    let request = match operation {
        // Standard input has the other lines; there is no value to find in it.
        Operation::Put(args) if args.wants_input() => {
            return Err(wrong("put needs a value here".to_owned()));
        }
        Operation::Put(args) => Request::RequestPut(args.request()?),
        Operation::Get(args) => Request::RequestRange(args.request()?),
        Operation::Del(args) => Request::RequestDeleteRange(args.request()?),
    };
    Ok(RequestOp {
        request: Some(request),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_are_read_as_etcdctl_reads_them() {
        let check = |line: &str, expected: Option<(CompareResult, &[u8], TargetUnion)>| {
            let read = comparison(line).ok();
            let read = read.map(|c| (c.result, c.key.to_vec(), c.target_union));
            let expected =
                expected.map(|(result, key, union)| (i32::from(result), key.to_vec(), Some(union)));
            assert_eq!(read, expected, "{line}");
        };
        let (equal, greater) = (CompareResult::Equal, CompareResult::Greater);
        let value = |text: &'static str| TargetUnion::Value(text.into());
        check(
            r#"mod("k") > "0""#,
            Some((greater, b"k", TargetUnion::ModRevision(0))),
        );
        check(
            r#"m("k") > "12""#,
            Some((greater, b"k", TargetUnion::ModRevision(12))),
        );
        check(
            r#"c("k") = "0""#,
            Some((equal, b"k", TargetUnion::CreateRevision(0))),
        );
        check(
            r#"ver("k") = "1""#,
            Some((equal, b"k", TargetUnion::Version(1))),
        );
        check(
            r#"lease("k") = "1f""#,
            Some((equal, b"k", TargetUnion::Lease(31))),
        );
        check(
            r#"val("a\x00b") = "c d""#,
            Some((equal, b"a\0b", value("c d"))),
        );
        check(r#"value("a)(b") = """#, Some((equal, b"a)(b", value(""))));
        check(r#"mod("k") > "x""#, None);
        check(r#"mod("k") >= "0""#, None);
        check(r#"mod("k") > 0"#, None);
        check(r#"mod(k) > "0""#, None);
        check(r#"size("k") > "0""#, None);
        check("nothing", None);
        check(r#"mod("k") > "0" more"#, None);
    }

    #[test]
    fn operations_are_verbs_with_their_flags() {
        let check = |line: &str, is_understood: bool| {
            assert_eq!(operation(line).is_ok(), is_understood, "{line}");
        };
        check("put a b", true);
        check("put a \"b c\" --prev-kv", true);
        check("get a --prefix --limit 3", true);
        check("del a b", true);
        check("put a", false);
        check("put", false);
        check("get a --prefix --from-key", false);
        check("compact 3", false);
        check("put 'a b", false);
    }

    #[test]
    fn three_lists_are_ended_by_empty_lines() {
        let mut input = "put a b\n  put c d  \n\nget a\n".as_bytes();
        assert_eq!(list(&mut input, operation).unwrap().len(), 2);
        let error = list(&mut input, operation).unwrap_err();
        assert_eq!(error.code(), 3);
    }
}
