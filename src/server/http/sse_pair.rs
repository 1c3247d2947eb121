//! How is the 2024-11-05 transport served? A GET opens the stream that all answers come on; the first event
//! says where to post messages (MCP 2024-11-05, basic/transports, HTTP with SSE).

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::body::{self, accepts};
use super::endpoint::Context;
use super::events::{EventWriter, Events};
use super::respond::{self, Body, empty};
use super::session_id::new_id;
use crate::resilience::{FairShare, Holder, Share};
use crate::router::Principal;
use crate::server::Server;
use crate::server::duplex::{Duplex, Outgoing, outbox};
use crate::server::error::Error;

/// The open streams, by the id their clients post to.
#[derive(Default)]
pub(in crate::server) struct Pairs {
    open: DashMap<String, (Holder, Arc<Duplex>)>,
}

impl Pairs {
    pub(in crate::server) fn len(&self) -> usize {
        self.open.len()
    }

    /// Ends the sessions of everybody whom `is_known` does not know.
    pub(in crate::server) fn end_unless(&self, is_known: impl Fn(&Principal) -> bool) {
        let gone = self.open.iter().filter(|pair| !is_known(&pair.1.principal));
        gone.for_each(|pair| pair.1.abandon());
    }

    /// Ends a stream of the holder that has most of them, if that is not `holder` itself.
    fn make_room(&self, holder: &Holder) -> bool {
        let mut share = FairShare::new(0);
        self.open.iter().for_each(|pair| share.add(&pair.0, 1));
        let Share::Evict(largest) = share.admit(holder) else { return false };
        let theirs = self.open.iter().find(|pair| pair.0 == largest).map(|pair| pair.key().clone());
        let ended = theirs.and_then(|id| self.open.remove(&id));
        ended.inspect(|(_, (_, duplex))| duplex.abandon()).is_some()
    }
}

/// Opens a stream; the session lives as long as it.
pub(super) fn open(context: &Context) -> Result<Response<Body>, Error> {
    if !accepts(&context.headers, "text/event-stream") {
        return Err(Error::NotAcceptable);
    }
    let server = &context.server;
    let holder = context.holder();
    if server.pairs.len() >= context.policy.limits.sessions && !server.pairs.make_room(&holder) {
        return Err(Error::TooManySessions);
    }
    let (outbox, outgoing) = outbox();
    let duplex =
        Duplex::new(Arc::clone(server), context.principal.clone(), context.request_id.peer(), outbox, "sse");
    let pair = Pair { id: new_id()?, server: Arc::clone(server), duplex: Arc::clone(&duplex) };
    server.pairs.open.insert(pair.id.clone(), (holder, duplex));
    let (keep_alive, drain) = (context.policy.limits.keep_alive, context.policy.drain);
    Ok(respond::notices(Events::produced(|out| pair.write(outgoing, keep_alive, drain, out))))
}

/// Takes a message for an open stream.
pub(super) async fn post(context: Context, incoming: Incoming) -> Result<Response<Body>, Error> {
    let text = body::read(&context, incoming).await?;
    let id = session_id(context.query.as_deref().unwrap_or_default());
    let duplex = context.server.pairs.open.get(id).map(|entry| Arc::clone(&entry.1));
    // Somebody else's session is as unknown as none.
    let duplex =
        duplex.filter(|duplex| duplex.principal == context.principal).ok_or(Error::UnknownSession)?;
    duplex.receive(text).await;
    Ok(empty(StatusCode::ACCEPTED))
}

fn session_id(query: &str) -> &str {
    query.split('&').find_map(|pair| pair.strip_prefix("session_id=")).unwrap_or_default()
}

/// An open stream; dropping it ends its session and cancels its calls.
struct Pair {
    id: String,
    server: Arc<Server>,
    duplex: Arc<Duplex>,
}

impl Pair {
    async fn write(self, mut outgoing: Outgoing, keep_alive: Duration, drain: Duration, out: EventWriter) {
        let endpoint = format!("/messages?session_id={}", self.id);
        out.event(Some("endpoint"), endpoint.as_bytes()).await;
        let mut draining = std::pin::pin!(self.drain(drain));
        let mut is_drained = false;
        loop {
            let next = tokio::select! {
                () = &mut draining, if !is_drained => {
                    is_drained = true;
                    continue;
                }
                next = timeout(keep_alive, outgoing.next()) => next,
            };
            match next {
                Ok(Some(frame)) => out.event(Some("message"), &frame).await,
                Ok(None) => return,
                Err(_) => out.comment().await,
            }
        }
    }

    /// Once the gateway stops, waits for the calls in flight; the queue ends after their answers.
    async fn drain(&self, patience: Duration) {
        self.server.shutdown.cancelled().await;
        self.duplex.finish(patience).await;
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.server.pairs.open.remove(&self.id);
        self.duplex.abandon();
    }
}

#[cfg(test)]
mod tests {
    use super::session_id;

    #[test]
    fn the_session_is_found_among_other_parameters() {
        assert_eq!(session_id("a=1&session_id=xyz&b=2"), "xyz");
        assert_eq!(session_id("xsession_id=xyz"), "");
    }
}
