//! How many calls of gRPC began, and how they ended. All calls are known from the definitions, so
//! that counting one is finding its row and adding one. It does not know how calls come.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use tonic::Code;

use crate::pb::DESCRIPTORS;

/// gRPC's codes, by number, as its metrics call them.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// All calls.
pub(super) struct Calls {
    rows: Vec<Row>,
    /// Where the row of a path is.
    by_path: HashMap<String, usize>,
}

/// A place in [`Calls`].
#[derive(Clone, Copy, Debug)]
pub(super) struct RowId(usize);

struct Row {
    kind: &'static str,
    service: String,
    method: String,
    started: AtomicU64,
    /// By code.
    ended: [AtomicU64; CODES.len()],
}

type Labels = Vec<(&'static str, String)>;

impl Calls {
    pub(super) fn new() -> Self {
        let pool = DescriptorPool::decode(DESCRIPTORS).expect("a test reads them");
        let mut calls = Self {
            rows: Vec::new(),
            by_path: HashMap::new(),
        };
        for service in pool.services() {
            for method in service.methods() {
                let path = format!("/{}/{}", service.full_name(), method.name());
                calls.by_path.insert(path, calls.rows.len());
                calls.rows.push(Row {
                    kind: kind(&method),
                    service: service.full_name().to_owned(),
                    method: method.name().to_owned(),
                    started: AtomicU64::new(0),
                    ended: std::array::from_fn(|_| AtomicU64::new(0)),
                });
            }
        }
        calls
    }

    /// A call begins, if there is one of this path.
    pub(super) fn started(&self, path: &str) -> Option<RowId> {
        let at = *self.by_path.get(path)?;
        self.rows[at].started.fetch_add(1, Ordering::Relaxed);
        Some(RowId(at))
    }

    /// It has ended.
    pub(super) fn ended(&self, row: RowId, code: Code) {
        let at = usize::try_from(i32::from(code)).unwrap_or_default();
        self.rows[row.0].ended[at].fetch_add(1, Ordering::Relaxed);
    }

    /// Shows what was counted; of codes, those that were ever met, and success.
    pub(super) fn register(&self, registry: &mut Registry) {
        let (started, handled) = (
            Family::<Labels, Counter>::default(),
            Family::<Labels, Counter>::default(),
        );
        for row in &self.rows {
            let labels = vec![
                ("grpc_type", row.kind.to_owned()),
                ("grpc_service", row.service.clone()),
                ("grpc_method", row.method.clone()),
            ];
            let count = row.started.load(Ordering::Relaxed);
            started.get_or_create(&labels).inc_by(count);
            for (code, ended) in CODES.iter().zip(&row.ended) {
                let count = ended.load(Ordering::Relaxed);
                if count > 0 || *code == "OK" {
                    let mut labels = labels.clone();
                    labels.push(("grpc_code", (*code).to_owned()));
                    handled.get_or_create(&labels).inc_by(count);
                }
            }
        }
        registry.register("grpc_server_started", "Calls that began", started);
        registry.register("grpc_server_handled", "Calls that ended, by code", handled);
    }
}

fn kind(method: &MethodDescriptor) -> &'static str {
    match (method.is_client_streaming(), method.is_server_streaming()) {
        (false, false) => "unary",
        (true, false) => "client_stream",
        (false, true) => "server_stream",
        (true, true) => "bidi_stream",
    }
}
