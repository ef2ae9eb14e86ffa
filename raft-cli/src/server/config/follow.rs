//! What follows from other settings if nobody says it: where the data lies, where a member is
//! reached, who founds the cluster. It deliberately leaves what can't be read as it is: that is
//! said once, where values are read.

use super::merged::Merged;
use super::url::Url;

/// Fills in what follows.
pub(super) fn fill_in(merged: &mut Merged) {
    let name = text(merged, "name");
    merged.follow("data-dir", format!("{name}.raft"));

    let has_peer_tls = merged.get("peer-cert-file").is_some();
    merged.follow("peer-client-cert-auth", has_peer_tls.to_string());

    let clients = text(merged, "listen-client-urls");
    let clients: Vec<String> = clients.split(',').map(seen_from_itself).collect();
    merged.follow("advertise-client-urls", clients.join(","));

    // It is written down once then, and can't be written down differently.
    let founders = text(merged, "initial-cluster");
    let own = founders.split(',').find_map(|part| {
        let (other, url) = part.trim().split_once('=')?;
        (other == name).then(|| url.to_owned())
    });
    let peer = own.unwrap_or_else(|| seen_from_itself(&text(merged, "listen-peer-urls")));
    merged.follow("initial-advertise-peer-urls", peer);

    if merged.get("discovery-srv").is_none() {
        let peer = text(merged, "initial-advertise-peer-urls");
        merged.follow("initial-cluster", format!("{name}={peer}"));
    }
}

fn text(merged: &Merged, name: &str) -> String {
    merged
        .get(name)
        .map_or_else(String::new, |given| given.text.clone())
}

fn seen_from_itself(text: &str) -> String {
    match text.trim().parse::<Url>() {
        Ok(url) => url.seen_from_itself().to_string(),
        Err(_) => text.to_owned(),
    }
}
