//! The task of a keeper: looks at every beat what is due, and sends errands. It never waits for one
//! of them, or the leases of a slow cluster would not be judged in time. It does not know what is
//! due: `chores` and the lessor do.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::sync::Arc;

use bytes::Bytes;
use raft_core::driver::{StatusWatch, WriteError};
use raft_core::port::PortError;
use raft_core::{Index, Time};
use tokio::select;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use super::KeeperConfig;
use super::chores::Survey;
use super::leases::{Expiry, Leases, Unread};
use crate::auto_compaction::AutoCompaction;
use crate::command::Command;

/// Something that takes its time. Of each kind one at most is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Errand {
    ReadLeases,
    Expire,
    Compact,
    Alarm,
    Announce,
    Upgrade,
    Forget,
    Report,
    Halt,
}

/// An errand that is over.
enum Done {
    LeasesRead(Result<(), Unread>),
    Expired {
        expiry: Expiry,
        answer: Result<Bytes, WriteError>,
    },
    Written {
        errand: Errand,
        command: Command,
        answer: Result<Bytes, WriteError>,
    },
    Halted,
}

/// The task.
pub(super) struct Rounds {
    leases: Arc<Leases>,
    status: StatusWatch,
    config: KeeperConfig,
    compaction: AutoCompaction,
    /// What was found at the last look around.
    survey: Option<Survey>,
    /// When to look around again.
    survey_at: Time,
    /// The last digest that was reported.
    reported: Index,
    /// Whether the engine had stopped to take changes at the last look.
    is_stalled: bool,
    errands: JoinSet<Done>,
    under_way: BTreeSet<Errand>,
}

impl Rounds {
    pub(super) fn new(leases: Arc<Leases>, config: KeeperConfig) -> Self {
        let now = leases.now();
        Self {
            status: leases.node.watch_status(),
            compaction: AutoCompaction::new(config.auto_compaction, now),
            leases,
            config,
            survey: None,
            survey_at: now,
            reported: Index(0),
            is_stalled: false,
            errands: JoinSet::new(),
            under_way: BTreeSet::new(),
        }
    }

    /// Until the node has stopped.
    pub(super) async fn run(mut self) {
        let mut beat = interval(self.config.beat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.status.now().stopped.is_none() {
            select! {
                _ = beat.tick() => self.beat(),
                Some(done) = self.errands.join_next() => self.done(done),
            }
        }
        self.leases.follow(None);
    }

    fn beat(&mut self) {
        let now = self.leases.now();
        self.look_after_leases();
        if let Err(error) = self.look_around(now) {
            tracing::error!(%error, "the state can't be read");
        }
    }

    // --- Leases ---

    fn look_after_leases(&mut self) {
        let leads = self.leases.leads();
        let is_blank = self.leases.follow(leads);
        if self.under_way.contains(&Errand::Expire) {
            return;
        }
        let leases = Arc::clone(&self.leases);
        if let Some(term) = leads.filter(|_| is_blank) {
            self.send(Errand::ReadLeases, async move {
                Done::LeasesRead(leases.read(term).await)
            });
        } else if let Some(expiry) = self.leases.expired() {
            self.send(Errand::Expire, async move {
                let answer = leases.write(&expiry.command()).await;
                Done::Expired { expiry, answer }
            });
        }
    }

    // --- All else ---

    /// Looks around now and then, and at once when the own alarm has to change.
    fn look_around(&mut self, now: Time) -> Result<(), PortError> {
        let health = self.leases.store.health()?;
        if health.background_errors > 0 {
            self.halt();
            return Ok(());
        }
        self.note_stall(health.is_stalled);
        let used = health.bytes;
        let free = (self.config.free_bytes)();
        let own = self.config.announcement.member;
        let alarm =
            |survey: &Survey, config: &KeeperConfig| survey.alarm(own, &config.quota, used, free);
        let is_alarmed = |survey| alarm(survey, &self.config).is_some();
        if now < self.survey_at && !self.survey.as_ref().is_some_and(is_alarmed) {
            return Ok(());
        }
        self.survey_at = now.plus(self.config.survey);
        let survey = self.survey()?;
        self.write(Errand::Alarm, alarm(&survey, &self.config));
        self.write(
            Errand::Announce,
            survey.announcement(&self.config.announcement),
        );
        self.write(Errand::Report, survey.report(own, self.reported));
        self.write(Errand::Upgrade, survey.upgrade());
        self.write(Errand::Forget, survey.forgotten());
        self.compact(now, &survey);
        self.survey = Some(survey);
        Ok(())
    }

    /// An engine that has failed in the background would say so at the next write. But a member
    /// that nobody writes to would go on answering reads from rows that it can't keep.
    fn halt(&mut self) {
        tracing::error!("the engine has failed in the background: the node stops");
        let leases = Arc::clone(&self.leases);
        self.send(Errand::Halt, async move {
            leases.node.halt().await;
            Done::Halted
        });
    }

    fn note_stall(&mut self, is_stalled: bool) {
        if is_stalled && !self.is_stalled {
            tracing::warn!("the engine is behind with its background work: writes wait for it");
        }
        self.is_stalled = is_stalled;
    }

    fn survey(&self) -> Result<Survey, PortError> {
        let (core, store) = (&self.status.now().core, &self.leases.store);
        let catalog = store.catalog()?;
        Ok(Survey {
            role: core.role,
            membership: core.membership.1.as_ref().clone(),
            state: store.state()?,
            alarms: catalog.alarms,
            announced: catalog.members.into_values().collect(),
            digest: store.fixed_digest()?,
        })
    }

    fn compact(&mut self, now: Time, survey: &Survey) {
        let (latest, compacted) = (survey.state.revision, survey.state.compacted);
        self.compaction.note(now, latest);
        if survey.leads() && !self.under_way.contains(&Errand::Compact) {
            let due = self.compaction.due(now, latest, compacted);
            self.write(Errand::Compact, due.map(Command::Compact));
        }
    }

    fn write(&mut self, errand: Errand, command: Option<Command>) {
        let Some(command) = command else {
            return;
        };
        let leases = Arc::clone(&self.leases);
        self.send(errand, async move {
            let answer = leases.write(&command).await;
            Done::Written {
                errand,
                command,
                answer,
            }
        });
    }

    // --- Errands ---

    fn send(&mut self, errand: Errand, work: impl Future<Output = Done> + Send + 'static) {
        if self.under_way.insert(errand) {
            self.errands.spawn(work);
        }
    }

    fn done(&mut self, done: Result<Done, JoinError>) {
        let done = match done {
            Ok(done) => done,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            // The runtime ends, and everything with it.
            Err(_) => return,
        };
        let errand = match done {
            Done::LeasesRead(read) => {
                if let Err(error) = read {
                    tracing::warn!(%error, "the leases are not known yet");
                }
                Errand::ReadLeases
            }
            Done::Expired { expiry, answer } => {
                if let Err(error) = &answer {
                    let count = expiry.ids.len();
                    tracing::warn!(%error, count, "leases have not expired yet");
                }
                self.leases.settle(&expiry, &answer);
                Errand::Expire
            }
            Done::Written {
                errand,
                command,
                answer,
            } => {
                self.written(&command, &answer);
                errand
            }
            Done::Halted => Errand::Halt,
        };
        self.under_way.remove(&errand);
    }

    /// What is still due is found at the next look around; only what does not follow from the state
    /// is noted here.
    fn written(&mut self, command: &Command, answer: &Result<Bytes, WriteError>) {
        if let Err(error) = answer {
            tracing::info!(?command, %error, "to be tried again");
            if matches!(command, Command::Compact(_)) {
                self.compaction.failed(self.leases.now());
            }
        } else if let Command::Report(report) = command {
            self.reported = report.index;
        }
    }
}
