//! How does a test wait? For a condition, never for a time.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// Generous: it is only ever reached by a test that fails.
const DEADLINE: Duration = Duration::from_secs(20);
const BETWEEN: Duration = Duration::from_millis(5);

/// Asks until there is an answer.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(Instant::now() < deadline, "never came true: {what}");
        sleep(BETWEEN).await;
    }
}

/// Awaits what must come.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("never came: {what}"))
}
