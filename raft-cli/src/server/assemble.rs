//! Makes a member out of its parts: the log, the network, the store, the node, and who looks after
//! them. The same steps for a new member, one that comes back, and one whose disk was lost.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use raft_core::port::LogStore;
use raft_core::{Config, GroupId, Incarnation, Node, NodeConfig};
use raft_kv::command::Announcement;
use raft_kv::engine::Engine;
use raft_kv::service::Limits as KvLimits;
use raft_kv::watch::HubConfig;
use raft_kv::{Keeper, KeeperConfig, Kv, Machine, MachineConfig, Quota, Store};
use raft_log::{Identity as LogIdentity, Wal, WalConfig, WalLog};
use raft_net::discovery::{
    Assembled, Candidate, Founders, Joining, Plan, Seeds, assemble, find, join,
};
use raft_net::{TcpConfig, TcpNet, Tls};
use tokio::task::JoinSet;

use super::auth::Users;
use super::config::{ServerConfig, TlsFiles};
use super::engine;
use super::founders;
use super::gate::Gate;
use super::home::{Home, Identity, hex};
use super::leadership::Leadership;
use super::member::Member;
use super::metrics::{Metrics, TimedLog, TimedMachine, TimedTransport};
use super::relief;

/// The one group of a process.
pub(crate) const GROUP: GroupId = GroupId(1);
/// How long a change of members may wait for a newcomer: an operator has to start it.
const MEMBERSHIP_TIMEOUT: Duration = Duration::from_mins(5);

/// A member that runs, and what it takes to stop it and to have its certificates read again.
pub(crate) struct Running {
    /// What services share.
    pub(crate) member: Arc<Member>,
    /// What members are met with.
    pub(crate) peer_tls: Option<Tls>,
    /// What goes on beside; it ends with this.
    _tasks: JoinSet<()>,
    /// What the store lies on, as long as anybody has it.
    pub(crate) rows: Weak<dyn Engine>,
}

/// Starts a member.
pub(crate) async fn start(config: ServerConfig) -> Result<Running> {
    let home = Home::open(&config)?;
    let identity = &home.identity;
    let config = settled(config, identity);
    let mut log = open_log(&home)?;
    let peer_tls = config.peer_tls.as_ref().map(tls).transpose()?;
    let net = network(&config, &home, peer_tls.clone()).await?;
    let me = Candidate {
        id: identity.node(),
        address: config.advertise_peer.address.clone(),
    };
    let recovered = log.recover().context("the log can't be read")?;
    let assembled = if recovered.incarnation == Incarnation::UNBOUND {
        let (member, cluster) = (hex(me.id.0), hex(identity.cluster));
        let token = &identity.token;
        tracing::info!(member, cluster, token, "new, and looks for its cluster");
        Some(assemble(&net, GROUP, &me, plan(&config).await?).await?)
    } else {
        None
    };
    let metrics = Arc::new(Metrics::new());
    let node_config = node_config(&config, &me, assembled.as_ref());
    let engine = engine::open(&home, config.engine)?;
    let rows = Arc::downgrade(&engine);
    let node_parts = (log, &net, &*metrics);
    let (node, store) = start_node(&config, engine, node_config, node_parts).await?;
    let mut tasks = JoinSet::new();
    join_if_needed(&mut tasks, &config, (&net, &node), me, assembled.as_ref());
    let kv = Kv::new(node.clone(), store.clone(), kv_limits(&config));
    let leadership = Leadership::follow(node.clone(), config.election_timeout);
    tasks.spawn(relief::run(node.clone(), store.clone()));
    let keeper = Keeper::start(node, store, keeper_config(&config, &home));
    let member = Arc::new(Member {
        id: identity.node(),
        cluster: identity.cluster,
        token: identity.token.clone(),
        kv,
        keeper,
        net,
        leadership,
        gate: Gate::new(config.limits),
        users: users(&config, identity),
        metrics,
        began: Instant::now(),
        config,
    });
    Ok(Running {
        member,
        peer_tls,
        _tasks: tasks,
        rows,
    })
}

/// The log of a member, and a warning of all that opening it found.
pub(crate) fn open_log(home: &Home) -> Result<WalLog> {
    let identity = LogIdentity {
        cluster: home.identity.cluster,
        node: home.identity.node(),
    };
    let dir = home.log();
    let wal = Wal::open_dir(&dir, identity, WalConfig::default())
        .with_context(|| format!("the log in {} can't be opened", dir.display()))?;
    for finding in &wal.report().findings {
        tracing::warn!(%finding, "the log was opened");
    }
    wal.group(GROUP).context("the log can't be read")
}

fn users(config: &ServerConfig, identity: &Identity) -> Users {
    let tls = config.client_tls.as_ref();
    let trusts_certificates = tls.is_some_and(|tls| tls.wants_certificate);
    Users::new(identity.cluster, config.auth, trusts_certificates)
}

/// A data directory has its token from when it was made, as its ids have; a flag changes nothing.
fn settled(mut config: ServerConfig, identity: &Identity) -> ServerConfig {
    if config.cluster.token != identity.token {
        tracing::warn!(
            token = %identity.token,
            "the data directory belongs to the cluster of this token, not to that of the flag"
        );
        config.cluster.token.clone_from(&identity.token);
    }
    config
}

fn tls(files: &TlsFiles) -> Result<Tls> {
    let authority = files
        .authority
        .as_ref()
        .context("members prove that they belong to the cluster: give --peer-trusted-ca-file")?;
    Ok(Tls::from_files(&files.certificate, &files.key, authority)?)
}

async fn network(config: &ServerConfig, home: &Home, tls: Option<Tls>) -> Result<TcpNet> {
    let identity = &home.identity;
    let listen = config.listen_peer.address.clone();
    let net = TcpConfig {
        advertised: Some(config.advertise_peer.address.clone()),
        tls,
        ..TcpConfig::new(identity.cluster, identity.node(), listen)
    };
    Ok(TcpNet::bind(net).await?)
}

fn seeds(config: &ServerConfig) -> Seeds {
    match founders::service(config) {
        Some(service) => Seeds::service(service),
        None => Seeds::at(
            config
                .cluster
                .initial
                .iter()
                .map(|(_, url)| url.address.clone()),
        ),
    }
}

async fn plan(config: &ServerConfig) -> Result<Plan> {
    let cluster = &config.cluster;
    Ok(Plan {
        seeds: seeds(config),
        founders: if cluster.is_existing {
            Founders::Nobody
        } else {
            Founders::Listed(founders::of(config).await?)
        },
        replace: cluster.replace,
        patience: cluster.patience,
    })
}

fn node_config(config: &ServerConfig, me: &Candidate, assembled: Option<&Assembled>) -> NodeConfig {
    let mut node = match assembled {
        Some(Assembled::Found(list)) => NodeConfig::founding(me.id, list.clone()),
        Some(Assembled::Join { .. } | Assembled::Added { .. }) | None => NodeConfig::joining(me.id),
    };
    node.raft = Config {
        election_timeout_min: config.election_timeout,
        election_timeout_max: config.election_timeout * 2,
        heartbeat_interval: config.heartbeat_interval,
        transfer_timeout: config.election_timeout * 2,
        membership_timeout: MEMBERSHIP_TIMEOUT,
        ..Config::default()
    };
    node.request_timeout = config.election_timeout * 2;
    node.compaction.entries_max = config.snapshot_count.max(1);
    node.compaction.tail_entries = node.compaction.tail_entries.min(config.snapshot_count);
    // What is around the request in its command is not the client's to count.
    node.command_bytes_max = config.limits.request_bytes + (64 << 10);
    // The door is narrower, so that who is refused is told by it.
    node.requests_max = node.requests_max.max(config.limits.requests);
    node.requests_bytes_max = config.limits.request_bytes_in_flight;
    node
}

async fn start_node(
    config: &ServerConfig,
    engine: Arc<dyn Engine>,
    node: NodeConfig,
    (log, net, metrics): (WalLog, &TcpNet, &Metrics),
) -> Result<(Node, Store)> {
    let machine = MachineConfig {
        member: Some(node.id),
        watches: HubConfig {
            watchers_max: config.limits.watchers,
            ..HubConfig::default()
        },
        ..MachineConfig::default()
    };
    let (machine, store) = Machine::open(engine, machine)?;
    let log = TimedLog::new(log, metrics);
    let net = TimedTransport::new(net.group(GROUP), metrics);
    let machine = TimedMachine::new(machine, metrics);
    let node = Node::start(node, log, net, machine).await?;
    Ok((node, store))
}

/// Asks in the background to be added, if nobody did that for this member and it is not a founder;
/// or to have its address written down, if that is another one than the cluster knows.
fn join_if_needed(
    tasks: &mut JoinSet<()>,
    config: &ServerConfig,
    (net, node): (&TcpNet, &Node),
    me: Candidate,
    assembled: Option<&Assembled>,
) {
    let membership = node.status().core.membership.1.clone();
    let known = membership.get(me.id);
    let via = match assembled {
        Some(Assembled::Join { via, .. }) => Some(*via),
        Some(Assembled::Found(_) | Assembled::Added { .. }) => return,
        // It was stopped before it was added.
        None if membership.is_blank() => None,
        None if known.is_some_and(|known| known.address != me.address) => None,
        None => return,
    };
    let (net, node) = (net.clone(), node.clone());
    let (seeds, patience) = (seeds(config), config.cluster.patience);
    let replace = config.cluster.replace;
    tasks.spawn(async move {
        let via = match via {
            Some(via) => via,
            None => match find(&net, GROUP, &me, seeds, patience).await {
                Ok(via) => via,
                Err(error) => return tracing::error!(%error, "found no cluster to join"),
            },
        };
        let joining = Joining {
            me,
            incarnation: node.status().incarnation,
            via,
            replace,
            patience,
        };
        match join(&net, GROUP, &joining).await {
            Ok(_) => tracing::info!("a member of the cluster"),
            Err(error) => tracing::error!(%error, "could not join the cluster"),
        }
    });
}

const fn kv_limits(config: &ServerConfig) -> KvLimits {
    KvLimits {
        txn_ops_max: config.limits.txn_ops,
        request_bytes_max: config.limits.request_bytes,
    }
}

fn keeper_config(config: &ServerConfig, home: &Home) -> KeeperConfig {
    let announcement = Announcement {
        member: home.identity.node(),
        version: raft_kv::Command::VERSION_LATEST,
        name: config.name.clone(),
        client_urls: config
            .advertise_client
            .iter()
            .map(ToString::to_string)
            .collect(),
    };
    let dir = home.dir().to_owned();
    KeeperConfig {
        quota: Quota {
            bytes: config.quota_bytes,
            ..Quota::default()
        },
        free_bytes: Arc::new(move || free_bytes(&dir)),
        auto_compaction: config.auto_compaction,
        ..KeeperConfig::new(announcement)
    }
}

/// What is left on the disk for those who are not root.
pub(crate) fn free_bytes(dir: &std::path::Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(dir).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}
