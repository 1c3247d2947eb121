//! A scripted server of HTTP+SSE.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc::{self, Sender};

use super::{INITIALIZED, TOOLS, UNKNOWN};
use crate::support::message::{error, result};
use crate::support::{Answer, Asked, RawBackend, Speaks};

/// The streams that were opened so far, by what is written to them.
pub(super) type Streams = Arc<Mutex<Vec<Sender<String>>>>;

/// A server whose stream names `endpoint` (`{}` stands for its number), and that asks `script` first.
pub(super) async fn start(
    endpoint: &'static str,
    script: impl Fn(&Asked, &Streams) -> Option<Answer> + Send + Sync + 'static,
) -> RawBackend {
    let streams = Streams::default();
    RawBackend::start(Speaks::Legacy, TOOLS, move |asked| {
        let scripted = script(asked, &streams);
        if scripted.is_some() {
            return scripted;
        }
        if asked.verb == http::Method::GET {
            return Some(open(endpoint, &streams));
        }
        let stream = streams.lock().last().unwrap().clone();
        if let Some(id) = asked.message.id.as_deref() {
            let _ =
                stream.try_send(format!("event: message\ndata: {}\n\n", answer(&asked.message.method, id)));
        }
        Some(Answer::Http(202, "Accepted".to_owned()))
    })
    .await
}

/// Opens another stream.
pub(super) fn open(endpoint: &str, streams: &Streams) -> Answer {
    let (sender, stream) = mpsc::channel(64);
    let mut streams = streams.lock();
    let endpoint = endpoint.replace("{}", &streams.len().to_string());
    sender.try_send(format!("event: endpoint\ndata: {endpoint}\n\n")).unwrap();
    streams.push(sender);
    Answer::Stream(stream)
}

fn answer(method: &str, id: &str) -> String {
    match method {
        "initialize" => result(id, INITIALIZED),
        "tools/list" => result(id, &format!(r#"{{"tools":{TOOLS}}}"#)),
        "tools/call" => result(id, r#"{"content":[]}"#),
        _ => error(id, UNKNOWN),
    }
}

/// A line of configuration for it.
pub(super) fn entry(backend: &RawBackend) -> String {
    format!("  raw: {{ url: \"{}/sse\", type: sse }}\n", backend.origin())
}
