//! `member`: what its flags ask for. It does not know how answers look.

use clap::{Args, Subcommand};

use super::context::{Context, Verb};
use super::kv::Consistency;
use super::services;
use crate::exit::Exit;
use crate::pb::etcdserverpb::{
    MemberAddRequest, MemberListRequest, MemberPromoteRequest, MemberRemoveRequest,
    MemberUpdateRequest,
};

/// Say who belongs to the cluster.
#[derive(Debug, Args)]
pub(crate) struct MemberArgs {
    #[command(subcommand)]
    verb: MemberVerb,
}

#[derive(Debug, Subcommand)]
#[command(infer_subcommands = true)]
enum MemberVerb {
    /// Print all members
    List {
        /// Whether the answer has to be the newest (l), or may be what this server knows (s)
        #[arg(long, value_name = "l|s", default_value = "l")]
        consistency: Consistency,
    },
    /// Let a server in, and print what to start it with
    Add(AddArgs),
    /// Put a new server in the place of a member, as one change: no vote is missing meanwhile
    Replace(ReplaceArgs),
    /// Take a member out
    Remove {
        /// The member, in hexadecimal digits
        #[arg(value_parser = parse_id)]
        id: u64,
    },
    /// Give a learner its vote
    Promote {
        /// The member, in hexadecimal digits
        #[arg(value_parser = parse_id)]
        id: u64,
    },
    /// Say where a member is reached by the others
    Update {
        /// The member, in hexadecimal digits
        #[arg(value_parser = parse_id)]
        id: u64,
        /// Its URLs, separated by commas
        #[arg(long, value_name = "URLS")]
        peer_urls: String,
    },
}

#[derive(Debug, Args)]
struct AddArgs {
    /// What it is going to be called
    name: String,
    /// Where the others reach it, separated by commas
    #[arg(long, value_name = "URLS")]
    peer_urls: String,
    /// It learns, and has no vote until it is promoted
    #[arg(long)]
    learner: bool,
}

/// A member as etcdctl writes them.
pub(crate) fn parse_id(text: &str) -> Result<u64, String> {
    // Unlike Go's, Rust's parser would take a sign.
    let digits = (!text.starts_with('+')).then_some(text);
    digits
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| format!("bad member ID ({text}), expecting ID in Hex"))
}

fn urls(text: &str) -> Vec<String> {
    text.split(',').map(str::to_owned).collect()
}

impl Verb for MemberArgs {
    fn has_rows(&self) -> bool {
        matches!(self.verb, MemberVerb::List { .. })
    }

    async fn run(self, context: &mut Context) -> Result<(), Exit> {
        match self.verb {
            MemberVerb::List { consistency } => list(context, consistency).await,
            MemberVerb::Add(args) => args.run(context).await,
            MemberVerb::Replace(args) => args.run(context).await,
            MemberVerb::Remove { id } => remove(context, id).await,
            MemberVerb::Promote { id } => promote(context, id).await,
            MemberVerb::Update { id, peer_urls } => update(context, id, &peer_urls).await,
        }
    }
}

async fn list(context: &mut Context, consistency: Consistency) -> Result<(), Exit> {
    let request = MemberListRequest {
        linearizable: consistency == Consistency::Linearizable,
    };
    let client = context.client().await?;
    let answer = client
        .call(request, |channel, request| async move {
            services::cluster(channel).member_list(request).await
        })
        .await?;
    context.printer.members(&answer)
}

impl AddArgs {
    async fn run(self, context: &mut Context) -> Result<(), Exit> {
        let request = MemberAddRequest {
            peer_ur_ls: urls(&self.peer_urls),
            is_learner: self.learner,
        };
        let client = context.client().await?;
        let answer = client
            .call(request, |channel, request| async move {
                services::cluster(channel).member_add(request).await
            })
            .await?;
        let newcomer = (self.name.as_str(), self.peer_urls.as_str());
        context.printer.member_added(newcomer, &answer)
    }
}

/// Which member, and by whom.
#[derive(Debug, Args)]
struct ReplaceArgs {
    /// The member that goes, in hexadecimal digits
    #[arg(value_parser = parse_id)]
    id: u64,
    /// How people are to call the server that comes
    name: String,
    /// Where other members are going to reach it
    #[arg(long)]
    peer_urls: String,
}

impl ReplaceArgs {
    /// The newcomer catches up first; then it votes instead of the other, at once. So it may be the
    /// last voter but one that is lost, and still nothing is risked.
    async fn run(self, context: &mut Context) -> Result<(), Exit> {
        let request = MemberAddRequest {
            peer_ur_ls: urls(&self.peer_urls),
            is_learner: false,
        };
        let client = context.client().await?;
        let answer = client
            .call(request, |channel, mut request| async move {
                let metadata = request.metadata_mut();
                metadata.insert("raft-replaces", self.id.into());
                services::cluster(channel).member_add(request).await
            })
            .await?;
        let newcomer = (self.name.as_str(), self.peer_urls.as_str());
        context.printer.member_added(newcomer, &answer)
    }
}

async fn remove(context: &mut Context, id: u64) -> Result<(), Exit> {
    let client = context.client().await?;
    let answer = client
        .call(MemberRemoveRequest { id }, |channel, request| async move {
            services::cluster(channel).member_remove(request).await
        })
        .await?;
    context.printer.member_removed(id, &answer)
}

async fn promote(context: &mut Context, id: u64) -> Result<(), Exit> {
    let client = context.client().await?;
    let answer = client
        .call(MemberPromoteRequest { id }, |channel, request| async move {
            services::cluster(channel).member_promote(request).await
        })
        .await?;
    context.printer.member_promoted(id, &answer)
}

async fn update(context: &mut Context, id: u64, peer_urls: &str) -> Result<(), Exit> {
    let request = MemberUpdateRequest {
        id,
        peer_ur_ls: urls(peer_urls),
    };
    let client = context.client().await?;
    let answer = client
        .call(request, |channel, request| async move {
            services::cluster(channel).member_update(request).await
        })
        .await?;
    context.printer.member_updated(id, &answer)
}
