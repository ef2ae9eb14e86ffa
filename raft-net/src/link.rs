//! The link to one peer: a bounded queue, and the task that dials, and writes all that waits.
//!
//! A link only sends. What the peer says comes on connections that the peer dialed, so each end
//! knows how to find the other, and a lost connection has one owner. This file does not know what
//! is said, save that a question must not be said twice.

use std::io;
use std::mem;
use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use raft_core::port::Parcel;
use raft_core::{GroupId, NodeId};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use crate::backoff::Backoff;
use crate::config::TcpConfig;
use crate::connection::{Connection, is_pulse, put_pulse};
use crate::counters::Tally;
use crate::frame::{Frame, FrameError};
use crate::handshake::{self, HandshakeError};
use crate::shared::{Shared, lock};
use crate::wire::{self, Lane};

/// How much of the buffer for encoding is kept when it is empty.
const BUFFER_KEPT_BYTES: usize = 1 << 20;
/// How many signs of life there are in the time after which a silent connection is given up.
pub(crate) const PULSES: u32 = 3;

/// What waits for one peer.
pub(crate) struct Link {
    pub(crate) peer: NodeId,
    queue: Mutex<Queue>,
    /// There is something in a queue that was empty.
    wake: Notify,
    /// The peer may be back, or be elsewhere.
    back: Notify,
}

#[derive(Default)]
struct Queue {
    parcels: Vec<(GroupId, Parcel)>,
    /// What they weigh together.
    bytes: usize,
    /// The task will look into the queue without being woken.
    is_awake: bool,
}

impl Link {
    /// A link with nothing in it. Somebody has to [`run`] it.
    pub(crate) fn new(peer: NodeId) -> Self {
        Self {
            peer,
            queue: Mutex::default(),
            wake: Notify::new(),
            back: Notify::new(),
        }
    }

    /// Lets a parcel wait, or hands it back if too much waits.
    pub(crate) fn push(
        &self,
        group: GroupId,
        parcel: Parcel,
        config: &TcpConfig,
        tally: &Tally,
    ) -> Result<(), Parcel> {
        let weight = parcel.weight();
        if weight > config.frame_bytes_max {
            tally.dropped_too_large.one();
            tracing::warn!(peer = %self.peer, weight, "a parcel fits into no frame");
            return Err(parcel);
        }
        let is_asleep = {
            let mut queue = lock(&self.queue);
            // One parcel waits whatever it weighs, or it could never be sent.
            let is_heavy = queue.bytes > 0 && queue.bytes + weight > config.queue_bytes_max;
            if is_heavy || queue.parcels.len() >= config.queue_parcels_max {
                drop(queue);
                tally.dropped_queue_full.one();
                return Err(parcel);
            }
            queue.bytes += weight;
            queue.parcels.push((group, parcel));
            !mem::replace(&mut queue.is_awake, true)
        };
        if is_asleep {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Ends the wait before the next attempt to dial.
    pub(crate) fn nudge(&self) {
        self.back.notify_one();
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.queue).parcels.is_empty()
    }

    /// Swaps all that waits with `spare`, which is empty. If nothing waits, the next parcel wakes.
    fn take(&self, spare: &mut Vec<(GroupId, Parcel)>) {
        let mut queue = lock(&self.queue);
        mem::swap(&mut queue.parcels, spare);
        queue.bytes = 0;
        queue.is_awake = !spare.is_empty();
    }

    /// Whether something waits. If not, the next parcel wakes.
    fn is_filled(&self) -> bool {
        let mut queue = lock(&self.queue);
        queue.is_awake = !queue.parcels.is_empty();
        queue.is_awake
    }

    /// Hands out all that waits. What comes later is worth an attempt of its own.
    pub(crate) fn give_up(&self) -> Vec<(GroupId, Parcel)> {
        let mut waiting = Vec::new();
        self.take(&mut waiting);
        waiting
    }
}

/// Why a link does not use its connection any more.
enum End {
    /// The peer closed it.
    Closed,
    /// Nothing came for too long.
    Silent,
    /// What came has no place there.
    Senseless,
    /// It failed.
    Failed(FrameError),
    /// Nobody needs the link.
    Retired,
}

/// Carries what is pushed into the link, until nobody needs it any more.
pub(crate) async fn run(shared: Arc<Shared>, link: Arc<Link>) {
    let config = &shared.config;
    let seed = config.seed.rotate_left(32) ^ link.peer.0;
    let mut backoff = Backoff::new(config.backoff_min, config.backoff_max, seed);
    let mut trouble = Trouble::new(link.peer);
    loop {
        if !needed(&shared, &link).await {
            return;
        }
        match handshake::reach(&shared, link.peer, Lane::Consensus).await {
            Ok((connection, welcome)) => {
                trouble.is_over();
                let since = Instant::now();
                let end = Talk::new(&shared, &link, connection, welcome.version).run();
                match end.await {
                    End::Retired => return,
                    end @ (End::Closed | End::Silent | End::Senseless | End::Failed(_)) => {
                        end.say(link.peer, &shared.tally);
                    }
                }
                // One that closes each connection at once has not been reached.
                if since.elapsed() >= config.backoff_max {
                    backoff.reset();
                }
            }
            Err(error) => {
                trouble.say(&error);
                shared.unreachable(link.give_up());
            }
        }
        tokio::select! {
            () = sleep(backoff.draw()) => {}
            () = link.back.notified() => backoff.reset(),
        }
    }
}

/// Waits until something is to be sent. False if the link was taken out instead.
async fn needed(shared: &Shared, link: &Link) -> bool {
    while !link.is_filled() {
        tokio::select! {
            () = link.wake.notified() => {}
            () = sleep(shared.config.idle_timeout) => {
                if shared.retire(link) {
                    return false;
                }
            }
        }
    }
    true
}

/// A connection in use.
struct Talk<'a> {
    shared: &'a Shared,
    link: &'a Link,
    connection: Connection,
    version: u8,
    /// What is being sent.
    batch: Vec<(GroupId, Parcel)>,
    out: BytesMut,
    /// How many signs of life of the peer are overdue.
    silence: u32,
    /// For how many signs of life of ours nothing else was sent.
    leisure: u32,
}

impl<'a> Talk<'a> {
    fn new(shared: &'a Shared, link: &'a Link, connection: Connection, version: u8) -> Self {
        Self {
            shared,
            link,
            connection,
            version,
            batch: Vec::new(),
            out: BytesMut::new(),
            silence: 0,
            leisure: 0,
        }
    }

    /// Sends all that is pushed, until the connection is of no use any more.
    async fn run(mut self) -> End {
        let beat = self.shared.config.idle_timeout / PULSES;
        let mut pulse = interval_at(Instant::now() + beat, beat);
        // Ticks that are missed while much is written are no silence of the peer.
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.link.take(&mut self.batch);
            let step = if self.batch.is_empty() {
                tokio::select! {
                    biased;
                    frame = self.connection.frame() => self.heard(frame),
                    _ = pulse.tick() => self.beat().await,
                    () = self.link.wake.notified() => Ok(()),
                }
            } else {
                self.send().await
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Writes the whole batch at once: one call of the system for all that waited.
    async fn send(&mut self) -> Result<(), End> {
        let tally = &self.shared.tally;
        wire::encode(self.version, &self.batch, &mut self.out);
        let count = self.batch.len();
        // Before it is written, so that what is written is never written again.
        self.batch.clear();
        self.leisure = 0;
        if let Err(end) = self.write().await {
            tally.dropped_unreachable.add(count);
            return Err(end);
        }
        tally.sent.add(count);
        tally.sent_bytes.add(self.out.len());
        tally.writes.one();
        if self.out.capacity() > BUFFER_KEPT_BYTES {
            self.out = BytesMut::new();
        }
        self.out.clear();
        Ok(())
    }

    async fn write(&mut self) -> Result<(), End> {
        let stall_max = self.shared.config.write_timeout;
        let written = self.connection.write(&self.out, stall_max).await;
        written.map_err(|error| End::Failed(error.into()))
    }

    /// The peer says nothing on this connection but that it lives.
    fn heard(&mut self, frame: Result<Option<Frame>, FrameError>) -> Result<(), End> {
        match frame {
            Ok(Some(frame)) if is_pulse(&frame) => {
                self.silence = 0;
                Ok(())
            }
            Ok(Some(_)) => Err(End::Senseless),
            Ok(None) => Err(End::Closed),
            Err(error) => Err(End::Failed(error)),
        }
    }

    /// Says that we live, and looks whether the peer does, and whether anybody cares.
    async fn beat(&mut self) -> Result<(), End> {
        if self.silence >= PULSES {
            return Err(End::Silent);
        }
        if self.leisure >= PULSES && self.shared.retire(self.link) {
            return Err(End::Retired);
        }
        self.silence += 1;
        self.leisure += 1;
        put_pulse(&mut self.out);
        self.write().await?;
        self.out.clear();
        Ok(())
    }
}

impl End {
    fn say(&self, peer: NodeId, tally: &Tally) {
        match self {
            Self::Closed => tracing::info!(%peer, "the peer closed the connection"),
            Self::Silent => {
                tally.idle_timeouts.one();
                tracing::warn!(%peer, "the peer gave no sign of life: connecting anew");
            }
            Self::Senseless => {
                tally.bad_frames.one();
                tracing::warn!(%peer, "the peer said what has no place there");
            }
            Self::Failed(error) => {
                match error {
                    FrameError::Io(error) if error.kind() == io::ErrorKind::TimedOut => {
                        tally.write_timeouts.one();
                    }
                    FrameError::Io(_) => {}
                    FrameError::TooLarge { .. } | FrameError::Checksum => tally.bad_frames.one(),
                }
                tracing::warn!(%peer, %error, "the connection failed");
            }
            Self::Retired => {}
        }
    }
}

/// The trouble in reaching a peer, said once as long as it is the same.
struct Trouble {
    peer: NodeId,
    said: Option<String>,
}

impl Trouble {
    const fn new(peer: NodeId) -> Self {
        Self { peer, said: None }
    }

    fn say(&mut self, error: &HandshakeError) {
        let text = error.to_string();
        if self.said.as_ref() != Some(&text) {
            tracing::warn!(peer = %self.peer, "can't reach the peer: {text}");
            self.said = Some(text);
        }
    }

    fn is_over(&mut self) {
        if self.said.take().is_some() {
            tracing::info!(peer = %self.peer, "the peer is reached again");
        }
    }
}
