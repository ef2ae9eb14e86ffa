//! The commands of a transcript, and how they are written.
//!
//! This file does not know what a command does.

use std::str::FromStr;
use std::time::Duration;

use raft_core::{Consistency, Index, NodeId, WriteId};

/// One command. In the text a server is its number, a link is `1->2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `cluster voters=1,2,3 spare=4 disks=slow lease=10 catch-up=1`: starts the servers.
    Cluster(Setup),
    /// `disk 2 slow`: from now on its writes wait for `persist`; `disk 2 fast`: no longer.
    Disk(NodeId, Disk),
    /// `timeout 1`: the clock of this server alone runs until its election timeout has passed.
    Timeout(NodeId),
    /// `heartbeat 1`: the clock of this server alone runs for a heartbeat interval.
    Heartbeat(NodeId),
    /// `pass 1000ms`: all clocks run, and nobody looks at his yet.
    Pass(Duration),
    /// `tick 1`: this server looks at its clock.
    Tick(NodeId),
    /// `deliver 1->2 2->1`: what waits on these links arrives, link by link.
    Deliver(Vec<Link>),
    /// `drop 1->2`: what waits on these links is lost.
    Drop(Vec<Link>),
    /// `delay 1->2`: the oldest message on this link is set aside.
    Delay(Link),
    /// `late 1->2`: a message that was set aside arrives after all.
    Late(Link),
    /// `settle`: all messages arrive and all writes are durable, until nothing happens any more.
    Settle(Shown),
    /// `partition 1|2,3`: servers of different sides don't hear each other.
    Partition(Vec<Vec<NodeId>>),
    /// `heal`: all links work.
    Heal,
    /// `persist 1 #2`: the writes of this server up to this one are durable; all without a number.
    Persist(NodeId, Option<WriteId>),
    /// `propose 1 "x" "y"`: clients send these commands; they reach the server in one batch.
    Propose(NodeId, Vec<String>),
    /// `read 1`, `read 1 bounded=50ms`, `read 1 local`: a client wants to read.
    Read(NodeId, Consistency),
    /// `change 1 +voter:4 +learner:5 -1`: an operator changes the members.
    Change(NodeId, Vec<Wish>),
    /// `abort 1`: the operator takes it back.
    Abort(NodeId),
    /// `transfer 1 2`: leadership is to move from 1 to 2.
    Transfer(NodeId, NodeId),
    /// `snapshot 1`: the state machine of this server is saved.
    Snapshot(NodeId),
    /// `compact 1`: its log drops what the snapshot stands for.
    Compact(NodeId),
    /// `fetched 3`: this server has the snapshot that it was fetching.
    Fetched(NodeId),
    /// `crash 1`: power cut; writes that were not persisted are lost.
    Crash(NodeId),
    /// `restart 1`: it comes up again from its disk.
    Restart(NodeId),
    /// `wipe 1`: its disk is replaced by an empty one; use after `crash`.
    Wipe(NodeId),
    /// `lose 1 3`: its disk loses the end of the log from this index on; use after `crash`.
    Lose(NodeId, Index),
    /// `elect 1`: a whole election of this server, all messages delivered, told in one line.
    Elect(NodeId),
    /// `log`: everybody's log.
    Log,
    /// `status`: everybody's state.
    Status,
}

/// From whom to whom.
pub type Link = (NodeId, NodeId);

/// How a cluster starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// The founders, all voters.
    pub voters: Vec<NodeId>,
    /// Servers that wait to be added.
    pub spare: Vec<NodeId>,
    /// When writes are durable.
    pub disks: Disk,
    /// Leases, with this clock drift per mille.
    pub lease: Option<u32>,
    /// How many entries a learner may be behind when it is promoted.
    pub catch_up: Option<u64>,
    /// How many bytes of entries a message carries; with 1, each entry travels alone.
    pub append_bytes: Option<u64>,
}

/// When writes are durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disk {
    /// At once, where the disk is not the topic.
    #[default]
    Fast,
    /// When the transcript says so.
    Slow,
}

/// How much of a command's effects is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Each.
    All,
    /// Their number.
    Count,
}

/// One wish within a change of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// `+voter:4`
    Voter(NodeId),
    /// `+learner:4`
    Learner(NodeId),
    /// `-4`
    Remove(NodeId),
}

impl FromStr for Command {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        let words: Vec<&str> = rest.split_whitespace().collect();
        match (verb, words.as_slice()) {
            ("propose", [server, ..]) => Ok(Self::Propose(id(server)?, quoted(rest)?)),
            ("log", []) => Ok(Self::Log),
            ("status", []) => Ok(Self::Status),
            ("heal", []) => Ok(Self::Heal),
            ("settle", []) => Ok(Self::Settle(Shown::All)),
            ("settle", ["quietly"]) => Ok(Self::Settle(Shown::Count)),
            ("pass", [span]) => Ok(Self::Pass(duration(span)?)),
            ("cluster", settings) => Ok(Self::Cluster(setup(settings)?)),
            ("deliver", [_, ..]) => Ok(Self::Deliver(links(&words)?)),
            ("drop", [_, ..]) => Ok(Self::Drop(links(&words)?)),
            ("delay", [link]) => Ok(Self::Delay(one_link(link)?)),
            ("late", [link]) => Ok(Self::Late(one_link(link)?)),
            ("partition", [sides]) => Ok(Self::Partition(
                sides.split('|').map(ids).collect::<Result<_, _>>()?,
            )),
            (_, [server, rest @ ..]) => Self::of_server(verb, id(server)?, rest),
            _ => Err("no such command".to_owned()),
        }
    }
}

impl Command {
    fn of_server(verb: &str, server: NodeId, rest: &[&str]) -> Result<Self, String> {
        Ok(match (verb, rest) {
            ("timeout", []) => Self::Timeout(server),
            ("heartbeat", []) => Self::Heartbeat(server),
            ("tick", []) => Self::Tick(server),
            ("persist", []) => Self::Persist(server, None),
            ("persist", [write]) => {
                let write = write.strip_prefix('#').ok_or("a write is named #1")?;
                Self::Persist(server, Some(WriteId(number(write)?)))
            }
            ("read", []) => Self::Read(server, Consistency::Linearizable),
            ("read", ["local"]) => Self::Read(server, Consistency::Local),
            ("read", [bound]) => {
                let age = bound
                    .strip_prefix("bounded=")
                    .ok_or("bounded=50ms, local or nothing")?;
                Self::Read(server, Consistency::Bounded(duration(age)?))
            }
            ("change", wishes @ [_, ..]) => Self::Change(
                server,
                wishes.iter().map(|w| wish(w)).collect::<Result<_, _>>()?,
            ),
            ("abort", []) => Self::Abort(server),
            ("transfer", [target]) => Self::Transfer(server, id(target)?),
            ("snapshot", []) => Self::Snapshot(server),
            ("compact", []) => Self::Compact(server),
            ("fetched", []) => Self::Fetched(server),
            ("crash", []) => Self::Crash(server),
            ("restart", []) => Self::Restart(server),
            ("wipe", []) => Self::Wipe(server),
            ("lose", [from]) => Self::Lose(server, Index(number(from)?)),
            ("elect", []) => Self::Elect(server),
            ("disk", [how]) => Self::Disk(server, disk(how)?),
            _ => return Err("no such command".to_owned()),
        })
    }
}

fn setup(settings: &[&str]) -> Result<Setup, String> {
    let mut setup = Setup::default();
    for setting in settings {
        match setting.split_once('=') {
            Some(("voters", list)) => setup.voters = ids(list)?,
            Some(("spare", list)) => setup.spare = ids(list)?,
            Some(("disks", how)) => setup.disks = disk(how)?,
            Some(("lease", drift)) => {
                setup.lease = Some(drift.parse().map_err(|_| "not a drift per mille")?);
            }
            Some(("catch-up", entries)) => setup.catch_up = Some(number(entries)?),
            Some(("append-bytes", bytes)) => setup.append_bytes = Some(number(bytes)?),
            _ => return Err(format!("no such setting: {setting}")),
        }
    }
    Ok(setup)
}

fn disk(how: &str) -> Result<Disk, String> {
    match how {
        "fast" => Ok(Disk::Fast),
        "slow" => Ok(Disk::Slow),
        _ => Err("a disk is fast or slow".to_owned()),
    }
}

fn wish(text: &str) -> Result<Wish, String> {
    if let Some(server) = text.strip_prefix("+voter:") {
        Ok(Wish::Voter(id(server)?))
    } else if let Some(server) = text.strip_prefix("+learner:") {
        Ok(Wish::Learner(id(server)?))
    } else if let Some(server) = text.strip_prefix('-') {
        Ok(Wish::Remove(id(server)?))
    } else {
        Err("a wish is +voter:4, +learner:4 or -4".to_owned())
    }
}

fn quoted(text: &str) -> Result<Vec<String>, String> {
    let parts: Vec<&str> = text.split('"').collect();
    if parts.len() < 3 || parts.len().is_multiple_of(2) {
        return Err("a proposal stands in quotes".to_owned());
    }
    Ok(parts
        .iter()
        .skip(1)
        .step_by(2)
        .map(|&part| part.to_owned())
        .collect())
}

fn links(words: &[&str]) -> Result<Vec<Link>, String> {
    words.iter().map(|word| one_link(word)).collect()
}

fn one_link(word: &str) -> Result<Link, String> {
    let (from, to) = word.split_once("->").ok_or("a link is 1->2")?;
    Ok((id(from)?, id(to)?))
}

fn ids(list: &str) -> Result<Vec<NodeId>, String> {
    list.split(',').map(id).collect()
}

fn id(word: &str) -> Result<NodeId, String> {
    Ok(NodeId(number(word)?))
}

fn number(word: &str) -> Result<u64, String> {
    word.parse().map_err(|_| format!("not a number: {word}"))
}

fn duration(word: &str) -> Result<Duration, String> {
    let millis = word.strip_suffix("ms").ok_or("a time is 100ms")?;
    Ok(Duration::from_millis(number(millis)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_as_written() {
        let check = |text: &str, expected: Command| {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        };
        let (one, two) = (NodeId(1), NodeId(2));
        check("timeout 1", Command::Timeout(one));
        check(
            "deliver 1->2 2->1",
            Command::Deliver(vec![(one, two), (two, one)]),
        );
        check("persist 2 #7", Command::Persist(two, Some(WriteId(7))));
        check(
            "propose 1 \"x\" \"a b\"",
            Command::Propose(one, vec!["x".into(), "a b".into()]),
        );
        check(
            "change 1 +voter:2 -1",
            Command::Change(one, vec![Wish::Voter(two), Wish::Remove(one)]),
        );
        check(
            "partition 1|2",
            Command::Partition(vec![vec![one], vec![two]]),
        );
        let age = Duration::from_millis(50);
        check(
            "read 1 bounded=50ms",
            Command::Read(one, Consistency::Bounded(age)),
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in [
            "",
            "timeout",
            "timeout x",
            "deliver 1",
            "propose 1 x",
            "cluster size=3",
        ] {
            assert!(text.parse::<Command>().is_err(), "{text}");
        }
    }
}
