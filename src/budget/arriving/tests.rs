use std::sync::LazyLock;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn budget(steps: usize) -> &'static Budget {
    Box::leak(Box::new(Budget { bodies: LazyLock::new(Bodies::default), ..Budget::new(steps * STEP) }))
}

fn body(budget: &'static Budget, holder: &str) -> Arriving {
    Arriving::within(budget, Holder::Principal(holder.into()))
}

#[tokio::test(start_paused = true)]
async fn what_is_announced_takes_nothing_from_others_and_counts_against_its_holder() {
    let budget = budget(64);
    let mut phantoms = Vec::new();
    for n in 0..5 {
        let mut phantom = body(budget, "ann");
        assert_eq!(phantom.announce(16 * STEP, SECOND).await, n < 4, "{n}");
        phantoms.push(phantom);
    }
    let mut bobs = body(budget, "bob");
    assert!(bobs.announce(64 * STEP, SECOND).await && bobs.grow(64 * STEP, SECOND).await);
    drop(phantoms);
    assert!(body(budget, "ann").announce(64 * STEP, SECOND).await);
}

#[tokio::test(start_paused = true)]
async fn a_half_arrived_body_of_whoever_holds_most_gives_way() {
    let budget = budget(64);
    let (mut small, mut large) = (body(budget, "ann"), body(budget, "ann"));
    assert!(small.announce(32 * STEP, SECOND).await && small.grow(24 * STEP, SECOND).await);
    assert!(large.announce(32 * STEP, SECOND).await && large.grow(31 * STEP, SECOND).await);
    let mut bobs = body(budget, "bob");
    assert!(bobs.announce(16 * STEP, SECOND).await && bobs.grow(9 * STEP, SECOND).await);
    let (grown, ()) = tokio::join!(bobs.grow(16 * STEP, SECOND), async {
        large.given_way().await;
        drop(large);
    });
    assert!(grown && small.grow(24 * STEP, SECOND).await);
    assert!(!small.grow(60 * STEP, SECOND).await, "the others hold less");
}

#[tokio::test(start_paused = true)]
async fn who_holds_little_has_some_room_beyond_the_bound_where_nothing_can_give_way() {
    let budget = budget(64);
    let mut whole = body(budget, "ann");
    assert!(whole.grow(64 * STEP, SECOND).await);
    let whole = whole.finish();
    let mut bobs = body(budget, "bob");
    assert!(bobs.grow(4 * STEP, SECOND).await);
    assert!(!bobs.grow(5 * STEP, SECOND).await, "that is not little any more");
    drop(whole);
    assert!(bobs.grow(5 * STEP, SECOND).await);
}

#[tokio::test(start_paused = true)]
async fn bodies_give_way_to_an_answer_whoever_sends_them() {
    let budget = budget(64);
    let mut anns = body(budget, "ann");
    assert!(anns.grow(64 * STEP, SECOND).await);
    let mut answer = Held { budget, steps: 0, owner: None };
    let (covered, ()) = tokio::join!(answer.cover_within(8 * STEP, SECOND), async {
        anns.given_way().await;
        drop(anns);
    });
    assert!(covered);
}
