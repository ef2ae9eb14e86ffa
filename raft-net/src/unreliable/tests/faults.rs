//! Loss, doubling, delay and reordering, by the paused clock of tokio.

use super::*;

const SENT: u64 = 10_000;

fn is_near(count: u64, expected: u64) -> bool {
    count.abs_diff(expected) < expected / 5
}

/// Sends this many numbered messages from 1 to 2.
fn send_numbered(from: &Node, count: u64) {
    for number in 1..=count {
        from.transport.send(message(1, 2, number));
    }
}

#[test]
fn so_many_of_a_thousand_are_lost() {
    let net = UnreliableNet::new(5);
    let (a, b) = (node(&net, "a", 1), node(&net, "b", 2));
    net.set_faults(Faults {
        loss_per_mille: 300,
        ..Faults::default()
    });
    send_numbered(&a, SENT);
    let counters = net.counters();
    assert!(is_near(counters.lost, 3000), "{counters:?}");
    assert_eq!(counters.delivered + counters.lost, SENT);
    assert!(
        b.record.numbers().is_sorted(),
        "nothing else happens to them"
    );
    net.set_faults(Faults::default());
    send_numbered(&a, 1);
    assert_eq!(net.counters().lost, counters.lost);
}

#[test]
fn only_consensus_messages_are_doubled() {
    let net = UnreliableNet::new(5);
    let (a, b) = (node(&net, "a", 1), node(&net, "b", 2));
    net.set_faults(Faults {
        duplicate_per_mille: 250,
        ..Faults::default()
    });
    for number in 1..=SENT {
        a.transport.send(ask(1, 2, number));
        a.transport.send(answer(1, 2, number));
    }
    assert_eq!(b.record.count() as u64, 2 * SENT);
    send_numbered(&a, SENT);
    let counters = net.counters();
    assert!(is_near(counters.duplicated, 2500), "{counters:?}");
    let expected = 3 * SENT + counters.duplicated;
    assert_eq!(b.record.count() as u64, expected);
}

#[tokio::test(start_paused = true)]
async fn a_delayed_parcel_takes_its_time_and_keeps_its_place() {
    let net = UnreliableNet::new(5);
    let (a, b) = timed_pair(&net);
    net.set_faults(delayed(20..=50));
    send_numbered(&a, 100);
    assert_eq!(b.record.count(), 0);
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(b.record.numbers(), (1..=100).collect::<Vec<_>>());
    for (at, parcel) in b.record.arrived() {
        let millis = at.as_millis();
        assert!((20..=51).contains(&millis), "{parcel:?} at {millis} ms");
    }
    let arrived = b.record.arrived();
    assert!(arrived[0].0 < arrived[99].0, "all took the same time");
}

#[tokio::test(start_paused = true)]
async fn some_are_held_back_and_overtaken() {
    let net = UnreliableNet::new(5);
    let (a, b) = timed_pair(&net);
    net.set_faults(Faults {
        reorder_per_mille: 200,
        ..Faults::default()
    });
    send_numbered(&a, 1000);
    let at_once = b.record.count();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let reordered = net.counters().reordered;
    assert!(is_near(reordered, 200), "{reordered}");
    assert_eq!(at_once as u64, 1000 - reordered);
    let mut numbers = b.record.numbers();
    assert!(!numbers.is_sorted());
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=1000).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_after_the_delay_was_lifted_does_not_overtake() {
    let net = UnreliableNet::new(5);
    let (a, b) = timed_pair(&net);
    net.set_faults(delayed(30..=30));
    a.transport.send(message(1, 2, 1));
    net.set_faults(Faults::default());
    a.transport.send(message(1, 2, 2));
    assert_eq!(b.record.count(), 0);
    tokio::time::sleep(Duration::from_millis(40)).await;
    a.transport.send(message(1, 2, 3));
    assert_eq!(b.record.numbers(), [1, 2, 3], "and the last at once");
}

#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_is_lost_with_its_receiver_and_its_link() {
    let net = UnreliableNet::new(5);
    let (a, b) = timed_pair(&net);
    net.set_faults(delayed(30..=30));
    let check = async |number: u64, disturb: &dyn Fn(), expected: &[u64]| {
        a.transport.send(message(1, 2, number));
        tokio::time::sleep(Duration::from_millis(10)).await;
        disturb();
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(b.record.numbers(), expected, "parcel {number}");
    };
    check(1, &|| {}, &[1]).await;
    check(2, &|| net.cut("a", "b"), &[1]).await;
    check(3, &|| net.heal(), &[1]).await;
    let restart = || {
        b.transport.stop();
        b.transport.start(b.record.clone()).expect("it was stopped");
    };
    check(4, &restart, &[1]).await;
    let replace = || {
        let inbox = b.record.clone();
        b.transport.start(inbox).expect("it is the present one");
    };
    check(5, &replace, &[1, 5]).await;
    assert_eq!(net.counters().unreachable, 3);
}

#[tokio::test(start_paused = true)]
async fn no_more_than_a_limit_is_on_its_way() {
    let net = UnreliableNet::new(5);
    let (a, b) = timed_pair(&net);
    net.set_faults(delayed(30..=30));
    send_numbered(&a, 70_000);
    tokio::time::sleep(Duration::from_millis(40)).await;
    let counters = net.counters();
    assert_eq!((counters.delivered, counters.lost), (65_536, 4464));
    assert_eq!(b.record.count(), 65_536);
}

#[tokio::test(start_paused = true)]
async fn the_courier_goes_with_the_network() {
    let net = UnreliableNet::new(5);
    net.set_faults(delayed(30..=30));
    tokio::task::yield_now().await;
    let metrics = tokio::runtime::Handle::current().metrics();
    assert_eq!(metrics.num_alive_tasks(), 1);
    drop(net);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(metrics.num_alive_tasks(), 0);
}

/// What three nodes see of a bad network when all send to all for a while.
async fn trace(seed: u64) -> Vec<(u64, Duration, Parcel)> {
    let net = UnreliableNet::new(seed);
    let nodes = [1, 2, 3].map(|id| listening(&net, &format!("n{id}"), id, Record::timed()));
    net.set_faults(Faults {
        loss_per_mille: 100,
        duplicate_per_mille: 100,
        reorder_per_mille: 100,
        ..delayed(1..=9)
    });
    for number in 0..200 {
        for (from, to) in [(1, 2), (2, 3), (3, 1), (2, 1)] {
            let place = usize::try_from(from - 1).expect("small");
            nodes[place].transport.send(message(from, to, number));
            nodes[place].transport.send(ask(from, to, number));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let arrived = nodes.iter().zip(1..).flat_map(|(node, id)| {
        let arrived = node.record.arrived().into_iter();
        arrived.map(move |(at, parcel)| (id, at, parcel))
    });
    arrived.collect()
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_makes_the_same_network() {
    for seed in 0..5 {
        let (first, second) = (trace(seed).await, trace(seed).await);
        assert!(first.len() > 1000, "seed {seed}: {} arrived", first.len());
        assert!(first == second, "seed {seed} made two networks");
        assert!(first != trace(seed + 100).await, "seed {seed} is no seed");
    }
}
