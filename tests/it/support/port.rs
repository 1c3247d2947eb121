//! Where does a backend listen, so that nobody else is given its port once it has gone?

use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::net::TcpListener;

/// Below what systems draw from when any port will do, for those who connect too; each is used once in this process.
const FIRST: u16 = 15_000;
const COUNT: u16 = 15_000;

/// Listens on a port that refuses connections, and goes on to do so, when this is dropped.
pub(crate) async fn listener() -> TcpListener {
    static DRAWN: AtomicU16 = AtomicU16::new(0);
    // Processes that run at the same time begin apart from each other.
    let begin = u16::try_from(process::id() % 60).unwrap() * 250;
    loop {
        let port = FIRST + begin.wrapping_add(DRAWN.fetch_add(1, Ordering::Relaxed)) % COUNT;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)).await {
            return listener;
        }
    }
}
