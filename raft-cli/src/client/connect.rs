//! What says which servers a verb speaks to, and as whom: flags, the environment, defaults. It does
//! not know the verb.

use std::env;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::{ArgAction, Args};
use rustls::ClientConfig;
use tonic::transport::Channel;

use super::caller::Client;
use super::channel::{self, Patience};
use super::discover;
use super::duration::Span;
use super::endpoint::{Endpoint, Security};
use super::secret;
use super::tls::{TlsFiles, Trust};
use crate::exit::Exit;

/// etcdctl's global flags. Each is also read from the environment, as `RAFT_ENDPOINTS` or
/// `ETCDCTL_ENDPOINTS`, in this order.
#[derive(Clone, Debug, Default, Args)]
#[command(
    next_help_heading = "Connection (also RAFT_<FLAG> and ETCDCTL_<FLAG> in the environment)"
)]
pub(crate) struct ConnectArgs {
    /// The servers, separated by commas; the first that answers is asked [default: 127.0.0.1:2379]
    #[arg(long, global = true, value_delimiter = ',', value_name = "HOST:PORT")]
    endpoints: Option<Vec<Endpoint>>,
    /// How long a connection may take to be made [default: 2s]
    #[arg(long, global = true)]
    dial_timeout: Option<Span>,
    /// How long the answer to a short request may take [default: 5s]
    #[arg(long, global = true)]
    command_timeout: Option<Span>,
    /// How often a silent server is asked whether it is there [default: 2s, at least 10s]
    #[arg(long, global = true)]
    keepalive_time: Option<Span>,
    /// How long it may take to say so [default: 6s]
    #[arg(long, global = true)]
    keepalive_timeout: Option<Span>,
    /// Trust servers whose certificate these authorities signed
    #[arg(long, global = true, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// Our own certificate
    #[arg(long, global = true, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// The key of our certificate
    // Verbs have keys and users of their own, under these names.
    #[arg(id = "connect.key", long = "key", global = true, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Speak TLS with whoever answers (for tests only)
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = ArgAction::Set)]
    insecure_skip_tls_verify: Option<bool>,
    /// Without TLS where an endpoint has no scheme and no TLS file is named [default: true]
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = ArgAction::Set)]
    insecure_transport: Option<bool>,
    /// Who we are; asks for the password if there is none
    #[arg(
        id = "connect.user",
        long = "user",
        global = true,
        value_name = "NAME[:PASSWORD]"
    )]
    user: Option<String>,
    /// The user's password
    #[arg(long, global = true)]
    password: Option<String>,
    /// Ask the SRV records of this domain where the servers are, instead of --endpoints
    #[arg(
        id = "connect.domain",
        long = "discovery-srv",
        global = true,
        value_name = "DOMAIN"
    )]
    domain: Option<String>,
    /// Of several clusters in the domain, the one of this name
    #[arg(
        id = "connect.service",
        long = "discovery-srv-name",
        global = true,
        value_name = "NAME"
    )]
    service: Option<String>,
    /// Also take servers without TLS from the domain [default: true]
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = ArgAction::Set)]
    insecure_discovery: Option<bool>,
}

/// What the flags come to.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) patience: Patience,
    /// For the answer to a short request, once connected.
    pub(crate) command_timeout: Duration,
    pub(crate) login: Option<Login>,
    /// What endpoints without a scheme speak.
    unsaid: Security,
    /// Read when an endpoint speaks TLS.
    tls: Option<Arc<ClientConfig>>,
}

/// A user and the password.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) name: String,
    pub(crate) password: String,
}

impl std::fmt::Debug for Login {
    /// Without the password: this ends up in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({})", self.name)
    }
}

const DIAL_TIMEOUT: Duration = Duration::from_secs(2);
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);
const KEEPALIVE_TIME: Duration = Duration::from_secs(2);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(6);

/// Another cluster, beside the one that the flags are about.
pub(super) struct Destination {
    pub(super) endpoint: Endpoint,
    pub(super) cacert: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) insecure_transport: Option<bool>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

impl ConnectArgs {
    /// What would lead there.
    pub(super) fn to(there: Destination) -> Self {
        Self {
            endpoints: Some(vec![there.endpoint]),
            cacert: there.cacert,
            cert: there.cert,
            key: there.key,
            insecure_transport: there.insecure_transport,
            user: there.user,
            password: there.password,
            ..Self::default()
        }
    }

    /// What they come to, whatever the environment says: it is about another cluster.
    pub(super) fn without_environment(self) -> Result<Settings, Exit> {
        self.resolve_in(&|_| None)
    }

    /// What they come to, with this process's environment.
    pub(crate) fn resolve(self) -> Result<Settings, Exit> {
        self.resolve_in(&|name| env::var(name).ok())
    }

    fn resolve_in(self, env: &Environment<'_>) -> Result<Settings, Exit> {
        let span = |flag, name, default| {
            Ok::<_, Exit>(pick(flag, env, name)?.map_or(default, |Span(span)| span))
        };
        let patience = Patience {
            dial: span(self.dial_timeout, "DIAL_TIMEOUT", DIAL_TIMEOUT)?,
            keepalive_time: span(self.keepalive_time, "KEEPALIVE_TIME", KEEPALIVE_TIME)?,
            keepalive_timeout: span(
                self.keepalive_timeout,
                "KEEPALIVE_TIMEOUT",
                KEEPALIVE_TIMEOUT,
            )?,
        };
        let command_timeout = span(self.command_timeout, "COMMAND_TIMEOUT", COMMAND_TIMEOUT)?;
        let blind = pick(
            self.insecure_skip_tls_verify,
            env,
            "INSECURE_SKIP_TLS_VERIFY",
        )?;
        let files = TlsFiles {
            cacert: pick(self.cacert, env, "CACERT")?,
            cert: pick(self.cert, env, "CERT")?,
            key: pick(self.key, env, "KEY")?,
            trust: match blind {
                Some(true) => Trust::Blind,
                Some(false) | None => Trust::Verified,
            },
        };
        let is_plain_allowed = pick(self.insecure_transport, env, "INSECURE_TRANSPORT")?;
        let unsaid = match is_plain_allowed {
            Some(false) => Security::Tls,
            _ if files.are_named() => Security::Tls,
            _ => Security::Plain,
        };
        let places = Places {
            written: self.endpoints,
            domain: self.domain,
            service: self.service,
            insecure_discovery: self.insecure_discovery,
        };
        let endpoints = places.endpoints(env)?;
        let needs_tls =
            unsaid == Security::Tls || endpoints.iter().any(|e| e.security == Security::Tls);
        let tls = needs_tls.then(|| files.load()).transpose()?.map(Arc::new);
        let user = pick(self.user, env, "USER")?;
        let password = pick(self.password, env, "PASSWORD")?;
        Ok(Settings {
            endpoints,
            patience,
            command_timeout,
            login: login(user, password)?,
            unsaid,
            tls,
        })
    }
}

/// Looks up a variable of the environment.
type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// The flag; or our variable; or etcdctl's.
fn pick<T: FromStr<Err: std::fmt::Display>>(
    flag: Option<T>,
    env: &Environment<'_>,
    name: &str,
) -> Result<Option<T>, Exit> {
    if flag.is_some() {
        return Ok(flag);
    }
    for name in [format!("RAFT_{name}"), format!("ETCDCTL_{name}")] {
        if let Some(text) = env(&name) {
            let value = text.parse();
            let value = value.map_err(|e: T::Err| Exit::BadInput(anyhow!("{name}: {e}")))?;
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// What says where the servers are.
struct Places {
    written: Option<Vec<Endpoint>>,
    domain: Option<String>,
    service: Option<String>,
    insecure_discovery: Option<bool>,
}

impl Places {
    fn endpoints(self, env: &Environment<'_>) -> Result<Vec<Endpoint>, Exit> {
        let domain = pick(self.domain, env, "DISCOVERY_SRV")?;
        if let Some(domain) = domain.filter(|domain| !domain.is_empty()) {
            let service = pick(self.service, env, "DISCOVERY_SRV_NAME")?;
            let are_plain_wanted = pick(self.insecure_discovery, env, "INSECURE_DISCOVERY")?;
            let service = service.as_deref().filter(|service| !service.is_empty());
            return discover::endpoints(&domain, service, are_plain_wanted.unwrap_or(true));
        }
        match self.written {
            Some(endpoints) => Ok(endpoints),
            None => match pick::<String>(None, env, "ENDPOINTS")? {
                Some(text) => parse_endpoints(&text),
                None => parse_endpoints("127.0.0.1:2379"),
            },
        }
    }
}

fn parse_endpoints(text: &str) -> Result<Vec<Endpoint>, Exit> {
    let parsed: Result<Vec<Endpoint>, String> = text.split(',').map(str::parse).collect();
    parsed.map_err(|error| Exit::BadInput(anyhow!("ENDPOINTS: {error}")))
}

fn login(user: Option<String>, password: Option<String>) -> Result<Option<Login>, Exit> {
    let Some(user) = user.filter(|user| !user.is_empty()) else {
        return Ok(None);
    };
    let (name, password) = match password.filter(|password| !password.is_empty()) {
        Some(password) => (user, password),
        None => match user.split_once(':') {
            Some((name, password)) => (name.to_owned(), password.to_owned()),
            None => {
                let password = secret::ask("Password: ").context("no password was given")?;
                (user, password)
            }
        },
    };
    Ok(Some(Login { name, password }))
}

impl Settings {
    /// The client to all endpoints, authenticated if there is a user.
    pub(crate) async fn connect(self) -> Result<Client, Exit> {
        Client::open(self).await
    }

    /// The same, but for these endpoints.
    pub(crate) fn with_endpoints(&self, endpoints: Vec<Endpoint>) -> Self {
        Self {
            endpoints,
            ..self.clone()
        }
    }

    /// A connection of its own to `endpoint`.
    pub(crate) fn channel(&self, endpoint: &Endpoint) -> Result<Channel, Exit> {
        let security = match endpoint.security {
            Security::Unsaid => self.unsaid,
            said @ (Security::Tls | Security::Plain) => said,
        };
        let tls = match security {
            Security::Tls => self.tls.as_ref(),
            Security::Plain | Security::Unsaid => None,
        };
        channel::open(endpoint, tls, self.patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(args: ConnectArgs, env: &[(&str, &str)]) -> Result<Settings, Exit> {
        args.resolve_in(&|name| {
            let found = env.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_flag_wins_over_our_variable_and_ours_over_etcdctls() {
        let check = |flag: Option<&str>, env: &[(&str, &str)], expected: &str| {
            let args = ConnectArgs {
                endpoints: flag.map(|flag| vec![flag.parse().unwrap()]),
                ..ConnectArgs::default()
            };
            let settings = resolved(args, env).unwrap();
            let texts: Vec<_> = settings.endpoints.iter().map(ToString::to_string).collect();
            assert_eq!(texts.join(","), expected);
        };
        let ours = ("RAFT_ENDPOINTS", "b:1,c:1");
        let theirs = ("ETCDCTL_ENDPOINTS", "d:1");
        check(Some("a:1"), &[ours, theirs], "a:1");
        check(None, &[ours, theirs], "b:1,c:1");
        check(None, &[theirs], "d:1");
        check(None, &[], "127.0.0.1:2379");
    }

    #[test]
    fn timeouts_come_from_the_environment_too() {
        let env = [
            ("ETCDCTL_COMMAND_TIMEOUT", "1m"),
            ("RAFT_DIAL_TIMEOUT", "250ms"),
        ];
        let settings = resolved(ConnectArgs::default(), &env).unwrap();
        assert_eq!(settings.command_timeout, Duration::from_secs(60));
        assert_eq!(settings.patience.dial, Duration::from_millis(250));
    }

    #[test]
    fn what_makes_no_sense_in_the_environment_is_named() {
        let error = resolved(ConnectArgs::default(), &[("RAFT_DIAL_TIMEOUT", "soon")]);
        let error = error.unwrap_err();
        assert_eq!(error.code(), 3);
        assert!(
            error.to_string().starts_with("RAFT_DIAL_TIMEOUT: "),
            "{error}"
        );
    }

    #[test]
    fn the_password_is_the_flags_or_behind_the_users_colon() {
        let check = |user: &str, password: Option<&str>, expected: Option<(&str, &str)>| {
            let login = login(Some(user.to_owned()), password.map(str::to_owned)).unwrap();
            let login = login.map(|login| (login.name, login.password));
            let expected = expected.map(|(name, word)| (name.to_owned(), word.to_owned()));
            assert_eq!(login, expected, "{user}");
        };
        check("root:a:b", None, Some(("root", "a:b")));
        check("root", Some("x"), Some(("root", "x")));
        check("root:y", Some("x"), Some(("root:y", "x")));
        check("", None, None);
    }
}
