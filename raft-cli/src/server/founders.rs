//! Who founds a cluster: whom the command line lists, or whom the `SRV` records of a domain name.
//! Which ids they have follows from their addresses, so all have to be told the same. It does not
//! know who answers there.

use anyhow::{Result, bail};
use raft_core::NodeId;
use raft_net::discovery::dns::Service;
use raft_net::discovery::{DnsError, Resolver};
use tokio::time::{Duration, Instant, sleep};

use super::config::ServerConfig;
use super::home::member_id;

/// Between two questions to the name servers.
const PAUSE: Duration = Duration::from_secs(1);

/// The name whose `SRV` records say where members are, if they are to be looked up; etcd's.
pub(super) fn service(config: &ServerConfig) -> Option<String> {
    let domain = config.cluster.discovery_srv.as_ref()?;
    let service = if config.peer_tls.is_some() {
        "etcd-server-ssl"
    } else {
        "etcd-server"
    };
    Some(format!("_{service}._tcp.{domain}"))
}

/// All founders, by id and address.
///
/// # Errors
/// When records do not name this member in time.
pub(super) async fn of(config: &ServerConfig) -> Result<Vec<(NodeId, String)>> {
    let cluster = &config.cluster;
    let addresses = match service(config) {
        None => {
            let listed = cluster.initial.iter();
            listed.map(|(_, url)| url.address.clone()).collect()
        }
        Some(name) => {
            let resolver = Resolver::default();
            let ask = || resolver.services(&name);
            let own = &config.advertise_peer.address;
            looked_up(&name, ask, own, cluster.patience).await?
        }
    };
    let founder = |address: String| (member_id(&cluster.token, &address), address);
    Ok(addresses.into_iter().map(founder).collect())
}

/// The addresses that records name, once this member is among them. Until then they were not all
/// written, or this member has another name for itself; and it would found without itself.
async fn looked_up<Answer>(
    name: &str,
    ask: impl Fn() -> Answer,
    own: &str,
    patience: Duration,
) -> Result<Vec<String>>
where
    Answer: Future<Output = Result<Vec<Service>, DnsError>>,
{
    let until = Instant::now() + patience;
    let mut said = String::new();
    loop {
        let missing = match ask().await {
            Ok(found) => {
                let at = |service: Service| format!("{}:{}", service.host, service.port);
                let mut addresses: Vec<_> = found.into_iter().map(at).collect();
                addresses.sort();
                addresses.dedup();
                if addresses.iter().any(|address| address == own) {
                    return Ok(addresses);
                }
                let all = addresses.join(", ");
                format!(
                    "the SRV records of {name} name {all}, and not {own}: write this member down, \
                     or give --initial-advertise-peer-urls as it is written there"
                )
            }
            Err(error) => format!("the SRV records of {name} can't be had: {error}"),
        };
        if Instant::now() + PAUSE > until {
            bail!("{missing}");
        }
        if missing != said {
            tracing::warn!("{missing}");
            said = missing;
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::ready;

    use super::*;

    fn at(addresses: &[(&str, u16)]) -> Vec<Service> {
        let service = |(host, port): &(&str, u16)| Service {
            host: (*host).to_owned(),
            port: *port,
        };
        addresses.iter().map(service).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn founders_are_all_that_records_name_once_they_name_this_member() {
        let answers = RefCell::new(vec![
            at(&[("c", 2380), ("a", 2380), ("b", 2380), ("a", 2380)]),
            at(&[("a", 2380)]),
            at(&[]),
        ]);
        let ask = || ready(Ok(answers.borrow_mut().pop().expect("asked three times")));
        let found = looked_up("x", ask, "b:2380", Duration::from_mins(1)).await;
        assert_eq!(found.expect("found"), ["a:2380", "b:2380", "c:2380"]);
        assert!(answers.borrow().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_never_named_is_told_what_to_do() {
        let began = Instant::now();
        let ask = || ready(Ok(at(&[("a", 2380), ("b", 2381)])));
        let refused = looked_up("_s._tcp.x", ask, "b:2380", Duration::from_secs(30)).await;
        let refused = refused.expect_err("not named").to_string();
        for part in [
            "_s._tcp.x",
            "a:2380, b:2381",
            "not b:2380",
            "--initial-advertise",
        ] {
            assert!(refused.contains(part), "{part} in {refused}");
        }
        assert!(began.elapsed() > Duration::from_secs(25));
    }
}
