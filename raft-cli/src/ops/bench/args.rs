//! The flags of `raft-cli bench`, and the load that they come to. It does not know how loads are
//! run.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Args, Subcommand, ValueEnum};
use tokio::time::Instant;

use super::keys::{Keys, Values};
use super::load::{Kind, Load, Order, Reach, STAMP_BYTES};
use super::print::Format;
use super::report::LoadReport;
use super::schedule::Extent;
use crate::client::connect::ConnectArgs;
use crate::client::duration::Span;
use crate::client::endpoint::Endpoint;
use crate::exit::Exit;

/// By default clients share so many connections at most.
pub(crate) const CONNECTIONS: usize = 16;

const DURATION: &str = "10s";

/// How fast a cluster answers, and how fast beside others.
///
/// Any etcd v3 endpoint will do. Clients are in a closed loop, each asks again when it is answered;
/// with --rate they are in an open loop, where operations begin at fixed instants and their times
/// count from those, so that a server that stalls can't hide it. What is written stays, below
/// --prefix.
///
/// `bench bare-server --listen HOST:PORT` serves puts, ranges and transactions from a map, without
/// Raft and disk: what gRPC costs alone. With it as a --versus, one run tells how much of that
/// ceiling a cluster reaches.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    pub(crate) verb: BenchVerb,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    /// How figures are printed.
    #[arg(short, long, global = true, value_enum, default_value = "simple")]
    pub(crate) write_out: Format,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchVerb {
    /// Write one key an operation.
    Put(Box<LoadArgs>),
    /// Read one key an operation, or some in a row.
    Range {
        #[command(flatten)]
        reach: ReachArgs,
        #[command(flatten)]
        load: Box<LoadArgs>,
    },
    /// A transaction an operation: compare one key, then write.
    Txn {
        /// Keys that each transaction writes.
        #[arg(long, default_value_t = 1)]
        txn_ops: u64,
        #[command(flatten)]
        load: Box<LoadArgs>,
    },
    /// Read or write, by chance.
    Mixed {
        /// How many of a hundred operations read.
        #[arg(long, default_value_t = 80, value_parser = clap::value_parser!(u64).range(0..=100))]
        read_percent: u64,
        #[command(flatten)]
        reach: ReachArgs,
        #[command(flatten)]
        load: Box<LoadArgs>,
    },
    /// Write, while others watch: how long until they see it.
    Watch {
        /// How many watch all keys of the load, a stream each.
        #[arg(long, default_value_t = 10)]
        watchers: usize,
        #[command(flatten)]
        load: Box<LoadArgs>,
    },
    /// Renew a lease an operation; each client has its own.
    LeaseKeepalive(Box<LoadArgs>),
    /// Serve from a map, to measure what gRPC costs alone.
    #[command(hide = true)]
    BareServer {
        /// Where; port 0 takes a free one.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
}

/// What a range reads.
#[derive(Debug, Args)]
pub(crate) struct ReachArgs {
    /// Keys in a row that each range reads.
    #[arg(long, default_value_t = 1)]
    span: u64,
    /// Whether reads see all that was acknowledged (l) or may be behind (s).
    #[arg(long, value_enum, default_value = "l")]
    consistency: Consistency,
    /// Do not write the keys first that are to be read.
    #[arg(long)]
    no_fill: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Consistency {
    /// Linearizable.
    L,
    /// Serializable.
    S,
}

/// What all loads have in common.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// Clients; each has one operation under way.
    #[arg(long, default_value_t = 1)]
    clients: usize,
    /// Connections that they share [default: a client each, 16 at most].
    #[arg(long)]
    conns: Option<usize>,
    /// Measure so many operations.
    #[arg(long, conflicts_with = "duration")]
    total: Option<u64>,
    /// Measure for so long [default: 10s].
    #[arg(long)]
    duration: Option<Span>,
    /// Before, do the same for so long without measuring.
    #[arg(long, default_value = "1s")]
    warmup: Span,
    /// Operations a second, at fixed instants (open loop).
    #[arg(long)]
    rate: Option<f64>,
    /// What keys begin with.
    #[arg(long, default_value = "bench/")]
    prefix: String,
    /// Bytes a key, its prefix included.
    #[arg(long, default_value_t = 24)]
    key_size: usize,
    /// Bytes a value.
    #[arg(long, default_value_t = 256)]
    val_size: usize,
    /// How many keys there are.
    #[arg(long, default_value_t = 10_000)]
    key_space_size: u64,
    /// One key after the other, instead of by chance.
    #[arg(long)]
    sequential_keys: bool,
    /// What chance follows from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// What does not change the load.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Another cluster for the same load in the same run; may be given again.
    #[arg(long, value_name = "URL[,URL]")]
    pub(crate) versus: Vec<EndpointList>,
    /// Rounds, each of all targets in turn; figures are medians [default: 1, with --versus 3].
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) rounds: Option<u8>,
    /// Processes that serve at --endpoints: tells what they use.
    #[arg(
        long,
        value_name = "PID[,PID]",
        visible_alias = "server-pid",
        value_delimiter = ','
    )]
    pub(crate) pids: Vec<u32>,
    /// The same for a --versus, in the same order.
    #[arg(long, value_name = "PID[,PID]")]
    pub(crate) versus_pids: Vec<PidList>,
    /// What the targets are called, --endpoints first [default: their endpoints].
    #[arg(long, value_delimiter = ',')]
    pub(crate) names: Vec<String>,
    /// Also write them there: a page if it ends in .html, else text.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

/// Endpoints of one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndpointList(pub(crate) Vec<Endpoint>);

impl std::str::FromStr for EndpointList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let endpoints: Result<_, _> = text.split(',').map(str::parse).collect();
        endpoints.map(Self)
    }
}

/// Processes of one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PidList(pub(crate) Vec<u32>);

impl std::str::FromStr for PidList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pid = |part: &str| {
            part.trim()
                .parse()
                .map_err(|_| format!("`{part}` is no id of a process"))
        };
        let pids: Result<_, _> = text.split(',').map(pid).collect();
        pids.map(Self)
    }
}

impl ReachArgs {
    const fn reach(&self) -> Reach {
        Reach {
            keys: self.span,
            serializable: matches!(self.consistency, Consistency::S),
        }
    }
}

/// What a command line asks for.
pub(crate) enum Ask {
    Measure(Box<Task>),
    Serve(SocketAddr),
}

/// A load, and what is done with it.
pub(crate) struct Task {
    pub(crate) load: Load,
    pub(crate) connections: usize,
    pub(crate) run: RunArgs,
}

impl BenchVerb {
    /// What it comes to.
    pub(crate) fn resolve(self) -> Result<Ask, Exit> {
        let (kind, filled, args) = match self {
            Self::BareServer { listen } => return Ok(Ask::Serve(listen)),
            Self::Put(load) => (Kind::Put, false, load),
            Self::Range { reach, load } => (Kind::Range(reach.reach()), !reach.no_fill, load),
            Self::Txn { txn_ops, load } => (Kind::Txn { puts: txn_ops }, false, load),
            Self::Mixed {
                read_percent,
                reach,
                load,
            } => {
                let kind = Kind::Mixed {
                    read_percent,
                    reach: reach.reach(),
                };
                (kind, !reach.no_fill, load)
            }
            Self::Watch { watchers, load } => (Kind::Watch { watchers }, false, load),
            Self::LeaseKeepalive(load) => (Kind::KeepAlive, false, load),
        };
        let task = args.resolve(kind, filled)?;
        Ok(Ask::Measure(Box::new(task)))
    }
}

impl LoadArgs {
    fn resolve(self, kind: Kind, filled: bool) -> Result<Task, Exit> {
        let keys = Keys::new(&self.prefix, self.key_size, self.key_space_size)?;
        let need = |holds: bool, what: &str| {
            let error = || Exit::BadInput(anyhow!("{what}"));
            if holds { Ok(()) } else { Err(error()) }
        };
        need(self.clients > 0, "--clients: there must be one")?;
        need(self.conns != Some(0), "--conns: there must be one")?;
        need(self.total != Some(0), "--total: there must be one")?;
        let is_rate = self.rate.is_none_or(|rate| rate.is_finite() && rate > 0.0);
        need(is_rate, "--rate: must be above 0")?;
        let in_a_row = match kind {
            Kind::Range(reach) | Kind::Mixed { reach, .. } => reach.keys,
            Kind::Txn { puts } => puts,
            Kind::Put | Kind::Watch { .. } | Kind::KeepAlive => 1,
        };
        let fits = (1..=keys.space()).contains(&in_a_row);
        need(fits, "--span, --txn-ops: from 1 to --key-space-size")?;
        let mut parallel = self.clients;
        if let Kind::Watch { watchers } = kind {
            parallel = parallel.max(watchers);
            let has_room = self.val_size >= STAMP_BYTES;
            need(has_room, "--val-size: watched values carry 9 bytes or more")?;
        }
        let duration = self.duration.map_or_else(|| DURATION.parse(), Ok);
        let Span(duration) = duration.map_err(|text| Exit::BadInput(anyhow!(text)))?;
        let order = match self.sequential_keys {
            true => Order::Sequential,
            false => Order::Random,
        };
        Ok(Task {
            load: Load {
                kind,
                keys,
                values: Values::new(self.val_size, self.seed),
                order,
                seed: self.seed,
                clients: self.clients,
                warmup: self.warmup.0,
                extent: self.total.map_or(Extent::For(duration), Extent::Total),
                rate: self.rate,
                filled,
                epoch: Instant::now(),
            },
            connections: self.conns.unwrap_or(parallel.min(CONNECTIONS)),
            run: self.run,
        })
    }
}

/// The load in words.
pub(crate) fn describe(load: &Load, connections: usize, rounds: u8) -> LoadReport {
    let reads = |reach: Reach| {
        let how = if reach.serializable {
            "serializable"
        } else {
            "linearizable"
        };
        match reach.keys {
            1 => format!("{how} reads of one key"),
            keys => format!("{how} reads of {keys} keys in a row"),
        }
    };
    let workload = match load.kind {
        Kind::Put => "puts".to_owned(),
        Kind::Range(reach) => reads(reach),
        Kind::Txn { puts } => format!("transactions of one comparison and {puts} puts"),
        Kind::Mixed {
            read_percent,
            reach,
        } => format!("{read_percent}% {}, the rest puts", reads(reach)),
        Kind::Watch { watchers } => format!("puts seen by {watchers} watchers"),
        Kind::KeepAlive => "renewals of leases".to_owned(),
    };
    let pace = match load.rate {
        Some(rate) => format!("open loop at {rate}/s, timed from when each was due"),
        None => "closed loop".to_owned(),
    };
    let extent = match load.extent {
        Extent::Total(total) => format!("{total} operations"),
        Extent::For(time) => format!("{} s", time.as_secs_f64()),
    };
    LoadReport {
        workload,
        pace,
        clients: load.clients,
        connections,
        extent,
        warmup_seconds: load.warmup.as_secs_f64(),
        key_bytes: load.keys.size(),
        value_bytes: load.values.size(),
        keys: load.keys.space(),
        order: match load.order {
            Order::Random => "random",
            Order::Sequential => "sequential",
        },
        seed: load.seed,
        rounds,
    }
}

#[cfg(test)]
mod tests;
