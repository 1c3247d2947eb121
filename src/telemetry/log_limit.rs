//! Which lines are written about something that a backend or a client can make happen without end?
//!
//! The first few occurrences in an interval are logged in full, the rest are counted, and one summary line says how
//! many there were. What is bounded: lines for each subject, subjects for each kind, and kinds are constants.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::process;

/// After the first line about a subject, how long its further ones are bounded and counted.
const INTERVAL: Duration = Duration::from_secs(30);
/// Subjects of a kind that are told apart at a time; any further ones share their bound.
const MAX_SUBJECTS: usize = 64;
/// The subject that stands for all that are not told apart.
const OTHERS: &str = "(others)";

static REPEATS: LazyLock<Mutex<Repeats>> = LazyLock::new(Mutex::default);

/// A kind of log line whose number somebody else controls.
#[derive(Debug)]
pub struct LogLimit {
    kind: &'static str,
    burst: u64,
}

impl LogLimit {
    /// Lines that the summary calls `kind`: `burst` of them about each subject in an interval of 30 seconds.
    pub const fn new(kind: &'static str, burst: u64) -> Self {
        Self { kind, burst }
    }

    /// Whether to write a line about `subject` (a backend or a caller) now; if not, it is counted.
    #[must_use]
    pub fn admits(&self, subject: &str) -> bool {
        let is_admitted = REPEATS.lock().admit(self, subject, Instant::now());
        if !is_admitted {
            process::log_line_suppressed(self.kind);
        }
        is_admitted
    }
}

/// Writes the summaries that are due. To be called every few seconds.
pub fn write_log_summaries() {
    write(REPEATS.lock().due(Instant::now(), INTERVAL));
}

/// Writes all summaries: the process is about to end.
pub fn write_last_log_summaries() {
    write(REPEATS.lock().due(Instant::now(), Duration::ZERO));
}

fn write(summaries: Vec<Summary>) {
    for Summary { kind, subject, more, since } in summaries {
        tracing::warn!(
            kind,
            subject = &*subject,
            more,
            seconds = since.as_secs(),
            "repeated lines were left out"
        );
    }
}

/// What was left out about one subject.
#[derive(Debug, PartialEq)]
struct Summary {
    kind: &'static str,
    subject: Box<str>,
    more: u64,
    since: Duration,
}

#[derive(Debug)]
struct Window {
    start: Instant,
    seen: u64,
    burst: u64,
}

/// The subjects that were logged lately, by kind.
#[derive(Debug, Default)]
struct Repeats {
    kinds: HashMap<&'static str, HashMap<Box<str>, Window>>,
}

impl Repeats {
    fn admit(&mut self, limit: &LogLimit, subject: &str, now: Instant) -> bool {
        let subjects = self.kinds.entry(limit.kind).or_default();
        let is_known = subjects.contains_key(subject);
        let subject = if is_known || subjects.len() < MAX_SUBJECTS { subject } else { OTHERS };
        match subjects.get_mut(subject) {
            Some(window) => {
                window.seen += 1;
                window.seen <= window.burst
            }
            None => {
                let window = Window { start: now, seen: 1, burst: limit.burst };
                subjects.insert(subject.into(), window);
                limit.burst > 0
            }
        }
    }

    /// Ends the intervals that are as old as `age`.
    fn due(&mut self, now: Instant, age: Duration) -> Vec<Summary> {
        let mut due = Vec::new();
        for (kind, subjects) in &mut self.kinds {
            let over = subjects.extract_if(|_, window| now.saturating_duration_since(window.start) >= age);
            due.extend(over.filter_map(|(subject, window)| {
                let more = window.seen.checked_sub(window.burst).filter(|more| *more > 0)?;
                Some(Summary { kind, subject, more, since: now.saturating_duration_since(window.start) })
            }));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GARBAGE: LogLimit = LogLimit::new("garbage", 2);

    #[test]
    fn the_first_few_are_logged_and_the_rest_is_one_summary() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        let admitted = (0..1000).filter(|_| repeats.admit(&GARBAGE, "crm", start)).count();
        assert_eq!(admitted, 2);
        assert!(repeats.admit(&GARBAGE, "search", start), "each subject has a bound of its own");
        assert_eq!(repeats.due(start, INTERVAL), []);
        let later = start + INTERVAL;
        let summary = Summary { kind: "garbage", subject: "crm".into(), more: 998, since: INTERVAL };
        assert_eq!(repeats.due(later, INTERVAL), [summary]);
        assert!(repeats.admit(&GARBAGE, "crm", later), "the next interval begins with a full line");
    }

    #[test]
    fn more_subjects_than_are_told_apart_share_a_bound() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        let admitted = (0..10_000).filter(|n| repeats.admit(&GARBAGE, &format!("peer {n}"), start)).count();
        assert_eq!(admitted, MAX_SUBJECTS + 2);
        assert!(repeats.kinds["garbage"].len() <= MAX_SUBJECTS + 1);
        repeats.due(start + INTERVAL, INTERVAL);
        assert!(repeats.kinds["garbage"].is_empty());
    }
}
