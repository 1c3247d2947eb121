//! How did the calls end, and how long did they take?

use std::fmt;
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, Histogram};

use super::fresh::Fresh;
use super::names::{CALL_DURATION, CALLS, CALLS_IN_FLIGHT};
use super::{recorder, series};

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The backend answered with a result.
    Ok,
    /// The backend answered with a result that says `isError`.
    ToolError,
    /// The backend answered with a JSON-RPC error.
    RpcError,
    /// No answer came within the deadline.
    Timeout,
    /// The client took the call back.
    Cancelled,
    /// The backend was lost with the call in flight.
    Lost,
    /// The gateway refused to send the call.
    Rejected,
}

impl Outcome {
    /// Every outcome, in the order of declaration.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::ToolError,
        Self::RpcError,
        Self::Timeout,
        Self::Cancelled,
        Self::Lost,
        Self::Rejected,
    ];

    /// The value of the label `outcome`, and the word in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ToolError => "tool_error",
            Self::RpcError => "rpc_error",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::Rejected => "rejected",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The metrics of one tool or prompt, to be kept beside its route: recording through them neither
/// allocates nor looks anything up.
pub struct CallMetrics {
    backend: Box<str>,
    method: &'static str,
    tool: Box<str>,
    in_flight: Gauge,
    duration: Fresh<Histogram>,
    ended: [Fresh<Counter>; Outcome::ALL.len()],
}

impl CallMetrics {
    /// Metrics of calls of `method` to the tool or prompt that `backend` calls `name`.
    ///
    /// Where a backend has had too many names lately, the calls of further ones are counted together.
    ///
    /// Every name costs a series for each outcome it ever has, and a histogram: `name` must come
    /// from the catalog, and be empty where a client can choose it freely, as with resources.
    pub fn new(backend: &str, method: &'static str, name: &str) -> Self {
        let name = series::bounded(backend, name);
        Self {
            backend: backend.into(),
            method,
            tool: name.into(),
            in_flight: recorder::gauge(&CALLS_IN_FLIGHT, [backend]),
            duration: Fresh::new(),
            ended: [const { Fresh::new() }; Outcome::ALL.len()],
        }
    }

    /// Shows the counters of a tool or prompt at zero before its first call, and keeps them however long none comes:
    /// a series that begins with its first error shows no increase.
    ///
    /// Where a backend has had too many names lately, a further one is not shown.
    pub fn begin(backend: &str, method: &'static str, name: &str) {
        let name = series::bounded(backend, name);
        if name == series::OTHER {
            return;
        }
        for outcome in Outcome::ALL {
            recorder::counter(&CALLS, [backend, method, name, outcome.as_str()]).increment(0);
        }
    }

    /// Counts a call as in flight for as long as the guard lives.
    pub fn started(&self) -> InFlight {
        self.in_flight.increment(1);
        InFlight { gauge: self.in_flight.clone() }
    }

    /// Counts a call that ended, `after` so long. To be called once for each call.
    pub fn finished(&self, outcome: Outcome, after: Duration) {
        let (now, backend, method, tool) = (Instant::now(), &*self.backend, self.method, &*self.tool);
        // Asked for again with each handle, so that the name is known for as long as it has series.
        let label = || series::bounded(backend, tool);
        let counter = || recorder::counter(&CALLS, [backend, method, label(), outcome.as_str()]);
        self.ended[outcome as usize].with(now, counter, |counter| counter.increment(1));
        let histogram = || recorder::histogram(&CALL_DURATION, [backend, method, label()]);
        self.duration.with(now, histogram, |histogram| histogram.record(after));
    }
}

impl fmt::Debug for CallMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { backend, method, tool, .. } = self;
        f.debug_struct("CallMetrics")
            .field("backend", backend)
            .field("method", method)
            .field("tool", tool)
            .finish_non_exhaustive()
    }
}

/// A call in flight; dropping it counts the call out.
#[must_use = "the call counts as in flight only while this lives"]
pub struct InFlight {
    gauge: Gauge,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.gauge.decrement(1);
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InFlight")
    }
}

#[cfg(test)]
mod tests {
    use super::super::lint::value;
    use super::*;

    #[test]
    fn every_outcome_has_a_counter_of_its_own() {
        let calls = CallMetrics::new("outcomes", "tools/call", "find");
        for outcome in Outcome::ALL {
            for _ in 0..=(outcome as usize) {
                calls.finished(outcome, Duration::ZERO);
            }
        }
        let page = recorder::install().render();
        for outcome in Outcome::ALL {
            let series = format!(
                r#"switchyard_calls_total{{backend="outcomes",method="tools/call",tool="find",outcome="{outcome}"}}"#
            );
            assert_eq!(value(&page, &series), Some(outcome as usize as f64 + 1.0), "{series}\n{page}");
        }
    }

    #[test]
    fn the_first_error_of_a_tool_is_an_increase() {
        CallMetrics::begin("begun", "tools/call", "find");
        let lost = || {
            let series =
                r#"switchyard_calls_total{backend="begun",method="tools/call",tool="find",outcome="lost"}"#;
            value(&recorder::install().render(), series)
        };
        assert_eq!(lost(), Some(0.0));
        CallMetrics::new("begun", "tools/call", "find").finished(Outcome::Lost, Duration::ZERO);
        CallMetrics::begin("begun", "tools/call", "find");
        assert_eq!(lost(), Some(1.0));
    }

    #[test]
    fn a_backend_that_renames_its_tools_has_no_series_without_end() {
        for number in 0..series::MAX_NAMES + 50 {
            CallMetrics::begin("renaming_uncalled", "tools/call", &format!("tool_{number}"));
        }
        let page = recorder::install().render();
        let begun = page.lines().filter(|line| {
            line.contains(r#"backend="renaming_uncalled""#) && line.contains(r#"outcome="lost""#)
        });
        assert_eq!(begun.count(), series::MAX_NAMES);
    }

    #[test]
    fn a_call_is_in_flight_until_its_guard_is_dropped_even_by_a_panic() {
        let calls = CallMetrics::new("flying", "tools/call", "find");
        let in_flight =
            || value(&recorder::install().render(), r#"switchyard_calls_in_flight{backend="flying"}"#);
        let (one, two) = (calls.started(), calls.started());
        assert_eq!(in_flight(), Some(2.0));
        drop(one);
        assert_eq!(in_flight(), Some(1.0));
        let task = std::thread::spawn(move || {
            let _two = two;
            std::panic::resume_unwind(Box::new("a bug"));
        });
        assert!(task.join().is_err());
        assert_eq!(in_flight(), Some(0.0));
    }

    #[test]
    fn durations_land_in_the_first_bucket_that_holds_them() {
        let calls = CallMetrics::new("timed", "tools/call", "find");
        calls.finished(Outcome::Ok, Duration::from_micros(600));
        let metrics = recorder::install();
        metrics.upkeep();
        calls.finished(Outcome::Timeout, Duration::from_secs(700));
        let page = metrics.render();
        let bucket = |le: &str| {
            let labels = format!(r#"backend="timed",method="tools/call",tool="find",le="{le}""#);
            value(&page, &format!("switchyard_call_duration_seconds_bucket{{{labels}}}"))
        };
        assert_eq!(bucket("0.0005"), Some(0.0));
        assert_eq!(bucket("0.001"), Some(1.0));
        assert_eq!(bucket("600"), Some(1.0));
        assert_eq!(bucket("+Inf"), Some(2.0));
    }
}
