//! Leases while members crash and are cut off: none ends before the time that its client was
//! promised, and all end when they are left alone.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use raft_core::Index;
use raft_kv::{Command, LeaseError, LeaseId};
use tokio::time::{Instant, timeout};

use crate::cluster::{Cluster, name, pass};

const SEEDS: u64 = 25;
const STEPS: u64 = 200;

/// Numbers from a seed.
struct Dice(u64);

impl Dice {
    /// A number below this.
    fn below(&mut self, end: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

struct Storm {
    dice: Dice,
    cluster: Cluster,
    promises: BTreeMap<LeaseId, Promise>,
    next: i64,
    /// How many keep-alives were answered.
    kept: usize,
    story: String,
}

/// What a client was told of a lease.
struct Promise {
    /// It does not end before.
    until: Instant,
    /// Where its grant stands in the log, once a member was seen that has applied it.
    granted: Option<Index>,
}

#[tokio::test(start_paused = true)]
async fn no_lease_ends_early_and_all_end() {
    let (mut granted, mut kept) = (0, 0);
    for seed in 1..=SEEDS {
        let mut storm = Storm {
            dice: Dice(seed),
            cluster: Cluster::start_with(3, seed, |_| {}).await,
            promises: BTreeMap::new(),
            next: 1,
            kept: 0,
            story: format!("seed {seed}:\n"),
        };
        for _ in 0..STEPS {
            storm.step().await;
        }
        storm.calm().await;
        granted += storm.promises.len();
        kept += storm.kept;
    }
    assert!(granted > 400, "only {granted} leases");
    assert!(kept > 400, "only {kept} times kept alive");
}

impl Storm {
    async fn step(&mut self) {
        match self.dice.below(20) {
            0 => self.cut_off().await,
            1 | 2 => {
                self.tell(format_args!("all is well"));
                self.cluster.net.heal();
            }
            3 => self.crash().await,
            4..8 => self.grant().await,
            8..16 => self.keep_alive().await,
            _ => {
                let ms = 1 + self.dice.below(2_000);
                pass(ms).await;
            }
        }
        self.check();
    }

    /// Whoever leads is cut off, while clients go on asking it to keep the latest lease alive: what
    /// it promises then, another leader does not know of.
    async fn cut_off(&mut self) {
        let by = self.any();
        let leader = self.cluster.member(by).node.status().core.leader;
        let id = leader.map_or(by, |leader| leader.0);
        self.tell(format_args!("{id} is cut off"));
        self.cluster.net.isolate(&name(id));
        let Some(lease) = self.promises.keys().next_back().copied() else {
            return;
        };
        for _ in 0..60 {
            if self.cluster.up().all(|(up, _)| up != id) {
                return;
            }
            let sent = Instant::now();
            let keeper = &self.cluster.member(id).keeper;
            let patience = Duration::from_millis(50);
            if let Ok(Ok(ttl_s)) = timeout(patience, keeper.keep_alive(lease)).await {
                self.promise(lease, ttl_s, sent);
                self.tell(format_args!("{id} keeps {lease} alive for {ttl_s} s"));
                pass(50).await;
            }
            self.check();
        }
    }

    async fn crash(&mut self) {
        let down: Vec<_> = (1..=3)
            .filter(|id| self.cluster.up().all(|(up, _)| up != *id))
            .collect();
        if let [id, ..] = down[..] {
            self.tell(format_args!("{id} is back"));
            self.cluster.restart(id).await;
        } else {
            let id = 1 + self.dice.below(3);
            self.tell(format_args!("{id} crashes"));
            self.cluster.crash(id).await;
        }
    }

    /// Any member that runs.
    fn any(&mut self) -> u64 {
        let up: Vec<_> = self.cluster.up().map(|(id, _)| id).collect();
        let place = self.dice.below(u64::try_from(up.len()).expect("small"));
        up[usize::try_from(place).expect("small")]
    }

    async fn grant(&mut self) {
        let (by, ttl_s) = (self.any(), 2 + self.dice.below(9));
        let id = LeaseId(self.next);
        self.next += 1;
        let sent = Instant::now();
        let grant = Command::Grant { id, ttl_s };
        if let Ok(answer) = self.cluster.member(by).ask(grant).await {
            answer.outcome.expect("granted");
            self.promise(id, ttl_s, sent);
            self.tell(format_args!("{by} grants {id} for {ttl_s} s"));
        }
    }

    async fn keep_alive(&mut self) {
        // Mostly those that may be alive still.
        let back = usize::try_from(self.dice.below(6)).expect("small");
        let Some(id) = self.promises.keys().rev().nth(back).copied() else {
            return;
        };
        let sent = Instant::now();
        let mut by = self.any();
        for _ in 0..3 {
            // A client does not always wait for the answer; what it wants may be done all the same.
            let patience = Duration::from_millis(1 + self.dice.below(5_000));
            let keeper = &self.cluster.member(by).keeper;
            match timeout(patience, keeper.keep_alive(id)).await {
                Ok(Ok(ttl_s)) => {
                    self.promise(id, ttl_s, sent);
                    self.kept += 1;
                    self.tell(format_args!("{by} keeps {id} alive for {ttl_s} s"));
                    return;
                }
                Ok(Err(LeaseError::NotLeader { hint: Some(hint) }))
                    if self.cluster.up().any(|(up, _)| up == hint.0) =>
                {
                    by = hint.0;
                }
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }

    fn promise(&mut self, id: LeaseId, ttl_s: u64, sent: Instant) {
        let until = sent + Duration::from_secs(ttl_s);
        let promise = self.promises.entry(id).or_insert(Promise {
            until,
            granted: None,
        });
        promise.until = promise.until.max(until);
    }

    /// Whoever has applied a grant, and has no such lease, has seen its end.
    fn check(&mut self) {
        let now = Instant::now();
        for (by, member) in self.cluster.up() {
            let applied = member.state().applied;
            for (id, promise) in &mut self.promises {
                let found = member.store.lease(*id).expect("rows");
                if let Some(found) = found {
                    promise.granted = Some(found.lease.granted);
                } else if promise.granted.is_some_and(|granted| granted <= applied) {
                    let early = promise.until.duration_since(now);
                    assert!(
                        early.is_zero(),
                        "{early:?} early, {by} sees the end of {id}; {}",
                        self.story
                    );
                }
            }
        }
    }

    /// All is well again, and nobody keeps anything alive.
    async fn calm(&mut self) {
        self.cluster.net.heal();
        for id in 1..=3 {
            if self.cluster.up().all(|(up, _)| up != id) {
                self.cluster.restart(id).await;
            }
        }
        for _ in 0..200 {
            pass(100).await;
            self.check();
        }
        let leader = self.cluster.leader().await;
        let left = self.cluster.member(leader).state().leases;
        assert_eq!(left, 0, "leases that never end; {}", self.story);
    }

    fn tell(&mut self, what: std::fmt::Arguments<'_>) {
        writeln!(self.story, "{what}").expect("a string");
    }
}
