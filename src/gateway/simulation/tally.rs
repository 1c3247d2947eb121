//! What did clients and servers see, and may it be so?

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;

/// How a call ended for its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// With the backend's answer.
    Answered,
    /// Without, and the call may have run.
    MayHaveRun(String),
    /// Without, and the client is told nothing of its having run.
    NotRun(String),
    /// The client gave up.
    GivenUp,
}

/// One call, by its number.
#[derive(Debug, Default)]
struct Entry {
    /// How often a server began to work on it.
    runs: u32,
    may_run_twice: bool,
    endings: Vec<(Ending, Duration)>,
}

#[derive(Default)]
pub(super) struct Tally {
    calls: Mutex<BTreeMap<u64, Entry>>,
    wrong: Mutex<Vec<String>>,
}

/// Longest time any call may take: its hard limit, and twice the waits before it is sent.
const LONGEST: Duration = super::TOTAL.saturating_add(Duration::from_millis(800));

impl Tally {
    pub(super) fn called(&self, number: u64, may_run_twice: bool) {
        self.calls.lock().insert(number, Entry { may_run_twice, ..Entry::default() });
    }

    pub(super) fn ran(&self, number: u64) {
        self.calls.lock().entry(number).or_default().runs += 1;
    }

    pub(super) fn ended(&self, number: u64, ending: Ending, after: Duration) {
        self.calls.lock().entry(number).or_default().endings.push((ending, after));
    }

    /// Something that must never be.
    pub(super) fn wrong(&self, what: String) {
        self.wrong.lock().push(what);
    }

    pub(super) fn must_have_succeeded(&self, number: u64) -> Result<(), String> {
        let calls = self.calls.lock();
        match calls.get(&number).map(|call| call.endings.as_slice()) {
            Some([(Ending::Answered, _)]) => Ok(()),
            other => Err(format!("all are well, and call {number} ended with {other:?}")),
        }
    }

    pub(super) fn verify(&self) -> Result<(), String> {
        if let Some(wrong) = self.wrong.lock().first() {
            return Err(wrong.clone());
        }
        self.calls.lock().iter().try_for_each(|(number, call)| {
            call.verify().map_err(|wrong| format!("call {number} {wrong}: {call:?}"))
        })
    }
}

impl Entry {
    fn verify(&self) -> Result<(), &'static str> {
        let [(ending, after)] = self.endings.as_slice() else { return Err("did not end once") };
        if self.runs > 1 + u32::from(self.may_run_twice) {
            return Err("ran too often");
        }
        if *after > LONGEST {
            return Err("took too long");
        }
        match ending {
            Ending::Answered if self.runs == 0 => Err("was answered and never ran"),
            Ending::NotRun(_) if self.runs > 0 => Err("ran, and its client was told that it did not"),
            _ => Ok(()),
        }
    }
}
