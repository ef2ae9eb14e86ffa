//! Hashes of passwords. They take long to make, which is their purpose: so only a few are made at
//! one time, where a task may block, and who would have to wait for too many is refused.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// So many are made or checked at one time at most, whatever the machine has.
const AT_ONCE_MAX: usize = 4;
/// So many wait for that.
const WAITING_MAX: usize = 64;

/// Makes and checks hashes of passwords.
pub(crate) struct Passwords {
    cost: u32,
    waiting: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

/// Why there is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasswordError {
    /// bcrypt looks at 72 bytes, and two that differ later would be the same.
    #[error("etcdserver: the password is longer than 72 bytes, or holds a zero byte")]
    Unfit,
    /// Too many wait already.
    #[error("etcdserver: too many requests")]
    TooMany,
}

impl Passwords {
    /// Hashes that take two to this power rounds.
    pub(crate) fn new(cost: u32) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        // Half of them is left for all else.
        let at_once = (processors / 2).clamp(1, AT_ONCE_MAX);
        Self {
            cost,
            waiting: Arc::new(Semaphore::new(at_once + WAITING_MAX)),
            running: Arc::new(Semaphore::new(at_once)),
        }
    }

    /// The hash of a password, with a salt drawn for it.
    pub(crate) async fn hash(&self, password: String) -> Result<Vec<u8>, PasswordError> {
        let cost = self.cost;
        let hashed = self.run(move || bcrypt::non_truncating_hash(password, cost));
        let hashed = hashed.await?.map_err(|_| PasswordError::Unfit)?;
        Ok(hashed.into_bytes())
    }

    /// Whether this is the password of a hash. Of what is no hash, none is.
    pub(crate) async fn is_right(
        &self,
        password: String,
        hash: &[u8],
    ) -> Result<bool, PasswordError> {
        let Ok(hash) = String::from_utf8(hash.to_vec()) else {
            return Ok(false);
        };
        let check = move || bcrypt::non_truncating_verify(password, &hash).unwrap_or(false);
        self.run(check).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let too_many = |_| PasswordError::TooMany;
        let place = Arc::clone(&self.waiting).try_acquire_owned();
        let place = place.map_err(too_many)?;
        let turn = Arc::clone(&self.running).acquire_owned().await;
        let turn = turn.map_err(|_| PasswordError::TooMany)?;
        // Both are held by the work: who asks may go away while it goes on.
        let work = move || {
            let _held = (place, turn);
            work()
        };
        // It ends with the runtime alone, which asks for nothing any more.
        spawn_blocking(work)
            .await
            .map_err(|_| PasswordError::TooMany)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least there is, so that tests are quick.
    const COST: u32 = 4;

    #[tokio::test]
    async fn only_the_password_is_right() {
        let passwords = Passwords::new(COST);
        let hash = passwords.hash("pass".to_owned()).await.expect("a hash");
        for (password, hash, expected) in [
            ("pass", &hash[..], true),
            ("Pass", &hash, false),
            ("", &hash, false),
            ("pass", b"", false),
            ("pass", b"$2b$04$nothing", false),
            ("", b"", false),
        ] {
            let is_right = passwords.is_right(password.to_owned(), hash).await;
            assert_eq!(is_right, Ok(expected), "{password}");
        }
        let other = passwords.hash("pass".to_owned()).await.expect("a hash");
        assert_ne!(hash, other, "each has a salt of its own");
    }

    /// Written by another implementation of the same function.
    #[tokio::test]
    async fn hashes_of_others_are_known() {
        let hash = b"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        let passwords = Passwords::new(COST);
        let is_right = passwords.is_right("U*U".to_owned(), hash).await;
        assert_eq!(is_right, Ok(true));
    }

    #[tokio::test]
    async fn what_would_be_cut_off_is_refused() {
        let passwords = Passwords::new(COST);
        let long = "a".repeat(73);
        assert_eq!(passwords.hash(long).await, Err(PasswordError::Unfit));
    }

    #[tokio::test]
    async fn who_goes_away_makes_no_room_before_the_work_is_done() {
        let passwords = Passwords::new(COST);
        let free = (
            passwords.waiting.available_permits(),
            passwords.running.available_permits(),
        );
        let (begun, has_begun) = std::sync::mpsc::channel();
        let (end, is_to_end) = std::sync::mpsc::channel::<()>();
        let work = passwords.run(move || {
            begun.send(()).expect("somebody waits");
            is_to_end.recv()
        });
        let gone = tokio::time::timeout(std::time::Duration::from_millis(50), work).await;
        assert!(gone.is_err(), "it waits for its end");
        has_begun.recv().expect("it runs");
        let held = (
            passwords.waiting.available_permits() + 1,
            passwords.running.available_permits() + 1,
        );
        assert_eq!(held, free);
        end.send(()).expect("it still runs");
        let _turn = passwords
            .running
            .acquire_many(u32::try_from(free.1).expect("few"))
            .await;
        assert_eq!(passwords.waiting.available_permits(), free.0);
    }

    #[tokio::test]
    async fn who_would_wait_for_too_many_is_refused() {
        let passwords = Passwords::new(COST);
        let all = passwords.waiting.available_permits();
        let all = u32::try_from(all).expect("a few");
        let _busy = passwords.waiting.acquire_many(all).await.expect("free");
        let refused = passwords.hash("pass".to_owned()).await;
        assert_eq!(refused, Err(PasswordError::TooMany));
    }
}
