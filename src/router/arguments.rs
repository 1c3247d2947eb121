//! Where are a call's arguments checked against its tool's schema?
//!
//! Small ones where the call is; large ones, and the first of a large schema, on a thread of their own: the one that
//! serves the call serves other clients too. Few of those run at a time, because each may take memory and processor.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::backend::{Failure, FailureKind, Sent};
use crate::catalog::ToolEntry;
use crate::protocol::RawJson;

use super::driver::Driver;
use super::failure::CallFailure;
use super::target::Target;

/// Checks that have a thread of their own at a time.
static CHECKS: Semaphore = Semaphore::const_new(2);
/// For such a check to begin and to end.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

impl Driver {
    /// Checks the arguments of a call, if the operator wants that for its tool.
    pub(super) async fn check_arguments(&self, target: &Target) -> Result<(), Box<CallFailure>> {
        let Some(tool) = target.tool.as_ref().filter(|tool| tool.validate) else { return Ok(()) };
        let arguments = target.params.get("arguments");
        let checked = match tool.is_cheap_to_check(arguments) {
            true => Some(tool.check_arguments(arguments)),
            false => check_aside(Arc::clone(tool), arguments.cloned()).await,
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

/// `None` if it takes too long. A check that goes on after that still has its place, so that there are never more.
async fn check_aside(tool: Arc<ToolEntry>, arguments: Option<RawJson>) -> Option<Result<(), Vec<String>>> {
    let checking = async {
        let place = CHECKS.acquire().await.ok()?;
        let check = spawn_blocking(move || {
            let _place = place;
            tool.check_arguments(arguments.as_ref())
        });
        check.await.ok()
    };
    timeout(CHECK_TIMEOUT, checking).await.ok().flatten()
}
