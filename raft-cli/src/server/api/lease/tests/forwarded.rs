//! Three members whose client ports are real: what only the leader knows is asked of any.

use raft_kv::Command;
use raft_kv::command::Announcement;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

use super::*;
use crate::server::testing::cluster;

/// Serves the leases of a member, and has it say where.
async fn serve(member: &Shared, servers: &mut JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let service = LeaseServer::new(LeaseService::new(member.clone()));
    servers.spawn(async move {
        let served = Server::builder().add_service(service);
        let served = served.serve_with_incoming(TcpListenerStream::new(listener));
        served.await.expect("it serves");
    });
    let announcement = Announcement {
        member: member.id,
        version: Command::VERSION_LATEST,
        name: String::new(),
        client_urls: vec![format!("http://{address}")],
    };
    member.kv.announce(announcement).await.expect("it is led");
}

#[tokio::test]
async fn any_member_keeps_leases_alive_and_knows_their_time() {
    let members = cluster(3).await;
    let mut servers = JoinSet::new();
    for member in &members {
        serve(member, &mut servers).await;
    }
    grant(&mut client(&members[0]), 1, 60)
        .await
        .expect("granted");
    for member in &members {
        let mut client = client(member);
        let told = keep_alive(&mut client, &[1, 404]).await.expect("a leader");
        assert_eq!(told, [(1, 60), (404, 0)], "of {}", member.id);
        let known = time_to_live(&mut client, 1).await;
        assert_eq!((known.granted_ttl, known.ttl > 0), (60, true));
        assert_eq!(known.header.expect("there").member_id, member.id.0);
        assert_eq!(time_to_live(&mut client, 404).await.ttl, -1);
    }
    servers.shutdown().await;
}
