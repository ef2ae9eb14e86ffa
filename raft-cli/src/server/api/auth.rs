//! The service of users and roles. Passwords are hashed here, before anything is proposed; who may
//! ask for what is decided by the store.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft_core::Consistency;
use raft_kv::auth::{Hidden, Permission, PermissionKind, ROOT};
use raft_kv::{Auth, AuthCommand, Keys, Kv, Refusal};
use tokio::time::{Instant, sleep};
use tonic::{Request, Response, Status};

use super::error;
use crate::pb::authpb;
use crate::pb::authpb::permission::Type;
use crate::pb::etcdserverpb as pb;
use crate::server::auth::{PasswordError, Shown, draw_secret};
use crate::server::member::Shared;

/// A cluster knows users once all members have said that they do, a moment after it was founded.
const YOUTH_PATIENCE: Duration = Duration::from_secs(4);
const PAUSE: Duration = Duration::from_millis(100);

fn is_too_young(refused: &Status) -> bool {
    refused.message() == Refusal::Unsupported.to_string()
}

/// The service of users and roles.
pub(crate) struct AuthService {
    member: Shared,
}

impl AuthService {
    pub(crate) const fn new(member: Shared) -> Self {
        Self { member }
    }

    /// Changes users or roles on behalf of whoever asks.
    async fn change<T>(
        &self,
        request: &Request<T>,
        command: AuthCommand,
    ) -> Result<Option<pb::ResponseHeader>, Status> {
        let _pass = self.member.gate.enter(request, 0)?;
        let change = |kv: Kv, command| async move { kv.change_auth(command).await };
        let shown = Shown::by(request);
        let until = Instant::now() + YOUTH_PATIENCE;
        loop {
            let done = self.member.on_behalf(&shown, command.clone(), change);
            match done.await {
                Ok((revision, ())) => return Ok(Some(self.member.header(revision))),
                Err(refused) if is_too_young(&refused) && Instant::now() < until => {
                    sleep(PAUSE).await;
                }
                Err(refused) => return Err(refused),
            }
        }
    }

    /// Users and roles, with all that was changed before this was asked, if who asks may see that.
    async fn look<T>(
        &self,
        request: &Request<T>,
        may: impl Fn(&Auth, &str) -> Result<(), Refusal>,
    ) -> Result<Arc<Auth>, Status> {
        let _pass = self.member.gate.enter(request, 0)?;
        let auth = self.now().await?;
        self.member.permit(&Shown::by(request), may)?;
        Ok(auth)
    }

    async fn now(&self) -> Result<Arc<Auth>, Status> {
        let confirmed = self.member.node().barrier(Consistency::Linearizable).await;
        confirmed.map_err(|refused| error::read(&refused))?;
        let auth = self.member.kv.auth();
        auth.map_err(|broken| error::broken(&broken))
    }

    async fn hash(&self, password: String) -> Result<Hidden, Status> {
        let hash = self.member.users.passwords.hash(password).await;
        Ok(Hidden(hash.map_err(unhashed)?.into()))
    }

    fn header(&self) -> Option<pb::ResponseHeader> {
        Some(self.member.header_now())
    }
}

fn unhashed(error: PasswordError) -> Status {
    match error {
        PasswordError::Unfit => Status::invalid_argument(error.to_string()),
        PasswordError::TooMany => Status::resource_exhausted(error.to_string()),
    }
}

/// A permission as etcd has it. One that is no kind of permission is none.
fn permission(given: authpb::Permission) -> Result<Permission, Refusal> {
    let kind = match Type::try_from(given.perm_type) {
        Ok(Type::Read) => PermissionKind::Read,
        Ok(Type::Write) => PermissionKind::Write,
        Ok(Type::Readwrite) => PermissionKind::ReadWrite,
        Err(_) => return Err(Refusal::InvalidAuthManagement),
    };
    Ok(Permission {
        keys: Keys::of(given.key, given.range_end),
        kind,
    })
}

fn permission_of(permission: &Permission) -> authpb::Permission {
    let (key, range_end) = permission.bounds();
    let kind = match permission.kind {
        PermissionKind::Read => Type::Read,
        PermissionKind::Write => Type::Write,
        PermissionKind::ReadWrite => Type::Readwrite,
    };
    authpb::Permission {
        perm_type: kind.into(),
        key: Bytes::copy_from_slice(key),
        range_end: Bytes::copy_from_slice(range_end),
    }
}

/// What a role allows. The one that allows everything needs no permissions to be granted.
fn permissions_of(auth: &Auth, name: &str) -> Result<Vec<authpb::Permission>, Refusal> {
    let role = auth.role(name).ok_or(Refusal::RoleNotFound)?;
    if name == ROOT {
        return Ok(vec![authpb::Permission {
            perm_type: Type::Readwrite.into(),
            key: Bytes::new(),
            range_end: Bytes::from_static(b"\0"),
        }]);
    }
    Ok(role.permissions.iter().map(permission_of).collect())
}

fn refused(refusal: Refusal) -> Status {
    error::refused(refusal)
}

#[tonic::async_trait]
impl pb::auth_server::Auth for AuthService {
    async fn auth_enable(
        &self,
        request: Request<pb::AuthEnableRequest>,
    ) -> Result<Response<pb::AuthEnableResponse>, Status> {
        let secret = draw_secret();
        let secret = secret.ok_or_else(|| Status::internal("the system offers no chance"))?;
        let secret = Hidden(secret.into());
        let header = self
            .change(&request, AuthCommand::Enable { secret })
            .await?;
        Ok(Response::new(pb::AuthEnableResponse { header }))
    }

    async fn auth_disable(
        &self,
        request: Request<pb::AuthDisableRequest>,
    ) -> Result<Response<pb::AuthDisableResponse>, Status> {
        let header = self.change(&request, AuthCommand::Disable).await?;
        Ok(Response::new(pb::AuthDisableResponse { header }))
    }

    async fn auth_status(
        &self,
        request: Request<pb::AuthStatusRequest>,
    ) -> Result<Response<pb::AuthStatusResponse>, Status> {
        let auth = self.look(&request, Auth::may_administer).await?;
        Ok(Response::new(pb::AuthStatusResponse {
            header: self.header(),
            enabled: auth.is_enabled(),
            auth_revision: auth.revision(),
        }))
    }

    /// The token says under which revision the password was right; if it was changed meanwhile, the
    /// token is no good, and nothing needs to be asked twice.
    async fn authenticate(
        &self,
        request: Request<pb::AuthenticateRequest>,
    ) -> Result<Response<pb::AuthenticateResponse>, Status> {
        let _pass = self.member.gate.enter(&request, 0)?;
        let pb::AuthenticateRequest { name, password } = request.into_inner();
        let auth = self.now().await?;
        if !auth.is_enabled() {
            return Err(refused(Refusal::AuthNotEnabled));
        }
        let user = auth.user(&name);
        let hash = user.and_then(|user| user.password.as_ref());
        let hash = hash.ok_or_else(|| refused(Refusal::AuthFailed))?;
        let passwords = &self.member.users.passwords;
        let is_right = passwords.is_right(password, &hash.0).await;
        if !is_right.map_err(unhashed)? {
            tracing::info!(user = name, "a password was wrong");
            return Err(refused(Refusal::AuthFailed));
        }
        Ok(Response::new(pb::AuthenticateResponse {
            header: self.header(),
            token: self.member.users.token(&auth, &name),
        }))
    }

    async fn user_add(
        &self,
        mut request: Request<pb::AuthUserAddRequest>,
    ) -> Result<Response<pb::AuthUserAddResponse>, Status> {
        // Hashing costs much: nobody has it done who may not.
        self.member.permit_administrator(&request)?;
        let asked = std::mem::take(request.get_mut());
        let has_password = !asked.options.is_some_and(|options| options.no_password);
        let password = if has_password {
            Some(self.hash(asked.password).await?)
        } else {
            None
        };
        let name = asked.name;
        let command = AuthCommand::UserAdd { name, password };
        let header = self.change(&request, command).await?;
        Ok(Response::new(pb::AuthUserAddResponse { header }))
    }

    async fn user_get(
        &self,
        request: Request<pb::AuthUserGetRequest>,
    ) -> Result<Response<pb::AuthUserGetResponse>, Status> {
        let name = request.get_ref().name.clone();
        let may = |auth: &Auth, user: &str| auth.may_see_user(user, &name);
        let auth = self.look(&request, may).await?;
        let user = auth.user(&name);
        let user = user.ok_or_else(|| refused(Refusal::UserNotFound))?;
        Ok(Response::new(pb::AuthUserGetResponse {
            header: self.header(),
            roles: user.roles.clone(),
        }))
    }

    async fn user_list(
        &self,
        request: Request<pb::AuthUserListRequest>,
    ) -> Result<Response<pb::AuthUserListResponse>, Status> {
        let auth = self.look(&request, Auth::may_administer).await?;
        Ok(Response::new(pb::AuthUserListResponse {
            header: self.header(),
            users: auth.users().map(|(name, _)| name.to_owned()).collect(),
        }))
    }

    async fn user_delete(
        &self,
        request: Request<pb::AuthUserDeleteRequest>,
    ) -> Result<Response<pb::AuthUserDeleteResponse>, Status> {
        let name = request.get_ref().name.clone();
        let header = self.change(&request, AuthCommand::UserDelete { name });
        let header = header.await?;
        Ok(Response::new(pb::AuthUserDeleteResponse { header }))
    }

    /// An empty password is none that anybody could give: etcd keeps no hash of it, either.
    async fn user_change_password(
        &self,
        mut request: Request<pb::AuthUserChangePasswordRequest>,
    ) -> Result<Response<pb::AuthUserChangePasswordResponse>, Status> {
        self.member.permit_administrator(&request)?;
        let asked = std::mem::take(request.get_mut());
        let password = if asked.password.is_empty() {
            Hidden::NONE
        } else {
            self.hash(asked.password).await?
        };
        let name = asked.name;
        let command = AuthCommand::UserChangePassword { name, password };
        let header = self.change(&request, command).await?;
        Ok(Response::new(pb::AuthUserChangePasswordResponse { header }))
    }

    async fn user_grant_role(
        &self,
        request: Request<pb::AuthUserGrantRoleRequest>,
    ) -> Result<Response<pb::AuthUserGrantRoleResponse>, Status> {
        let pb::AuthUserGrantRoleRequest { user: name, role } = request.get_ref().clone();
        let command = AuthCommand::UserGrantRole { name, role };
        let header = self.change(&request, command).await?;
        Ok(Response::new(pb::AuthUserGrantRoleResponse { header }))
    }

    async fn user_revoke_role(
        &self,
        request: Request<pb::AuthUserRevokeRoleRequest>,
    ) -> Result<Response<pb::AuthUserRevokeRoleResponse>, Status> {
        let pb::AuthUserRevokeRoleRequest { name, role } = request.get_ref().clone();
        let command = AuthCommand::UserRevokeRole { name, role };
        let header = self.change(&request, command).await?;
        Ok(Response::new(pb::AuthUserRevokeRoleResponse { header }))
    }

    async fn role_add(
        &self,
        request: Request<pb::AuthRoleAddRequest>,
    ) -> Result<Response<pb::AuthRoleAddResponse>, Status> {
        let name = request.get_ref().name.clone();
        let header = self.change(&request, AuthCommand::RoleAdd { name }).await?;
        Ok(Response::new(pb::AuthRoleAddResponse { header }))
    }

    async fn role_get(
        &self,
        request: Request<pb::AuthRoleGetRequest>,
    ) -> Result<Response<pb::AuthRoleGetResponse>, Status> {
        let name = request.get_ref().role.clone();
        let may = |auth: &Auth, user: &str| auth.may_see_role(user, &name);
        let auth = self.look(&request, may).await?;
        Ok(Response::new(pb::AuthRoleGetResponse {
            header: self.header(),
            perm: permissions_of(&auth, &name).map_err(refused)?,
        }))
    }

    async fn role_list(
        &self,
        request: Request<pb::AuthRoleListRequest>,
    ) -> Result<Response<pb::AuthRoleListResponse>, Status> {
        let auth = self.look(&request, Auth::may_administer).await?;
        Ok(Response::new(pb::AuthRoleListResponse {
            header: self.header(),
            roles: auth.roles().map(|(name, _)| name.to_owned()).collect(),
        }))
    }

    async fn role_delete(
        &self,
        request: Request<pb::AuthRoleDeleteRequest>,
    ) -> Result<Response<pb::AuthRoleDeleteResponse>, Status> {
        let name = request.get_ref().role.clone();
        let header = self.change(&request, AuthCommand::RoleDelete { name });
        let header = header.await?;
        Ok(Response::new(pb::AuthRoleDeleteResponse { header }))
    }

    async fn role_grant_permission(
        &self,
        request: Request<pb::AuthRoleGrantPermissionRequest>,
    ) -> Result<Response<pb::AuthRoleGrantPermissionResponse>, Status> {
        let pb::AuthRoleGrantPermissionRequest { name, perm } = request.get_ref().clone();
        let given = perm.ok_or_else(|| refused(Refusal::PermissionNotGiven))?;
        let permission = permission(given).map_err(refused)?;
        let command = AuthCommand::RoleGrantPermission { name, permission };
        let header = self.change(&request, command).await?;
        Ok(Response::new(pb::AuthRoleGrantPermissionResponse {
            header,
        }))
    }

    async fn role_revoke_permission(
        &self,
        request: Request<pb::AuthRoleRevokePermissionRequest>,
    ) -> Result<Response<pb::AuthRoleRevokePermissionResponse>, Status> {
        let asked = request.get_ref().clone();
        let command = AuthCommand::RoleRevokePermission {
            name: asked.role,
            keys: Keys::of(asked.key, asked.range_end),
        };
        let header = self.change(&request, command).await?;
        Ok(Response::new(pb::AuthRoleRevokePermissionResponse {
            header,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clients match on these, as etcd's `rpctypes` has them.
    #[test]
    fn refusals_have_the_codes_and_texts_of_etcd() {
        use tonic::Code;
        for (refusal, code, text) in [
            (
                Refusal::RootUserNotFound,
                Code::FailedPrecondition,
                "root user does not exist",
            ),
            (
                Refusal::RootRoleNotGranted,
                Code::FailedPrecondition,
                "root user does not have root role",
            ),
            (
                Refusal::UserExists,
                Code::FailedPrecondition,
                "user name already exists",
            ),
            (
                Refusal::UserEmpty,
                Code::InvalidArgument,
                "user name is empty",
            ),
            (
                Refusal::UserNotFound,
                Code::FailedPrecondition,
                "user name not found",
            ),
            (
                Refusal::RoleExists,
                Code::FailedPrecondition,
                "role name already exists",
            ),
            (
                Refusal::RoleNotFound,
                Code::FailedPrecondition,
                "role name not found",
            ),
            (
                Refusal::RoleEmpty,
                Code::InvalidArgument,
                "role name is empty",
            ),
            (
                Refusal::AuthFailed,
                Code::InvalidArgument,
                "authentication failed, invalid user ID or password",
            ),
            (
                Refusal::PermissionNotGiven,
                Code::InvalidArgument,
                "permission not given",
            ),
            (
                Refusal::PermissionDenied,
                Code::PermissionDenied,
                "permission denied",
            ),
            (
                Refusal::RoleNotGranted,
                Code::FailedPrecondition,
                "role is not granted to the user",
            ),
            (
                Refusal::PermissionNotGranted,
                Code::FailedPrecondition,
                "permission is not granted to the role",
            ),
            (
                Refusal::AuthNotEnabled,
                Code::FailedPrecondition,
                "authentication is not enabled",
            ),
            (
                Refusal::InvalidAuthToken,
                Code::Unauthenticated,
                "invalid auth token",
            ),
            (
                Refusal::InvalidAuthManagement,
                Code::InvalidArgument,
                "invalid auth management",
            ),
            (
                Refusal::AuthRevisionOld,
                Code::InvalidArgument,
                "revision of auth store is old",
            ),
        ] {
            let status = refused(refusal);
            assert_eq!(status.code(), code, "{refusal:?}");
            assert_eq!(status.message(), format!("etcdserver: {text}"));
        }
    }

    #[test]
    fn a_permission_comes_back_as_it_was_given() {
        for (key, range_end) in [("a", ""), ("a", "b"), ("a", "\0"), ("\0", "\0")] {
            for kind in [Type::Read, Type::Write, Type::Readwrite] {
                let given = authpb::Permission {
                    perm_type: kind.into(),
                    key: Bytes::from(key),
                    range_end: Bytes::from(range_end),
                };
                let taken = permission(given.clone()).expect("a permission");
                assert_eq!(permission_of(&taken), given);
            }
        }
        let other = authpb::Permission {
            perm_type: 3,
            ..authpb::Permission::default()
        };
        assert_eq!(permission(other), Err(Refusal::InvalidAuthManagement));
    }
}
