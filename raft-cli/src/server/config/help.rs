//! What `raft-cli server --help` says beside the flags: examples that teach. The tests parse each
//! command of it.

/// Below the short help.
pub(super) const SHORT: &str = "\
A flag wins over its variable, which wins over the file: --max-txn-ops is RAFT_MAX_TXN_OPS (or
ETCD_MAX_TXN_OPS), and `max-txn-ops = 128` in the file. Examples: raft-cli server --help";

/// Below the long help.
pub(super) const LONG: &str = "\
Where settings come from:
  A flag wins over its variable, which wins over the file, which wins over the default.
  --max-txn-ops is RAFT_MAX_TXN_OPS in the environment (ETCD_MAX_TXN_OPS is read too), and
  `max-txn-ops = 128` in the file. --print-config prints such a file. etcd's other flags are taken
  as well, with a warning that says what happens instead, or an error where that would be dangerous.

Examples:
  A server by itself, for a look; its data is in ./default.raft:
    raft-cli server

  Three servers on three machines. The list is the same at each, name and address are its own:
    raft-cli server --name n1 --data-dir /var/lib/raft \\
      --listen-client-urls http://0.0.0.0:2379 --advertise-client-urls http://10.0.0.1:2379 \\
      --listen-peer-urls http://0.0.0.0:2380 \\
      --initial-cluster n1=http://10.0.0.1:2380,n2=http://10.0.0.2:2380,n3=http://10.0.0.3:2380
    raft-cli server --name n2 --data-dir /var/lib/raft \\
      --listen-client-urls http://0.0.0.0:2379 --advertise-client-urls http://10.0.0.2:2379 \\
      --listen-peer-urls http://0.0.0.0:2380 \\
      --initial-cluster n1=http://10.0.0.1:2380,n2=http://10.0.0.2:2380,n3=http://10.0.0.3:2380
    and n3 likewise. Two of the three may fail to start at first: they look for each other.

  A fourth, after `raft-cli member add n4 --peer-urls http://10.0.0.4:2380` at one of them:
    raft-cli server --name n4 --data-dir /var/lib/raft --initial-cluster-state existing \\
      --listen-client-urls http://0.0.0.0:2379 --advertise-client-urls http://10.0.0.4:2379 \\
      --listen-peer-urls http://0.0.0.0:2380 \\
      --initial-cluster n1=http://10.0.0.1:2380,n4=http://10.0.0.4:2380

  The same settings as a file, looked at before they are used:
    raft-cli server --name n1 --print-config > n1.toml
    raft-cli server --config-file n1.toml --check-config

  With TLS for clients and members, from `raft-cli tls gen --out tls --hosts 10.0.0.1`:
    raft-cli server --name n1 --cert-file tls/server.crt --key-file tls/server.key \\
      --listen-client-urls https://10.0.0.1:2379 --listen-peer-urls https://10.0.0.1:2380 \\
      --peer-cert-file tls/peer.crt --peer-key-file tls/peer.key \\
      --peer-trusted-ca-file tls/ca.crt";
