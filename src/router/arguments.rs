//! Where are a call's arguments checked against its tool's schema?
//!
//! Small ones where the call is; large ones, and the first of a large schema, on a thread of their own: the one that
//! serves the call serves other clients too. Few of those run at a time, because each may take memory and processor.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::backend::{Failure, FailureKind, Sent};
use crate::resilience::{Bulkhead, ConcurrencySettings};

use super::driver::Driver;
use super::failure::CallFailure;
use super::target::Target;

/// Checks that have a thread of their own, and the queue for it: the principal that has fewest is next.
static CHECKS: LazyLock<Bulkhead> = LazyLock::new(places);
/// So many at a time.
const MAX_CHECKS: u32 = 2;
/// So many wait; then the principal with most of them gives way.
const MAX_QUEUE: usize = 1_000;
/// For such a check to begin and to end.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

impl Driver {
    /// Checks the arguments of a call, if the operator wants that for its tool.
    pub(super) async fn check_arguments(&self, target: &Target) -> Result<(), Box<CallFailure>> {
        let Some(tool) = target.tool.as_ref().filter(|tool| tool.validate) else { return Ok(()) };
        let arguments = target.params.get("arguments");
        let checked = match tool.is_cheap_to_check(arguments) {
            true => Some(tool.check_arguments(arguments)),
            false => {
                let (tool, arguments) = (Arc::clone(tool), arguments.cloned());
                let check = move || tool.check_arguments(arguments.as_ref());
                check_aside(&CHECKS, &self.inbound.caller.principal.shared_name(), check).await
            }
        };
        let Some(fits) = checked else {
            let message = "other large arguments are being checked against their tools' schemas";
            let failure = Failure::new(FailureKind::Busy, Sent::No, message);
            return Err(Box::new(self.failure(&failure, target)));
        };
        fits.map_err(|problems| {
            let route = &target.route;
            Box::new(CallFailure::of_arguments(&problems, &self.inbound, &route.qualified, &route.backend))
        })
    }
}

fn places() -> Bulkhead {
    let settings = ConcurrencySettings { in_flight: MAX_CHECKS, queue_wait: CHECK_TIMEOUT };
    Bulkhead::with_queue(&settings, MAX_QUEUE)
}

/// `None` if it takes too long. A check that goes on after that still has its place, so that there are never more.
async fn check_aside<T: Send + 'static>(
    checks: &Bulkhead,
    holder: &Arc<str>,
    check: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let checking = async {
        let place = checks.enter(holder).await.ok()?;
        let check = spawn_blocking(move || {
            let _place = place;
            check()
        });
        check.await.ok()
    };
    timeout(CHECK_TIMEOUT, checking).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[tokio::test]
    async fn large_arguments_of_one_principal_do_not_keep_out_those_of_another() {
        let checks = Arc::new(places());
        let (began, mut order) = tokio::sync::mpsc::channel(64);
        let begin = |holder: &'static str| {
            let (checks, began) = (Arc::clone(&checks), began.clone());
            let (end, ended) = sync_channel::<()>(1);
            tokio::spawn(async move {
                let check = move || {
                    let _ = began.blocking_send(holder);
                    // Until the other end is dropped.
                    let _ = ended.recv();
                };
                check_aside(&checks, &holder.into(), check).await
            });
            end
        };
        let mut anns: Vec<_> = (0..20).map(|_| begin("ann")).collect();
        assert_eq!((order.recv().await, order.recv().await), (Some("ann"), Some("ann")));
        let _bobs = begin("bob");
        tokio::task::yield_now().await;
        // The tasks run in the order of their start.
        drop(anns.swap_remove(0));
        assert_eq!(order.recv().await, Some("bob"));
    }
}
