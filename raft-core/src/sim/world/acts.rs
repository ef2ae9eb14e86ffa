//! Makes the faults of the plan happen when their time has come.
//!
//! A fault that makes no sense at that moment, such as the crash of a server that is down, does not
//! happen and is not counted. This file does not know which faults are drawn.

use super::finale::Phase;
use super::operator::Wish;
use super::{Happening, World};
use crate::event::{Event, RoleName};
use crate::sim::faults::{Fault, FaultAction, Target};
use crate::sim::ghost::Violation;
use crate::sim::net::{Cut, KINDS};
use crate::sim::node::{Doom, Standing};
use crate::sim::rng::{MILLION, Rng};

impl World {
    /// Carries out the actions that are due, and begins the finale when the faults are over.
    pub(super) fn act_when_due(&mut self) -> Result<(), Violation> {
        if !matches!(self.phase, Phase::Chaos) {
            return Ok(());
        }
        while let Some(action) = self.plan.actions.get(self.next_action).copied()
            && action.after <= self.events
        {
            self.next_action += 1;
            if self.act(action)? {
                self.counts.count(action.fault);
                self.note(None, || action.to_string());
            }
        }
        if self.events >= self.plan.knobs.events {
            self.begin_finale()?;
        }
        Ok(())
    }

    /// Carries out one action. True if the fault happened here and now.
    fn act(&mut self, action: FaultAction) -> Result<bool, Violation> {
        let FaultAction {
            fault,
            span,
            amount,
            ..
        } = action;
        let nodes = self.nodes.len();
        match fault {
            Fault::PowerCut => self.power_cut(span, amount),
            Fault::Partition => Ok(self.cut_for(torn(nodes, amount, same_side), span)),
            Fault::Bridge => Ok(self.cut_for(torn(nodes, amount, bridged), span)),
            Fault::Ring => Ok(self.cut_for(torn(nodes, amount, neighbours), span)),
            Fault::ChangeMembers => self.change_members(Wish::Anything, amount),
            Fault::RemoveLeader => self.change_members(Wish::RemoveLeader, amount),
            Fault::AddLearner => self.change_members(Wish::AddLearner, amount),
            Fault::Promote => self.change_members(Wish::Promote, amount),
            Fault::Readd => self.change_members(Wish::Readd, amount),
            Fault::AbortChange => self.abort_change(),
            Fault::Transfer => self.transfer(amount),
            Fault::Isolate => self.on(action, |w, at| Ok(w.cut_for(isolated(nodes, at), span))),
            Fault::Mute => self.on(action, |w, at| Ok(w.cut_for(muted(nodes, at), span))),
            Fault::Deafen => self.on(action, |w, at| Ok(w.cut_for(deafened(nodes, at), span))),
            Fault::CutLink => self.on(action, |w, at| Ok(w.cut_for(link(nodes, at, amount), span))),
            Fault::DropKind => self.on(action, |w, at| Ok(w.drop_kind(at, span, amount))),
            Fault::DiskStall => self.on(action, |w, at| Ok(w.stall_disk(at, span))),
            Fault::Wipe => self.on(action, |w, at| w.harm_by_wiping(at, span)),
            Fault::LoseTail => self.on(action, |w, at| w.harm_by_losing_tail(at, span)),
            Fault::Crash => self.on_awake(action, |w, at| w.crash(at, span).map(|()| true)),
            Fault::CrashInWrite => {
                self.on_awake(action, |w, at| Ok(w.doom(at, Doom::InWrite { down: span })))
            }
            Fault::CrashInEffects => {
                let doom = Doom::InEffects {
                    left: amount % 7,
                    down: span,
                };
                self.on_awake(action, |w, at| Ok(w.doom(at, doom)))
            }
            Fault::Freeze => self.on_awake(action, |w, at| Ok(w.freeze(at, span))),
            Fault::ClockRate => {
                self.on_awake(action, |w, at| Ok(w.change_clock_rate(at, span, amount)))
            }
            Fault::ClockJump => self.on_awake(action, |w, at| Ok(w.jump_clock(at, amount))),
            Fault::ClockFreeze => self.on_awake(action, |w, at| Ok(w.set_clock_rate(at, span, 0))),
            Fault::Compact => self.on_awake(action, |w, at| w.compact(at, amount)),
            Fault::Campaign => self.on_awake(action, |w, at| {
                w.receive(at, Event::Campaign).map(|()| true)
            }),
            // These happen at a rate, not at a time.
            Fault::Broken
            | Fault::Loss
            | Fault::LongDelay
            | Fault::Duplicate
            | Fault::Replay
            | Fault::SlowSync
            | Fault::LostWrites
            | Fault::ChunkLost
            | Fault::ShortRead
            | Fault::EarlyTick => Ok(false),
        }
    }

    /// Hits the target, if there is one.
    fn on(
        &mut self,
        action: FaultAction,
        hit: impl FnOnce(&mut Self, usize) -> Result<bool, Violation>,
    ) -> Result<bool, Violation> {
        match self.resolve(action.target) {
            Some(node) => hit(self, node),
            None => Ok(false),
        }
    }

    /// Hits the target's process, if it runs and does not stand still.
    fn on_awake(
        &mut self,
        action: FaultAction,
        hit: impl FnOnce(&mut Self, usize) -> Result<bool, Violation>,
    ) -> Result<bool, Violation> {
        self.on(action, |world, node| {
            if world.nodes[node].is_awake() {
                hit(world, node)
            } else {
                Ok(false)
            }
        })
    }

    /// Who it is that a fault means.
    fn resolve(&self, target: Target) -> Option<usize> {
        match target {
            Target::Leader => self.leader(),
            Target::Node(place) => usize::try_from(place).ok().map(|at| at % self.nodes.len()),
            Target::Follower(place) => {
                let follows = |node: &super::Node| {
                    node.raft
                        .as_ref()
                        .is_some_and(|raft| raft.role() != RoleName::Leader)
                };
                let nodes = self.nodes.iter().enumerate();
                let followers: Vec<usize> = nodes
                    .filter(|(_, node)| follows(node))
                    .map(|(at, _)| at)
                    .collect();
                let at = usize::try_from(place).ok()? % followers.len().max(1);
                followers.get(at).copied()
            }
        }
    }

    fn power_cut(&mut self, span: u64, amount: u64) -> Result<bool, Violation> {
        let mut rng = Rng::new(amount);
        for node in 0..self.nodes.len() {
            let down = rng.between(0, span);
            if self.nodes[node].is_up() {
                self.crash(node, down)?;
            }
        }
        Ok(true)
    }

    // --- Disks ---

    fn stall_disk(&mut self, node: usize, span: u64) -> bool {
        let stalled = &mut self.nodes[node].stalled_until;
        *stalled = (self.now + span).max(*stalled);
        true
    }

    /// An empty disk takes the place of the node's, if that may be.
    fn harm_by_wiping(&mut self, node: usize, down: u64) -> Result<bool, Violation> {
        self.settle_standing();
        if !self.may_wipe(node) {
            return Ok(false);
        }
        if self.nodes[node].is_up() {
            self.crash(node, down)?;
        }
        self.wipe(node);
        self.nodes[node].standing = Standing::Wiped;
        Ok(true)
    }

    /// The end of the node's log is lost, if that may be.
    fn harm_by_losing_tail(&mut self, node: usize, down: u64) -> Result<bool, Violation> {
        self.settle_standing();
        if !self.may_lose_tail(node) {
            return Ok(false);
        }
        if self.nodes[node].is_up() {
            self.crash(node, down)?;
        }
        let lost = self.lose_tail(node);
        if lost {
            self.nodes[node].standing = Standing::TailLost;
        }
        Ok(lost)
    }

    // --- The network ---

    fn cut_for(&mut self, cut: Cut, span: u64) -> bool {
        self.serial += 1;
        self.net.cut(self.serial, cut);
        self.schedule
            .push(self.now + span, Happening::Heal(self.serial));
        true
    }

    fn drop_kind(&mut self, node: usize, span: u64, amount: u64) -> bool {
        self.serial += 1;
        let kind = 1 << (amount % KINDS);
        let mut kinds = vec![0; self.nodes.len()];
        if (amount / KINDS).is_multiple_of(2) {
            kinds[node] = kind;
        } else {
            kinds.fill(kind);
        }
        self.net.drop_kinds(self.serial, kinds);
        self.schedule
            .push(self.now + span, Happening::Heal(self.serial));
        true
    }

    // --- Process and clock ---

    /// The crash happens, and is counted, when its moment comes.
    fn doom(&mut self, node: usize, doom: Doom) -> bool {
        self.nodes[node].doom = doom;
        false
    }

    fn freeze(&mut self, node: usize, span: u64) -> bool {
        let until = self.now + span + 1;
        let target = &mut self.nodes[node];
        target.frozen_until = Some(until);
        target.tick_at = None;
        let life = self.life(node);
        self.schedule.push(until, Happening::Thaw(life));
        true
    }

    /// The process goes on: all that has gathered meets it at once, in its order or not.
    pub(super) fn thaw(&mut self, node: usize) -> Result<(), Violation> {
        let target = &mut self.nodes[node];
        if target.frozen_until.is_none_or(|until| until > self.now) {
            return Ok(());
        }
        target.frozen_until = None;
        target.inbox.awaited = false;
        if target.inbox.is_empty() {
            self.arm_tick(node);
            return Ok(());
        }
        self.wake(node)
    }

    fn jump_clock(&mut self, node: usize, amount: u64) -> bool {
        let by = Rng::new(amount).magnitude(1, self.plan.knobs.election_ns * 20);
        self.nodes[node].clock.jump(self.now, by);
        self.rearm_tick(node);
        true
    }

    /// Where there are leases, no two clocks run apart by more than the servers were told.
    fn change_clock_rate(&mut self, node: usize, span: u64, amount: u64) -> bool {
        let mut rng = Rng::new(amount);
        let drift = self.knobs.lease_per_mille * (MILLION / 1000);
        let rate = if drift > 0 {
            MILLION + rng.below(drift + 1)
        } else {
            rng.magnitude(MILLION / 3, MILLION * 3)
        };
        self.set_clock_rate(node, span, rate)
    }

    fn set_clock_rate(&mut self, node: usize, span: u64, rate: u64) -> bool {
        self.nodes[node].clock.set_rate(self.now, rate);
        self.schedule
            .push(self.now + span, Happening::ClockNormal(node));
        self.rearm_tick(node);
        true
    }

    pub(super) fn clock_normal(&mut self, node: usize) {
        self.nodes[node].clock.set_rate(self.now, MILLION);
        self.rearm_tick(node);
    }

    /// The clock changed, so every tick that is scheduled may be wrong.
    fn rearm_tick(&mut self, node: usize) {
        self.nodes[node].tick_at = None;
        self.arm_tick(node);
    }
}

/// Nobody hears the node.
pub(super) fn muted(nodes: usize, node: usize) -> Cut {
    let mut cut = vec![0; nodes];
    cut[node] = ((1 << nodes) - 1) & !(1 << node);
    cut
}

/// The node hears nobody.
pub(super) fn deafened(nodes: usize, node: usize) -> Cut {
    let mut cut = vec![1 << node; nodes];
    cut[node] = 0;
    cut
}

/// Both.
pub(super) fn isolated(nodes: usize, node: usize) -> Cut {
    let mut cut = deafened(nodes, node);
    cut[node] = muted(nodes, node)[node];
    cut
}

/// The node is not heard by one other.
fn link(nodes: usize, node: usize, amount: u64) -> Cut {
    let mut cut = vec![0; nodes];
    cut[node] = 1 << Rng::new(amount).place(nodes);
    cut
}

/// Who hears whom in a torn cluster.
#[derive(Clone, Copy)]
struct Tear {
    nodes: usize,
    /// So many nodes are on the first side.
    half: usize,
}

const fn same_side(Tear { half, .. }: Tear, from: usize, to: usize) -> bool {
    (from < half) == (to < half)
}

/// The first node hears all, and all hear it; the others are on two sides.
const fn bridged(Tear { nodes, half }: Tear, from: usize, to: usize) -> bool {
    let last_of_first = if half + 2 > nodes {
        nodes.saturating_sub(2)
    } else {
        half
    };
    from == 0 || to == 0 || (from <= last_of_first) == (to <= last_of_first)
}

const fn neighbours(Tear { nodes, .. }: Tear, from: usize, to: usize) -> bool {
    (from + 1) % nodes == to || (to + 1) % nodes == from
}

/// Cuts through the middle of the cluster, its nodes taken in a random order.
fn torn(nodes: usize, amount: u64, hears: fn(Tear, usize, usize) -> bool) -> Cut {
    let mut rng = Rng::new(amount);
    let mut order: Vec<usize> = (0..nodes).collect();
    rng.shuffle(&mut order);
    let tear = Tear {
        nodes,
        half: 1 + rng.place(nodes.max(2) - 1),
    };
    let mut cut = vec![0; nodes];
    for from in 0..nodes {
        for to in (0..nodes).filter(|to| *to != from && !hears(tear, from, *to)) {
            cut[order[from]] |= 1 << order[to];
        }
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_way_cuts_are_one_way() {
        assert_eq!(muted(3, 1), [0, 0b101, 0]);
        assert_eq!(deafened(3, 1), [0b010, 0, 0b010]);
        assert_eq!(isolated(3, 1), [0b010, 0b101, 0b010]);
    }

    #[test]
    fn cuts_through_the_middle_are_symmetric() {
        for hears in [same_side, bridged, neighbours] {
            for amount in 0..50 {
                let cut = torn(5, amount, hears);
                for from in 0..5 {
                    let back = (0..5).all(|to| (cut[from] >> to & 1) == (cut[to] >> from & 1));
                    assert!(back && cut[from] >> from & 1 == 0, "{amount}: {cut:?}");
                }
                assert!(cut.iter().any(|bits| *bits > 0), "{amount}");
            }
        }
    }
}
