//! Which tasks stand here, and which give way to others?
//!
//! One that is over waits for its client, for as long as its server granted or until there is no room: then those that
//! are over go first, the oldest of whoever has most.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

use super::super::request::Principal;
use super::held::HeldTask;

/// Most tasks in all, and of one principal.
const MAX_HELD: usize = 256;
const MAX_PER_PRINCIPAL: usize = 32;
/// Tasks of one principal that are few.
const FEW: usize = 4;
/// What all results together may take, in bytes: four of the longest.
const MAX_BYTES: usize = 64 * 1024 * 1024;

type Tasks = HashMap<String, Arc<HeldTask>>;

/// The tasks, by a key that cannot be guessed.
#[derive(Default)]
pub(in super::super) struct Held {
    tasks: Mutex<Tasks>,
    /// The calls that go on for them.
    following: TaskTracker,
}

impl Held {
    /// Keeps a task; `false` if there are too many that go on.
    pub(super) fn keep(&self, key: &str, task: &Arc<HeldTask>) -> bool {
        let mut tasks = self.tasks.lock();
        tasks.retain(|_, task| !task.is_expired());
        let of_same =
            |tasks: &Tasks| tasks.values().filter(|other| other.principal == task.principal).count();
        if of_same(&tasks) >= MAX_PER_PRINCIPAL {
            forget_oldest(&mut tasks, &task.principal);
        }
        if tasks.len() >= MAX_HELD
            && let Some(whose) = whoever_has_most(&tasks, |task| usize::from(task.over_since().is_some()))
        {
            forget_oldest(&mut tasks, &whose);
        }
        let own = of_same(&tasks);
        // Who has few finds room beyond the bound, where all others go on.
        let bound = if own < FEW { MAX_HELD + MAX_HELD / 4 } else { MAX_HELD };
        let has_room = tasks.len() < bound && own < MAX_PER_PRINCIPAL;
        if has_room {
            tasks.insert(key.to_owned(), Arc::clone(task));
        }
        has_room
    }

    /// Forgets results until the others are within the bound; for whenever one is added.
    pub(super) fn make_room(&self) {
        let mut tasks = self.tasks.lock();
        tasks.retain(|_, task| !task.is_expired());
        while tasks.values().map(|task| task.size()).sum::<usize>() > MAX_BYTES {
            let whose = whoever_has_most(&tasks, HeldTask::size);
            if !whose.is_some_and(|whose| forget_oldest(&mut tasks, &whose)) {
                return;
            }
        }
    }

    pub(super) fn find(&self, key: &str) -> Option<Arc<HeldTask>> {
        self.tasks.lock().get(key).filter(|task| !task.is_expired()).cloned()
    }

    /// Counts a call as one that goes on, until it ends.
    pub(super) fn follow<F: Future>(&self, following: F) -> impl Future<Output = F::Output> + use<F> {
        self.following.track_future(following)
    }

    /// Gives up everything: the backends are about to be stopped. Returns when no call goes on.
    pub(in super::super) async fn clear(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock());
        tasks.into_values().for_each(|task| task.cancel());
        self.following.close();
        self.following.wait().await;
    }
}

fn whoever_has_most(tasks: &Tasks, weight: impl Fn(&HeldTask) -> usize) -> Option<Principal> {
    let mut shares: HashMap<&Principal, usize> = HashMap::new();
    for task in tasks.values() {
        *shares.entry(&task.principal).or_default() += weight(task);
    }
    let most = shares.into_iter().max_by_key(|(_, share)| *share);
    most.map(|(principal, _)| principal.clone())
}

/// `false` if none of theirs is over.
fn forget_oldest(tasks: &mut Tasks, whose: &Principal) -> bool {
    let theirs = tasks.iter().filter(|(_, task)| task.principal == *whose);
    let oldest = theirs.filter_map(|(key, task)| Some((task.over_since()?, key))).min();
    let Some(key) = oldest.map(|(_, key)| key.clone()) else { return false };
    tasks.remove(&key).is_some()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::super::held::tests::task;
    use super::*;
    use crate::protocol::RawJson;

    #[tokio::test]
    async fn one_principal_cannot_fill_the_table_for_all() {
        let held = Held::default();
        let kept = (0..=MAX_PER_PRINCIPAL).filter(|n| held.keep(&format!("a{n}"), &task("ann"))).count();
        assert_eq!(kept, MAX_PER_PRINCIPAL);
        assert!(held.keep("b", &task("bob")));
        held.find("a0").unwrap().cancel();
        assert!(held.keep("again", &task("ann")));
        let one = held.find("b").unwrap();
        held.clear().await;
        assert!(one.cancelled.is_cancelled() && held.find("b").is_none());
    }

    #[tokio::test]
    async fn who_has_few_finds_room_where_all_tasks_of_others_go_on() {
        let held = Held::default();
        for n in 0..MAX_HELD {
            assert!(held.keep(&n.to_string(), &task(&format!("p{}", n / MAX_PER_PRINCIPAL))));
        }
        let kept = (0..=FEW).filter(|n| held.keep(&format!("b{n}"), &task("bob"))).count();
        assert_eq!(kept, FEW);
    }

    #[tokio::test]
    async fn tasks_that_are_over_give_way_to_those_that_begin() {
        let held = Held::default();
        let goes_on = task("ann");
        assert!(held.keep("goes on", &goes_on));
        for n in 0..2 * MAX_HELD {
            let done = task(&format!("p{}", n / 8));
            assert!(held.keep(&n.to_string(), &done), "{n}");
            done.over(Ok(RawJson::empty_object()));
        }
        assert!(held.find("goes on").is_some());
        assert!(held.find("511").is_some() && held.tasks.lock().len() == MAX_HELD);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_for_long_enough_is_unknown_and_takes_no_room() {
        let held = Held::default();
        assert!(held.keep("a", &task("ann")));
        advance(Duration::from_secs(60)).await;
        assert!(held.find("a").is_none());
        held.make_room();
        assert!(held.tasks.lock().is_empty());
    }

    #[tokio::test]
    async fn results_have_a_bound_together_and_whoever_has_most_loses_the_oldest() {
        let held = Held::default();
        let result = |bytes: usize| Ok(RawJson::of(&"x".repeat(bytes)));
        let keep = |key: &str, whose: &str, bytes: usize| {
            let task = task(whose);
            assert!(held.keep(key, &task));
            task.over(result(bytes));
            held.make_room();
        };
        keep("small", "bob", 1000);
        for n in 0..5 {
            keep(&n.to_string(), "ann", MAX_BYTES / 4 - 1000);
        }
        assert!(held.find("0").is_none() && held.find("1").is_some());
        assert!(held.find("4").is_some() && held.find("small").is_some());
    }
}
