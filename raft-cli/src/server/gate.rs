//! What is let in: how many requests and how many bytes of them at one time, in all and of each
//! client. What is too much is refused at once, so that it costs the cluster nothing, and nobody
//! else waits for it. It does not know what is asked.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tonic::{Request, Status};

use super::config::Limits;

/// Where requests are counted.
pub(crate) struct Gate {
    limits: Limits,
    all: Arc<InUse>,
    clients: Mutex<HashMap<IpAddr, Arc<InUse>>>,
    refused: AtomicUsize,
}

/// What is in use at the moment.
#[derive(Debug, Default)]
pub(crate) struct InUse {
    requests: AtomicUsize,
    bytes: AtomicUsize,
    connections: AtomicUsize,
}

/// Where a request came from. Every connection puts it into the requests that it brings.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// All of its client, by address.
    client: Arc<InUse>,
    /// What the certificate of the other end calls it, if it showed one.
    pub(crate) common_name: Option<Arc<str>>,
}

/// A request that was let in, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Pass {
    all: Arc<InUse>,
    client: Option<Arc<InUse>>,
    bytes: usize,
}

impl Gate {
    /// With these limits.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            all: Arc::default(),
            clients: Mutex::default(),
            refused: AtomicUsize::new(0),
        }
    }

    /// The limits.
    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How many requests are under way, and how many were refused for being too many.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let requests = self.all.requests.load(Ordering::Relaxed);
        (requests, self.refused.load(Ordering::Relaxed))
    }

    /// How many clients' connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.all.connections.load(Ordering::Relaxed)
    }

    /// A new connection, unless there are too many.
    pub(crate) fn connect(&self, ip: IpAddr, common_name: Option<Arc<str>>) -> Option<Connected> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if self.connections() >= self.limits.connections {
            return None;
        }
        // Who has no connection has nothing in use; so the map is as long as there are connections.
        let unused = |client: &Arc<InUse>| client.connections.load(Ordering::Relaxed) == 0;
        if clients.len() > 2 * self.connections() + 64 {
            clients.retain(|_, client| !unused(client));
        }
        let client = Arc::clone(clients.entry(ip).or_default());
        client.connections.fetch_add(1, Ordering::Relaxed);
        self.all.connections.fetch_add(1, Ordering::Relaxed);
        Some(Connected {
            all: Arc::clone(&self.all),
            origin: Origin {
                client,
                common_name,
            },
        })
    }

    /// Lets a request in that is so long, or says why not.
    pub(crate) fn enter<T>(&self, request: &Request<T>, bytes: usize) -> Result<Pass, Status> {
        let limits = &self.limits;
        let most = limits.request_bytes_in_flight;
        if !self.all.take(bytes, limits.requests, most) {
            return Err(self.too_many());
        }
        // From here on, whatever is returned, what was taken is given back when this is dropped.
        let mut pass = Pass {
            all: Arc::clone(&self.all),
            client: None,
            bytes,
        };
        if let Some(origin) = request.extensions().get::<Origin>() {
            let most = limits.request_bytes_in_flight_per_client;
            if !origin.client.take(bytes, limits.requests_per_client, most) {
                return Err(self.too_many());
            }
            pass.client = Some(Arc::clone(&origin.client));
        }
        Ok(pass)
    }

    fn too_many(&self) -> Status {
        self.refused.fetch_add(1, Ordering::Relaxed);
        Status::resource_exhausted("etcdserver: too many requests")
    }
}

impl InUse {
    /// A single request is let in however long it is: its own limit is another one.
    fn take(&self, bytes: usize, requests_max: usize, bytes_max: usize) -> bool {
        let requests = self.requests.fetch_add(1, Ordering::Relaxed);
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = requests < requests_max && (before == 0 || before + bytes <= bytes_max);
        if !fits {
            self.give_back(bytes);
        }
        fits
    }

    fn give_back(&self, bytes: usize) {
        self.requests.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.all.give_back(self.bytes);
        if let Some(client) = &self.client {
            client.give_back(self.bytes);
        }
    }
}

/// A connection that was let in, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Connected {
    all: Arc<InUse>,
    /// What its requests are to say.
    pub(crate) origin: Origin,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.all.connections.fetch_sub(1, Ordering::Relaxed);
        self.origin
            .client
            .connections
            .fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn gate(requests: usize, per_client: usize, bytes: usize) -> Gate {
        Gate::new(Limits {
            request_bytes: 1000,
            txn_ops: 1,
            key_bytes: 1,
            range_bytes: 1,
            requests,
            requests_per_client: per_client,
            request_bytes_in_flight: bytes,
            request_bytes_in_flight_per_client: bytes,
            watchers: 1,
            connections: 2,
        })
    }

    fn from(connected: &Connected) -> Request<()> {
        let mut request = Request::new(());
        request.extensions_mut().insert(connected.origin.clone());
        request
    }

    fn client(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    #[test]
    fn one_client_leaves_room_for_others() {
        let gate = gate(3, 2, 100);
        let greedy = gate.connect(client(1), None).expect("room");
        let modest = gate.connect(client(2), None).expect("room");
        let first = gate.enter(&from(&greedy), 1).expect("room");
        let _second = gate.enter(&from(&greedy), 1).expect("room");
        gate.enter(&from(&greedy), 1).expect_err("two at a time");
        let _other = gate.enter(&from(&modest), 1).expect("room for others");
        gate.enter(&from(&modest), 1).expect_err("three in all");
        drop(first);
        gate.enter(&from(&greedy), 1).expect("room again");
        assert_eq!(gate.counts(), (2, 2));
    }

    #[test]
    fn bytes_are_bounded_but_a_single_request_fits() {
        let gate = gate(9, 9, 100);
        let one = gate.connect(client(1), None).expect("room");
        let long = gate.enter(&from(&one), 500).expect("alone");
        gate.enter(&from(&one), 1).expect_err("full");
        drop(long);
        let _half = gate.enter(&from(&one), 60).expect("room");
        gate.enter(&from(&one), 60).expect_err("full");
        gate.enter(&from(&one), 40).expect("fits");
    }

    #[test]
    fn connections_are_bounded_and_forgotten() {
        let gate = gate(1, 1, 1);
        let one = gate.connect(client(1), None).expect("room");
        let _two = gate.connect(client(1), None).expect("room");
        assert!(gate.connect(client(2), None).is_none());
        drop(one);
        assert_eq!(gate.connections(), 1);
        for last in 0..=255 {
            drop(gate.connect(client(last), None).expect("room"));
        }
        let known = gate.clients.lock().expect("no panic").len();
        assert!(known < 100, "{known}");
    }
}
