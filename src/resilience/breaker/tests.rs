//! When does the circuit open, for how long, and what closes it?

use super::*;

const LIMITED: Verdict = Verdict::RateLimited { retry_after: None };

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn settle(breaker: &mut Breaker, verdict: Verdict, now: Instant) -> Option<Transition> {
    match breaker.admit(now) {
        Ok(ticket) => breaker.settle(ticket, verdict, now, 0.0),
        Err(refused) => unreachable!("{refused}"),
    }
}

fn tripped(cause: Cause, millis: u64) -> Option<Transition> {
    let open_for = ms(millis);
    Some(Transition::Tripped { cause, open_for })
}

/// A breaker with default settings that tripped at the returned instant.
fn open() -> (Breaker, Instant) {
    let (mut breaker, now) = (Breaker::new(BreakerSettings::default()), Instant::now());
    for _ in 0..4 {
        assert_eq!(settle(&mut breaker, Verdict::Failure, now), None);
    }
    let transition = settle(&mut breaker, Verdict::Failure, now);
    assert_eq!(transition, tripped(Cause::Streak, 1000));
    (breaker, now)
}

#[test]
fn an_open_circuit_says_when_to_try_again_and_then_lets_one_probe_through() {
    let (mut breaker, now) = open();
    assert_eq!(breaker.state(now), BreakerState::Open);
    let refused = breaker.admit(now + ms(300)).map_err(|it| it.retry_after);
    assert!(matches!(refused, Err(left) if left == ms(700)));
    let later = now + ms(1000);
    assert_eq!(breaker.state(later), BreakerState::HalfOpen);
    assert!(breaker.admit(later).is_ok_and(|ticket| ticket.is_probe()));
    let second = breaker.admit(later).map_err(|it| it.reason);
    assert!(matches!(second, Err(Reason::Probing)));
}

#[test]
fn failing_probes_double_the_period_up_to_the_longest_and_a_good_one_starts_over() {
    let (mut breaker, mut now) = open();
    for (waited, next) in [(1, 2), (2, 4), (4, 8), (8, 16), (16, 30), (30, 30)] {
        now += ms(waited * 1000);
        let transition = settle(&mut breaker, Verdict::Failure, now);
        assert_eq!(transition, tripped(Cause::Probe, next * 1000));
    }
    now += ms(30_000);
    let transition = settle(&mut breaker, Verdict::Success, now);
    assert_eq!(transition, Some(Transition::Reset));
    for _ in 0..4 {
        assert_eq!(settle(&mut breaker, Verdict::Failure, now), None);
    }
    let transition = settle(&mut breaker, Verdict::Failure, now);
    assert_eq!(transition, tripped(Cause::Streak, 1000));
}

#[test]
fn a_success_ends_the_streak_and_a_rate_limit_neither_ends_nor_feeds_it() {
    let (mut breaker, now) = (Breaker::new(BreakerSettings::default()), Instant::now());
    for verdict in [[Verdict::Failure; 4], [LIMITED; 4]].concat() {
        assert_eq!(settle(&mut breaker, verdict, now), None);
    }
    assert_eq!(settle(&mut breaker, Verdict::Success, now), None);
    for verdict in [[Verdict::Failure; 4], [LIMITED; 4]].concat() {
        assert_eq!(settle(&mut breaker, verdict, now), None);
    }
    let transition = settle(&mut breaker, Verdict::Failure, now);
    assert_eq!(transition, tripped(Cause::Streak, 1000));
}

#[test]
fn the_rate_trips_below_its_limit_and_not_at_it() {
    let (mut breaker, now) = (Breaker::new(BreakerSettings::default()), Instant::now());
    for _ in 0..10 {
        assert_eq!(settle(&mut breaker, Verdict::Success, now), None);
        assert_eq!(settle(&mut breaker, LIMITED, now), None);
    }
    let transition = settle(&mut breaker, LIMITED, now);
    assert_eq!(transition, tripped(Cause::Rate, 1000));
}

#[test]
fn answers_from_before_a_trip_change_nothing() {
    let (mut breaker, now) = (Breaker::new(BreakerSettings::default()), Instant::now());
    let late: Vec<_> = (0..3).flat_map(|_| breaker.admit(now)).collect();
    for _ in 0..5 {
        let _ = settle(&mut breaker, Verdict::Failure, now);
    }
    let probe = breaker.admit(now + ms(1000));
    let hold = Verdict::RateLimited { retry_after: Some(ms(9000)) };
    for (ticket, verdict) in late.into_iter().zip([Verdict::Success, Verdict::Failure, hold]) {
        assert_eq!(breaker.settle(ticket, verdict, now + ms(1000), 0.0), None);
    }
    let other = breaker.admit(now + ms(1000)).map_err(|it| it.reason);
    assert!(matches!(other, Err(Reason::Probing)));
    let reset = probe.map(|it| breaker.settle(it, Verdict::Success, now + ms(1000), 0.0));
    assert_eq!(reset, Ok(Some(Transition::Reset)));
    assert!(breaker.admit(now + ms(1000)).is_ok());
}

#[test]
fn retry_after_refuses_until_then_without_tripping_and_outlives_a_reset() {
    let (mut breaker, now) = (Breaker::new(BreakerSettings::default()), Instant::now());
    let short = breaker.admit(now);
    let limited = |seconds: u64| Verdict::RateLimited { retry_after: Some(ms(seconds * 1000)) };
    assert_eq!(settle(&mut breaker, limited(60), now), None);
    let shorter = short.map(|ticket| breaker.settle(ticket, limited(2), now, 0.0));
    assert_eq!(shorter, Ok(None));
    assert_eq!(breaker.state(now), BreakerState::Closed);
    assert_eq!(breaker.reset(), None);
    let refused = breaker.admit(now + ms(59_000)).map(|_| ());
    let expected = Refused { reason: Reason::RateLimited, retry_after: ms(1000) };
    assert_eq!(refused, Err(expected));
    assert!(breaker.admit(now + ms(60_000)).is_ok());
}

#[test]
fn an_absurd_retry_after_is_believed_for_an_hour() {
    let (mut breaker, now) = (Breaker::new(BreakerSettings::default()), Instant::now());
    let retry_after = Some(Duration::MAX);
    let _ = settle(&mut breaker, Verdict::RateLimited { retry_after }, now);
    assert!(breaker.admit(now + LONGEST_HOLD - ms(1)).is_err());
    assert!(breaker.admit(now + LONGEST_HOLD).is_ok());
}

#[test]
fn a_rate_limited_probe_reopens_for_as_long_as_it_was_told_and_does_not_double() {
    let (mut breaker, now) = open();
    let told = Verdict::RateLimited { retry_after: Some(ms(7000)) };
    let transition = settle(&mut breaker, told, now + ms(1000));
    assert_eq!(transition, tripped(Cause::Probe, 7000));
    let transition = settle(&mut breaker, LIMITED, now + ms(8000));
    assert_eq!(transition, tripped(Cause::Probe, 1000));
}

#[test]
fn a_slow_probe_keeps_others_out_no_longer_than_the_longest_open_period() {
    let (mut breaker, now) = open();
    let slow = breaker.admit(now + ms(1000));
    assert!(breaker.admit(now + ms(30_999)).is_err());
    let second = breaker.admit(now + ms(31_000));
    assert!(second.is_ok_and(|ticket| ticket.is_probe()));
    let reset = slow.map(|it| breaker.settle(it, Verdict::Success, now + ms(32_000), 0.0));
    assert_eq!(reset, Ok(Some(Transition::Reset)));
}

#[test]
fn jitter_shortens_the_open_period_and_not_the_next_one() {
    let mut breaker = Breaker::new(BreakerSettings { failures: 1, ..BreakerSettings::default() });
    let now = Instant::now();
    let first = breaker.admit(now);
    let transition = first.map(|it| breaker.settle(it, Verdict::Failure, now, 1.0));
    assert_eq!(transition, Ok(tripped(Cause::Streak, 500)));
    let transition = settle(&mut breaker, Verdict::Failure, now + ms(500));
    assert_eq!(transition, tripped(Cause::Probe, 2000));
}
