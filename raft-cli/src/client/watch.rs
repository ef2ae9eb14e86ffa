//! `watch`: what its flags ask for, lines that ask for more watches, and commands that events are
//! handed to. It does not know how events look.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufRead};
use std::os::unix::ffi::OsStringExt;
use std::process::{self, Stdio};
use std::sync::Arc;

use anyhow::anyhow;
use clap::{Args, Parser};
use tokio::sync::mpsc;

use super::caller::Client;
use super::context::{Context, Verb};
use super::output::{quoted, type_of};
use super::range::{Extent, bad, bytes, range};
use super::watcher::Watcher;
use super::words::words;
use crate::exit::Exit;
use crate::out::say;
use crate::pb::etcdserverpb::{WatchCreateRequest, WatchResponse};

/// Print what happens to keys.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of etcdctl's")]
pub(crate) struct WatchArgs {
    /// The key [also ETCDCTL_WATCH_KEY]
    key: Option<OsString>,
    /// The first key that is not meant any more [also ETCDCTL_WATCH_RANGE_END]
    range_end: Option<OsString>,
    /// Read watches from standard input, one a line, as `watch key`; `progress` asks how far they
    /// are
    #[arg(short, long)]
    interactive: bool,
    /// All keys that begin with the key
    #[arg(long)]
    prefix: bool,
    /// From which revision on [default: from now on]
    #[arg(long, default_value = "0")]
    rev: i64,
    /// Print what was there before
    #[arg(long)]
    prev_kv: bool,
    /// Print now and then how far the server is, even if nothing happens
    #[arg(long)]
    progress_notify: bool,
    /// A command to run for each event, with ETCD_WATCH_REVISION, ETCD_WATCH_EVENT_TYPE,
    /// ETCD_WATCH_KEY and ETCD_WATCH_VALUE in its environment
    #[arg(last = true)]
    command: Vec<OsString>,
}

impl WatchArgs {
    fn request(&self) -> Result<WatchCreateRequest, Exit> {
        let named = environment("WATCH_KEY");
        let (key, end) = match (self.key.clone(), named) {
            (Some(_), Some(_)) => {
                return Err(bad(
                    "the key stands in the arguments and in the environment",
                ));
            }
            (Some(key), None) => (key, self.range_end.clone()),
            (None, Some(key)) => (key, environment("WATCH_RANGE_END")),
            (None, None) => return Err(bad("which key? (say `watch key`)")),
        };
        let extent = Extent::of(self.prefix, false)?;
        if end.is_some() && extent == Extent::Prefix {
            return Err(bad("`range_end` and `--prefix` are mutually exclusive"));
        }
        let (key, range_end) = range(bytes(key), end.map(bytes), extent)?;
        Ok(WatchCreateRequest {
            key,
            range_end,
            start_revision: self.rev,
            progress_notify: self.progress_notify,
            prev_kv: self.prev_kv,
            ..WatchCreateRequest::default()
        })
    }
}

fn environment(name: &str) -> Option<OsString> {
    let names = [format!("RAFT_{name}"), format!("ETCDCTL_{name}")];
    names
        .iter()
        .find_map(env::var_os)
        .filter(|value| !value.is_empty())
}

impl Verb for WatchArgs {
    async fn run(self, context: &mut Context) -> Result<(), Exit> {
        if self.interactive {
            let client = Arc::new(context.client().await?);
            return interactive(context, &client).await;
        }
        let create = self.request()?;
        let client = Arc::new(context.client().await?);
        let mut watcher = Watcher::new(client, create);
        loop {
            let answer = watcher.next().await?;
            show(context, &answer, &self.command).await?;
            if answer.canceled {
                return Err(Exit::Unwell(anyhow!("watch is canceled by the server")));
            }
        }
    }
}

/// Prints an answer, and hands its events to the command.
async fn show(
    context: &mut Context,
    answer: &WatchResponse,
    command: &[OsString],
) -> Result<(), Exit> {
    if answer.canceled {
        say(format_args!("watch was canceled ({})", reason(answer)));
    }
    let revision = answer.header.map_or(0, |header| header.revision);
    let is_progress = answer.events.is_empty()
        && !answer.canceled
        && answer.compact_revision == 0
        && revision != 0;
    if is_progress {
        context
            .printer
            .line(&format!("progress notify: {revision}"))?;
    }
    context.printer.watch(answer)?;
    let Some((program, arguments)) = command.split_first() else {
        return Ok(());
    };
    for event in &answer.events {
        let pair = event.kv.clone().unwrap_or_default();
        let mut process = process::Command::new(program);
        process
            .args(arguments)
            .stdin(Stdio::null())
            .env("ETCD_WATCH_REVISION", revision.to_string())
            .env("ETCD_WATCH_EVENT_TYPE", quoted(type_of(event).as_bytes()))
            .env("ETCD_WATCH_KEY", quoted(&pair.key))
            .env("ETCD_WATCH_VALUE", quoted(&pair.value));
        let status = tokio::task::spawn_blocking(move || process.status()).await;
        let name = program.to_string_lossy();
        match status {
            Ok(Ok(status)) if status.success() => {}
            Ok(Ok(status)) => {
                return Err(Exit::Failed(anyhow!("command `{name}`: {status}")));
            }
            Ok(Err(error)) => return Err(Exit::Failed(anyhow!("command `{name}`: {error}"))),
            Err(error) => return Err(Exit::Failed(anyhow!("command `{name}`: {error}"))),
        }
    }
    Ok(())
}

fn reason(answer: &WatchResponse) -> String {
    if answer.compact_revision != 0 {
        let compacted = answer.compact_revision;
        return format!(
            "etcdserver: mvcc: required revision has been compacted; the first that is left is \
             {compacted}: --rev {compacted}"
        );
    }
    match answer.cancel_reason.as_str() {
        "" => "etcdserver: mvcc: required revision is a future revision".to_owned(),
        reason => reason.to_owned(),
    }
}

/// Lines that were read and not yet done.
const LINES_MAX: usize = 16;
/// Answers that were heard and not yet printed: watches wait then.
const ANSWERS_MAX: usize = 64;

/// What watches have to say: an answer and the command for its events, or why there is none.
type Heard = Result<(WatchResponse, Vec<OsString>), Exit>;

async fn interactive(context: &mut Context, client: &Arc<Client>) -> Result<(), Exit> {
    let mut lines = lines();
    let (sender, mut heard) = mpsc::channel::<Heard>(ANSWERS_MAX);
    let mut watches: Vec<mpsc::Sender<()>> = Vec::new();
    loop {
        tokio::select! {
            answer = heard.recv() => {
                let (answer, command) = answer.expect("there is a sender left here")?;
                show(context, &answer, &command).await?;
            }
            line = lines.recv() => {
                let Some(line) = line else {
                    return Err(bad("error reading watch request line: standard input ended"));
                };
                match typed(&line) {
                    Typed::Watch(args) => match args.request() {
                        Ok(create) => {
                            let (ask, asked) = mpsc::channel(1);
                            watches.push(ask);
                            let watcher = Watcher::new(Arc::clone(client), create);
                            tokio::spawn(pass_on(watcher, asked, sender.clone(), args.command));
                        }
                        Err(error) => say(format_args!("Invalid command {line} ({error})")),
                    },
                    Typed::Progress => {
                        // Who was asked and has not answered need not be asked again.
                        watches.retain(|ask| {
                            !matches!(ask.try_send(()), Err(mpsc::error::TrySendError::Closed(())))
                        });
                    }
                    Typed::Nonsense(why) => say(format_args!("Invalid command {line} ({why})")),
                }
            }
        }
    }
}

/// Standard input has no better interface than a thread that waits for it.
fn lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(LINES_MAX);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

async fn pass_on(
    mut watcher: Watcher,
    mut asked: mpsc::Receiver<()>,
    heard: mpsc::Sender<Heard>,
    command: Vec<OsString>,
) {
    loop {
        let answer = tokio::select! {
            answer = watcher.next() => answer,
            Some(()) = asked.recv() => {
                watcher.ask_progress();
                continue;
            }
        };
        let is_last = answer.as_ref().map_or(true, |answer| answer.canceled);
        let answer = answer.map(|answer| (answer, command.clone()));
        if heard.send(answer).await.is_err() || is_last {
            return;
        }
    }
}

/// What a line says.
enum Typed {
    Watch(Box<WatchArgs>),
    Progress,
    Nonsense(String),
}

/// `watch`, with its flags.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct Line {
    #[command(flatten)]
    watch: WatchArgs,
}

fn typed(line: &str) -> Typed {
    let words = match words(line) {
        Ok(words) => words,
        Err(why) => return Typed::Nonsense(why),
    };
    let first = words.first().map(|word| word.clone().into_vec());
    match first.as_deref() {
        Some(b"watch") => match Line::try_parse_from(&words[1..]) {
            Ok(line) => Typed::Watch(Box::new(line.watch)),
            Err(error) => {
                let text = error.to_string();
                let first = text.lines().next().unwrap_or_default();
                Typed::Nonsense(first.trim_start_matches("error: ").to_owned())
            }
        },
        Some(b"progress") => Typed::Progress,
        Some(_) | None => Typed::Nonsense("watch and progress supported".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_watches_with_flags_and_commands() {
        let check = |line: &str, expected: Option<(&str, i64, usize)>| {
            let read = match typed(line) {
                Typed::Watch(args) => {
                    let key = args.key.clone().unwrap().into_string().unwrap();
                    Some((key, args.rev, args.command.len()))
                }
                Typed::Progress | Typed::Nonsense(_) => None,
            };
            let expected = expected.map(|(key, rev, words)| (key.to_owned(), rev, words));
            assert_eq!(read, expected, "{line}");
        };
        check("watch a", Some(("a", 0, 0)));
        check("watch 'a b' --rev 3 --prefix", Some(("a b", 3, 0)));
        check("watch a -- echo b", Some(("a", 0, 2)));
        check("watch a --rev x", None);
        check("progress", None);
        check("get a", None);
        check("", None);
    }

    #[test]
    fn a_cancelled_watch_says_why() {
        let compacted = WatchResponse {
            compact_revision: 7,
            ..WatchResponse::default()
        };
        assert!(reason(&compacted).contains("has been compacted"));
        let refused = WatchResponse {
            cancel_reason: "etcdserver: permission denied".to_owned(),
            ..WatchResponse::default()
        };
        assert_eq!(reason(&refused), "etcdserver: permission denied");
    }
}
