//! Values kept once and named by small numbers, so that a state of a whole cluster takes some
//! dozens of bytes, and two threads can share what they have found.
//!
//! It deliberately does not know what it keeps.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// How many values lie together in memory.
const CHUNK: usize = 1 << 10;
/// Room for 64 million values; what is not used costs 16 bytes a chunk.
const CHUNKS: usize = 1 << 16;
/// Threads that look for different values rarely wait for the same lock.
const SHARDS: usize = 64;

/// Values that are only ever added. A reader needs no lock.
pub(super) struct Arena<T> {
    chunks: Vec<OnceLock<Box<[OnceLock<T>]>>>,
    next: AtomicU32,
}

impl<T> Arena<T> {
    pub(super) fn new() -> Self {
        Self {
            chunks: std::iter::repeat_with(OnceLock::new).take(CHUNKS).collect(),
            next: AtomicU32::new(0),
        }
    }

    pub(super) fn push(&self, value: T) -> u32 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (chunk, place) = Self::place(id);
        let chunk = self.chunks[chunk]
            .get_or_init(|| std::iter::repeat_with(OnceLock::new).take(CHUNK).collect());
        let set = chunk[place].set(value);
        assert!(set.is_ok(), "every id is given once");
        id
    }

    pub(super) fn get(&self, id: u32) -> &T {
        let (chunk, place) = Self::place(id);
        let value = self.chunks[chunk]
            .get()
            .and_then(|chunk| chunk[place].get());
        value.expect("the id was given by this arena")
    }

    pub(super) fn len(&self) -> u32 {
        self.next.load(Ordering::Relaxed)
    }

    fn place(id: u32) -> (usize, usize) {
        let id = id as usize;
        (id / CHUNK, id % CHUNK)
    }
}

/// Values each kept once: equal ones get the same id.
pub(super) struct Interner<T> {
    values: Arena<(u64, T)>,
    ids: Vec<Mutex<HashMap<u64, u32, BuildHasherDefault<Plain>>>>,
}

impl<T: Hash + Eq> Interner<T> {
    pub(super) fn new() -> Self {
        Self {
            values: Arena::new(),
            ids: std::iter::repeat_with(Mutex::default)
                .take(SHARDS)
                .collect(),
        }
    }

    pub(super) fn intern(&self, value: T) -> u32 {
        let hash = digest(&value);
        let shard = &self.ids[shard(hash)];
        let mut ids = shard.lock().unwrap_or_else(PoisonError::into_inner);
        // Values whose hashes collide take the next free key of the same shard.
        let mut key = hash;
        while let Some(id) = ids.get(&key) {
            if self.get(*id) == &value {
                return *id;
            }
            key = key.wrapping_add(1);
        }
        let id = self.values.push((hash, value));
        ids.insert(key, id);
        id
    }

    pub(super) fn get(&self, id: u32) -> &T {
        &self.values.get(id).1
    }

    /// The same in every run, unlike the id.
    pub(super) fn hash(&self, id: u32) -> u64 {
        self.values.get(id).0
    }

    pub(super) fn len(&self) -> u32 {
        self.values.len()
    }
}

/// What was computed once and need not be again, by a number that stands for the question.
pub(super) struct Memo<V> {
    results: Arena<V>,
    ids: Vec<Mutex<HashMap<u64, u32, BuildHasherDefault<Plain>>>>,
}

impl<V> Memo<V> {
    pub(super) fn new() -> Self {
        Self {
            results: Arena::new(),
            ids: std::iter::repeat_with(Mutex::default)
                .take(SHARDS)
                .collect(),
        }
    }

    /// Two threads may compute the same at the same time; the results are equal.
    pub(super) fn get(&self, question: u64, compute: impl FnOnce() -> V) -> &V {
        // Spreads neighbours over the table; no two questions have the same key.
        let key = question.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let shard = &self.ids[shard(key)];
        let known = shard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .copied();
        if let Some(id) = known {
            return self.results.get(id);
        }
        let id = self.results.push(compute());
        shard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, id);
        self.results.get(id)
    }

    pub(super) fn len(&self) -> u32 {
        self.results.len()
    }
}

/// A hash that is the same in every run.
pub(super) fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn shard(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

/// Takes a number that is a hash already for its hash.
#[derive(Default)]
struct Plain(u64);

impl Hasher for Plain {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only keys of 64 bits are hashed");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_id_and_others_another() {
        let interner = Interner::new();
        let ids: Vec<u32> = (0..5000).map(|n| interner.intern(n % 2500)).collect();
        assert_eq!(ids[..2500], ids[2500..]);
        assert_eq!(interner.len(), 2500);
        assert_eq!(*interner.get(ids[1234]), 1234);
    }

    #[test]
    fn what_is_known_is_not_computed_again() {
        let memo = Memo::new();
        assert_eq!(*memo.get(7, || 1), 1);
        assert_eq!(*memo.get(7, || 2), 1);
        assert_eq!((*memo.get(8, || 3), memo.len()), (3, 2));
    }
}
