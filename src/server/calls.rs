//! Which calls of a client are running, so that it can cancel one and their end can cancel all, and what
//! was the client asked meanwhile?

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::protocol::{Id, Object, RawJson, Response, error_object, frame, meta_key, method};
use crate::router::Answerer;

/// The calls of one session.
pub(super) struct Calls {
    running: Mutex<HashMap<u64, (Id, CancellationToken)>>,
    serial: AtomicU64,
    /// Questions to the client, by the ids of their requests.
    asked: Mutex<HashMap<u64, Asked>>,
    ended: CancellationToken,
}

/// A question that the client has not answered.
struct Asked {
    /// The call it is asked for.
    call: u64,
    /// The backend's progress token, if it wants progress; the client is given the id instead.
    token: Option<RawJson>,
    answerer: Answerer,
}

impl Calls {
    pub(super) fn new() -> Arc<Self> {
        Self::numbered_from(0)
    }

    /// Of a session that is taken over: the client may still answer what it was asked before.
    pub(super) fn numbered_from(first: u64) -> Arc<Self> {
        Arc::new(Self {
            running: Mutex::default(),
            serial: AtomicU64::new(first),
            asked: Mutex::default(),
            ended: CancellationToken::new(),
        })
    }

    /// Enters a call; it counts as running for as long as the guard lives. A client that gives two
    /// running calls one id cancels both with it.
    pub(super) fn begin(self: &Arc<Self>, id: &Id) -> Call {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let cancelled = self.ended.child_token();
        self.running.lock().insert(serial, (id.clone(), cancelled.clone()));
        Call { calls: Arc::clone(self), serial, cancelled }
    }

    /// Whether a call with this id is running.
    pub(super) fn contains(&self, id: &Id) -> bool {
        self.running.lock().values().any(|(running, _)| running == id)
    }

    /// Cancels what a `notifications/cancelled` names; nothing, if it is over already.
    pub(super) fn cancel(&self, params: Option<&RawJson>) {
        let Some(id) = params.and_then(|params| params.get("requestId")).and_then(Id::new) else { return };
        let running = self.running.lock();
        // An id of the same spelling comes first: a client may give `1` and `"1"` to two calls.
        let is_spelt_so = running.values().any(|(running, _)| *running == id);
        for (running, cancelled) in running.values() {
            if *running == id || (!is_spelt_so && running.means(&id)) {
                cancelled.cancel();
            }
        }
    }

    /// Takes the client's answer to a question; one that was never asked, or is over, means nothing.
    pub(super) fn answer(&self, response: Response) {
        let id = response.id.as_ref().and_then(Id::as_number);
        let asked = id.and_then(|id| self.asked.lock().remove(&id));
        if let Some(asked) = asked {
            asked.answerer.answer(response.outcome.map_err(error_object));
        }
    }

    /// Takes a `notifications/progress` of the client, which is about a question.
    pub(super) fn progress(&self, params: Option<&RawJson>) {
        let token = params.and_then(|params| params.get(meta_key::PROGRESS_TOKEN));
        let id = token.and_then(Id::new).and_then(|token| token.as_number());
        let all = self.asked.lock();
        let asked = id.and_then(|id| all.get(&id));
        let named = asked.and_then(|asked| params?.with(meta_key::PROGRESS_TOKEN, asked.token.as_ref()?));
        if let Some((asked, params)) = asked.zip(named) {
            asked.answerer.progress(params);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.running.lock().len()
    }

    /// Cancels every call, also those that begin later.
    pub(super) fn end(&self) {
        self.ended.cancel();
    }

    /// Returns once [`Calls::end`] was called.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

/// A running call.
pub(super) struct Call {
    calls: Arc<Calls>,
    serial: u64,
    cancelled: CancellationToken,
}

impl Call {
    /// The message that puts a question to the client; its answer comes through [`Calls::answer`].
    pub(super) fn ask(&self, name: &str, params: Option<&RawJson>, answerer: Answerer) -> Bytes {
        let id = self.calls.serial.fetch_add(1, Ordering::Relaxed);
        let (token, named) = params.and_then(|params| with_token(params, id)).unzip();
        self.calls.asked.lock().insert(id, Asked { call: self.serial, token, answerer });
        frame::request(&Id::number(id), name, named.as_ref().or(params))
    }

    /// The message that takes a question back; none if it was answered.
    pub(super) fn withdraw(&self, question: u64, reason: Option<RawJson>) -> Option<Bytes> {
        let mut all = self.calls.asked.lock();
        let is_meant = |asked: &Asked| asked.call == self.serial && asked.answerer.key() == question;
        let id = *all.iter().find(|(_, asked)| is_meant(asked))?.0;
        all.remove(&id);
        let mut params = Object::new();
        params.set("requestId", Id::number(id).raw().clone());
        if let Some(reason) = reason {
            params.set("reason", reason);
        }
        Some(frame::notification(method::CANCELLED, Some(&params.to_json())))
    }

    /// Runs `work` unless the call is cancelled; then `None`.
    pub(super) async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.cancelled.run_until_cancelled(work).await
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.calls.running.lock().remove(&self.serial);
        self.calls.asked.lock().retain(|_, asked| asked.call != self.serial);
    }
}

/// The progress token of a question's `params`, and these with the id of the question for a token: tokens of two backends
/// may be alike.
fn with_token(params: &RawJson, id: u64) -> Option<(RawJson, RawJson)> {
    let meta = params.get("_meta")?;
    let token = meta.get(meta_key::PROGRESS_TOKEN)?;
    let meta = meta.with(meta_key::PROGRESS_TOKEN, Id::number(id).raw())?;
    Some((token, params.with("_meta", &meta)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn named(id: &Id) -> RawJson {
        RawJson::parse(format!("{{\"requestId\":{}}}", id.raw().as_str()).into()).unwrap()
    }

    #[tokio::test]
    async fn a_cancellation_reaches_the_call_it_names_and_no_other() {
        let calls = Calls::new();
        let (one, two) = (calls.begin(&Id::number(1)), calls.begin(&Id::number(2)));
        let three = calls.begin(&Id::number(3));
        calls.cancel(Some(&named(&Id::number(1))));
        calls.cancel(Some(&RawJson::parse(r#"{"requestId":"3"}"#.into()).unwrap()));
        assert_eq!(three.unless_cancelled(std::future::pending::<()>()).await, None);
        assert_eq!(one.unless_cancelled(std::future::pending::<()>()).await, None);
        assert_eq!(two.unless_cancelled(std::future::ready(7)).await, Some(7));
    }

    #[tokio::test]
    async fn the_end_of_a_session_cancels_calls_that_begin_later_too() {
        let calls = Calls::new();
        calls.end();
        assert_eq!(calls.begin(&Id::number(1)).unless_cancelled(std::future::pending::<()>()).await, None);
    }

    #[test]
    fn a_call_that_is_over_leaves_no_entry() {
        let calls = Calls::new();
        drop(calls.begin(&Id::number(1)));
        assert_eq!(calls.len(), 0);
        assert!(!calls.contains(&Id::number(1)));
    }
}
