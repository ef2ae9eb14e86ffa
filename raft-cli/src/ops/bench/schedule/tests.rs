//! Schedules by the clock that tests keep themselves, and plans that begin when they are made.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn arrivals_of_an_open_loop_are_fixed_beforehand() {
    let check = |rate: f64, warmup: Duration, extent: Extent, warm: u64, count: u64| {
        let arrivals = Arrivals::new(rate, warmup, extent);
        assert_eq!((arrivals.warm, arrivals.count), (warm, count), "{rate}");
    };
    check(100.0, SECOND, Extent::For(2 * SECOND), 100, 300);
    check(100.0, SECOND, Extent::Total(7), 100, 107);
    check(0.5, Duration::ZERO, Extent::For(10 * SECOND), 0, 5);
    check(1000.0, ms(1), Extent::Total(1), 1, 2);
}

#[test]
fn an_arrival_is_due_at_its_instant_and_not_before() {
    let arrivals = Arrivals::new(100.0, Duration::ZERO, Extent::Total(4));
    let check = |elapsed: Duration, due: u64| assert_eq!(arrivals.due(elapsed), due, "{elapsed:?}");
    check(Duration::ZERO, 1);
    check(ms(10) - Duration::from_nanos(1), 1);
    check(ms(10), 2);
    check(ms(29), 3);
    check(ms(30), 4);
    // There are no more than were planned.
    check(SECOND, 4);
}

#[test]
fn all_arrivals_are_due_when_the_last_one_is_at_any_rate() {
    for rate in [0.3, 1.0, 3.0, 7.0, 1_000.0, 30_000.0, 1_000_000.0 / 3.0] {
        let arrivals = Arrivals::new(rate, Duration::ZERO, Extent::Total(10_000));
        for index in [0, 1, 2, 9, 99, 1234, 9_999] {
            let at = arrivals.at(index);
            assert!(arrivals.due(at) > index, "{index} at {rate}/s");
            if let Some(before) = at.checked_sub(Duration::from_nanos(1)) {
                assert!(arrivals.due(before) <= index, "{index} at {rate}/s");
            }
        }
    }
}

#[tokio::test]
async fn a_closed_loop_ends_after_its_total_and_counts_from_when_the_client_is_free() {
    let plan = Plan::new(Duration::ZERO, Extent::Total(2), None);
    let now = Instant::now();
    for index in 0..2 {
        let expected = Arrival {
            index,
            intended: now,
            measured: true,
        };
        assert_eq!(plan.next(now).await, Some(expected));
    }
    assert_eq!(plan.next(now).await, None);
    assert_eq!((plan.is_open(), plan.left_over()), (false, 0));
}

#[tokio::test]
async fn a_closed_loop_measures_from_the_end_of_its_warm_up_to_its_own_end() {
    let plan = Plan::new(SECOND, Extent::For(2 * SECOND), None);
    let from = plan.measured_from();
    assert_eq!(plan.measured_until(), Some(from + 2 * SECOND));
    let check = async |at: Instant, expected: Option<bool>| {
        let arrival = plan.next(at).await;
        assert_eq!(arrival.map(|arrival| arrival.measured), expected);
    };
    check(from - ms(1), Some(false)).await;
    check(from, Some(true)).await;
    check(from + 2 * SECOND - ms(1), Some(true)).await;
    check(from + 2 * SECOND, None).await;
}

#[tokio::test]
async fn an_open_loop_hands_out_instants_that_answers_do_not_move() {
    let plan = Plan::new(ms(20), Extent::For(ms(30)), Some(100.0));
    let begin = plan.measured_from() - ms(20);
    // As if all of them were overdue, and one client more than that came.
    plan.release(6);
    let late = begin + 60 * SECOND;
    for index in 0..5_u32 {
        let arrival = plan.next(late).await.unwrap();
        assert_eq!(arrival.intended, begin + ms(10) * index);
        assert_eq!(arrival.measured, index >= 2);
    }
    assert_eq!(plan.next(late).await, None);
    assert_eq!(plan.left_over(), 0);
}

#[tokio::test]
async fn the_pacer_releases_every_arrival_and_sends_every_client_home() {
    let plan = Plan::new(Duration::ZERO, Extent::Total(50), Some(100_000.0));
    plan.pace(3);
    let mut arrivals = 0;
    for _ in 0..53 {
        arrivals += u64::from(plan.next(Instant::now()).await.is_some());
    }
    assert_eq!(arrivals, 50);
}

#[test]
fn a_stopped_pacer_leaves_what_nobody_waits_for() {
    let plan = Plan::new(Duration::ZERO, Extent::Total(2), Some(1e-6));
    plan.stop();
    plan.pace(1);
    assert_eq!(plan.left_over(), 2);
}
