//! Command lines and what they come to.

use std::time::Duration;

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    bench: BenchArgs,
}

fn task(line: &str) -> Result<Box<Task>, String> {
    let words = std::iter::once("bench").chain(line.split_whitespace());
    let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
    match line.bench.verb.resolve().map_err(|exit| exit.to_string())? {
        Ask::Measure(task) => Ok(task),
        Ask::Serve(at) => Err(format!("serves at {at}")),
    }
}

#[test]
fn loads_are_what_the_flags_say() {
    let check = |line: &str, expected: Kind| {
        let task = task(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(task.load.kind, expected, "{line}");
    };
    let reach = |keys, serializable| Reach { keys, serializable };
    check("put", Kind::Put);
    check("range", Kind::Range(reach(1, false)));
    check(
        "range --span 5 --consistency s",
        Kind::Range(reach(5, true)),
    );
    check("txn --txn-ops 3", Kind::Txn { puts: 3 });
    let mixed = |read_percent, reach| Kind::Mixed {
        read_percent,
        reach,
    };
    check("mixed", mixed(80, reach(1, false)));
    check("mixed --read-percent 0 --span 2", mixed(0, reach(2, false)));
    check("watch --watchers 7", Kind::Watch { watchers: 7 });
    check("lease-keepalive", Kind::KeepAlive);
}

#[test]
fn what_is_not_said_is_by_default() {
    let task = task("put").unwrap();
    assert_eq!(task.load.extent, Extent::For(Duration::from_secs(10)));
    assert_eq!(task.load.warmup, Duration::from_secs(1));
    assert_eq!((task.load.clients, task.load.rate), (1, None));
    assert_eq!(
        (task.load.keys.size(), task.load.keys.space()),
        (24, 10_000)
    );
    assert_eq!(task.load.values.size(), 256);
    assert_eq!(task.load.order, Order::Random);
}

#[test]
fn clients_share_connections_unless_they_have_enough() {
    let check = |line: &str, connections: usize| {
        assert_eq!(task(line).unwrap().connections, connections, "{line}");
    };
    check("put", 1);
    check("put --clients 7", 7);
    check("put --clients 1000", 16);
    check("put --clients 1000 --conns 100", 100);
    check("watch --watchers 9", 9);
}

#[test]
fn what_makes_no_sense_is_said() {
    let check = |line: &str, expected: &str| {
        let error = task(line).err().unwrap_or_else(|| panic!("{line} passed"));
        assert!(error.contains(expected), "{line}: {error}");
    };
    check("put --clients 0", "--clients");
    check("put --conns 0", "--conns");
    check("put --total 0", "--total");
    check("put --rate 0", "--rate");
    check("put --rate inf", "--rate");
    check("put --total 1 --duration 1s", "cannot be used with");
    check("put --duration soon", "no duration");
    check(
        "put --key-size 7",
        "--key-size: 10000 keys that begin with `bench/` take 10",
    );
    check("put --key-space-size 0", "--key-space-size");
    check("range --key-space-size 10 --span 11", "--span");
    check("txn --txn-ops 0", "--txn-ops");
    check("mixed --read-percent 101", "101");
    check("watch --val-size 8", "--val-size");
    check("put --rounds 0", "0 is not in");
    check("put --versus-pids 1,x", "`x` is no id of a process");
}

#[test]
fn others_and_their_processes_go_by_cluster() {
    let line = "put --versus a:1,b:1 --versus c:1 --pids 1,2 --versus-pids 3,4 --versus-pids 5";
    let run = task(line).unwrap().run;
    assert_eq!(
        run.versus
            .iter()
            .map(|list| list.0.len())
            .collect::<Vec<_>>(),
        [2, 1]
    );
    assert_eq!(run.pids, [1, 2]);
    assert_eq!(run.versus_pids, [PidList(vec![3, 4]), PidList(vec![5])]);
}

#[test]
fn the_load_is_told_in_words() {
    let check = |line: &str, workload: &str, pace: &str, extent: &str| {
        let task = task(line).unwrap();
        let told = describe(&task.load, task.connections, 1);
        assert_eq!(
            [told.workload.as_str(), &told.pace, &told.extent],
            [workload, pace, extent]
        );
    };
    check("put --total 5", "puts", "closed loop", "5 operations");
    check(
        "range --rate 100 --duration 1m",
        "linearizable reads of one key",
        "open loop at 100/s, timed from when each was due",
        "60 s",
    );
    check(
        "mixed --span 3 --consistency s --duration 1500ms",
        "80% serializable reads of 3 keys in a row, the rest puts",
        "closed loop",
        "1.5 s",
    );
}

#[test]
fn the_form_of_output_may_be_said_before_and_behind_the_load() {
    let check = |line: &str, expected: Format| {
        let line = Line::try_parse_from(line.split_whitespace()).unwrap();
        assert_eq!(line.bench.write_out, expected);
    };
    check("bench put", Format::Simple);
    check("bench put -w json", Format::Json);
    check("bench -w json put", Format::Json);
    check("bench --write-out=table put --clients 2", Format::Table);
}

#[test]
fn the_bare_server_is_told_of_though_it_is_not_listed() {
    use clap::CommandFactory;
    let mut command = Line::command();
    let help = command.render_long_help().to_string();
    assert!(help.contains("bench bare-server --listen"), "{help}");
    let listed = help.split("Commands:").nth(1).unwrap();
    assert!(!listed.contains("bare-server"), "{listed}");
}
