//! The random walk: all that may happen to a machine, in an order drawn from a seed.
//!
//! It does not know what a machine finds hard; that is why it tries everything.

use super::StateMachineFixture;
use super::crashes::crash;
use super::stand::{Stand, Taken};
use crate::port::Capture;
use crate::types::Index;

/// So many captures are held at once.
const CAPTURES_MAX: usize = 4;

/// So many random acts on a machine of its own. The same seed does the same.
///
/// # Panics
/// When the machine does not do what the contract says. The message names the seed and the step.
pub fn state_machine_walk(fixture: &mut dyn StateMachineFixture, seed: u64, steps: u64) {
    let mut stand = Stand::new(format!("walk of seed {seed}, start"), fixture, seed);
    let mut subject = stand.fresh();
    let mut captures: Vec<(usize, Capture)> = Vec::new();
    let mut newest: Option<Taken> = None;
    for step in 0..steps {
        stand.rename(format!("walk of seed {seed}, step {step}"));
        match stand.dice.within(0..=99) {
            0..50 => {
                let most = stand.log.len() - subject.applied;
                let count = stand.dice.within(0..=12).min(most as u64);
                stand.apply(&mut subject, usize::try_from(count).unwrap_or(0));
            }
            50..65 => stand.compare(&subject),
            65..77 if captures.len() < CAPTURES_MAX && subject.applied > 0 => {
                captures.push((subject.applied, stand.capture(&mut subject)));
            }
            77..87 => {
                if let Some((moment, capture)) = captures.pop() {
                    newest = Some(stand.write(capture, moment));
                }
            }
            87..91 => captures.clear(),
            91..95 => {
                if let Some(taken) = &newest {
                    stand.restore(&mut subject, taken);
                }
            }
            _ => {
                captures.clear();
                subject = crash(&mut stand, subject, newest.as_ref(), Index(0));
            }
        }
    }
    stand.finish(subject);
}
