//! A backend that sends without end what makes the gateway do something.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

use crate::support::message::notification;
use crate::support::{Answer, Client, RawBackend, Speaks, Yard, eventually};

const TOOLS: &str = r#"[{"name":"echo","inputSchema":{"type":"object"}}]"#;

/// Counts what is under way, and the most there was at a time.
#[derive(Default)]
struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
}

struct Counted(Arc<Gauge>);

impl Gauge {
    fn enter(self: &Arc<Self>) -> Counted {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        Counted(Arc::clone(self))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A legacy backend that writes `message` on its stream without end and takes the answers without a response.
async fn flooding(message: &'static str, posts: Arc<Gauge>) -> RawBackend {
    RawBackend::start(Speaks::Legacy, TOOLS, move |asked| {
        if asked.verb == http::Method::GET {
            let (events, stream) = mpsc::channel(64);
            tokio::spawn(async move { while events.send(message.to_owned()).await.is_ok() {} });
            return Some(Answer::Events(stream));
        }
        let is_answer = asked.message.result.is_some() || asked.message.error.is_some();
        is_answer.then(|| {
            let counted = posts.enter();
            Answer::later(async move {
                let _counted = counted;
                std::future::pending().await
            })
        })
    })
    .await
}

#[tokio::test]
async fn requests_without_end_end_the_connection_and_take_few_others() {
    for method in ["ping", "sampling/createMessage"] {
        let message = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
        let posts = Arc::new(Gauge::default());
        let evil = flooding(message.leak(), Arc::clone(&posts)).await;
        let other = RawBackend::start(Speaks::Legacy, TOOLS, |_| None).await;
        let yard = Yard::of(&(evil.entry("evil") + &other.entry("other"))).await;
        let client = Client::modern(&yard.url);
        let reason = eventually("the end of the connection", async || {
            assert!(client.call("other__echo", "{}").await.result_value()["isError"].is_null());
            yard.backend("evil").snapshot.last_error.filter(|reason| reason.contains("the backend "))
        })
        .await;
        assert!(reason.contains("requests of its own") || reason.contains("take the answers"), "{reason}");
        let most = posts.most.load(Ordering::SeqCst);
        assert!((1..=4).contains(&most), "{most} answers were under way at a time");
    }
}

#[tokio::test]
async fn garbage_without_end_ends_the_connection() {
    let evil = flooding("no message", Arc::default()).await;
    let yard = Yard::of(&evil.entry("evil")).await;
    eventually("the end of the connection", async || {
        let reason = yard.backend("evil").snapshot.last_error?;
        reason.contains("what is no MCP message").then_some(())
    })
    .await;
}

#[tokio::test]
async fn list_changes_without_end_are_looked_at_now_and_then() {
    let (message, began) =
        (notification("notifications/tools/list_changed", "{}"), std::time::Instant::now());
    let chatty = flooding(message.leak(), Arc::default()).await;
    let yard = Yard::of(&chatty.entry("chatty")).await;
    let client = Client::modern(&yard.url);
    eventually("a second look", async || (chatty.asked("tools/list").len() > 1).then_some(())).await;
    for _ in 0..3 {
        assert!(client.call("chatty__echo", "{}").await.result_value()["isError"].is_null());
    }
    // Five at once and one in two seconds after that; a call may have the lists looked at too.
    let most = 12 + usize::try_from(began.elapsed().as_secs()).unwrap();
    assert!(chatty.asked("tools/list").len() <= most, "{} looks", chatty.asked("tools/list").len());
}
