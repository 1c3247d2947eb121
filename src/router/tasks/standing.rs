//! How does a task of 2025-11-25 read in the words of the extension? Pure: the task as its backend last told of it, and
//! what the gateway knows beyond that.

use std::time::Duration;

use crate::protocol::{Object, RawJson};

/// What the gateway knows of a task that its backend runs.
#[derive(Debug)]
pub(super) enum Phase<'a> {
    /// Nothing more than that.
    Working,
    /// These are the open questions.
    Asking(Object),
    /// The call's answer is there.
    Over(&'a Result<RawJson, RawJson>),
    /// The client took it back.
    Cancelled,
}

/// The members of a task of the extension: `told` by the backend, kept for `ttl`, last changed at `updated`. A status with
/// something beside it is shown when that is there, and not before.
pub(super) fn detailed(told: &RawJson, id: &str, ttl: Duration, updated: &str, phase: Phase<'_>) -> Object {
    let mut task = Object::parse(told).unwrap_or_default();
    for member in ["ttl", "result", "error", "inputRequests", "resultType", "requestState"] {
        task.remove(member);
    }
    task.set("taskId", RawJson::of(id));
    task.set("ttlMs", RawJson::of(&(ttl.as_millis() as u64)));
    if let Some(interval) = task.remove("pollInterval") {
        task.set("pollIntervalMs", interval);
    }
    let (status, beside) = match phase {
        Phase::Working => ("working", None),
        Phase::Asking(questions) => ("input_required", Some(("inputRequests", questions.to_json()))),
        Phase::Over(Ok(result)) => ("completed", Some(("result", result.clone()))),
        Phase::Over(Err(error)) => ("failed", Some(("error", error.clone()))),
        Phase::Cancelled => ("cancelled", None),
    };
    task.set("status", RawJson::of(status));
    if let Some((member, value)) = beside {
        task.set(member, value);
    }
    if task.get("createdAt").is_none() {
        task.set("createdAt", RawJson::of(updated));
    }
    task.set("lastUpdatedAt", RawJson::of(updated));
    task
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TOLD: &str = r#"{"taskId":"t1","status":"failed","statusMessage":"x","createdAt":"then","lastUpdatedAt":"then","ttl":null,"pollInterval":1.0e2,"n":1.50}"#;

    fn shown(phase: Phase<'_>) -> String {
        let told = RawJson::parse(TOLD.into()).unwrap();
        detailed(&told, "sealed", Duration::from_secs(1), "now", phase).to_json().as_str().to_owned()
    }

    #[test]
    fn a_status_comes_with_what_belongs_to_it_under_the_new_names() {
        let text = |status: &str, beside: &str| {
            format!(
                r#"{{"taskId":"sealed","status":"{status}","statusMessage":"x","createdAt":"then","lastUpdatedAt":"now","n":1.50,"ttlMs":1000,"pollIntervalMs":1.0e2{beside}}}"#
            )
        };
        assert_eq!(shown(Phase::Working), text("working", ""));
        assert_eq!(shown(Phase::Cancelled), text("cancelled", ""));
        let result = Ok(RawJson::parse(r#"{"isError":true}"#.into()).unwrap());
        assert_eq!(shown(Phase::Over(&result)), text("completed", r#","result":{"isError":true}"#));
        let error = Err(RawJson::parse(r#"{"code":1}"#.into()).unwrap());
        assert_eq!(shown(Phase::Over(&error)), text("failed", r#","error":{"code":1}"#));
        let mut questions = Object::new();
        questions.set("q1", RawJson::empty_object());
        assert_eq!(shown(Phase::Asking(questions)), text("input_required", r#","inputRequests":{"q1":{}}"#));
    }
}
