//! When are the lists of a backend fetched because the backend said that they changed, or because a client wants them?
//!
//! Each of the two has a pace and a due time of its own: clients that list all the time do not delay the look after a
//! `list_changed`, nor the other way round. Whichever is due first is taken, and a fetch that succeeds serves both.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::pace::Pace;

/// After `list_changed`, how long to wait for more of them before fetching.
const DEBOUNCE: Duration = Duration::from_millis(150);

/// The reason of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// The backend said that a list changed.
    Changed,
    /// Only a client wants to see the lists as they are now.
    Demand,
}

/// The looks that are due, each at most once however often it is asked for.
#[derive(Debug)]
pub(super) struct LookSchedule {
    changes: Pace,
    demand: Pace,
    due_change: Option<Instant>,
    due_demand: Option<Instant>,
}

impl LookSchedule {
    pub(super) fn new() -> Self {
        Self { changes: Pace::default(), demand: Pace::of_demand(), due_change: None, due_demand: None }
    }

    /// Takes a `list_changed`.
    pub(super) fn changed(&mut self, now: Instant) {
        self.due_change.get_or_insert_with(|| self.changes.earliest(now + DEBOUNCE));
    }

    /// Takes a client's wish to see the lists as they are now.
    pub(super) fn wanted(&mut self, now: Instant) {
        self.due_demand.get_or_insert_with(|| self.demand.earliest(now));
    }

    /// When the next look is due, if one is.
    fn next(&self) -> Option<Instant> {
        self.due_change.into_iter().chain(self.due_demand).min()
    }

    /// Waits until the next look is due; for ever if none is.
    pub(super) async fn due(&self) {
        match self.next() {
            // A timer would round it up.
            Some(at) if at <= Instant::now() => {}
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// Begins the look that is due. If it fails, a look after `list_changed` that is due later stays so.
    pub(super) fn begin(&mut self, now: Instant) -> Look {
        self.due_demand = None;
        if self.due_change.is_some_and(|at| at <= now) {
            self.due_change = None;
            self.changes.take(now);
            return Look::Changed;
        }
        self.demand.take(now);
        Look::Demand
    }

    /// Notes that the lists were fetched: what was asked for before the fetch began is done.
    pub(super) fn fetched(&mut self) {
        (self.due_change, self.due_demand) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const STEP: Duration = Duration::from_millis(60);
    const PERIOD: Duration = Duration::from_secs(10);

    /// Takes the look that is due now, if one is.
    fn look(schedule: &mut LookSchedule, succeeds: bool) -> Option<Look> {
        let now = Instant::now();
        schedule.next().filter(|at| *at <= now)?;
        let look = schedule.begin(now);
        if succeeds {
            schedule.fetched();
        }
        Some(look)
    }

    #[tokio::test(start_paused = true)]
    async fn lists_that_are_wanted_all_the_time_delay_neither_a_change_nor_themselves() {
        for succeeds in [true, false] {
            let (mut schedule, mut taken) = (LookSchedule::new(), 0);
            for _ in 0..1_000 {
                schedule.wanted(Instant::now());
                assert!(schedule.next().unwrap() <= Instant::now() + PERIOD, "the horizon ran away");
                taken += usize::from(look(&mut schedule, succeeds).is_some());
                advance(STEP).await;
            }
            assert!((200..=280).contains(&taken), "{taken} looks in a minute, 40 in 10 s are allowed");
            schedule.changed(Instant::now());
            let said = Instant::now();
            let mut looks = Vec::new();
            while said.elapsed() < PERIOD && !looks.contains(&Look::Changed) {
                // Clients that list meanwhile are served by a look of their own, which may fail.
                schedule.wanted(Instant::now());
                looks.extend(look(&mut schedule, false));
                advance(STEP).await;
            }
            assert_eq!(looks.last(), Some(&Look::Changed));
            assert!(said.elapsed() <= DEBOUNCE + STEP * 2, "{:?}", said.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn changes_that_clients_see_first_do_not_delay_later_ones() {
        let mut schedule = LookSchedule::new();
        for _ in 0..1_000 {
            schedule.changed(Instant::now());
            schedule.wanted(Instant::now());
            look(&mut schedule, true);
            assert!(schedule.next().is_none_or(|at| at <= Instant::now() + PERIOD));
            advance(STEP).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_look_on_demand_leaves_the_change_due_and_one_that_succeeds_serves_it() {
        let mut schedule = LookSchedule::new();
        for succeeds in [false, true] {
            schedule.changed(Instant::now());
            schedule.wanted(Instant::now());
            assert_eq!(look(&mut schedule, succeeds), Some(Look::Demand));
            assert_eq!(schedule.next().is_some(), !succeeds);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn changes_in_a_row_are_one_look() {
        let mut schedule = LookSchedule::new();
        let first = Instant::now();
        for _ in 0..5 {
            schedule.changed(Instant::now());
            advance(DEBOUNCE / 10).await;
        }
        schedule.due().await;
        assert!(first.elapsed() < DEBOUNCE + Duration::from_millis(10), "{:?}", first.elapsed());
        assert_eq!(look(&mut schedule, false), Some(Look::Changed));
        assert_eq!(schedule.next(), None);
    }
}
