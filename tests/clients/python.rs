//! A client in Python, in an environment of its own, if one can be made.

use std::process::Command;

use crate::cluster;
use crate::tool::{is_installed, run};

/// What it does; each line fails if it goes wrong.
const SCRIPT: &str = r#"
import etcd3, sys
client = etcd3.client(host="127.0.0.1", port=int(sys.argv[1]))
client.put("a", "1")
assert client.get("a")[0] == b"1"
assert [kv.key for _, kv in client.get_prefix("a")] == [b"a"]
done, _ = client.transaction(
    compare=[client.transactions.value("a") == "1"],
    success=[client.transactions.put("a", "2")],
    failure=[])
assert done
events, cancel = client.watch("b")
client.put("b", "3")
assert next(events).value == b"3"
cancel()
lease = client.lease(60)
client.put("c", "4", lease)
assert lease.remaining_ttl > 0
lease.revoke()
assert client.get("c")[0] is None
with client.lock("lock", ttl=10) as lock:
    assert lock.is_acquired()
assert client.delete("a")
print(len(list(client.members)), client.status().version)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn it_puts_gets_watches_leases_and_locks() {
    if !is_installed("python3", "--version") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let venv = dir.path().join("venv");
    let python = venv.join("bin/python");
    let made = run(Command::new("python3").args(["-m", "venv"]).arg(&venv), "");
    if !made.is_success {
        return println!(
            "skipped: python3 can't make an environment: {}",
            made.out.trim()
        );
    }
    // The client is old; it reads definitions that later protocol libraries don't take.
    let packages = ["etcd3==0.12.0", "protobuf<3.21", "grpcio", "setuptools"];
    let mut install = Command::new(&python);
    install
        .args(["-m", "pip", "install", "--quiet"])
        .args(packages);
    let installed = run(&mut install, "");
    if !installed.is_success {
        return println!(
            "skipped: etcd3 can't be installed: {}",
            installed.err.trim()
        );
    }
    let script = dir.path().join("client.py");
    std::fs::write(&script, SCRIPT).expect("written");
    let mut cluster = cluster(1).await;
    let url = cluster.client_url(1);
    let port = url.rsplit(':').next().expect("a port");
    let said = run(Command::new(&python).arg(&script).arg(port), "");
    assert!(said.is_success, "{said:?}");
    assert!(said.out.starts_with("1 3."), "{said:?}");
    cluster.end().await;
}
