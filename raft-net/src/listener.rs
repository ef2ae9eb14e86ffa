//! Takes connections, and delivers what comes on them.
//!
//! Whatever a stranger sends, the worst that happens is that the connection is closed, and counted.
//! This file does not know what is delivered, nor to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use raft_core::port::Parcel;
use raft_core::{GroupId, NodeId};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use crate::bulk;
use crate::connection::{Connection, is_pulse, put_pulse};
use crate::frame::{Frame, FrameError, HEADER_BYTES};
use crate::handshake::{self, HandshakeError};
use crate::link::PULSES;
use crate::shared::{Group, Shared, lock};
use crate::wire::{self, Lane, WireError};

/// How long to wait when the system has no more files for connections.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Takes connections as long as the network lives.
pub(crate) async fn run(shared: Arc<Shared>, listener: TcpListener) {
    let door = shared.door.clone();
    loop {
        // The permit comes before the connection: what can't be served stays in the backlog.
        let permits = shared.connections.clone();
        let permit = permits.acquire_owned().await.expect("it is never closed");
        match listener.accept().await {
            Ok((stream, address)) => {
                let place = Place {
                    door: door.clone(),
                    ip: address.ip().to_canonical(),
                    _permit: permit,
                };
                // Dropped again if there were too many of that address already.
                if door.enter(place.ip) > shared.config.connections_per_ip_max {
                    shared.tally.refused_limit.one();
                    continue;
                }
                shared.tally.accepted.one();
                let task = serve(shared.clone(), stream, place);
                shared.tasks.spawn("connection", task);
            }
            Err(error) => {
                shared.tally.accepts_failed.one();
                tracing::warn!(%error, "can't take a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Who is in, and what was said about those who were not let in.
#[derive(Default)]
pub(crate) struct Door {
    inside: Mutex<BTreeMap<IpAddr, usize>>,
    said: Mutex<BTreeSet<String>>,
}

/// One connection's place among all, given back when dropped.
struct Place {
    door: Arc<Door>,
    ip: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Door {
    /// How much is remembered of what was said; then it is said again.
    const SAID_MAX: usize = 64;

    /// Counts a connection of that address. Gives how many there are.
    fn enter(&self, ip: IpAddr) -> usize {
        let mut inside = lock(&self.inside);
        let count = inside.entry(ip).or_default();
        *count += 1;
        *count
    }

    /// How many connections are served.
    pub(crate) fn count(&self) -> usize {
        lock(&self.inside).values().sum()
    }

    fn leave(&self, ip: IpAddr) {
        let mut inside = lock(&self.inside);
        if let Some(count) = inside.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                inside.remove(&ip);
            }
        }
    }

    /// Says it, but only once: whoever is refused comes again and again.
    fn say(&self, ip: IpAddr, error: &HandshakeError) {
        let text = format!("{ip}: {error}");
        let is_new = {
            let mut said = lock(&self.said);
            if said.len() >= Self::SAID_MAX {
                said.clear();
            }
            said.insert(text)
        };
        if is_new {
            tracing::warn!(%ip, %error, "a connection was not let in");
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.door.leave(self.ip);
    }
}

/// Serves one connection from its handshake to its end.
async fn serve(shared: Arc<Shared>, stream: TcpStream, place: Place) {
    let (connection, hello, _) = match handshake::receive(&shared, stream).await {
        Ok(received) => received,
        Err(error) => return place.door.say(place.ip, &error),
    };
    shared.learn(hello.from, hello.advertised);
    match hello.lane {
        Lane::Consensus => {
            let end = Reader::new(&shared, connection, hello.from).run().await;
            end.say(hello.from, &shared);
        }
        Lane::Bulk => bulk::serve(&shared, connection, hello.from).await,
    }
}

/// Why nothing more is read from a connection.
enum End {
    Closed,
    Silent,
    Frame(FrameError),
    Wire(WireError),
}

/// Reads parcels from one peer, and delivers them.
struct Reader<'a> {
    shared: &'a Shared,
    connection: Connection,
    peer: NodeId,
    /// The parcels of one frame.
    parcels: Vec<(GroupId, Parcel)>,
    /// The group of the last parcel: the next one is most often for the same.
    group: Option<(GroupId, Arc<Group>)>,
    /// For how many signs of life of ours no whole frame came.
    silence: u32,
}

impl<'a> Reader<'a> {
    const fn new(shared: &'a Shared, connection: Connection, peer: NodeId) -> Self {
        Self {
            shared,
            connection,
            peer,
            parcels: Vec::new(),
            group: None,
            silence: 0,
        }
    }

    async fn run(mut self) -> End {
        let beat = self.shared.config.idle_timeout / PULSES;
        let mut pulse = interval_at(Instant::now() + beat, beat);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let step = tokio::select! {
                biased;
                frame = self.connection.frame() => self.take(frame),
                _ = pulse.tick() => self.beat().await,
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    fn take(&mut self, frame: Result<Option<Frame>, FrameError>) -> Result<(), End> {
        let frame = frame.map_err(End::Frame)?.ok_or(End::Closed)?;
        self.silence = 0;
        if is_pulse(&frame) {
            return Ok(());
        }
        let bytes = HEADER_BYTES + frame.body.len();
        self.shared.tally.received_bytes.add(bytes);
        wire::decode(&frame, &mut self.parcels).map_err(End::Wire)?;
        let mut parcels = std::mem::take(&mut self.parcels);
        for (group, parcel) in parcels.drain(..) {
            self.deliver(group, parcel);
        }
        self.parcels = parcels;
        Ok(())
    }

    fn deliver(&mut self, id: GroupId, parcel: Parcel) {
        let tally = &self.shared.tally;
        // Nobody speaks for another: whom a parcel is from decides what it does to the receiver.
        if parcel.ends() != (self.peer, self.shared.config.node) {
            tally.refused_sender.one();
            return;
        }
        if self.group.as_ref().is_none_or(|(last, _)| *last != id) {
            self.group = self.shared.find_group(id).map(|group| (id, group));
        }
        let is_delivered = match &self.group {
            Some((_, group)) => group.deliver(parcel),
            None => false,
        };
        if is_delivered {
            tally.received.one();
        } else {
            tally.dropped_unknown_group.one();
        }
    }

    /// Says that we live, and looks whether the peer does.
    async fn beat(&mut self) -> Result<(), End> {
        if self.silence >= PULSES {
            return Err(End::Silent);
        }
        self.silence += 1;
        let mut out = BytesMut::new();
        put_pulse(&mut out);
        let stall_max = self.shared.config.write_timeout;
        let written = self.connection.write(&out, stall_max).await;
        written.map_err(|error| End::Frame(error.into()))
    }
}

impl End {
    fn say(&self, peer: NodeId, shared: &Shared) {
        let tally = &shared.tally;
        match self {
            Self::Closed | Self::Frame(FrameError::Io(_)) => {
                tracing::debug!(%peer, "the peer hung up");
            }
            Self::Silent => {
                tally.idle_timeouts.one();
                tracing::info!(%peer, "hung up on the peer: no whole frame for too long");
            }
            Self::Frame(error @ (FrameError::TooLarge { .. } | FrameError::Checksum)) => {
                tally.bad_frames.one();
                tracing::warn!(%peer, %error, "hung up on the peer");
            }
            Self::Wire(error) => {
                tally.bad_frames.one();
                tracing::warn!(%peer, %error, "hung up on the peer");
            }
        }
    }
}
