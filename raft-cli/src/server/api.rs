//! etcd's services, a file a service. They translate: what is asked into what the store takes, and
//! what comes of it into etcd's words. They decide nothing.

mod auth;
mod cluster;
mod convert;
mod election;
pub(super) mod error;
mod kv;
mod lease;
mod lock;
mod maintenance;
mod queue;
mod unfold;
mod watch;

use tonic::service::Routes;

use super::member::Shared;
use crate::pb::etcdserverpb::auth_server::AuthServer;
use crate::pb::etcdserverpb::cluster_server::ClusterServer;
use crate::pb::etcdserverpb::kv_server::KvServer;
use crate::pb::etcdserverpb::lease_server::LeaseServer;
use crate::pb::etcdserverpb::maintenance_server::MaintenanceServer;
use crate::pb::etcdserverpb::watch_server::WatchServer;
use crate::pb::v3electionpb::election_server::ElectionServer;
use crate::pb::v3lockpb::lock_server::LockServer;

/// A message may be longer than the request it holds may be; which then has an error of its own.
const MESSAGE_OVERHEAD_BYTES: usize = 512 << 10;

/// All services of a member.
pub(crate) fn routes(member: &Shared) -> Routes {
    let message_bytes = member.config.limits.request_bytes + MESSAGE_OVERHEAD_BYTES;
    let mut routes = Routes::builder();
    routes
        .add_service(
            KvServer::new(kv::KvService::new(member.clone()))
                .max_decoding_message_size(message_bytes)
                .max_encoding_message_size(usize::MAX),
        )
        .add_service(
            AuthServer::new(auth::AuthService::new(member.clone()))
                .max_decoding_message_size(message_bytes),
        )
        .add_service(
            ClusterServer::new(cluster::ClusterService::new(member.clone()))
                .max_decoding_message_size(message_bytes),
        )
        .add_service(
            MaintenanceServer::new(maintenance::MaintenanceService::new(member.clone()))
                .max_decoding_message_size(message_bytes),
        )
        .add_service(
            WatchServer::new(watch::WatchService::new(
                member.clone(),
                watch::PROGRESS_EVERY,
            ))
            .max_decoding_message_size(message_bytes),
        )
        .add_service(
            LeaseServer::new(lease::LeaseService::new(member.clone()))
                .max_decoding_message_size(message_bytes),
        )
        .add_service(
            LockServer::new(lock::LockService::new(member.clone()))
                .max_decoding_message_size(message_bytes),
        )
        .add_service(
            ElectionServer::new(election::ElectionService::new(member.clone()))
                .max_decoding_message_size(message_bytes),
        );
    routes.routes()
}
