//! What is attached to a lease ends with it. When a lease ends is not decided by the model.

use raft_core::{Index, Term};
use raft_kv::request::PutRequest;
use raft_kv::rows::Lease;
use raft_kv::{Command, Keys, LeaseId, Refusal, Response, Revision};

use super::{Trial, delete, put};

/// The term of all entries of a trial.
const TERM: Term = Term(1);

fn grant(id: i64) -> Command {
    Command::Grant {
        id: LeaseId(id),
        ttl_s: 60,
    }
}

fn with_lease(text: &str, id: i64) -> Command {
    Command::Put(PutRequest {
        lease: Some(LeaseId(id)),
        ..put(text)
    })
}

fn expire(term: Term, known: Index, ids: &[i64]) -> Command {
    Command::Expire {
        term,
        known,
        ids: ids.iter().copied().map(LeaseId).collect(),
    }
}

fn attached(trial: &Trial, id: i64) -> Option<Vec<String>> {
    let view = trial.store.lease(LeaseId(id)).expect("rows")?;
    let keys = view.keys.iter().map(|key| key.escape_ascii().to_string());
    Some(keys.collect())
}

#[test]
fn the_store_chooses_a_name_that_is_free_if_it_is_given_none() {
    let mut trial = Trial::new();
    let mut chosen = Vec::new();
    for _ in 0..100 {
        let Response::Granted(id) = trial.done(&grant(0)) else {
            panic!("no grant");
        };
        assert!(id.0 > 0 && !chosen.contains(&id), "{id:?}");
        chosen.push(id);
    }
    let mut there: Vec<LeaseId> = Vec::new();
    for (id, lease) in trial.store.leases().expect("rows") {
        let place = chosen.iter().position(|known| *known == id);
        let granted = Index(1 + place.expect("it was granted") as u64);
        assert_eq!(lease, Lease { ttl_s: 60, granted });
        there.push(id);
    }
    assert_eq!(there.len(), 100);
}

#[test]
fn a_name_is_given_once_and_may_be_negative() {
    let mut trial = Trial::new();
    for id in [7, -7, i64::MIN, i64::MAX] {
        assert_eq!(trial.done(&grant(id)), Response::Granted(LeaseId(id)));
        assert_eq!(trial.refused(&grant(id)), Refusal::LeaseExists);
    }
    trial.done(&Command::Revoke(LeaseId(7)));
    assert_eq!(trial.done(&grant(7)), Response::Granted(LeaseId(7)));
}

#[test]
fn a_time_to_live_has_a_limit() {
    let mut trial = Trial::new();
    let grant = |ttl_s| Command::Grant {
        id: LeaseId::NONE,
        ttl_s,
    };
    trial.done(&grant(9_000_000_000));
    assert_eq!(
        trial.refused(&grant(9_000_000_001)),
        Refusal::LeaseTtlTooLarge
    );
}

#[test]
fn a_lease_that_is_not_there_is_not_found() {
    let mut trial = Trial::new();
    assert_eq!(
        trial.refused(&Command::Revoke(LeaseId(7))),
        Refusal::LeaseNotFound
    );
    assert_eq!(
        trial.refused(&Command::Revoke(LeaseId::NONE)),
        Refusal::LeaseNotFound
    );
    assert_eq!(trial.refused(&with_lease("a=1", 7)), Refusal::LeaseNotFound);
    assert_eq!(attached(&trial, 7), None);
}

#[test]
fn a_key_is_attached_to_the_lease_it_was_put_with_last() {
    let mut trial = Trial::new();
    trial.done(&grant(1));
    trial.done(&grant(2));
    for text in ["b=1", "a=1", "c=1", "d=1"] {
        trial.done(&with_lease(text, 1));
    }
    trial.done(&with_lease("a=2", 2));
    trial.done(&Command::Put(put("b=2")));
    trial.done(&Command::Delete(delete(Keys::one("d"))));
    assert_eq!(attached(&trial, 1), Some(vec!["c".to_owned()]));
    assert_eq!(attached(&trial, 2), Some(vec!["a".to_owned()]));
    trial.done(&Command::Revoke(LeaseId(1)));
    assert_eq!(trial.texts(), ["a=2", "b=2"]);
    trial.done(&Command::Revoke(LeaseId(2)));
    assert_eq!(trial.texts(), ["b=2"]);
}

#[test]
fn what_ends_with_leases_ends_in_one_revision() {
    let mut trial = Trial::new();
    for (text, id) in [("c=1", 1), ("a=1", 2), ("b=1", 1), ("d=1", 3)] {
        trial.answer(&grant(id));
        trial.done(&with_lease(text, id));
    }
    let before = trial.revision();
    let ended = trial.done(&expire(TERM, trial.index, &[2, 9, 1, 1, 0]));
    assert_eq!(ended, Response::Expired(2));
    assert_eq!(trial.revision(), before.next());
    assert_eq!(trial.texts(), ["d=1"]);
    trial.done(&grant(1));
    assert_eq!(
        trial.done(&expire(TERM, trial.index, &[1])),
        Response::Expired(1)
    );
    assert_eq!(trial.revision(), before.next(), "nothing was attached");
}

#[test]
fn what_another_term_found_expired_is_not() {
    let mut trial = Trial::new();
    trial.done(&grant(1));
    trial.done(&with_lease("a=1", 1));
    for term in [Term(0), Term(2)] {
        let ended = trial.done(&expire(term, trial.index, &[1]));
        assert_eq!(ended, Response::Expired(0));
        assert_eq!(trial.texts(), ["a=1"]);
    }
    assert_eq!(trial.revision(), Revision(2));
}

#[test]
fn a_lease_granted_under_an_old_name_is_not_the_one_that_expired() {
    let mut trial = Trial::new();
    trial.done(&grant(1));
    let known = trial.index;
    trial.done(&Command::Revoke(LeaseId(1)));
    trial.done(&grant(1));
    trial.done(&with_lease("a=1", 1));
    assert_eq!(trial.done(&expire(TERM, known, &[1])), Response::Expired(0));
    assert_eq!(trial.texts(), ["a=1"]);
    assert_eq!(
        trial.done(&expire(TERM, trial.index, &[1])),
        Response::Expired(1)
    );
    assert!(trial.texts().is_empty());
}
