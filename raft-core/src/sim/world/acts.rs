//! Makes the faults of the plan happen when their time has come.
//!
//! A fault that makes no sense at that moment, such as the crash of a server that is down, does not
//! happen and is not counted. This file does not know which faults are drawn.

use super::finale::Phase;
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
            target,
            span,
            amount,
            ..
        } = action;
        match fault {
            Fault::PowerCut => return self.power_cut(span, amount),
            Fault::Partition | Fault::Bridge | Fault::Ring => {
                let cut = shape(fault, self.nodes.len(), amount);
                self.cut_for(cut, span);
                return Ok(true);
            }
            Fault::ChangeMembers
            | Fault::RemoveLeader
            | Fault::AddLearner
            | Fault::Promote
            | Fault::Readd => {
                self.settle_standing();
                return self.change_members(fault, amount);
            }
            Fault::AbortChange => return self.abort_change(),
            Fault::Transfer => return self.transfer(amount),
            _ => {}
        }
        let Some(node) = self.resolve(target) else {
            return Ok(false);
        };
        match fault {
            Fault::Isolate | Fault::Mute | Fault::Deafen | Fault::CutLink => {
                self.cut_for(lonely(fault, self.nodes.len(), node, amount), span);
                Ok(true)
            }
            Fault::DropKind => {
                self.drop_kind(node, span, amount);
                Ok(true)
            }
            Fault::Wipe | Fault::LoseTail => self.harm(fault, node, span),
            Fault::DiskStall => {
                let until = self.now + span;
                let stalled = &mut self.nodes[node].stalled_until;
                *stalled = until.max(*stalled);
                Ok(true)
            }
            _ if self.nodes[node].is_awake() => self.act_on_process(fault, node, span, amount),
            _ => Ok(false),
        }
    }

    /// What happens to a process that runs.
    fn act_on_process(
        &mut self,
        fault: Fault,
        node: usize,
        span: u64,
        amount: u64,
    ) -> Result<bool, Violation> {
        match fault {
            Fault::Crash => self.crash(node, span).map(|()| true),
            Fault::CrashInWrite => {
                self.nodes[node].doom = Doom::InWrite { down: span };
                Ok(false)
            }
            Fault::CrashInEffects => {
                self.nodes[node].doom = Doom::InEffects {
                    left: amount % 7,
                    down: span,
                };
                Ok(false)
            }
            Fault::Freeze => {
                self.freeze(node, span);
                Ok(true)
            }
            Fault::ClockRate | Fault::ClockJump | Fault::ClockFreeze => {
                self.disturb_clock(fault, node, span, amount);
                Ok(true)
            }
            Fault::Compact => self.take_snapshot(node),
            Fault::Campaign => self.receive(node, Event::Campaign).map(|()| true),
            _ => Ok(false),
        }
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

    /// Damages a disk, if it may be, with its process down.
    fn harm(&mut self, fault: Fault, node: usize, span: u64) -> Result<bool, Violation> {
        self.settle_standing();
        let wipe = fault == Fault::Wipe;
        if !(if wipe {
            self.may_wipe(node)
        } else {
            self.may_lose_tail(node)
        }) {
            return Ok(false);
        }
        if self.nodes[node].is_up() {
            self.crash(node, span)?;
        }
        if wipe {
            self.wipe(node);
            self.nodes[node].standing = Standing::Wiped;
            return Ok(true);
        }
        let lost = self.lose_tail(node);
        if lost {
            self.nodes[node].standing = Standing::TailLost;
        }
        Ok(lost)
    }

    // --- The network ---

    fn cut_for(&mut self, cut: Cut, span: u64) {
        self.serial += 1;
        self.net.cut(self.serial, cut);
        self.schedule
            .push(self.now + span, Happening::Heal(self.serial));
    }

    fn drop_kind(&mut self, node: usize, span: u64, amount: u64) {
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
    }

    // --- Process and clock ---

    fn freeze(&mut self, node: usize, span: u64) {
        let until = self.now + span + 1;
        let target = &mut self.nodes[node];
        target.frozen_until = Some(until);
        target.tick_at = None;
        let life = self.life(node);
        self.schedule.push(until, Happening::Thaw(life));
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

    fn disturb_clock(&mut self, fault: Fault, node: usize, span: u64, amount: u64) {
        let mut rng = Rng::new(amount);
        let now = self.now;
        let drift = self.knobs.lease_per_mille * (MILLION / 1000);
        let clock = &mut self.nodes[node].clock;
        match fault {
            Fault::ClockJump => {
                clock.jump(now, rng.magnitude(1, self.plan.knobs.election_ns * 20));
            }
            Fault::ClockFreeze => clock.set_rate(now, 0),
            // With leases, no two clocks run apart by more than the servers were told.
            _ if drift > 0 => clock.set_rate(now, MILLION + rng.below(drift + 1)),
            _ => clock.set_rate(now, rng.magnitude(MILLION / 3, MILLION * 3)),
        }
        if fault != Fault::ClockJump {
            self.schedule.push(now + span, Happening::ClockNormal(node));
        }
        self.rearm_tick(node);
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

/// Everyone's bits but those of `own`.
const fn all_but(nodes: usize, own: usize) -> u32 {
    ((1 << nodes) - 1) & !(1 << own)
}

/// Cuts around one node.
pub(super) fn lonely(fault: Fault, nodes: usize, node: usize, amount: u64) -> Cut {
    let mut cut = vec![0; nodes];
    if matches!(fault, Fault::Isolate | Fault::Mute) {
        cut[node] = all_but(nodes, node);
    }
    if matches!(fault, Fault::Isolate | Fault::Deafen) {
        for (_, receivers) in cut.iter_mut().enumerate().filter(|(from, _)| *from != node) {
            *receivers |= 1 << node;
        }
    }
    if fault == Fault::CutLink {
        cut[node] |= 1 << Rng::new(amount).place(nodes);
    }
    cut
}

/// Cuts through the middle.
fn shape(fault: Fault, nodes: usize, amount: u64) -> Cut {
    let mut rng = Rng::new(amount);
    let mut order: Vec<usize> = (0..nodes).collect();
    rng.shuffle(&mut order);
    let half = rng.between(1, nodes.max(2) as u64 - 1);
    let hears = |from: usize, to: usize| match fault {
        Fault::Ring => (from + 1) % nodes == to || (to + 1) % nodes == from,
        Fault::Bridge if from == 0 || to == 0 => true,
        _ => ((from as u64) < half) == ((to as u64) < half),
    };
    let mut cut = vec![0; nodes];
    for from in 0..nodes {
        for to in (0..nodes).filter(|to| *to != from && !hears(from, *to)) {
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
        assert_eq!(lonely(Fault::Mute, 3, 1, 0), [0, 0b101, 0]);
        assert_eq!(lonely(Fault::Deafen, 3, 1, 0), [0b010, 0, 0b010]);
        assert_eq!(lonely(Fault::Isolate, 3, 1, 0), [0b010, 0b101, 0b010]);
    }

    #[test]
    fn cuts_through_the_middle_are_symmetric() {
        for fault in [Fault::Partition, Fault::Bridge, Fault::Ring] {
            for amount in 0..50 {
                let cut = shape(fault, 5, amount);
                for from in 0..5 {
                    let back = (0..5).all(|to| (cut[from] >> to & 1) == (cut[to] >> from & 1));
                    assert!(
                        back && cut[from] >> from & 1 == 0,
                        "{fault} {amount}: {cut:?}"
                    );
                }
                let severed: u32 = cut.iter().map(|bits| bits.count_ones()).sum();
                assert!(severed > 0, "{fault} {amount}");
            }
        }
    }
}
