//! Must a tool run as a task?
//!
//! `execution.taskSupport` says so (MCP 2025-11-25, server/tools), to clients that make tasks themselves. Here the
//! gateway makes them, so clients do not see it.

use super::route::Item;
use crate::protocol::Object;
use crate::protocol::tasks::Support;

/// Takes out of `tool` what it says of tasks; every other byte stays.
pub(super) fn take(tool: &mut Item) -> Support {
    let Some(mut execution) = tool.entry.get("execution").and_then(|execution| Object::parse(&execution))
    else {
        return Support::Forbidden;
    };
    let (Some(support), Some(mut entry)) = (execution.remove("taskSupport"), Object::parse(&tool.entry))
    else {
        return Support::Forbidden;
    };
    if execution.is_empty() {
        entry.remove("execution");
    } else {
        entry.set("execution", execution.to_json());
    }
    tool.entry = entry.to_json();
    Support::read(&support)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::catalog::Route;
    use crate::protocol::RawJson;

    fn taken(text: &'static str) -> (Support, String) {
        let route = Route { backend: "b".into(), local: "t".into(), qualified: "t".into() };
        let mut tool = Item { route, entry: RawJson::parse(text.into()).unwrap() };
        (take(&mut tool), tool.entry.as_str().to_owned())
    }

    #[test]
    fn what_is_said_of_tasks_is_known_and_not_shown() {
        assert_eq!(
            taken(r#"{"name":"t","execution":{"taskSupport":"required"},"n":1.0}"#),
            (Support::Required, r#"{"name":"t","n":1.0}"#.to_owned())
        );
        assert_eq!(
            taken(r#"{"execution":{"taskSupport":"optional","x":1.0}}"#),
            (Support::Optional, r#"{"execution":{"x":1.0}}"#.to_owned())
        );
        for text in [r#"{ "name" : "t" }"#, r#"{"execution":{"x":{}}}"#, r#"{"execution":null}"#] {
            assert_eq!(taken(text), (Support::Forbidden, text.to_owned()));
        }
    }
}
