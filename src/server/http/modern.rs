//! How is a stateless request answered over HTTP?

use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use tokio::time::timeout;

use super::body::accepts;
use super::endpoint::Context;
use super::events::{EventWriter, Events};
use super::mirrored;
use super::relay::Relay;
use super::respond::{self, Body, json};
use crate::protocol::{Era, Id, RawJson, RequestMeta, Routed, RpcError, frame, mirrored_name};
use crate::server::answers::Work;
use crate::server::error::{Error, status_of};
use crate::server::modern;
use crate::server::subscription::Subscription;

/// Answers one request: headers against body, what the request must say, then what it asks for.
pub(super) async fn answer(
    context: &Context,
    id: &Id,
    method: &str,
    params: Option<RawJson>,
    meta: &RequestMeta,
) -> Result<Response<Body>, Error> {
    let claimed =
        mirrored::version(&context.headers, meta.protocol_version.as_deref()).map_err(Error::invalid)?;
    let caller =
        modern::check(meta, claimed, &context.principal, &context.request_id).map_err(Error::invalid)?;
    check_headers(context, method, params.as_ref()).map_err(Error::invalid)?;
    let work = modern::begin(&context.server, caller, id, method, params)
        .map_err(|error| Error::Rpc(status_of(error.code), error))?;
    let keep_alive = context.policy.limits.keep_alive;
    match work {
        Work::Ready(result) => Ok(json(StatusCode::OK, frame::result_pieces(id, result))),
        Work::Later(answering) => {
            let answer = answering.await.map_err(|error| Error::Rpc(status_of(error.code), error));
            answer.map(|result| json(StatusCode::OK, frame::result_pieces(id, result)))
        }
        Work::Routed(exchange) => {
            let relay =
                Relay { exchange, id: id.clone(), era: Era::Modern, session: None, call: None, keep_alive };
            Ok(relay.respond(&context.server, accepts(&context.headers, "text/event-stream")).await)
        }
        Work::Subscription(subscription) => {
            let (server, principal) = (Arc::clone(&context.server), context.principal.clone());
            let stopped = async move {
                tokio::select! {
                    () = server.shutdown.cancelled() => {}
                    () = server.dismissed(&principal) => {}
                }
            };
            Ok(respond::notices(Events::produced(|out| listen(*subscription, keep_alive, stopped, out))))
        }
    }
}

/// Compares the headers of a request with its body, and those of a tool call with its arguments.
fn check_headers(context: &Context, method: &str, params: Option<&RawJson>) -> Result<(), RpcError> {
    let name = mirrored_name(method, params);
    mirrored::check(&context.headers, method, name.as_deref())?;
    let tool = name.filter(|_| method == Routed::CallTool.method());
    let expected = tool.map(|tool| context.server.router.param_headers(&tool)).unwrap_or_default();
    mirrored::check_arguments(&context.headers, &expected, params)
}

/// Writes a subscription's messages until it is stopped; its result comes last.
async fn listen(
    mut subscription: Subscription,
    keep_alive: Duration,
    stopped: impl Future<Output = ()>,
    out: EventWriter,
) {
    let mut stopped = std::pin::pin!(stopped);
    out.message(&subscription.acknowledge().await).await;
    loop {
        let next = tokio::select! {
            () = &mut stopped => break,
            next = timeout(keep_alive, subscription.next()) => next,
        };
        match next {
            Ok(Some(frames)) if !frames.is_empty() => {
                for frame in frames {
                    out.message(&frame).await;
                }
            }
            Ok(None) => break,
            // A change not asked for is a sign of life: the wait for silence begins anew with it.
            Ok(Some(_)) | Err(_) => out.comment().await,
        }
    }
    out.message(&subscription.result()).await;
}
