//! How is a batch answered, as MCP 2025-03-26 has them?

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::task::JoinSet;

use super::answers::{Answering, Work};
use super::calls::Call;
use super::caught::next_event;
use super::session::Session;
use super::{Server, legacy};
use crate::budget::sent;
use crate::protocol::{Id, Malformed, Message, RawJson, RequestMeta, RpcError, frame};
use crate::router::{Event, Exchange, RequestId};

/// More messages than anybody sends together, few enough to run at once.
const LONGEST: usize = 100;

/// The answers of a batch as one array; none if nothing in it wants one. Its calls run side by side and
/// their notifications are left out, because an array has no place for them.
///
/// # Errors
/// −32600 for more messages than can run at once.
pub(super) fn answer<S>(
    server: Arc<Server>,
    session: Arc<S>,
    items: Vec<Result<Message, Box<Malformed>>>,
) -> Result<impl Future<Output = Option<Bytes>> + Send, RpcError>
where
    S: AsRef<Session> + Send + Sync + 'static,
{
    if items.len() > LONGEST {
        return Err(RpcError::invalid_request(format!("the batch has more than {LONGEST} messages")));
    }
    Ok(async move {
        let mut answers = Vec::new();
        let mut running = JoinSet::new();
        for item in items {
            match begin(&server, (*session).as_ref(), item) {
                Begun::Answered(text) => answers.push(text),
                Begun::Running(id, call, exchange) => {
                    running.spawn(finish(id, call, exchange));
                }
                Begun::Later(id, request_id, answering) => {
                    running.spawn(async move { Some(later(&id, &request_id, answering).await) });
                }
                Begun::Silent => {}
            }
        }
        answers.extend(running.join_all().await.into_iter().flatten());
        (!answers.is_empty()).then(|| array(&answers))
    })
}

/// What one message of a batch comes to.
enum Begun {
    Answered(Bytes),
    Running(Id, Call, Exchange),
    Later(Id, RequestId, Answering),
    Silent,
}

fn begin(server: &Arc<Server>, session: &Session, item: Result<Message, Box<Malformed>>) -> Begun {
    let (id, name, params) = match item {
        Ok(Message::Request { id, method, params }) => (id, method, params),
        Ok(Message::Notification { method, params }) => {
            legacy::notice(session, &method, params.as_ref());
            return Begun::Silent;
        }
        Ok(Message::Response(response)) => {
            session.calls.answer(response);
            return Begun::Silent;
        }
        Err(malformed) => {
            return Begun::Answered(frame::error(malformed.id.as_ref(), &malformed.error.to_json()));
        }
    };
    let request_id = server.request_ids.draw();
    let meta = RequestMeta::of(params.as_ref());
    match legacy::begin(server, session, &request_id, &name, params, meta) {
        Ok(Work::Ready(result)) => Begun::Answered(frame::result(&id, result)),
        Ok(Work::Later(answering)) => Begun::Later(id, request_id, answering),
        Ok(Work::Routed(exchange)) => {
            let call = session.calls.begin(&id);
            Begun::Running(id, call, exchange)
        }
        Ok(Work::Subscription(_)) => refused(&id, RpcError::method_not_found(&name), &request_id),
        Err(error) => refused(&id, error, &request_id),
    }
}

fn refused(id: &Id, error: RpcError, request_id: &RequestId) -> Begun {
    Begun::Answered(refusal(id, error, request_id))
}

fn refusal(id: &Id, error: RpcError, request_id: &RequestId) -> Bytes {
    frame::error(Some(id), &error.with("request_id", request_id.to_string()).to_json())
}

async fn later(id: &Id, request_id: &RequestId, answering: Answering) -> Bytes {
    match answering.await {
        Ok(result) => frame::result(id, &result),
        Err(error) => refusal(id, error, request_id),
    }
}

async fn finish(id: Id, call: Call, mut exchange: Exchange) -> Option<Bytes> {
    loop {
        if let Event::Answer(answer) = call.unless_cancelled(next_event(&mut exchange)).await? {
            return Some(sent(
                answer.map_or_else(|e| frame::error(Some(&id), &e), |r: RawJson| frame::result(&id, &r)),
            ));
        }
    }
}

fn array(answers: &[Bytes]) -> Bytes {
    let mut text = BytesMut::with_capacity(answers.iter().map(|answer| answer.len() + 1).sum::<usize>() + 2);
    for (position, answer) in answers.iter().enumerate() {
        text.put_u8(if position == 0 { b'[' } else { b',' });
        text.put_slice(answer);
    }
    text.put_u8(b']');
    sent(text.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_become_one_array() {
        assert_eq!(array(&[Bytes::from_static(b"1"), Bytes::from_static(b"2")]), "[1,2]");
    }
}
