//! `put`, `get`, `del` and `compaction`: what their flags ask for. It does not know how answers
//! look.

use std::ffi::OsString;
use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use clap::{Args, ValueEnum};

use super::context::{Context, Verb};
use super::lease::parse_id;
use super::output::{Format, quoted};
use super::range::{Extent, bad, bytes, range};
use super::services;
use crate::exit::Exit;
use crate::out::say;
use crate::pb::etcdserverpb::range_request::{SortOrder, SortTarget};
use crate::pb::etcdserverpb::{CompactionRequest, DeleteRangeRequest, PutRequest, RangeRequest};

/// Store a value under a key.
#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    /// The key
    key: OsString,
    /// The value [default: standard input]
    value: Option<OsString>,
    /// The lease that the key ends with, in hexadecimal digits
    #[arg(long, value_name = "ID", default_value = "0", value_parser = parse_id)]
    lease: i64,
    /// Print what was there before
    #[arg(long)]
    prev_kv: bool,
    /// Keep the value that is there
    #[arg(long)]
    ignore_value: bool,
    /// Keep the lease that is there
    #[arg(long)]
    ignore_lease: bool,
}

impl PutArgs {
    /// Whether the value has to be read from standard input.
    pub(crate) const fn wants_input(&self) -> bool {
        self.value.is_none() && !self.ignore_value
    }

    pub(crate) fn request(self) -> Result<PutRequest, Exit> {
        let value = match (self.value, self.ignore_value) {
            (None, true) => Bytes::new(),
            (Some(_), true) => {
                return Err(bad(
                    "put command needs only 1 argument when 'ignore-value' is set",
                ));
            }
            (Some(value), false) => bytes(value),
            (None, false) => standard_input()?,
        };
        Ok(PutRequest {
            key: bytes(self.key),
            value,
            lease: self.lease,
            prev_kv: self.prev_kv,
            ignore_value: self.ignore_value,
            ignore_lease: self.ignore_lease,
        })
    }
}

fn standard_input() -> Result<Bytes, Exit> {
    let mut value = Vec::new();
    let read = std::io::stdin().lock().read_to_end(&mut value);
    if read.is_err() || value.is_empty() {
        return Err(bad(
            "put command needs 1 argument and input from stdin or 2 arguments",
        ));
    }
    Ok(value.into())
}

impl Verb for PutArgs {
    async fn run(self, context: &mut Context) -> Result<(), Exit> {
        let request = self.request()?;
        let client = context.client().await?;
        let answer = client
            .call(request, |channel, request| async move {
                services::kv(channel).put(request).await
            })
            .await?;
        context.printer.put(&answer)
    }
}

/// Print the values of keys.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of etcdctl's")]
pub(crate) struct GetArgs {
    /// The key
    key: OsString,
    /// The first key that is not meant any more
    range_end: Option<OsString>,
    /// Whether the answer has to be the newest (l), or may be what this server knows (s)
    #[arg(long, value_name = "l|s", default_value = "l")]
    consistency: Consistency,
    /// In which order
    #[arg(long, value_enum, ignore_case = true)]
    order: Option<Order>,
    /// By what they are sorted
    #[arg(long, value_enum, ignore_case = true)]
    sort_by: Option<SortBy>,
    /// How many at most
    #[arg(long, default_value = "0")]
    limit: i64,
    /// All keys that begin with the key
    #[arg(long)]
    prefix: bool,
    /// The key and all after it
    #[arg(long)]
    from_key: bool,
    /// As of which revision
    #[arg(long, default_value = "0")]
    rev: i64,
    /// Without values
    #[arg(long)]
    keys_only: bool,
    /// Only how many there are
    #[arg(long)]
    count_only: bool,
    /// Only values, in the format `simple`
    #[arg(long)]
    print_value_only: bool,
    /// Only keys that were created at this revision or later
    #[arg(long, default_value = "0")]
    min_create_rev: i64,
    /// Only keys that were created at this revision or earlier
    #[arg(long, default_value = "0")]
    max_create_rev: i64,
    /// Only keys that were changed at this revision or later
    #[arg(long, default_value = "0")]
    min_mod_rev: i64,
    /// Only keys that were changed at this revision or earlier
    #[arg(long, default_value = "0")]
    max_mod_rev: i64,
}

/// How new an answer has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Consistency {
    /// The newest.
    #[value(name = "l")]
    Linearizable,
    /// What the server knows.
    #[value(name = "s")]
    Serializable,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "UPPER")]
enum Order {
    Ascend,
    Descend,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "UPPER")]
enum SortBy {
    Create,
    Key,
    Modify,
    Value,
    Version,
}

impl GetArgs {
    pub(crate) fn request(self) -> Result<RangeRequest, Exit> {
        if self.keys_only && self.count_only {
            return Err(bad(
                "`--keys-only` and `--count-only` cannot be set at the same time, choose one",
            ));
        }
        for (name, min, max) in [
            ("create", self.min_create_rev, self.max_create_rev),
            ("mod", self.min_mod_rev, self.max_mod_rev),
        ] {
            if max > 0 && min > max {
                return Err(bad(&format!(
                    "--min-{name}-rev {min} is above --max-{name}-rev {max}"
                )));
            }
        }
        let extent = Extent::of(self.prefix, self.from_key)?;
        let (key, range_end) = range(bytes(self.key), self.range_end.map(bytes), extent)?;
        let target = match self.sort_by {
            None | Some(SortBy::Key) => SortTarget::Key,
            Some(SortBy::Create) => SortTarget::Create,
            Some(SortBy::Modify) => SortTarget::Mod,
            Some(SortBy::Value) => SortTarget::Value,
            Some(SortBy::Version) => SortTarget::Version,
        };
        let order = match (self.order, target) {
            // Keys come in this order anyway, which saves the server the sorting.
            (Some(Order::Ascend), SortTarget::Key) => SortOrder::None,
            (Some(Order::Ascend), _) => SortOrder::Ascend,
            (Some(Order::Descend), _) => SortOrder::Descend,
            (None, _) => SortOrder::None,
        };
        Ok(RangeRequest {
            key,
            range_end,
            limit: self.limit,
            revision: self.rev.max(0),
            sort_order: order.into(),
            sort_target: target.into(),
            serializable: self.consistency == Consistency::Serializable,
            keys_only: self.keys_only,
            count_only: self.count_only,
            min_mod_revision: self.min_mod_rev.max(0),
            max_mod_revision: self.max_mod_rev.max(0),
            min_create_revision: self.min_create_rev.max(0),
            max_create_revision: self.max_create_rev.max(0),
        })
    }
}

impl Verb for GetArgs {
    async fn run(self, context: &mut Context) -> Result<(), Exit> {
        let format = context.printer.format();
        if self.count_only && format == Format::Simple {
            return Err(bad(
                "--count-only is only for `--write-out=fields` or `json`",
            ));
        }
        if self.print_value_only && format != Format::Simple {
            return Err(bad("print-value-only is only for `--write-out=simple`"));
        }
        context.printer.is_value_only = self.print_value_only;
        let request = self.request()?;
        let client = context.client().await?;
        let answer = client
            .call(request, |channel, request| async move {
                services::kv(channel).range(request).await
            })
            .await?;
        context.printer.get(&answer)
    }
}

/// Remove keys.
#[derive(Debug, Args)]
pub(crate) struct DelArgs {
    /// The key
    key: OsString,
    /// The first key that is not meant any more
    range_end: Option<OsString>,
    /// Print what was removed
    #[arg(long)]
    prev_kv: bool,
    #[command(flatten)]
    extent: DelExtent,
}

#[derive(Debug, Args)]
struct DelExtent {
    /// All keys that begin with the key
    #[arg(long)]
    prefix: bool,
    /// The key and all after it
    #[arg(long)]
    from_key: bool,
    /// Don't wait before a range is removed
    #[arg(long)]
    range: bool,
}

/// In which to think again, whether a whole range was meant.
const RANGE_DELAY: Duration = Duration::from_secs(2);

impl DelArgs {
    pub(crate) fn request(self) -> Result<DeleteRangeRequest, Exit> {
        let extent = Extent::of(self.extent.prefix, self.extent.from_key)?;
        let (key, range_end) = range(bytes(self.key), self.range_end.map(bytes), extent)?;
        Ok(DeleteRangeRequest {
            key,
            range_end,
            prev_kv: self.prev_kv,
        })
    }
}

impl Verb for DelArgs {
    async fn run(self, context: &mut Context) -> Result<(), Exit> {
        let is_dangerous = self.range_end.is_some() && !self.extent.range;
        let request = self.request()?;
        if is_dangerous {
            let (key, end) = (quoted(&request.key), quoted(&request.range_end));
            say(format_args!(
                "Warning: Keys between {key} and {end} will be deleted. Please interrupt the \
                 command within next 2 seconds to cancel. You can provide `--range` flag to \
                 avoid the delay."
            ));
            tokio::time::sleep(RANGE_DELAY).await;
        }
        let client = context.client().await?;
        let answer = client
            .call(request, |channel, request| async move {
                services::kv(channel).delete_range(request).await
            })
            .await?;
        context.printer.del(&answer)
    }
}

/// Forget what was before a revision.
#[derive(Debug, Args)]
pub(crate) struct CompactionArgs {
    /// The first revision that can still be asked for
    revision: i64,
    /// Wait until it is gone from the disk as well
    #[arg(long)]
    physical: bool,
}

impl Verb for CompactionArgs {
    async fn run(self, context: &mut Context) -> Result<(), Exit> {
        let revision = self.revision;
        let request = CompactionRequest {
            revision,
            physical: self.physical,
        };
        let client = context.client().await?;
        client
            .call(request, |channel, request| async move {
                services::kv(channel).compact(request).await
            })
            .await?;
        context
            .printer
            .line(&format!("compacted revision {revision}"))
    }
}
