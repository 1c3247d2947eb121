//! What becomes of a panic? It fails the request it happened in, is counted, and nothing else.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use crate::server::error::Error;
use crate::telemetry::process;

/// Runs `work`; a panic in it is an error like any other.
pub(super) async fn caught<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        // After a panic the future is not polled again, so its broken state is never seen.
        catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))).unwrap_or_else(|_| {
            process::panicked();
            Poll::Ready(Err(Error::Panicked))
        })
    })
    .await
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_after_an_await_is_an_error() {
        let outcome: Result<(), Error> = caught(async {
            tokio::task::yield_now().await;
            panic!("expected by this test");
        })
        .await;
        assert!(matches!(outcome, Err(Error::Panicked)));
    }
}
