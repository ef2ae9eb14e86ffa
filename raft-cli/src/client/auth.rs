//! `auth` and `user`: who may ask at all. It does not know how answers look.

use std::io::BufRead;

use anyhow::Context as _;
use clap::{ArgAction, Args, Subcommand};

use super::caller::Client;
use super::context::{Context, Verb};
use super::range::bad;
use super::{role, secret, services};
use crate::exit::Exit;
use crate::pb::authpb::UserAddOptions;
use crate::pb::etcdserverpb::{
    AuthDisableRequest, AuthEnableRequest, AuthRoleAddRequest, AuthStatusRequest,
    AuthUserAddRequest, AuthUserChangePasswordRequest, AuthUserDeleteRequest, AuthUserGetRequest,
    AuthUserGrantRoleRequest, AuthUserListRequest, AuthUserRevokeRoleRequest,
};

/// Have everybody say who they are.
#[derive(Debug, Args)]
pub(crate) struct AuthArgs {
    #[command(subcommand)]
    verb: AuthVerb,
}

#[derive(Clone, Copy, Debug, Subcommand)]
#[command(infer_subcommands = true)]
enum AuthVerb {
    /// From now on; there has to be a user `root`
    Enable,
    /// No longer
    Disable,
    /// Print whether it is so
    Status,
}

const ROOT: &str = "root";
const ROOT_HAS_NO_ROLE: &str = "etcdserver: root user does not have root role";

impl Verb for AuthArgs {
    async fn run(self, context: &mut Context) -> Result<(), Exit> {
        let client = context.client().await?;
        match self.verb {
            AuthVerb::Enable => {
                enable(&client).await?;
                context.printer.line("Authentication Enabled")
            }
            AuthVerb::Disable => {
                client
                    .call(AuthDisableRequest {}, |channel, request| async move {
                        services::auth(channel).auth_disable(request).await
                    })
                    .await?;
                context.printer.line("Authentication Disabled")
            }
            AuthVerb::Status => {
                let answer = client
                    .call(AuthStatusRequest {}, |channel, request| async move {
                        services::auth(channel).auth_status(request).await
                    })
                    .await?;
                context.printer.auth_status(&answer)
            }
        }
    }
}

/// A user `root` gets its role if it has none, as etcdctl gives it.
async fn enable(client: &Client) -> Result<(), Exit> {
    let enable = || {
        client.call(AuthEnableRequest {}, |channel, request| async move {
            services::auth(channel).auth_enable(request).await
        })
    };
    match enable().await {
        Err(Exit::Refused(error)) if error.to_string().starts_with(ROOT_HAS_NO_ROLE) => {}
        done => return done.map(|_| ()),
    }
    let request = AuthRoleAddRequest {
        name: ROOT.to_owned(),
    };
    client
        .call(request, |channel, request| async move {
            services::auth(channel).role_add(request).await
        })
        .await?;
    let request = AuthUserGrantRoleRequest {
        user: ROOT.to_owned(),
        role: ROOT.to_owned(),
    };
    client
        .call(request, |channel, request| async move {
            services::auth(channel).user_grant_role(request).await
        })
        .await?;
    enable().await?;
    Ok(())
}

/// Say who may ask.
#[derive(Debug, Args)]
pub(crate) struct UserArgs {
    #[command(subcommand)]
    verb: UserVerb,
}

#[derive(Debug, Subcommand)]
#[command(infer_subcommands = true)]
enum UserVerb {
    /// Add a user
    Add(AddArgs),
    /// Remove a user
    Delete {
        /// The user
        name: String,
    },
    /// Print a user's roles
    Get {
        /// The user
        name: String,
        /// Print what the roles may do as well
        #[arg(long)]
        detail: bool,
    },
    /// Print all users
    List,
    /// Change a user's password
    Passwd {
        /// The user
        name: String,
        /// Ask twice; or take a word of standard input
        #[arg(long, default_value = "true", default_missing_value = "true", num_args = 0..=1,
              require_equals = true, action = ArgAction::Set)]
        interactive: bool,
    },
    /// Give a user a role
    GrantRole {
        /// The user
        user: String,
        /// The role
        role: String,
    },
    /// Take a role from a user
    RevokeRole {
        /// The user
        user: String,
        /// The role
        role: String,
    },
}

#[derive(Debug, Args)]
struct AddArgs {
    /// The user, and maybe the password
    #[arg(value_name = "NAME[:PASSWORD]")]
    name: String,
    /// Ask twice for the password; or take a word of standard input
    #[arg(long, default_value = "true", default_missing_value = "true", num_args = 0..=1,
          require_equals = true, action = ArgAction::Set)]
    interactive: bool,
    /// The password
    #[arg(long, value_name = "PASSWORD")]
    new_user_password: Option<String>,
    /// Without password: only a certificate's name says who it is
    #[arg(long)]
    no_password: bool,
}

impl Verb for UserArgs {
    async fn run(self, context: &mut Context) -> Result<(), Exit> {
        match self.verb {
            UserVerb::Add(args) => args.run(context).await,
            UserVerb::Delete { name } => delete(context, name).await,
            UserVerb::Get { name, detail } => get(context, name, detail).await,
            UserVerb::List => list(context).await,
            UserVerb::Passwd { name, interactive } => passwd(context, name, interactive).await,
            UserVerb::GrantRole { user, role } => grant_role(context, user, role).await,
            UserVerb::RevokeRole { user, role } => revoke_role(context, user, role).await,
        }
    }
}

impl AddArgs {
    /// The name and the password.
    fn login(&self) -> Result<(String, String), Exit> {
        if self.no_password {
            return Ok((self.name.clone(), String::new()));
        }
        if let Some(password) = self.new_user_password.clone().filter(|p| !p.is_empty()) {
            return Ok((self.name.clone(), password));
        }
        match self.name.split_once(':') {
            Some(("", _)) => Err(bad("empty user name is not allowed")),
            Some((name, password)) => Ok((name.to_owned(), password.to_owned())),
            None => Ok((
                self.name.clone(),
                new_password(&self.name, self.interactive)?,
            )),
        }
    }

    async fn run(self, context: &mut Context) -> Result<(), Exit> {
        let (name, password) = self.login()?;
        let request = AuthUserAddRequest {
            name: name.clone(),
            password,
            options: Some(UserAddOptions {
                no_password: self.no_password,
            }),
            hashed_password: String::new(),
        };
        let client = context.client().await?;
        let answer = client
            .call(request, |channel, request| async move {
                services::auth(channel).user_add(request).await
            })
            .await?;
        let (kind, line) = (
            "etcdserverpb.AuthUserAddResponse",
            format!("User {name} created"),
        );
        let header = answer.header.as_ref();
        context.printer.done(kind, &answer, header, line.as_bytes())
    }
}

fn new_password(name: &str, is_interactive: bool) -> Result<String, Exit> {
    if !is_interactive {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        read.context("no password on standard input")?;
        return Ok(line
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned());
    }
    let ask = |prompt: String| secret::ask(&prompt).context("failed to ask password");
    let password = ask(format!("Password of {name}: "))?;
    if password.is_empty() {
        return Err(bad("empty password"));
    }
    if ask(format!("Type password of {name} again for confirmation: "))? != password {
        return Err(bad("given passwords are different"));
    }
    Ok(password)
}

async fn delete(context: &mut Context, name: String) -> Result<(), Exit> {
    let client = context.client().await?;
    let line = format!("User {name} deleted");
    let answer = client
        .call(
            AuthUserDeleteRequest { name },
            |channel, request| async move { services::auth(channel).user_delete(request).await },
        )
        .await?;
    let (kind, header) = (
        "etcdserverpb.AuthUserDeleteResponse",
        answer.header.as_ref(),
    );
    context.printer.done(kind, &answer, header, line.as_bytes())
}

async fn get(context: &mut Context, name: String, is_detailed: bool) -> Result<(), Exit> {
    let client = context.client().await?;
    let request = AuthUserGetRequest { name: name.clone() };
    let answer = client
        .call(request, |channel, request| async move {
            services::auth(channel).user_get(request).await
        })
        .await?;
    if !is_detailed {
        return context.printer.user(&name, &answer);
    }
    context.printer.line(&format!("User: {name}"))?;
    for role in answer.roles {
        context.printer.line("")?;
        role::get(context, &client, role).await?;
    }
    Ok(())
}

async fn list(context: &mut Context) -> Result<(), Exit> {
    let client = context.client().await?;
    let answer = client
        .call(AuthUserListRequest {}, |channel, request| async move {
            services::auth(channel).user_list(request).await
        })
        .await?;
    context.printer.users(&answer)
}

async fn passwd(context: &mut Context, name: String, is_interactive: bool) -> Result<(), Exit> {
    let request = AuthUserChangePasswordRequest {
        password: new_password(&name, is_interactive)?,
        name,
        hashed_password: String::new(),
    };
    let client = context.client().await?;
    let answer = client
        .call(request, |channel, request| async move {
            services::auth(channel).user_change_password(request).await
        })
        .await?;
    let kind = "etcdserverpb.AuthUserChangePasswordResponse";
    let header = answer.header.as_ref();
    context
        .printer
        .done(kind, &answer, header, b"Password updated")
}

async fn grant_role(context: &mut Context, user: String, role: String) -> Result<(), Exit> {
    let client = context.client().await?;
    let line = format!("Role {role} is granted to user {user}");
    let request = AuthUserGrantRoleRequest { user, role };
    let answer = client
        .call(request, |channel, request| async move {
            services::auth(channel).user_grant_role(request).await
        })
        .await?;
    let (kind, header) = (
        "etcdserverpb.AuthUserGrantRoleResponse",
        answer.header.as_ref(),
    );
    context.printer.done(kind, &answer, header, line.as_bytes())
}

async fn revoke_role(context: &mut Context, name: String, role: String) -> Result<(), Exit> {
    let client = context.client().await?;
    let line = format!("Role {role} is revoked from user {name}");
    let request = AuthUserRevokeRoleRequest { name, role };
    let answer = client
        .call(request, |channel, request| async move {
            services::auth(channel).user_revoke_role(request).await
        })
        .await?;
    let (kind, header) = (
        "etcdserverpb.AuthUserRevokeRoleResponse",
        answer.header.as_ref(),
    );
    context.printer.done(kind, &answer, header, line.as_bytes())
}
