//! Linearizable reads without a log entry (dissertation §6.4): barriers and their confirmation.
//!
//! A barrier is the commit index at the time a round of messages began. Once a quorum has answered
//! that round, no other leader can have committed anything before the round began, and whoever has
//! applied up to the barrier may read. Reads that arrive while a round is out wait for the next
//! one: it answers all of them together. This file does not send anything.

use std::time::Duration;

use crate::types::{Index, NodeId, Round, Ticket, Time};

/// Who waits for a barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) enum Reader {
    Local(Ticket),
    Remote { follower: NodeId, request: Round },
}

/// The barriers of a leader.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Barriers {
    /// The latest round begun. At most one is out.
    round: Round,
    /// When it began.
    began: Time,
    /// The commit index when it began; 0 if the leader did not know the commit index yet.
    index: Index,
    /// Whether a quorum has answered it.
    confirmed: bool,
    /// Who waits for it.
    current: Vec<Reader>,
    /// Who waits for the round after it.
    next: Vec<Reader>,
    /// The latest confirmed round that had a barrier: when it began, and the barrier.
    fresh: Option<(Time, Index)>,
}

impl Barriers {
    /// A new leader's: it was just elected by a quorum, but knows no barrier yet.
    pub(super) const fn new(now: Time) -> Self {
        Self {
            round: Round(0),
            began: now,
            index: Index(0),
            confirmed: true,
            current: Vec::new(),
            next: Vec::new(),
            fresh: None,
        }
    }

    pub(super) const fn round(&self) -> Round {
        self.round
    }

    /// Whether a round waits for its quorum.
    pub(super) const fn is_out(&self) -> bool {
        !self.confirmed
    }

    /// Those who need not wait for a round of their own after all.
    pub(super) fn take_next(&mut self) -> Vec<Reader> {
        std::mem::take(&mut self.next)
    }

    pub(super) fn waiting(&self) -> usize {
        self.current.len() + self.next.len()
    }

    pub(super) fn wait(&mut self, reader: Reader) {
        self.next.push(reader);
    }

    /// Begins a round if somebody waits for it, or if the latest began longer than `age_max` ago;
    /// not while one is out, whose messages the heartbeats repeat.
    pub(super) fn begin(&mut self, now: Time, commit: Index, age_max: Option<Duration>) {
        let due = age_max.is_some_and(|age| now.since(self.began) >= age);
        if self.confirmed && (due || !self.next.is_empty()) {
            self.round = self.round.next();
            self.began = now;
            self.index = commit;
            self.confirmed = false;
            std::mem::swap(&mut self.current, &mut self.next);
        }
    }

    /// A quorum has answered `round`. Returns the barrier and who waited for it, if it is news.
    pub(super) fn confirm(&mut self, round: Round) -> Option<(Index, Vec<Reader>)> {
        if self.confirmed || round < self.round {
            return None;
        }
        self.confirmed = true;
        if self.index > Index(0) {
            self.fresh = Some((self.began, self.index));
        }
        Some((self.index, std::mem::take(&mut self.current)))
    }

    /// When the latest round began that a quorum has answered, and its barrier.
    pub(super) const fn fresh(&self) -> Option<(Time, Index)> {
        self.fresh
    }

    #[cfg(feature = "sim")]
    pub(super) fn for_each_time(&mut self, change: &mut dyn FnMut(&mut Time)) {
        change(&mut self.began);
        self.fresh.iter_mut().for_each(|(began, _)| change(began));
    }

    /// Everybody who waits; leadership is over.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Reader> + '_ {
        self.current.drain(..).chain(self.next.drain(..))
    }
}

/// The reads that wait at a follower: one question to the leader answers all that came before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Questions {
    /// The number of the latest question, by which answers to older ones are told apart.
    request: Round,
    /// When the question that is out was asked, if one is.
    asked: Option<Time>,
    /// Who waits for it.
    current: Vec<Ticket>,
    /// Who waits for the one after it.
    next: Vec<Ticket>,
    /// When the latest answered question was first asked, and the answer.
    fresh: Option<(Time, Index)>,
}

impl Questions {
    pub(super) fn waiting(&self) -> usize {
        self.current.len() + self.next.len()
    }

    pub(super) fn wait(&mut self, ticket: Ticket) {
        self.next.push(ticket);
    }

    /// The question to send now, if one is due: a first time, or again after `patience`. Its number
    /// is taken from `asked`.
    pub(super) fn ask(
        &mut self,
        now: Time,
        patience: Duration,
        asked: &mut Round,
    ) -> Option<Round> {
        if self.asked.is_some_and(|asked| now < asked.plus(patience)) {
            return None;
        }
        // Asking again takes those along who came since: the new question began after them.
        self.current.append(&mut self.next);
        if self.current.is_empty() {
            self.asked = None;
            return None;
        }
        *asked = asked.next();
        self.request = *asked;
        self.asked = Some(now);
        Some(self.request)
    }

    /// The answer; returns who waited, if it is to the latest question.
    pub(super) fn answered(&mut self, request: Round, index: Index) -> Vec<Ticket> {
        if request != self.request {
            return Vec::new();
        }
        let Some(asked) = self.asked.take() else {
            return Vec::new();
        };
        self.fresh = Some((asked, index));
        std::mem::take(&mut self.current)
    }

    /// A barrier asked for no longer than `age` ago, if there is one.
    pub(super) fn fresh(&self, now: Time, age: Duration) -> Option<Index> {
        self.fresh
            .filter(|(asked, _)| now.since(*asked) <= age)
            .map(|(_, index)| index)
    }

    /// When the question is to be asked again.
    pub(super) fn deadline(&self, patience: Duration) -> Option<Time> {
        self.asked.map(|asked| asked.plus(patience))
    }

    #[cfg(feature = "sim")]
    pub(super) fn for_each_time(&mut self, change: &mut dyn FnMut(&mut Time)) {
        self.asked.iter_mut().for_each(&mut *change);
        self.fresh.iter_mut().for_each(|(asked, _)| change(asked));
    }

    /// Everybody who waits; the answer won't come.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Ticket> + '_ {
        self.asked = None;
        self.current.drain(..).chain(self.next.drain(..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READER: Reader = Reader::Local(Ticket(1));

    #[test]
    fn a_read_never_joins_a_round_that_began_before_it() {
        let mut barriers = Barriers::new(Time(0));
        barriers.wait(READER);
        barriers.begin(Time(1), Index(5), None);
        barriers.wait(Reader::Local(Ticket(2)));
        barriers.begin(Time(2), Index(6), None);
        assert_eq!(barriers.round(), Round(1), "one round at a time");
        assert_eq!(barriers.confirm(Round(0)), None);
        assert_eq!(barriers.confirm(Round(1)), Some((Index(5), vec![READER])));
        barriers.begin(Time(3), Index(7), None);
        assert_eq!(
            barriers.confirm(Round(1)),
            None,
            "a late answer to the earlier round"
        );
        assert_eq!(
            barriers.confirm(Round(2)),
            Some((Index(7), vec![Reader::Local(Ticket(2))]))
        );
    }

    #[test]
    fn an_idle_leader_begins_rounds_only_to_keep_its_lease() {
        let mut barriers = Barriers::new(Time(0));
        barriers.begin(Time(100), Index(1), None);
        assert_eq!(barriers.round(), Round(0));
        barriers.begin(Time(100), Index(1), Some(Duration::from_nanos(100)));
        assert_eq!(barriers.round(), Round(1));
    }

    #[test]
    fn a_lost_question_is_asked_again_and_only_the_latest_answer_counts() {
        let patience = Duration::from_nanos(10);
        let (mut questions, mut asked) = (Questions::default(), Round(0));
        questions.wait(Ticket(1));
        assert_eq!(questions.ask(Time(0), patience, &mut asked), Some(Round(1)));
        questions.wait(Ticket(2));
        assert_eq!(questions.ask(Time(5), patience, &mut asked), None);
        assert_eq!(
            questions.ask(Time(10), patience, &mut asked),
            Some(Round(2))
        );
        assert_eq!(questions.answered(Round(1), Index(3)), []);
        assert_eq!(
            questions.answered(Round(2), Index(4)),
            [Ticket(1), Ticket(2)]
        );
        assert_eq!(
            questions.fresh(Time(15), Duration::from_nanos(5)),
            Some(Index(4))
        );
        assert_eq!(questions.fresh(Time(16), Duration::from_nanos(5)), None);
        assert_eq!(questions.ask(Time(30), patience, &mut asked), None);
    }
}
