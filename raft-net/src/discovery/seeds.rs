//! Where the members of a cluster are looked for: at addresses that an operator names, or wherever
//! the domain name system says.
//!
//! Names are looked up again at each attempt, so what changes there is noticed. This file contacts
//! nobody, and does not know who is a member.

use std::io;

use raft_core::NodeId;
use tokio::net::lookup_host;

use super::dns::{DnsError, Resolver};

/// So many addresses are tried; what is found beyond them is left out, and said.
pub(crate) const ADDRESSES_MAX: usize = 256;

/// Where the members of a cluster are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seeds {
    /// All places; what is found at each is put together.
    pub places: Vec<Seed>,
    /// Who is asked for services.
    pub resolver: Resolver,
}

/// A place where members are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seed {
    /// At an address, as `host:port`.
    At {
        /// The node that is expected there, if that is known.
        id: Option<NodeId>,
        /// Where.
        address: String,
    },
    /// At all addresses of a host, all at one port.
    Host {
        /// The host.
        name: String,
        /// The port.
        port: u16,
    },
    /// Where the `SRV` records of a name say, such as `_raft._tcp.example.org`.
    Service {
        /// The name.
        name: String,
    },
}

/// An address where a member may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: Option<NodeId>,
    pub(crate) address: String,
}

/// Why a place gave no address.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The host is not known.
    #[error("can't look up host `{name}`: {source}")]
    Host {
        /// Which.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The service is not known.
    #[error("can't look up service `{name}`: {source}")]
    Service {
        /// Which.
        name: String,
        /// Why.
        source: DnsError,
    },
    /// More was found than can be tried.
    #[error("more than {ADDRESSES_MAX} addresses were found; what is behind them is left out")]
    TooMany,
}

impl Seeds {
    /// These addresses.
    #[must_use]
    pub fn at<A: Into<String>>(addresses: impl IntoIterator<Item = A>) -> Self {
        let at = |address: A| Seed::At {
            id: None,
            address: address.into(),
        };
        Self {
            places: addresses.into_iter().map(at).collect(),
            resolver: Resolver::default(),
        }
    }

    /// All addresses of a host, all at one port.
    #[must_use]
    pub fn host(name: impl Into<String>, port: u16) -> Self {
        let name = name.into();
        Self {
            places: vec![Seed::Host { name, port }],
            resolver: Resolver::default(),
        }
    }

    /// Where the `SRV` records of a name say.
    #[must_use]
    pub fn service(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            places: vec![Seed::Service { name }],
            resolver: Resolver::default(),
        }
    }

    /// All addresses that there are now, none twice, and what was not found.
    pub(crate) async fn look_up(&self) -> (Vec<Found>, Vec<SeedError>) {
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        for place in &self.places {
            match self.look_up_one(place).await {
                Ok(at) => found.extend(at),
                Err(error) => errors.push(error),
            }
        }
        let mut unique: Vec<Found> = Vec::new();
        for at in found {
            if unique.iter().any(|other| other.address == at.address) {
                continue;
            }
            if unique.len() == ADDRESSES_MAX {
                errors.push(SeedError::TooMany);
                break;
            }
            unique.push(at);
        }
        (unique, errors)
    }

    async fn look_up_one(&self, place: &Seed) -> Result<Vec<Found>, SeedError> {
        match place {
            Seed::At { id, address } => Ok(vec![Found {
                id: *id,
                address: address.clone(),
            }]),
            Seed::Host { name, port } => {
                let found = lookup_host((name.as_str(), *port)).await;
                let found = found.map_err(|source| SeedError::Host {
                    name: name.clone(),
                    source,
                })?;
                Ok(found.map(|address| anybody(address.to_string())).collect())
            }
            Seed::Service { name } => {
                let found = self.resolver.services(name).await;
                let found = found.map_err(|source| SeedError::Service {
                    name: name.clone(),
                    source,
                })?;
                let at = found
                    .into_iter()
                    .map(|service| anybody(format!("{}:{}", service.host, service.port)));
                Ok(at.collect())
            }
        }
    }
}

const fn anybody(address: String) -> Found {
    Found { id: None, address }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(found: &[Found]) -> Vec<&str> {
        found.iter().map(|at| at.address.as_str()).collect()
    }

    #[tokio::test]
    async fn what_is_found_is_put_together_and_nothing_is_named_twice() {
        let mut seeds = Seeds::at(["a:1", "b:2", "a:1"]);
        seeds.places.extend(Seeds::host("127.0.0.1", 3).places);
        let (found, errors) = seeds.look_up().await;
        assert_eq!(addresses(&found), ["a:1", "b:2", "127.0.0.1:3"]);
        assert!(errors.is_empty(), "{errors:?}");
    }

    #[tokio::test]
    async fn a_place_that_can_not_be_looked_up_spoils_no_other() {
        let mut seeds = Seeds::service("not a name");
        seeds.places.extend(Seeds::at(["a:1"]).places);
        let (found, errors) = seeds.look_up().await;
        assert_eq!(addresses(&found), ["a:1"]);
        assert!(
            matches!(errors[..], [SeedError::Service { .. }]),
            "{errors:?}"
        );
    }

    #[tokio::test]
    async fn too_many_addresses_are_cut_and_said() {
        let (found, errors) = Seeds::at((0..300).map(|port| format!("a:{port}")))
            .look_up()
            .await;
        assert_eq!(found.len(), ADDRESSES_MAX);
        assert!(matches!(errors[..], [SeedError::TooMany]), "{errors:?}");
    }
}
