//! What becomes of a panic? It fails the request it happened in, is counted, and nothing else.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;

use super::error::Error;
use crate::protocol::RpcError;
use crate::router::{Event, Exchange};
use crate::telemetry::process;

/// Runs `work`, pinned by the caller so that it need not move; `None` if it panicked.
pub(super) async fn caught<T>(mut work: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    poll_fn(|cx| {
        // After a panic the future is not polled again, so its broken state is never seen.
        catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx).map(Some))).unwrap_or_else(|_| {
            process::panicked();
            Poll::Ready(None)
        })
    })
    .await
}

/// The next event of a routed call, where no status can tell of a panic any more.
pub(super) async fn next_event(exchange: &mut Exchange) -> Event {
    let panicked = || Event::Answer(Err(RpcError::internal(Error::Panicked.to_string()).to_json()));
    caught(pin!(exchange.next())).await.unwrap_or_else(panicked)
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_after_an_await_is_caught() {
        let outcome: Option<()> = caught(pin!(async {
            tokio::task::yield_now().await;
            panic!("expected by this test");
        }))
        .await;
        assert_eq!(outcome, None);
    }
}
