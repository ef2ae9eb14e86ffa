//! When tokens were used last: who uses one keeps it. It does not know whose they are.
//!
//! Each member knows only what was shown to itself; so a token that was used elsewhere may be too
//! old here, and its client asks for another one, as etcd's clients do by themselves.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::token::Token;

/// Of so many tokens it is known when they were used. Others end a while after they were issued.
const USES_MAX: usize = 16_384;

/// When which token was used last.
#[derive(Default)]
pub(super) struct Uses(Mutex<HashMap<[u8; 32], u64>>);

impl Uses {
    /// Whether a token is still good, that lives for so long after it was issued or used. If so, it
    /// is used now.
    pub(super) fn renew(&self, token: &Token, now_s: u64, ttl: Duration) -> bool {
        let ttl_s = ttl.as_secs();
        // Clocks differ, but not by that much.
        if token.issued_s > now_s.saturating_add(ttl_s) {
            return false;
        }
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let used_s = uses.get(&token.proof).copied().unwrap_or(0);
        let is_good = |last_s: u64| now_s.saturating_sub(last_s) <= ttl_s;
        if !is_good(used_s.max(token.issued_s)) {
            uses.remove(&token.proof);
            return false;
        }
        if uses.len() >= USES_MAX && used_s == 0 {
            uses.retain(|_, last_s| is_good(*last_s));
        }
        if uses.len() < USES_MAX || used_s > 0 {
            uses.insert(token.proof, now_s.max(used_s));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(300);

    fn token(number: u64) -> Token {
        let mut proof = [0; 32];
        proof[..8].copy_from_slice(&number.to_le_bytes());
        Token {
            user: "ann".to_owned(),
            auth_revision: 1,
            issued_s: 1000,
            proof,
        }
    }

    #[test]
    fn a_token_lives_as_long_as_it_is_used() {
        let uses = Uses::default();
        for (now_s, is_good) in [(1300, true), (1600, true), (1901, false), (1600, false)] {
            assert_eq!(uses.renew(&token(1), now_s, TTL), is_good, "{now_s}");
        }
        assert!(!uses.renew(&token(2), 1301, TTL));
        assert!(uses.renew(&token(3), 700, TTL), "another clock is ahead");
        assert!(!uses.renew(&token(4), 699, TTL), "no clock is that wrong");
    }

    #[test]
    fn what_is_known_of_tokens_is_bounded() {
        let uses = Uses::default();
        let most = USES_MAX as u64;
        for number in 0..most + 10 {
            assert!(uses.renew(&token(number), 1000, TTL));
        }
        let known = |uses: &Uses| uses.0.lock().expect("no panic").len();
        assert_eq!(known(&uses), USES_MAX);
        assert!(uses.renew(&token(0), 1300, TTL), "it is known");
        assert!(!uses.renew(&token(most), 1301, TTL), "it is not");
        let fresh = Token {
            issued_s: 1400,
            ..token(most)
        };
        assert!(uses.renew(&fresh, 1400, TTL));
        assert_eq!(known(&uses), 2, "those that ended made room");
    }
}
