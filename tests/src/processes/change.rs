//! How operators change the members of a cluster. It does not know why.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::Client;
use super::cluster::Cluster;
use super::until;

/// How long one try to add or to remove may take.
const BRIEFLY: Duration = Duration::from_secs(2);
/// Where our members say how they are.
const REPORT: &str = "/raft/v1/report";

impl Cluster {
    /// Has a member lead.
    ///
    /// # Panics
    /// When that does not come about.
    pub async fn hand_to(&self, member: u64) {
        let target = self.id(member).await;
        until("leadership is handed over", async || {
            let leader = self.leader().await;
            if leader != member {
                drop(self.client(leader).move_leader(target).await);
            }
            (leader == member).then_some(())
        })
        .await;
    }

    /// Adds a member to those that are up, and waits until it serves.
    ///
    /// # Panics
    /// When that does not come about.
    pub async fn grow(&mut self, newcomer: u64, flags: &[&str]) {
        let peer = self.peer_url(newcomer);
        let others = self.up();
        let client = self.client(others[0]).patient(BRIEFLY);
        let is_listed = async || {
            let members = client.members().await.ok()?;
            let mut urls = members.iter().flat_map(|member| &member.peer_ur_ls);
            urls.any(|url| *url == peer).then_some(())
        };
        // A voter has to be there before it can count, so ours is started first and asks itself;
        // one of etcd has to be added first.
        if self.program().is_ours() {
            self.join(newcomer, &others, flags);
        }
        until("a newcomer is added", async || {
            // The answer may be lost, so what is listed is what was added.
            if is_listed().await.is_none() {
                drop(client.add(&peer, false).await);
            }
            is_listed().await
        })
        .await;
        if !self.program().is_ours() {
            self.join(newcomer, &others, flags);
        }
        self.serves(newcomer).await;
        until("a newcomer is a voter", async || {
            let members = client.members().await.ok()?;
            let member = members
                .iter()
                .find(|member| member.peer_ur_ls.contains(&peer))?;
            (!member.is_learner).then_some(())
        })
        .await;
        if self.program().is_ours() {
            self.settled(newcomer).await;
        }
    }

    /// Waits until a member knows that its configuration is committed, and not joint: as long as it
    /// is, a majority of the old members is still needed as well.
    async fn settled(&self, member: u64) {
        let url = self.client_url(member);
        let address = url.rsplit('/').next().unwrap_or_default();
        until("a change of members is over", async || {
            let report = report(address).await.ok()?.replace(char::is_whitespace, "");
            let wanted = [r#""is_committed":true"#, r#""is_joint":false"#];
            wanted
                .iter()
                .all(|word| report.contains(word))
                .then_some(())
        })
        .await;
    }

    /// Removes a member, which then ends by itself.
    ///
    /// # Panics
    /// When that does not come about.
    pub async fn shrink(&mut self, victim: u64) {
        let id = self.id(victim).await;
        let mut others = self.up().into_iter().filter(|other| *other != victim);
        let client = self
            .client(others.next().expect("not alone"))
            .patient(BRIEFLY);
        until("a member is removed", async || {
            drop(client.remove(id).await);
            let members = client.members().await.ok()?;
            members.iter().all(|member| member.id != id).then_some(())
        })
        .await;
        self.close_to_clients(victim);
        // One that is no member any more answers no read as if it were.
        let removed = Client::new(&self.client_url(victim), self.tls(), BRIEFLY);
        until("who was removed serves nobody", async || {
            removed.get("any").await.err()
        })
        .await;
        self.ended(victim).await;
    }
}

/// What a member of ours says of itself in full.
async fn report(address: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {REPORT} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    timeout(BRIEFLY, stream.read_to_string(&mut answer)).await??;
    Ok(answer)
}
