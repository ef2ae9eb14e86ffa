//! Lets requests in on behalf of whoever asks, and once more if users or roles change while they
//! are under way. Every service asks here before it does anything. It does not know the services.

use std::future::Future;

use raft_core::Consistency;
use raft_kv::auth::ROOT;
use raft_kv::service::Asker;
use raft_kv::{Auth, Keys, Kv, KvError, Refusal};
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

use super::Shown;
use crate::server::api::error;
use crate::server::member::Member;

/// So often a request is tried while users and roles keep changing.
const ATTEMPTS_MAX: usize = 8;

impl Member {
    /// The store, on behalf of whoever asks. While nobody is asked, that costs next to nothing.
    ///
    /// # Errors
    /// When who asks has not said who they are, or can't prove it.
    pub(crate) fn kv_for(&self, shown: &Shown) -> Result<Kv, Status> {
        if !self.kv.is_auth_enabled() {
            return Ok(self.kv.clone());
        }
        let auth = self.kv.auth().map_err(|broken| error::broken(&broken))?;
        if !auth.is_enabled() {
            return Ok(self.kv.clone());
        }
        let user = self.users.user(&auth, shown).map_err(error::refused)?;
        let user = user.ok_or(Refusal::UserEmpty).map_err(error::refused)?;
        Ok(self.kv.by(Asker {
            user,
            auth_revision: auth.revision(),
        }))
    }

    /// What a request shows of who asks, to be shown by this member in turn: a certificate is that
    /// of a connection, and can't be passed on; a token for whom it names can.
    ///
    /// # Errors
    /// When it can't be read who is known.
    pub(crate) fn introduced<T>(&self, request: &Request<T>) -> Result<MetadataMap, Status> {
        let mut metadata = request.metadata().clone();
        let shown = Shown::by(request);
        if !self.kv.is_auth_enabled() || shown.has_token() {
            return Ok(metadata);
        }
        let auth = self.kv.auth().map_err(|broken| error::broken(&broken))?;
        let user = self.users.user(&auth, &shown).map_err(error::refused)?;
        let token = user.and_then(|user| self.users.token(&auth, &user).parse().ok());
        if let Some(token) = token {
            metadata.insert("token", token);
        }
        Ok(metadata)
    }

    /// The store on behalf of the administrator: for what takes several steps, and was permitted to
    /// whoever asks as a whole.
    ///
    /// # Errors
    /// When it can't be read who may do what.
    pub(crate) fn kv_permitted(&self) -> Result<Kv, Status> {
        if !self.kv.is_auth_enabled() {
            return Ok(self.kv.clone());
        }
        let auth = self.kv.auth().map_err(|broken| error::broken(&broken))?;
        Ok(self.kv.by(Asker {
            user: ROOT.to_owned(),
            auth_revision: auth.revision(),
        }))
    }

    /// Whether who asks may read and write these keys.
    pub(crate) fn permit_keys<T>(&self, request: &Request<T>, keys: &Keys) -> Result<(), Status> {
        self.permit(&Shown::by(request), |auth, user| {
            auth.may_read(user, keys)?;
            auth.may_write(user, keys)
        })
    }

    /// Whether who asks may do something: for what the store has no part in, as watches.
    pub(crate) fn permit(
        &self,
        shown: &Shown,
        may: impl Fn(&Auth, &str) -> Result<(), Refusal>,
    ) -> Result<(), Status> {
        for _ in 1..ATTEMPTS_MAX {
            match self.kv_for(shown)?.permit(&may) {
                Err(refused) if is_early(&refused) => {}
                permitted => return permitted.map_err(|refused| error::status(&refused)),
            }
        }
        Err(error::refused(Refusal::AuthRevisionOld))
    }

    /// Whether who asks may do what concerns the cluster, or all of the store.
    pub(crate) fn permit_administrator<T>(&self, request: &Request<T>) -> Result<(), Status> {
        self.permit(&Shown::by(request), Auth::may_administer)
    }

    /// Whether sessions are let in. A session belongs to no user: whoever guesses its number would
    /// be told what it was answered last, and could use up what its client does next.
    pub(crate) fn check_sessions(&self) -> Result<(), Status> {
        if self.kv.is_auth_enabled() {
            return Err(Status::failed_precondition(
                "sessions can't be used while users are enabled: leave raft-client-id and \
                 raft-sequence away",
            ));
        }
        Ok(())
    }

    /// Whether it is known who asks.
    pub(crate) fn permit_anybody<T>(&self, request: &Request<T>) -> Result<(), Status> {
        self.permit(&Shown::by(request), Auth::is_somebody)
    }

    /// Has the store do something on behalf of whoever asks.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn on_behalf<R, T, Done>(
        &self,
        shown: &Shown,
        request: R,
        call: impl Fn(Kv, R) -> Done,
    ) -> Result<T, Status>
    where
        R: Clone,
        Done: Future<Output = Result<T, KvError>>,
    {
        if !self.kv.is_auth_enabled() {
            let done = call(self.kv.clone(), request).await;
            return done.map_err(|refused| error::status(&refused));
        }
        for _ in 1..ATTEMPTS_MAX {
            match call(self.kv_for(shown)?, request.clone()).await {
                Err(refused) if is_early(&refused) => {
                    // What has changed is here once this member has come so far.
                    let confirmed = self.node().barrier(Consistency::Linearizable).await;
                    confirmed.map_err(|refused| error::read(&refused))?;
                }
                done => return done.map_err(|refused| error::status(&refused)),
            }
        }
        let done = call(self.kv_for(shown)?, request).await;
        done.map_err(|refused| error::status(&refused))
    }
}

/// Users or roles have changed since it was found out who asks; nothing was done.
const fn is_early(refused: &KvError) -> bool {
    matches!(refused, KvError::Refused(Refusal::AuthRevisionOld))
}
