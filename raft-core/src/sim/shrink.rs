//! Makes a failing run smaller, as long as it fails in the same way.
//!
//! First the faults that are not needed go, by delta debugging; then rates are turned off, numbers
//! of clients and events lowered, and sizes made ordinary. The result is a plan: printed, kept as a
//! regression, and run again. This file does not know how a plan is run.

use super::faults::{Knobs, Plan};

/// So many runs are spent at most.
pub const RUNS_MAX: usize = 3000;
/// So many seeds are tried before a run is believed to need its time.
const SEEDS_TRIED: u64 = 60;

/// A run that is being made smaller.
struct Shrinker<F> {
    plan: Plan,
    /// The name of what must still be violated.
    violated: String,
    fails: F,
    runs_left: usize,
}

/// Shrinks a plan. `fails` runs one and says which invariant it violates, if any. `None` if the
/// plan does not fail at all.
pub fn shrink(
    plan: &Plan,
    mut fails: impl FnMut(&Plan) -> Option<String>,
) -> Option<(Plan, String)> {
    let violated = fails(plan)?;
    let mut shrinker = Shrinker {
        plan: plan.clone(),
        violated,
        fails,
        runs_left: RUNS_MAX,
    };
    shrinker.shorten();
    shrinker.drop_actions();
    loop {
        let before = shrinker.plan.clone();
        shrinker.turn_knobs();
        shrinker.squeeze();
        shrinker.shorten();
        shrinker.drop_actions();
        if shrinker.plan == before || shrinker.runs_left == 0 {
            return Some((shrinker.plan, shrinker.violated));
        }
    }
}

impl<F: FnMut(&Plan) -> Option<String>> Shrinker<F> {
    /// Takes the candidate if it fails in the same way.
    fn accept(&mut self, candidate: Plan) -> bool {
        if candidate == self.plan || self.runs_left == 0 {
            return false;
        }
        self.runs_left -= 1;
        let same = (self.fails)(&candidate).is_some_and(|violated| violated == self.violated);
        if same {
            self.plan = candidate;
        }
        same
    }

    /// Zeller's ddmin, by complements: ever smaller chunks of the actions are left out.
    fn drop_actions(&mut self) {
        let mut chunk = self.plan.actions.len().div_ceil(2);
        while chunk > 0 {
            let mut start = 0;
            while start < self.plan.actions.len() {
                let mut candidate = self.plan.clone();
                let end = (start + chunk).min(candidate.actions.len());
                candidate.actions.drain(start..end);
                if !self.accept(candidate) {
                    start += chunk;
                }
            }
            chunk /= 2;
        }
    }

    /// Ends the faults earlier.
    fn shorten(&mut self) {
        let mut step = self.plan.knobs.events / 2;
        while step > 0 {
            let mut candidate = self.plan.clone();
            candidate.knobs.events = candidate.knobs.events.saturating_sub(step).max(1);
            let end = candidate.knobs.events;
            candidate.actions.retain(|action| action.after <= end);
            if !self.accept(candidate) {
                step /= 2;
            }
        }
    }

    /// The same faults in less time. Everything else turns out otherwise then, so a few seeds are
    /// tried.
    fn squeeze(&mut self) {
        let mut seeds = 1..SEEDS_TRIED;
        while let Some(offset) = seeds.next() {
            let mut candidate = self.plan.clone();
            candidate.seed = candidate.seed.wrapping_add(offset / 2);
            let shorter = |events: u64| events * 2 / 3;
            candidate.knobs.events = shorter(candidate.knobs.events).max(1);
            for action in &mut candidate.actions {
                action.after = shorter(action.after);
            }
            if self.accept(candidate) {
                seeds = 1..SEEDS_TRIED;
            }
        }
    }

    /// Each knob to what it is in a calm world, or halfway there.
    fn turn_knobs(&mut self) {
        for name in Knobs::NAMES {
            let Some(calm) = Knobs::CALM.get(name) else {
                continue;
            };
            if *name == "events" || self.set(name, calm) {
                continue;
            }
            while let Some(now) = self.plan.knobs.get(name) {
                if now <= calm + 1 || !self.set(name, calm + (now - calm) / 2) {
                    break;
                }
            }
        }
        for name in ["clients", "nodes", "founders"] {
            while let Some(now) = self.plan.knobs.get(name) {
                if now <= 1 || !self.set(name, now - 1) {
                    break;
                }
            }
        }
    }

    fn set(&mut self, name: &str, value: u64) -> bool {
        let mut candidate = self.plan.clone();
        if let Some(knob) = candidate.knobs.get_mut(name) {
            *knob = value;
        }
        self.accept(candidate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::faults::Fault;

    #[test]
    fn what_is_not_needed_goes() {
        let needed = |plan: &Plan, fault| plan.actions.iter().any(|action| action.fault == fault);
        let fails = |plan: &Plan| {
            let both = needed(plan, Fault::Crash) && needed(plan, Fault::Freeze);
            (both && plan.knobs.loss_ppm > 100 && plan.knobs.nodes >= 2).then(|| "x".to_owned())
        };
        let plan = (0..500)
            .map(|seed| Plan::drawn(seed, 5000))
            .find(|plan| fails(plan).is_some() && plan.actions.len() > 10)
            .expect("a seed with both faults and losses");
        let (small, violated) = shrink(&plan, fails).expect("it fails");
        assert_eq!((small.actions.len(), violated.as_str()), (2, "x"));
        assert!(
            (101..=202).contains(&small.knobs.loss_ppm),
            "{}",
            small.knobs.loss_ppm
        );
        assert_eq!(small.knobs.nodes, 2);
        assert_eq!(small.knobs.duplicate_ppm, 0);
    }

    #[test]
    fn a_plan_that_does_not_fail_is_not_shrunk() {
        assert_eq!(shrink(&Plan::calm(1), |_| None), None);
    }
}
