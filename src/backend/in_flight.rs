//! Which calls on a pipe wait for an answer, and which of them is a message about?

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::protocol::{Id, RawJson, is_vendor_notification, meta_key, method};

use super::call_ref::CallRef;
use super::wire::WireEvent;

/// The calls in flight, by the ids of their requests.
#[derive(Debug)]
pub(super) struct InFlight {
    /// `None` once the connection is lost: no call may register after the others were told.
    calls: Mutex<Option<HashMap<u64, Entry>>>,
}

impl Default for InFlight {
    fn default() -> Self {
        Self { calls: Mutex::new(Some(HashMap::new())) }
    }
}

/// One call, and the way to whoever waits for it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) events: mpsc::Sender<WireEvent>,
    pub(super) call: CallRef,
    pub(super) method: &'static str,
}

impl Entry {
    /// Hands an event over unless the call lags; the last place is kept for its answer.
    fn offer(&self, event: WireEvent) -> bool {
        self.events.capacity() > 1 && self.events.try_send(event).is_ok()
    }

    /// Hands the last event over, for which `offer` keeps a place free.
    pub(super) fn finish(self, event: WireEvent) {
        let _ = self.events.try_send(event);
    }
}

impl InFlight {
    /// Enters a call; `false` once the connection is lost.
    #[must_use]
    pub(super) fn register(&self, id: u64, entry: Entry) -> bool {
        self.calls.lock().as_mut().map(|calls| calls.insert(id, entry)).is_some()
    }

    pub(super) fn take(&self, id: u64) -> Option<Entry> {
        self.calls.lock().as_mut()?.remove(&id)
    }

    /// Takes the one request in flight, if there is just one; an open subscription is none.
    pub(super) fn take_only(&self) -> Option<Entry> {
        let mut calls = self.calls.lock();
        let calls = calls.as_mut()?;
        let mut waiting = calls.iter().filter(|(_, entry)| entry.method != method::LISTEN);
        let id = *waiting.next().filter(|_| waiting.next().is_none())?.0;
        calls.remove(&id)
    }

    /// Takes all calls; none can register any more.
    pub(super) fn close(&self) -> impl Iterator<Item = Entry> {
        self.calls.lock().take().into_iter().flat_map(HashMap::into_values)
    }

    /// Hands a notification to the call it belongs to, or gives it back if it belongs to none.
    pub(super) fn notify(
        &self,
        name: String,
        params: Option<RawJson>,
    ) -> Result<(), (String, Option<RawJson>)> {
        let calls = self.calls.lock();
        let Some(entry) = calls.as_ref().and_then(|calls| owner(calls, &name, params.as_ref())) else {
            return Err((name, params));
        };
        entry.offer(WireEvent::Notification { method: name, params });
        Ok(())
    }

    /// Hands a question to the one call it can be about; `false` if there is no such call, or it lags.
    pub(super) fn ask(&self, question: WireEvent) -> bool {
        self.calls.lock().as_ref().and_then(only_asking).is_some_and(|entry| entry.offer(question))
    }

    pub(super) fn is_subscription(&self, id: u64) -> bool {
        let calls = self.calls.lock();
        let entry = calls.as_ref().and_then(|calls| calls.get(&id));
        entry.is_some_and(|entry| entry.method == method::LISTEN)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.calls.lock().as_ref().map_or(0, HashMap::len)
    }
}

/// The call a notification belongs to: by its progress token, which is the request's id, or by its
/// subscription; a log message names no request, so it has an owner only while a single call is in flight.
fn owner<'a>(calls: &'a HashMap<u64, Entry>, name: &str, params: Option<&RawJson>) -> Option<&'a Entry> {
    match name {
        method::PROGRESS => {
            let token = params?.get(meta_key::PROGRESS_TOKEN)?;
            calls.get(&Id::new(token)?.as_number()?)
        }
        method::MESSAGE => only_call(calls),
        // Of a question that the backend gives up.
        method::CANCELLED => only_asking(calls),
        method::ACKNOWLEDGED => {
            let subscription = params?.get("_meta")?.get(meta_key::SUBSCRIPTION_ID)?;
            calls.get(&Id::new(subscription)?.as_number()?)
        }
        name if is_vendor_notification(name) => only_call(calls),
        _ => None,
    }
}

/// The one call in flight, if there is just one; an open subscription is none, nor is what the gateway asks.
fn only_call(calls: &HashMap<u64, Entry>) -> Option<&Entry> {
    only(calls, |name| !matches!(name, method::LISTEN | method::SET_LEVEL))
}

/// The same for a question: nothing is asked about what the gateway subscribes to beside the call.
fn only_asking(calls: &HashMap<u64, Entry>) -> Option<&Entry> {
    use method::{LISTEN, SET_LEVEL, SUBSCRIBE, UNSUBSCRIBE};
    only(calls, |name| !matches!(name, LISTEN | SET_LEVEL | SUBSCRIBE | UNSUBSCRIBE))
}

fn only(calls: &HashMap<u64, Entry>, is_call: impl Fn(&str) -> bool) -> Option<&Entry> {
    let mut calls = calls.values().filter(|entry| is_call(entry.method));
    calls.next().filter(|_| calls.next().is_none())
}
