//! Chance decides what happens and who looks when; each watcher is told exactly what it has to be.

use super::world::{World, request, tiny_rings, wanting};
use crate::keys::Keys;
use crate::types::Revision;
use crate::watch::{CancelReason, HubConfig, Wanted, WatchItem, WatchRequest, Watcher};

const RUNS: u64 = 400;
const STEPS: usize = 250;
const KEYS: [&str; 7] = ["a", "aa", "ab", "ab\0", "b", "ba", "\u{7f}"];

/// Xorshift, by Marsaglia.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize].clone()
    }
}

struct Follower {
    watcher: Watcher,
    wish: WatchRequest,
    /// All before it was told.
    next: Revision,
    /// The newest revision when it had nothing more to tell; none if a snapshot came since.
    settled: Option<Revision>,
}

#[test]
fn whatever_happens_each_is_told_all_and_nothing_twice() {
    let mut told = 0;
    let mut cancelled = 0;
    for seed in 1..=RUNS {
        println!("seed {seed}");
        let (events, ends) = run(&mut Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        told += events;
        cancelled += ends;
    }
    assert!(told > RUNS * 50, "{told} events are too few to mean much");
    assert!(
        cancelled > RUNS / 4,
        "{cancelled} cancelled are too few to mean much"
    );
}

fn run(chance: &mut Chance) -> (u64, u64) {
    let config = if chance.below(2) == 0 {
        tiny_rings()
    } else {
        HubConfig::default()
    };
    let mut world = World::new(config);
    let mut followers: Vec<Follower> = Vec::new();
    let mut cancelled = 0;
    for _ in 0..STEPS {
        match chance.below(100) {
            0..40 => write(&mut world, chance),
            40..60 => world.publish(),
            60..68 if followers.len() < 12 => followers.push(follow(&world, chance)),
            68..70 => compact(&mut world, chance),
            70 => {
                world.reset();
                followers.iter_mut().for_each(|it| it.settled = None);
            }
            71 if !followers.is_empty() => {
                followers.swap_remove(chance.below(followers.len() as u64) as usize);
            }
            _ if !followers.is_empty() => {
                let at = chance.below(followers.len() as u64) as usize;
                if !look(&world, &mut followers[at]) {
                    followers.swap_remove(at);
                    cancelled += 1;
                }
            }
            _ => {}
        }
    }
    world.publish();
    followers.retain_mut(|follower| {
        while follower.settled != Some(world.published) {
            if !look(&world, follower) {
                return false;
            }
        }
        true
    });
    assert_eq!(world.hub.stats().watchers, followers.len());
    assert_eq!(world.hub.stats().behind, 0);
    (world.hub.stats().delivered, cancelled)
}

fn write(world: &mut World, chance: &mut Chance) {
    let mut keys = KEYS.to_vec();
    let changes: Vec<_> = (0..=chance.below(3))
        .map(|_| {
            let key = keys.swap_remove(chance.below(keys.len() as u64) as usize);
            (key, chance.of(&[None, Some("1"), Some("22"), Some("long")]))
        })
        .collect();
    world.write(&changes);
}

fn compact(world: &mut World, chance: &mut Chance) {
    let (from, to) = (world.state.compacted.0, world.published.0);
    if from < to {
        let compacted = Revision(from + 1 + chance.below(to - from));
        world.compact(compacted);
    }
}

fn follow(world: &World, chance: &mut Chance) -> Follower {
    let keys = chance.of(&[
        Keys::one("a"),
        Keys::one("ab\0"),
        Keys::prefix("a"),
        Keys::prefix("ab"),
        Keys::all(),
        Keys::from("ab"),
        Keys::between("aa", "b"),
    ]);
    let revision = world.published.0;
    let start = match chance.below(4) {
        0 | 1 => 0,
        2 => 1 + chance.below(revision),
        _ => revision + 1 + chance.below(5),
    };
    let wanted = chance.of(&[Wanted::All, Wanted::All, Wanted::Puts, Wanted::Deletes]);
    let mut wish = wanting(wanted, request(keys, start));
    wish.wants_prev = chance.below(2) == 0;
    let watcher = world.hub.watch(wish.clone()).unwrap();
    let next = if start == 0 {
        world.published.next()
    } else {
        Revision(start)
    };
    Follower {
        watcher,
        wish,
        next,
        settled: None,
    }
}

/// Lets a watcher tell one item; says whether it goes on.
fn look(world: &World, follower: &mut Follower) -> bool {
    let Follower {
        watcher,
        wish,
        next,
        settled,
    } = follower;
    let published = world.published;
    if let Some(progress) = watcher.progress() {
        assert_eq!(progress, published);
        assert_eq!(world.expected(wish, *next, progress), []);
    }
    match watcher.poll_now() {
        Some(WatchItem::Events { revision, events }) => {
            assert!(!events.is_empty());
            assert!(revision <= world.state.revision);
            world.check(wish, *next, revision, &events);
            *next = revision.next();
            true
        }
        None => {
            assert_eq!(world.expected(wish, *next, published), []);
            let is_ahead = watcher.rest().start > published.next();
            assert_eq!(watcher.progress(), (!is_ahead).then_some(published));
            *settled = Some(published);
            true
        }
        Some(WatchItem::Cancelled(CancelReason::Compacted { compacted })) => {
            assert!(*next < compacted, "{next} was there after {compacted}");
            assert!(compacted <= world.state.compacted);
            if let Some(settled) = settled {
                let missed = world.expected(wish, settled.next(), published);
                assert!(!missed.is_empty(), "nothing happened to it since {settled}");
            }
            false
        }
        Some(item) => panic!("{item:?}"),
    }
}
