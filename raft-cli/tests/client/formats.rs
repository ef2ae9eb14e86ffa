//! The same commands, given to two new servers: to one by us, to the other by etcdctl. What is
//! printed is the same, byte by byte, but for what nobody can know before.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::etcd::{Etcd, stdout, text};

/// Both were used for the same, so far.
struct Pair {
    ours: Etcd,
    theirs: Etcd,
}

impl Pair {
    fn start() -> Option<Self> {
        Some(Self {
            ours: Etcd::start()?,
            theirs: Etcd::start()?,
        })
    }

    /// What stands behind `<` is given to standard input.
    fn check(&self, command: &str) {
        let (line, input) = command.split_once(" < ").unwrap_or((command, ""));
        let words: Vec<&str> = line
            .split(' ')
            .map(|word| if word == "''" { "" } else { word })
            .collect();
        let (ours, is_ours_well) = run(self.ours.ours(&words), &self.ours, input);
        let (theirs, is_theirs_well) = run(self.theirs.theirs(&words), &self.theirs, input);
        assert_eq!(is_ours_well, is_theirs_well, "{command}");
        // What etcdctl prints when it fails is its manual.
        if is_theirs_well {
            assert_eq!(ours, theirs, "{command}");
        }
    }
}

fn run(mut command: Command, etcd: &Etcd, input: &str) -> (String, bool) {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut stdin = process.stdin.take().unwrap();
    // Who does not read it has ended before.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = process.wait_with_output().unwrap();
    let printed = text(&output.stdout).replace(&etcd.endpoint, "SERVER");
    (without_leases(&printed), output.status.success())
}

/// Servers choose leases by chance.
fn without_leases(printed: &str) -> String {
    let line = |line: &str| match line.split(' ').collect::<Vec<_>>().as_mut_slice() {
        words @ ["lease", _, ..] => {
            words[1] = "LEASE";
            words.join(" ")
        }
        words => words.join(" "),
    };
    printed.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// What changes nothing, and what comes to something else when it is repeated.
const KEYS: &str = "\
put a 1
put a 2 --prev-kv
put b 3
put c/1 x
put c/2 y
put stdin < a value\nof two lines
put a --ignore-value
put
put a b --ignore-value
put a b --lease 1234
put a b --lease zz
get a
get a --hex
get a c
get c/ --prefix
get c/ --prefix --hex
get '' --prefix
get '' --from-key
get b --from-key --limit 2
get '' --prefix --sort-by=MODIFY --order=DESCEND
get '' --prefix --sort-by=value --order=ascend
get '' --prefix --keys-only
get a --print-value-only
get a --rev 2
get a --rev 999
get a --consistency=s
get a --consistency=x
get a b --prefix
get a --prefix --from-key
get
get ''
del nothing
del c/1 --prev-kv
del c/ --prefix --prev-kv
del a b c
compaction 3
compaction 3
compaction x
get a --rev 2";

/// Transactions on standard input.
const TRANSACTIONS: [&str; 9] = [
    "mod(\"a\") > \"0\"\n\nput a \"b c\"\nget a\ndel b --prev-kv\n\nput d e\n\n",
    "value(\"a\") = \"no\"\nversion(\"a\") > \"0\"\n\nput a b\n\nget a\nget d --prefix\n\n",
    "create(\"new\") = \"0\"\n\nput new 'single quoted' --prev-kv\n\n\n",
    "c(\"new\") < \"1\"\n\n\nput new \"\\x41\\n\"\n\n",
    "val(\"new\") = \"A\\n\"\n\nget new\n\n\n",
    "\n\n\n",
    "nonsense\n\n\n\n",
    "\nunknown verb\n\n\n",
    "\nput a b\n",
];

const MEMBERS: &str = "\
member list
member remove 1
member remove x
member promote 1
member add
member update 1 --peer-urls http://127.0.0.1:2
alarm list
alarm disarm
move-leader 1
move-leader x
lease grant x
lease grant 100
lease revoke 1234
lease timetolive 1234
lease timetolive 1234 --keys
lease keep-alive --once 1234";

const USERS: &str = "\
user add u:p
user add u:p
user add :p
user add n --no-password
user add i --interactive=false < secret\\n
user list
user get u
user get nobody
user passwd u --interactive=false < other\\n
role add r
role add r
role list
role grant-permission r read k
role grant-permission r WRITE k l
role grant-permission r readwrite p/ --prefix
role grant-permission r readwrite z --from-key
role grant-permission r readwrite '' --prefix
role grant-permission r none k
role grant-permission r read k l --prefix
role get r
role get nothing
user grant-role u r
user grant-role u nothing
user get u
user get u --detail
role revoke-permission r k
role revoke-permission r k l
role revoke-permission r z --from-key
role revoke-permission r nothing
role get r
user revoke-role u r
user revoke-role u r
user delete u
user delete u
role delete r
role delete r
auth disable
auth enable";

#[test]
fn keys_are_printed_as_etcdctl_prints_them() {
    for format in ["simple", "json", "fields"] {
        let Some(pair) = Pair::start() else { return };
        for command in KEYS.lines() {
            // Debian's release of etcdctl prints no hexadecimal numbers here.
            if format == "fields" && command.ends_with("--hex") {
                continue;
            }
            let (line, input) = command.split_once(" < ").unwrap_or((command, ""));
            pair.check(&format!("{line} -w {format} < {input}"));
        }
    }
}

#[test]
fn transactions_are_printed_as_etcdctl_prints_them() {
    for format in ["simple", "fields"] {
        let Some(pair) = Pair::start() else { return };
        pair.check("put a 1");
        pair.check("put b 2");
        for input in TRANSACTIONS {
            pair.check(&format!("txn -w {format} < {input}"));
        }
        pair.check(&format!("txn -i < {}", TRANSACTIONS[0]));
    }
}

/// Later releases name what a transaction's parts answered as the definition does.
#[test]
fn transactions_in_json_have_the_names_of_the_newest_etcdctl() {
    let Some(pair) = Pair::start() else { return };
    for input in TRANSACTIONS {
        let words = ["txn", "-w", "json"];
        let (ours, is_ours_well) = run(pair.ours.ours(&words), &pair.ours, input);
        let (theirs, is_theirs_well) = run(pair.theirs.theirs(&words), &pair.theirs, input);
        let newest = theirs
            .replace("ResponseRange", "response_range")
            .replace("ResponsePut", "response_put")
            .replace("ResponseDeleteRange", "response_delete_range");
        assert_eq!(is_ours_well, is_theirs_well, "{input}");
        if is_theirs_well {
            assert_eq!(ours, newest, "{input}");
        }
    }
}

#[test]
fn members_and_leases_are_printed_as_etcdctl_prints_them() {
    let Some(pair) = Pair::start() else { return };
    for command in MEMBERS.lines() {
        pair.check(command);
    }
    for command in ["member list", "lease timetolive 1234"] {
        pair.check(&format!("{command} -w json"));
    }
    for command in ["member list -w table", "lease timetolive 1234 -w fields"] {
        pair.check(command);
    }
}

#[test]
fn users_and_roles_are_printed_as_etcdctl_prints_them() {
    for format in ["simple", "json"] {
        let Some(pair) = Pair::start() else { return };
        for command in USERS.lines() {
            let command = command.replace("\\n", "\n");
            let (line, input) = command.split_once(" < ").unwrap_or((&command, ""));
            pair.check(&format!("{line} -w {format} < {input}"));
        }
    }
}

#[test]
fn watches_are_printed_as_etcdctl_prints_them() {
    let Some(etcd) = Etcd::start() else { return };
    for command in ["put a 1", "put a 2", "put ab 3", "del a"] {
        let words: Vec<&str> = command.split(' ').collect();
        stdout(&mut etcd.ours(&words));
    }
    let check = |arguments: &[&str], lines: usize| {
        let begin = |mut command: Command| {
            let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
            let out = BufReader::new(process.stdout.take().unwrap());
            let read: Vec<String> = out.lines().take(lines).map(Result::unwrap).collect();
            process.kill().unwrap();
            process.wait().unwrap();
            read
        };
        let (ours, theirs) = (begin(etcd.ours(arguments)), begin(etcd.theirs(arguments)));
        assert_eq!(ours, theirs, "{arguments:?}");
    };
    check(&["watch", "a", "--rev", "2"], 9);
    check(&["watch", "a", "--rev", "2", "--prefix", "--prev-kv"], 16);
    check(&["watch", "a", "b", "--rev", "4", "--hex"], 6);
    check(&["watch", "a", "--rev", "2", "-w", "json"], 1);
    check(
        &["watch", "a", "--rev", "2", "--prev-kv", "-w", "fields"],
        30,
    );
    let script = "echo $ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY $ETCD_WATCH_VALUE";
    check(&["watch", "a", "--rev", "2", "--", "sh", "-c", script], 12);
}
