//! The faults that befall the cluster, one after the other, as the seed decides.
//!
//! This file does not know what clients do.

use std::rc::Rc;
use std::time::Duration;

use raft_core::{Member, MemberChange, NodeId};
use raft_net::Faults;
use tokio::task::spawn_local;

use super::{NODES, Program, World, name};

/// How many faults there are.
const STEPS: u64 = 60;

/// One fault after the other; then all is well again, and everybody runs.
pub async fn rage<P: Program>(world: Rc<World<P>>) {
    for _ in 0..STEPS {
        step(&world).await;
        drop(world.leader());
        world.pause(20, 1200).await;
        drop(world.leader());
    }
    world.net.set_faults(Faults::default());
    world.net.heal();
    world.restart_all().await;
    world.is_over.set(true);
}

async fn step<P: Program>(world: &Rc<World<P>>) {
    let tally = &world.tally;
    match world.draw(17) {
        0 | 1 => weather(world),
        2 => world.net.set_faults(Faults::default()),
        3 => {
            let (from, to) = (1 + world.draw(NODES), 1 + world.draw(NODES));
            world.net.cut(&name(from), &name(to));
            tally.borrow_mut().one_way_cuts += 1;
        }
        4 => partition(world),
        5 => {
            let leader = world.leader().map(|leader| leader.id().0);
            let id = leader.unwrap_or_else(|| 1 + world.draw(NODES));
            world.net.isolate(&name(id));
            tally.borrow_mut().isolations += 1;
        }
        6 | 7 => {
            world.net.heal();
            tally.borrow_mut().heals += 1;
        }
        8 => {
            let crashed = world.crash(1 + world.draw(NODES));
            tally.borrow_mut().crashes += u64::from(crashed);
        }
        9 => {
            // Killed and started again at once.
            let id = 1 + world.draw(NODES);
            let crashed = world.crash(id);
            tally.borrow_mut().crashes += u64::from(crashed);
            world.start(id).await;
            tally.borrow_mut().restarts += 1;
        }
        10 | 11 => world.restart_all().await,
        12 => shut_down(world),
        13 => transfer(world),
        14 => change(world),
        15 => take_snapshot(world),
        _ => nudge(world),
    }
}

fn weather<P: Program>(world: &World<P>) {
    let mut rng = world.rng.borrow_mut();
    let mut per_mille = |max| u16::try_from(rng.below(max)).expect("small");
    let faults = Faults {
        loss_per_mille: per_mille(150),
        duplicate_per_mille: per_mille(150),
        reorder_per_mille: per_mille(150),
        held_back_max: Duration::from_millis(1 + rng.below(80)),
        delay: Duration::ZERO..=Duration::from_micros(rng.below(30_000)),
    };
    drop(rng);
    world.net.set_faults(faults);
}

fn partition<P: Program>(world: &World<P>) {
    let names: Vec<_> = (1..=NODES).map(name).collect();
    let sides = 1 + world.draw((1 << NODES) - 2);
    let side = |wanted: u64| -> Vec<&str> {
        let is_there = |id: &usize| (sides >> id) & 1 == wanted;
        let places = (0..names.len()).filter(is_there);
        places.map(|place| names[place].as_str()).collect()
    };
    world.net.partition(&[&side(0), &side(1)]);
    world.tally.borrow_mut().partitions += 1;
}

fn shut_down<P: Program>(world: &Rc<World<P>>) {
    let id = 1 + world.draw(NODES);
    let Some(node) = world.withdraw(id) else {
        return;
    };
    world.tally.borrow_mut().shutdowns += 1;
    spawn_local(async move {
        node.shutdown().await;
    });
}

fn transfer<P: Program>(world: &Rc<World<P>>) {
    let Some(node) = world.any() else { return };
    let target = match world.draw(NODES + 1) {
        0 => None,
        id => Some(NodeId(id)),
    };
    world.tally.borrow_mut().transfers += 1;
    let world = Rc::clone(world);
    spawn_local(async move {
        let went_over = node.transfer_leadership(target).await.is_ok();
        world.tally.borrow_mut().transferred += u64::from(went_over);
    });
}

fn change<P: Program>(world: &Rc<World<P>>) {
    let Some(node) = world.any() else { return };
    let wish = |id: u64| {
        let (id, member) = (NodeId(id), Member::at(name(id)));
        match world.draw(4) {
            0 => MemberChange::Remove(id),
            1 => MemberChange::Learner(id, member),
            _ => MemberChange::Voter(id, member),
        }
    };
    let first = 1 + world.draw(NODES);
    let mut changes = vec![wish(first)];
    if world.draw(2) == 0 {
        changes.push(wish(first % NODES + 1));
    }
    world.tally.borrow_mut().changes += 1;
    let world = Rc::clone(world);
    spawn_local(async move {
        let is_changed = node.change_membership(changes, None).await.is_ok();
        world.tally.borrow_mut().changed += u64::from(is_changed);
    });
}

fn take_snapshot<P: Program>(world: &Rc<World<P>>) {
    let Some(node) = world.any() else { return };
    world.tally.borrow_mut().snapshots += 1;
    let world = Rc::clone(world);
    spawn_local(async move {
        let is_taken = node.snapshot_now().await.is_ok();
        world.tally.borrow_mut().snapshots_taken += u64::from(is_taken);
    });
}

fn nudge<P: Program>(world: &World<P>) {
    let Some(node) = world.any() else { return };
    if world.draw(2) == 0 {
        node.campaign();
        world.tally.borrow_mut().campaigns += 1;
    } else {
        node.abort_membership_change();
        world.tally.borrow_mut().aborts += 1;
    }
}
