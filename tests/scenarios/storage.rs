//! What the core makes of a disk that lost what it had promised.
//!
//! The disks here only lose; how files break and are read is the log's business.

use raft_core::Index;
use raft_tests::cluster::words::{append, at};
use raft_tests::cluster::{Cluster, Lane};

#[test]
fn a_log_that_fell_back_is_not_believed_up_to_where_the_machine_is() {
    let mut cluster = Cluster::lone(3);
    // Entries 3 to 5 of term 3 had taken the place of those of term 1, and 3 and 4 were applied by
    // a machine with a disk of its own. Then the log fell back.
    cluster.rewrite(1, 1, &[1, 1, 1, 1, 1]);
    cluster.stall(1, Lane::Apply);
    cluster.restart_with(1, |recovered| {
        recovered.watermark.term = raft_core::Term(3);
        recovered.watermark.index = Index(5);
        recovered.applied = Index(4);
    });
    assert!(cluster.raft(1).is_quarantined());
    cluster.forge(2, 1, 4, append(at(2, 1), &[3, 3, 3, 4], 6));
    assert_eq!(cluster.terms(1), [1, 1, 3, 3, 3, 4], "as its leader has it");
}
