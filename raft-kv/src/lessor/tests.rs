//! The lessor against a naive list of leases, and what it promises, said one by one.

use std::time::Duration;

use proptest::prelude::*;
use raft_core::{Term, Time};

use super::throttle::{EXPIRIES_AT_ONCE, EXPIRIES_PER_SECOND};
use super::{Lessor, Remaining};
use crate::types::LeaseId;

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);
/// How often the leader looks.
const BEAT: Duration = Duration::from_millis(100);

/// A leader with leases of these times to live, by their places.
fn leader(ttls_s: &[u64]) -> Lessor {
    let mut lessor = Lessor::default();
    lessor.tick(Time(0));
    lessor.promote(Term(1), all(ttls_s), Time(0));
    lessor
}

fn all(ttls_s: &[u64]) -> impl Iterator<Item = (LeaseId, u64)> + '_ {
    (1..).map(LeaseId).zip(ttls_s.iter().copied())
}

/// Lets time pass as it does for a process that runs.
fn pass(lessor: &mut Lessor, now: &mut Time, span: Duration) {
    let end = now.plus(span);
    while *now < end {
        *now = now.plus(BEAT).min(end);
        lessor.tick(*now);
    }
}

fn ids(ids: &[i64]) -> Vec<LeaseId> {
    ids.iter().copied().map(LeaseId).collect()
}

#[test]
fn a_lease_expires_when_its_time_is_over_and_not_before() {
    let (mut lessor, mut now) = (leader(&[5, 3]), Time(0));
    pass(&mut lessor, &mut now, S * 3 - MS);
    assert_eq!(lessor.expired(now, 10), []);
    pass(&mut lessor, &mut now, MS);
    assert_eq!(lessor.expired(now, 10), ids(&[2]));
    assert_eq!(lessor.expired(now, 10), [], "it waits for what came of it");
    lessor.ended(LeaseId(2));
    pass(&mut lessor, &mut now, S * 2);
    assert_eq!(lessor.expired(now, 10), ids(&[1]));
    lessor.ended(LeaseId(1));
    assert_eq!(lessor.count(), 0);
    pass(&mut lessor, &mut now, S * 100);
    assert_eq!(lessor.expired(now, 10), []);
}

#[test]
fn a_renewed_lease_has_its_full_time_again() {
    let (mut lessor, mut now) = (leader(&[3]), Time(0));
    for _ in 0..10 {
        pass(&mut lessor, &mut now, S * 3 - MS);
        assert_eq!(lessor.renew(LeaseId(1), now), Some(3));
        assert_eq!(lessor.expired(now, 10), []);
    }
    let remaining = lessor.remaining(LeaseId(1), now);
    let (ttl_s, left) = (3, S * 3);
    assert_eq!(remaining, Some(Remaining { ttl_s, left }));
    pass(&mut lessor, &mut now, S * 3 - MS);
    assert_eq!(lessor.expired(now, 10), []);
    pass(&mut lessor, &mut now, MS);
    assert_eq!(lessor.expired(now, 10), ids(&[1]));
}

#[test]
fn who_is_not_there_is_not_renewed() {
    let (mut lessor, mut now) = (leader(&[3]), Time(0));
    assert_eq!(lessor.renew(LeaseId(2), now), None);
    assert_eq!(lessor.remaining(LeaseId(2), now), None);
    lessor.granted(LeaseId(2), 9, now);
    assert_eq!(lessor.renew(LeaseId(2), now), Some(9));
    lessor.ended(LeaseId(2));
    assert_eq!(lessor.renew(LeaseId(2), now), None);
    pass(&mut lessor, &mut now, S * 20);
    assert_eq!(lessor.expired(now, 10), ids(&[1]));
}

#[test]
fn what_may_be_ending_is_not_renewed() {
    let (mut lessor, mut now) = (leader(&[3]), Time(0));
    let id = LeaseId(1);
    pass(&mut lessor, &mut now, S * 3);
    assert_eq!(
        lessor.renew(id, now),
        Some(3),
        "due, but nothing is proposed"
    );
    pass(&mut lessor, &mut now, S * 3);
    assert_eq!(lessor.expired(now, 10), [id]);
    assert_eq!(lessor.renew(id, now), None);
    let nothing = Remaining {
        ttl_s: 3,
        left: Duration::ZERO,
    };
    assert_eq!(lessor.remaining(id, now), Some(nothing));
    lessor.lost(&[id], now);
    assert_eq!(lessor.renew(id, now), None, "it may be ending still");
    assert_eq!(lessor.remaining(id, now), Some(nothing));
    pass(&mut lessor, &mut now, Lessor::RETRY_AFTER - MS);
    assert_eq!(lessor.expired(now, 10), []);
    pass(&mut lessor, &mut now, MS);
    assert_eq!(lessor.expired(now, 10), [id]);
    lessor.refused(&[id], now);
    assert_eq!(lessor.renew(id, now), Some(3), "nothing came of it");
    pass(&mut lessor, &mut now, S * 3 - MS);
    assert_eq!(lessor.expired(now, 10), []);
}

#[test]
fn an_outcome_does_not_concern_a_new_lease_of_the_same_name() {
    for outcome in [Lessor::refused, Lessor::lost] {
        let (mut lessor, mut now) = (leader(&[3]), Time(0));
        let id = LeaseId(1);
        pass(&mut lessor, &mut now, S * 3);
        assert_eq!(lessor.expired(now, 10), [id]);
        lessor.ended(id);
        lessor.granted(id, 100, now);
        outcome(&mut lessor, &[id], now);
        assert_eq!(lessor.renew(id, now), Some(100));
        pass(&mut lessor, &mut now, S * 99);
        assert_eq!(lessor.expired(now, 10), []);
    }
}

#[test]
fn a_process_that_was_stopped_does_not_judge() {
    let (mut lessor, mut now) = (leader(&[5]), Time(0));
    pass(&mut lessor, &mut now, S);
    now = now.plus(S * 3600);
    let left = lessor
        .remaining(LeaseId(1), now)
        .map(|remaining| remaining.left);
    assert_eq!(left, Some(S * 3));
    assert_eq!(lessor.expired(now, 10), []);
    assert_eq!(
        lessor.renew(LeaseId(1), now),
        Some(5),
        "it was waiting outside"
    );
    pass(&mut lessor, &mut now, S * 5);
    assert_eq!(lessor.expired(now, 10), ids(&[1]));
}

#[test]
fn a_new_leader_gives_all_leases_their_full_time() {
    let (mut lessor, mut now) = (leader(&[5, 7]), Time(0));
    pass(&mut lessor, &mut now, S * 6);
    assert_eq!(lessor.expired(now, 10), ids(&[1]));
    lessor.demote();
    assert_eq!((lessor.term(), lessor.count()), (None, 0));
    assert_eq!(lessor.renew(LeaseId(1), now), None);
    lessor.promote(Term(3), all(&[5, 7]), now);
    assert_eq!(lessor.term(), Some(Term(3)));
    assert_eq!(lessor.renew(LeaseId(1), now), Some(5));
    pass(&mut lessor, &mut now, S * 5 - MS);
    assert_eq!(lessor.expired(now, 10), []);
    pass(&mut lessor, &mut now, MS);
    assert_eq!(lessor.expired(now, 10), ids(&[1]));
}

#[test]
fn leases_expire_in_batches_and_not_too_many_in_a_second() {
    let (mut lessor, mut now) = (leader(&vec![1; 5000]), Time(0));
    pass(&mut lessor, &mut now, S * 3);
    let at_once = usize::try_from(EXPIRIES_AT_ONCE).expect("small");
    assert_eq!(lessor.expired(now, 100).len(), 100);
    assert_eq!(lessor.expired(now, 10_000).len(), at_once - 100);
    let mut seconds = 0;
    while lessor.count() > at_once {
        let before = lessor.count();
        for _ in 0..10 {
            pass(&mut lessor, &mut now, BEAT);
            for id in lessor.expired(now, 10_000) {
                lessor.ended(id);
            }
        }
        let ended = u32::try_from(before - lessor.count()).expect("small");
        assert!(ended <= EXPIRIES_PER_SECOND, "{ended} in a second");
        seconds += 1;
    }
    assert_eq!(seconds, 5, "as fast as allowed");
}

#[test]
fn a_lease_for_ever_is_no_trouble() {
    let (mut lessor, mut now) = (leader(&[u64::MAX, 1]), Time(0));
    pass(&mut lessor, &mut now, S * 10);
    assert_eq!(lessor.renew(LeaseId(1), now), Some(u64::MAX));
    assert_eq!(lessor.expired(now, 10), ids(&[2]));
}

#[test]
fn many_that_come_up_at_once_are_looked_at_in_turns() {
    let count = Lessor::LOOKS_MAX + 10;
    let (mut lessor, mut now) = (leader(&vec![2; count]), Time(0));
    pass(&mut lessor, &mut now, S);
    for (id, _) in all(&vec![2; count - 1]) {
        assert_eq!(lessor.renew(id, now), Some(2));
    }
    pass(&mut lessor, &mut now, S * 3 / 2);
    let last = LeaseId(i64::try_from(count).expect("small"));
    assert_eq!(lessor.expired(now, 10), []);
    assert_eq!(lessor.expired(now, 10), [last]);
}

// --- Against a list ---

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Grant(i64, u64),
    End(i64),
    Renew(i64),
    Expire(usize),
    Refused,
    Lost,
    Ended,
    Promote,
}

fn step() -> impl Strategy<Value = Step> {
    let id = 1..12_i64;
    prop_oneof![
        8 => (1..900_u64).prop_map(Step::Pass),
        1 => (1000..20_000_u64).prop_map(Step::Pass),
        4 => (id.clone(), 1..9_u64).prop_map(|(id, ttl_s)| Step::Grant(id, ttl_s)),
        1 => id.clone().prop_map(Step::End),
        6 => id.prop_map(Step::Renew),
        6 => (1..4_usize).prop_map(Step::Expire),
        2 => Just(Step::Refused),
        2 => Just(Step::Lost),
        3 => Just(Step::Ended),
        1 => Just(Step::Promote),
    ]
}

/// A lease as one would write it down.
#[derive(Clone, Debug)]
struct Line {
    id: LeaseId,
    ttl_s: u64,
    deadline: Time,
    is_away: bool,
    is_ending: bool,
    /// By the clock of the system: what a client was promised.
    promised: Time,
}

#[derive(Default)]
struct List {
    lines: Vec<Line>,
    /// The clock of the system, and the one that leaves gaps out.
    now: Time,
    clock: Time,
    away: Vec<LeaseId>,
}

impl List {
    fn grant(&mut self, id: LeaseId, ttl_s: u64) {
        self.end(id);
        self.lines.push(Line {
            id,
            ttl_s,
            deadline: self.clock.plus(S * u32::try_from(ttl_s).expect("small")),
            is_away: false,
            is_ending: false,
            promised: self.now.plus(Duration::from_secs(ttl_s)),
        });
    }

    fn end(&mut self, id: LeaseId) {
        self.lines.retain(|line| line.id != id);
    }

    fn renew(&mut self, id: LeaseId) -> Option<u64> {
        let is_meant = |line: &&Line| line.id == id && !line.is_ending;
        let ttl_s = self.lines.iter().find(is_meant)?.ttl_s;
        self.grant(id, ttl_s);
        Some(ttl_s)
    }

    fn expired(&mut self, max: usize) -> Vec<LeaseId> {
        let mut due: Vec<_> = self.lines.iter_mut().collect();
        due.retain(|line| !line.is_away && line.deadline <= self.clock);
        due.sort_by_key(|line| (line.deadline, line.id));
        due.truncate(max);
        for line in &mut due {
            assert!(line.promised <= self.now, "{line:?} is early");
            (line.is_away, line.is_ending) = (true, true);
        }
        due.iter().map(|line| line.id).collect()
    }

    fn back(&mut self, ids: &[LeaseId], is_ending: bool) {
        let again = self.clock.plus(Lessor::RETRY_AFTER);
        let is_meant = |line: &&mut Line| line.is_away && ids.contains(&line.id);
        for line in self.lines.iter_mut().filter(is_meant) {
            (line.is_away, line.deadline) = (false, again);
            line.is_ending &= is_ending;
        }
    }
}

fn take(lessor: &mut Lessor, list: &mut List, step: &Step) {
    let now = list.now;
    match *step {
        Step::Pass(ms) => {
            list.now = now.plus(MS * u32::try_from(ms).expect("small"));
            list.clock = list.clock.plus(list.now.since(now).min(S));
            lessor.tick(list.now);
        }
        Step::Grant(id, ttl_s) => {
            lessor.granted(LeaseId(id), ttl_s, now);
            list.grant(LeaseId(id), ttl_s);
        }
        Step::End(id) => {
            lessor.ended(LeaseId(id));
            list.end(LeaseId(id));
        }
        Step::Renew(id) => assert_eq!(lessor.renew(LeaseId(id), now), list.renew(LeaseId(id))),
        Step::Expire(max) => {
            let expired = lessor.expired(now, max);
            assert_eq!(expired, list.expired(max));
            list.away.extend(expired);
        }
        Step::Refused => {
            let away = std::mem::take(&mut list.away);
            lessor.refused(&away, now);
            list.back(&away, false);
        }
        Step::Lost => {
            let away = std::mem::take(&mut list.away);
            lessor.lost(&away, now);
            list.back(&away, true);
        }
        Step::Ended => {
            for id in std::mem::take(&mut list.away) {
                lessor.ended(id);
                list.end(id);
            }
        }
        Step::Promote => {
            list.away.clear();
            let leases: Vec<_> = list
                .lines
                .iter()
                .map(|line| (line.id, line.ttl_s))
                .collect();
            lessor.promote(Term(2), leases.iter().copied(), now);
            for (id, ttl_s) in leases {
                list.grant(id, ttl_s);
            }
        }
    }
    assert_eq!(lessor.count(), list.lines.len());
    for line in &list.lines {
        let left = line.deadline.since(list.clock);
        let left = if line.is_ending { Duration::ZERO } else { left };
        let ttl_s = line.ttl_s;
        let remaining = lessor.remaining(line.id, list.now);
        assert_eq!(remaining, Some(Remaining { ttl_s, left }), "{line:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// The list asserts that no lease is early by the clock of the system; in the end all are gone.
    #[test]
    fn it_does_what_a_list_of_leases_does(steps in prop::collection::vec(step(), 1..200)) {
        let (mut lessor, mut list) = (leader(&[]), List::default());
        // Enough is saved for the few leases there are, so that nothing is held back.
        for _ in 0..10 {
            take(&mut lessor, &mut list, &Step::Pass(1000));
        }
        for step in &steps {
            take(&mut lessor, &mut list, step);
        }
        take(&mut lessor, &mut list, &Step::Refused);
        for _ in 0..20 {
            take(&mut lessor, &mut list, &Step::Pass(1000));
            take(&mut lessor, &mut list, &Step::Expire(100));
        }
        take(&mut lessor, &mut list, &Step::Ended);
        prop_assert_eq!(lessor.count(), 0);
    }
}
