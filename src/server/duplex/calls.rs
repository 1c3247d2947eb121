//! How do calls and subscriptions run beside each other on one stream? Each in a task, because each waits
//! for something else; all of them end with the stream.

use std::sync::Arc;

use bytes::Bytes;

use super::Duplex;
use crate::protocol::{Era, Id, frame, method};
use crate::router::{Event, Exchange, RequestId};
use crate::server::answers::Answering;
use crate::server::caught::next_event;
use crate::server::http::answer_frame;
use crate::server::notices::Notices;
use crate::server::subscription::Subscription;

impl Duplex {
    /// Relays a call's events. After a cancellation nothing is sent for its id.
    pub(super) fn run_call(self: &Arc<Self>, id: Id, era: Era, mut exchange: Exchange) {
        let (duplex, call) = (Arc::clone(self), self.calls.begin(&id));
        self.run(async move {
            while let Some(event) = call.unless_cancelled(next_event(&mut exchange)).await {
                match event {
                    Event::Notification { method, params } => {
                        duplex.outbox.send(frame::notification(&method, params.as_ref())).await;
                    }
                    Event::Question { method, params, answerer } => {
                        duplex.outbox.send(call.ask(&method, params.as_ref(), answerer)).await;
                    }
                    Event::Withdrawn { question, reason } => {
                        if let Some(frame) = call.withdraw(question, reason) {
                            duplex.outbox.send(frame).await;
                        }
                    }
                    Event::Answer(answer) => {
                        // Out of the table first: the client may use the id again once it has the answer.
                        drop(call);
                        return duplex.outbox.send(answer_frame(&id, era, answer)).await;
                    }
                }
            }
        });
    }

    /// Relays what a subscription sends. When the gateway ends it, the client is told twice, as the
    /// specification has it for this transport (MCP 2026-07-28, basic/patterns/cancellation).
    pub(super) fn run_subscription(self: &Arc<Self>, id: &Id, mut subscription: Subscription) {
        let (duplex, call) = (Arc::clone(self), self.calls.begin(id));
        let cancelled = cancelled(id);
        self.run(async move {
            let work = async {
                duplex.outbox.send(subscription.acknowledge().await).await;
                while let Some(Some(frames)) = duplex.ending.run_until_cancelled(subscription.next()).await {
                    for frame in frames {
                        duplex.outbox.send(frame).await;
                    }
                }
            };
            if call.unless_cancelled(work).await.is_some() {
                duplex.outbox.send(cancelled).await;
                duplex.outbox.send(subscription.result()).await;
            }
        });
    }

    /// Sends what the gateway itself answers, once it can.
    pub(super) fn run_answer(self: &Arc<Self>, id: Id, request_id: RequestId, answering: Answering) {
        let (duplex, call) = (Arc::clone(self), self.calls.begin(&id));
        self.run(async move {
            let Some(answer) = call.unless_cancelled(answering).await else { return };
            drop(call);
            match answer {
                Ok(result) => duplex.outbox.send(frame::result(&id, &result)).await,
                Err(error) => duplex.refuse(Some(&id), error, &request_id).await,
            }
        });
    }

    /// Tells an initialized client what changes.
    pub(super) fn run_notifications(self: &Arc<Self>) {
        let Some(session) = self.session.get() else { return };
        let (duplex, mut notices) = (Arc::clone(self), Notices::new(&self.server, &session.updates));
        self.run(async move {
            while let Some(Some(changed)) = duplex.ending.run_until_cancelled(notices.next()).await {
                for frame in notices.frames(&changed) {
                    duplex.outbox.send(frame).await;
                }
            }
        });
    }

    /// Sends the answers of a batch once all are there.
    pub(super) fn run_batch(self: &Arc<Self>, work: impl Future<Output = Option<Bytes>> + Send + 'static) {
        let duplex = Arc::clone(self);
        self.run(async move {
            if let Some(answers) = work.await {
                duplex.outbox.send(answers).await;
            }
        });
    }

    fn run(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.server.spawn(self.running.track_future(work));
    }
}

fn cancelled(id: &Id) -> Bytes {
    let mut params = crate::protocol::Object::new();
    params.set("requestId", id.raw().clone());
    frame::notification(method::CANCELLED, Some(&params.to_json()))
}
