//! Who asks: found out from the token that a request shows, or from the certificate of its
//! connection. What they may do is not decided here: the store does that.
//!
//! A token is signed with a key that follows from the replicated state: a secret that is drawn
//! whenever users begin to be asked, and the cluster's id. So it costs no entry in the log, any
//! member knows it, and restarts and failovers leave it valid; a cluster that was made out of a
//! backup knows none of the old ones, and turning users off and on again ends them all. Whoever can
//! read a member's disk, or a backup, could sign one for that cluster; both hold all that a token
//! gives access to, and are to be kept as such.

mod door;
mod passwords;
mod token;
mod uses;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use raft_kv::{Auth, Refusal};
use rustls::crypto::ring::default_provider;
use tonic::Request;

use self::passwords::Passwords;
use self::token::{Signer, Token};
use self::uses::Uses;
use super::config::AuthConfig;
use super::gate::Origin;

pub(crate) use self::passwords::PasswordError;

/// The metadata in which etcd's clients show their token, then that of its gateway.
const TOKEN_NAMES: [&str; 2] = ["token", "authorization"];
/// What may stand before a token in the latter.
const BEARER: &str = "Bearer ";
/// The length of what tokens are signed with.
const SECRET_BYTES: usize = 32;

/// Finds out who asks.
pub(crate) struct Users {
    cluster: u64,
    ttl: Duration,
    /// Whether a certificate says who asks.
    trusts_certificates: bool,
    uses: Uses,
    /// Makes and checks the hashes of passwords.
    pub(crate) passwords: Passwords,
}

/// What a request shows of who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    token: Option<String>,
    common_name: Option<Arc<str>>,
}

impl Shown {
    /// Whether there is a token, good or not.
    pub(crate) const fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// By this request.
    pub(crate) fn by<T>(request: &Request<T>) -> Self {
        let shown = |name: &&str| request.metadata().get(*name);
        let token = TOKEN_NAMES.iter().find_map(shown);
        // One that is no text is one that proves nothing.
        let token = token.map(|token| token.to_str().unwrap_or_default());
        let origin = request.extensions().get::<Origin>();
        Self {
            token: token.map(|token| token.strip_prefix(BEARER).unwrap_or(token).to_owned()),
            common_name: origin.and_then(|origin| origin.common_name.clone()),
        }
    }
}

impl Users {
    /// Of a cluster. Certificates say who asks only where every client must show one.
    pub(crate) fn new(cluster: u64, config: AuthConfig, trusts_certificates: bool) -> Self {
        Self {
            cluster,
            ttl: config.token_ttl,
            trusts_certificates,
            uses: Uses::default(),
            passwords: Passwords::new(config.bcrypt_cost),
        }
    }

    /// Who asks; `None` if that is not said. A token goes before a certificate.
    ///
    /// # Errors
    /// When a token proves nothing.
    pub(crate) fn user(&self, auth: &Auth, shown: &Shown) -> Result<Option<String>, Refusal> {
        self.user_at(auth, shown, now_s())
    }

    fn user_at(&self, auth: &Auth, shown: &Shown, now_s: u64) -> Result<Option<String>, Refusal> {
        let Some(text) = &shown.token else {
            let name = shown.common_name.as_deref();
            // One that is no user's says nothing.
            let is_user = |name: &&str| self.trusts_certificates && auth.user(name).is_some();
            return Ok(name.filter(is_user).map(ToOwned::to_owned));
        };
        let token = self.signer(auth).read(text);
        let token = token.ok_or(Refusal::InvalidAuthToken)?;
        // Another user may have the name by now, and another password the user.
        let is_same = |token: &Token| {
            let user = auth.user(&token.user);
            user.is_some_and(|user| user.since <= token.auth_revision)
        };
        if !is_same(&token) || !self.uses.renew(&token, now_s, self.ttl) {
            return Err(Refusal::InvalidAuthToken);
        }
        Ok(Some(token.user))
    }

    /// A token for a user whose password was found right under this state of users.
    pub(crate) fn token(&self, auth: &Auth, user: &str) -> String {
        self.signer(auth).sign(user, auth.revision(), now_s())
    }

    fn signer(&self, auth: &Auth) -> Signer {
        Signer::new(&auth.secret().0, self.cluster)
    }
}

/// What tokens are to be signed with, drawn anew; `None` if the system has no chance to offer.
pub(crate) fn draw_secret() -> Option<Vec<u8>> {
    let mut secret = vec![0; SECRET_BYTES];
    let filled = default_provider().secure_random.fill(&mut secret);
    filled.ok().map(|()| secret)
}

fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
