//! Locks and elections are etcdctl's as well: both exclude each other.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::etcd::{Etcd, stdout};

/// Runs until its standard input ends.
const HOLD: &str = "echo held; cat";

fn begin(mut command: Command) -> (Child, BufReader<std::process::ChildStdout>) {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let out = BufReader::new(process.stdout.take().unwrap());
    (process, out)
}

fn line(out: &mut impl BufRead) -> String {
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn interrupt(process: &Child) {
    let mut kill = Command::new("kill");
    let interrupted = kill.args(["-INT", &process.id().to_string()]).status();
    assert!(interrupted.unwrap().success());
}

/// Ends `holder` when somebody waits behind it, and sees that the other comes in then.
fn check_handover(etcd: &Etcd, lock: &str, holder: Command, waiter: Command) {
    let (mut holder, mut held) = begin(holder);
    assert_eq!(line(&mut held), "held");
    let (mut waiter, mut out) = begin(waiter);
    while etcd.count(lock) < 2 {
        assert!(
            waiter.try_wait().unwrap().is_none(),
            "nobody waited for the lock"
        );
    }
    assert!(waiter.try_wait().unwrap().is_none(), "two hold the lock");
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    assert_eq!(line(&mut out), "mine");
    assert!(waiter.wait().unwrap().success());
    while etcd.count(lock) > 0 {}
}

#[test]
fn our_locks_exclude_etcdctl_and_its_locks_us() {
    let Some(etcd) = Etcd::start() else { return };
    let script = etcd.directory.path().join("hold.sh");
    std::fs::write(&script, HOLD).unwrap();
    // etcdctl would take the command's flags for its own.
    let script = script.to_str().unwrap();
    let ours = |arguments: &[&str]| etcd.ours(&[&["lock", "l"], arguments].concat());
    let theirs = |arguments: &[&str]| etcd.theirs(&[&["lock", "l"], arguments].concat());
    let mine = ["echo", "mine"];
    check_handover(&etcd, "l/", ours(&["sh", script]), theirs(&mine));
    check_handover(&etcd, "l/", ours(&["sh", script]), ours(&mine));
    // etcdctl gives its commands no standard input, so they end at once: nobody can wait for it.
    assert_eq!(stdout(&mut theirs(&mine)), "mine\n");
}

#[test]
fn a_lock_ends_with_the_code_of_its_command() {
    let Some(etcd) = Etcd::start() else { return };
    let check = |script: &str, code: i32| {
        let status = etcd
            .ours(&["lock", "l", "sh", "-c", script])
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(code), "{script}");
        assert_eq!(etcd.count("l/"), 0);
    };
    check("true", 0);
    check("exit 7", 7);
    check("kill -9 $$", 137);
}

#[test]
fn a_signal_does_not_take_the_lock_from_a_command() {
    let Some(etcd) = Etcd::start() else { return };
    let (mut holder, mut held) = begin(etcd.ours(&["lock", "l", "sh", "-c", HOLD]));
    assert_eq!(line(&mut held), "held");
    interrupt(&holder);
    assert_eq!(etcd.count("l/"), 1);
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    assert_eq!(etcd.count("l/"), 0);
}

#[test]
fn candidates_are_elected_one_after_the_other_and_observed() {
    let Some(etcd) = Etcd::start() else { return };
    let (mut first, mut out) = begin(etcd.ours(&["elect", "e", "first"]));
    assert!(line(&mut out).starts_with("e/"));
    assert_eq!(line(&mut out), "first");
    let (mut observer, mut observed) = begin(etcd.ours(&["elect", "-l", "e"]));
    assert!(line(&mut observed).starts_with("e/"));
    assert_eq!(line(&mut observed), "first");
    let (mut second, mut second_out) = begin(etcd.theirs(&["elect", "e", "second"]));
    while etcd.count("e/") < 2 {}
    interrupt(&first);
    assert!(first.wait().unwrap().success());
    assert!(line(&mut second_out).starts_with("e/"));
    assert_eq!(line(&mut second_out), "second");
    assert!(line(&mut observed).starts_with("e/"));
    assert_eq!(line(&mut observed), "second");
    for process in [&mut observer, &mut second] {
        process.kill().unwrap();
        process.wait().unwrap();
    }
}
