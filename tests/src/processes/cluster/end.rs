//! What all members of a cluster must have done in the end. It does not know what was done to them.

use std::collections::{BTreeMap, BTreeSet};

use super::Cluster;
use crate::processes::load::Load;
use crate::processes::{PATIENCE, judge, process};

impl Cluster {
    /// All faults are over: lets clients end, and judges what they were told, and what members hold
    /// and said. Then ends the members in good order.
    ///
    /// # Panics
    /// When anything is not as it must be.
    pub async fn judge(mut self, load: Load) {
        let book = load.stop().await;
        let counts = book.counts();
        println!(
            "{} answered, {} refused, {} unknown, terms {:?}",
            counts.answered, counts.refused, counts.unknown, counts.terms
        );
        for (trouble, count) in book.troubles() {
            println!("{count:>8} {trouble}");
        }
        for id in self.up() {
            self.serves(id).await;
        }
        let one = self.leader().await;
        let header = self
            .client(one)
            .put("end", "")
            .await
            .expect("no fault is left");
        let events = self
            .client(one)
            .patient(PATIENCE)
            .events(1, header.revision)
            .await;
        let events = events.unwrap_or_else(|trouble| panic!("no changes: {trouble}"));
        println!(
            "{} changes, {} operations",
            events.len(),
            book.records().len()
        );
        if let Err(wrong) = judge::check(&book.records(), &events) {
            panic!("{wrong}");
        }
        self.agree(header.revision).await;
        self.end().await;
    }

    /// Waits until all members that are up hold the same at a revision.
    ///
    /// # Panics
    /// When they don't.
    pub async fn agree(&self, revision: i64) {
        let mut hashes = BTreeMap::new();
        for id in self.up() {
            let client = self.client(id);
            self.serves(id).await;
            let hash = client.hash(revision).await;
            hashes.insert(
                id,
                hash.unwrap_or_else(|trouble| panic!("member {id}: {trouble}")),
            );
        }
        let different: BTreeSet<_> = hashes.values().collect();
        assert!(
            different.len() == 1,
            "at {revision} members differ: {hashes:?}"
        );
    }

    /// Ends the members in good order. None of them has ever found itself to be wrong.
    ///
    /// # Panics
    /// When one has.
    pub async fn end(&mut self) {
        for id in self.up() {
            let status = self.stop(id).await;
            // etcd ends by the signal, as if it had not been caught.
            let is_good = status.success() || !self.program.is_ours();
            assert!(is_good, "member {id} ended with {status}");
        }
        for place in self.places.values() {
            let panics = process::panics(&place.log);
            assert!(panics.is_empty(), "{}: {panics:#?}", place.name);
        }
    }
}
