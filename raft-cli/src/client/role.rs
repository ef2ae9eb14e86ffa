//! `role`: what roles may do. It does not know how answers look.

use std::ffi::OsString;

use bytes::Bytes;
use clap::{Args, Subcommand, ValueEnum};

use super::caller::Client;
use super::context::{Context, Verb};
use super::output::interval;
use super::range::{Extent, FROM_KEY, bad, bytes, range};
use super::services;
use crate::exit::Exit;
use crate::pb::authpb::Permission;
use crate::pb::authpb::permission::Type;
use crate::pb::etcdserverpb::{
    AuthRoleAddRequest, AuthRoleDeleteRequest, AuthRoleGetRequest, AuthRoleGrantPermissionRequest,
    AuthRoleListRequest, AuthRoleRevokePermissionRequest,
};

/// Say what users may do.
#[derive(Debug, Args)]
pub(crate) struct RoleArgs {
    #[command(subcommand)]
    verb: RoleVerb,
}

#[derive(Debug, Subcommand)]
#[command(infer_subcommands = true)]
enum RoleVerb {
    /// Add a role
    Add {
        /// The role
        name: String,
    },
    /// Remove a role
    Delete {
        /// The role
        name: String,
    },
    /// Print what a role may do
    Get {
        /// The role
        name: String,
    },
    /// Print all roles
    List,
    /// Let a role read or write keys
    GrantPermission {
        /// The role
        role: String,
        /// What it may do
        #[arg(value_enum, ignore_case = true)]
        permission: Kind,
        #[command(flatten)]
        keys: Keys,
    },
    /// No longer let a role read or write keys
    RevokePermission {
        /// The role
        role: String,
        #[command(flatten)]
        keys: Keys,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Read,
    Write,
    Readwrite,
}

#[derive(Debug, Args)]
struct Keys {
    /// The key
    key: OsString,
    /// The first key that is not meant any more
    endkey: Option<OsString>,
    /// All keys that begin with the key
    #[arg(long)]
    prefix: bool,
    /// The key and all after it
    #[arg(long)]
    from_key: bool,
}

impl Keys {
    fn range(self) -> Result<(Bytes, Bytes), Exit> {
        let extent = Extent::of(self.prefix, self.from_key)
            .map_err(|_| bad("--from-key and --prefix flags are mutually exclusive"))?;
        let (key, end) = range(bytes(self.key), self.endkey.map(bytes), extent)?;
        // No key is empty, so this can only mean the first one.
        let key = if key.is_empty() {
            Bytes::from_static(FROM_KEY)
        } else {
            key
        };
        Ok((key, end))
    }
}

impl Verb for RoleArgs {
    async fn run(self, context: &mut Context) -> Result<(), Exit> {
        let client = context.client().await?;
        match self.verb {
            RoleVerb::Add { name } => add(context, &client, name).await,
            RoleVerb::Delete { name } => delete(context, &client, name).await,
            RoleVerb::Get { name } => get(context, &client, name).await,
            RoleVerb::List => {
                let answer = client
                    .call(AuthRoleListRequest {}, |channel, request| async move {
                        services::auth(channel).role_list(request).await
                    })
                    .await?;
                context.printer.roles(&answer)
            }
            RoleVerb::GrantPermission {
                role,
                permission,
                keys,
            } => grant(context, &client, (role, permission, keys)).await,
            RoleVerb::RevokePermission { role, keys } => revoke(context, &client, role, keys).await,
        }
    }
}

async fn add(context: &mut Context, client: &Client, name: String) -> Result<(), Exit> {
    let line = format!("Role {name} created");
    let answer = client
        .call(AuthRoleAddRequest { name }, |channel, request| async move {
            services::auth(channel).role_add(request).await
        })
        .await?;
    let (kind, header) = ("etcdserverpb.AuthRoleAddResponse", answer.header.as_ref());
    context.printer.done(kind, &answer, header, line.as_bytes())
}

async fn delete(context: &mut Context, client: &Client, role: String) -> Result<(), Exit> {
    let line = format!("Role {role} deleted");
    let answer = client
        .call(
            AuthRoleDeleteRequest { role },
            |channel, request| async move { services::auth(channel).role_delete(request).await },
        )
        .await?;
    let (kind, header) = (
        "etcdserverpb.AuthRoleDeleteResponse",
        answer.header.as_ref(),
    );
    context.printer.done(kind, &answer, header, line.as_bytes())
}

/// Prints a role.
pub(super) async fn get(context: &mut Context, client: &Client, role: String) -> Result<(), Exit> {
    let request = AuthRoleGetRequest { role: role.clone() };
    let answer = client
        .call(request, |channel, request| async move {
            services::auth(channel).role_get(request).await
        })
        .await?;
    context.printer.role(&role, &answer)
}

async fn grant(
    context: &mut Context,
    client: &Client,
    (name, kind, keys): (String, Kind, Keys),
) -> Result<(), Exit> {
    let line = format!("Role {name} updated");
    let (key, range_end) = keys.range()?;
    let perm_type = match kind {
        Kind::Read => Type::Read,
        Kind::Write => Type::Write,
        Kind::Readwrite => Type::Readwrite,
    };
    let request = AuthRoleGrantPermissionRequest {
        name,
        perm: Some(Permission {
            perm_type: perm_type.into(),
            key,
            range_end,
        }),
    };
    let answer = client
        .call(request, |channel, request| async move {
            services::auth(channel).role_grant_permission(request).await
        })
        .await?;
    let kind = "etcdserverpb.AuthRoleGrantPermissionResponse";
    let header = answer.header.as_ref();
    context.printer.done(kind, &answer, header, line.as_bytes())
}

async fn revoke(
    context: &mut Context,
    client: &Client,
    role: String,
    keys: Keys,
) -> Result<(), Exit> {
    // The key is printed as it was given.
    let given = bytes(keys.key.clone());
    let (key, range_end) = keys.range()?;
    let line = if range_end.is_empty() {
        [b"Permission of key ", given.as_ref()].concat()
    } else {
        [
            b"Permission of range ".as_slice(),
            &interval(&given, &range_end),
        ]
        .concat()
    };
    let line = [&line, b" is revoked from role ".as_slice(), role.as_bytes()].concat();
    let request = AuthRoleRevokePermissionRequest {
        role,
        key,
        range_end,
    };
    let answer = client
        .call(request, |channel, request| async move {
            services::auth(channel)
                .role_revoke_permission(request)
                .await
        })
        .await?;
    let kind = "etcdserverpb.AuthRoleRevokePermissionResponse";
    let header = answer.header.as_ref();
    context.printer.done(kind, &answer, header, &line)
}
