//! How does a call go on that a backend of 2025-11-25 runs as a task? It is asked how it stands, in the rhythm it asks
//! for, until there is something to fetch; whoever waits for the call sees one call (MCP 2025-11-25,
//! basic/utilities/tasks). A task of the extension is the business of `followed.rs`.

use std::time::Duration;

use serde_json::json;

use crate::protocol::tasks::{self, Status};
use crate::protocol::{Id, Object, RawJson};

use super::followed::Followed;
use super::wire::WireEvent;
use super::{Admission, Beside, Call, Failure, FailureKind, Sent};

pub(super) const GET: &str = "tasks/get";
const RESULT: &str = "tasks/result";
pub(super) const CANCEL: &str = "tasks/cancel";

/// How long a backend is asked to keep a task; longer than any call waits for one.
const TTL: Duration = Duration::from_secs(3600);
/// Between two questions how it stands, if the backend does not say; and the bounds of what it can say.
const POLL: Duration = Duration::from_secs(1);
const MIN_POLL: Duration = Duration::from_millis(20);
const MAX_POLL: Duration = Duration::from_secs(10);

/// What a call is to its backend.
#[derive(Debug, Default)]
pub(super) enum AsTask {
    /// One request, or a task that is over.
    #[default]
    No,
    /// One request so far, which asked for a task.
    Wanted,
    /// A task under way, with its id.
    Running { id: RawJson, fetches: Fetches },
    /// One request so far with this `_meta`, of which a modern backend may make a task.
    Offered(Option<RawJson>),
    /// A task of the extension under way.
    Followed(Box<Followed>),
}

/// What the last request about a task is to bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fetches {
    /// How it stands.
    Nothing,
    /// What it asks; its result after that.
    Questions,
    Result,
}

/// What an answer of the backend means to the call.
#[derive(Debug)]
pub(super) enum Next {
    /// It is the call's own answer.
    Over(Result<RawJson, RawJson>),
    /// There will be none.
    Gone(Failure),
    /// The task stands like this; then comes another request.
    Ask { standing: RawJson, method: &'static str, params: RawJson, after: Duration },
    /// The task stands like this; what it asks comes from [`AsTask::next_question`].
    Questions { standing: RawJson },
}

impl AsTask {
    /// Takes an answer to the last request.
    pub(super) fn take(&mut self, outcome: Result<RawJson, RawJson>) -> Next {
        let next = match (&mut *self, outcome) {
            (Self::Offered(meta), Ok(result)) if tasks::is_created(&result) => {
                match Followed::new(&result, meta.as_ref()) {
                    Ok(task) => {
                        let next = task.created(result);
                        *self = Self::Followed(Box::new(task));
                        next
                    }
                    Err(failure) => Next::Gone(failure),
                }
            }
            (Self::Followed(task), Ok(standing)) => task.stands(standing),
            (_, outcome) => self.take_core(outcome),
        };
        if matches!(next, Next::Over(_)) {
            *self = Self::No;
        }
        next
    }

    fn take_core(&mut self, outcome: Result<RawJson, RawJson>) -> Next {
        let task = match (&*self, &outcome) {
            (Self::Wanted, Ok(result)) => tasks::created(result),
            (Self::Running { fetches: Fetches::Nothing, .. }, Ok(task)) => Some(task.clone()),
            _ => None,
        };
        match task {
            Some(task) => self.goes_on(task),
            None => {
                *self = Self::No;
                Next::Over(outcome.map(tasks::untied))
            }
        }
    }

    fn goes_on(&mut self, standing: RawJson) -> Next {
        let id = match self {
            Self::Running { id, .. } => Some(id.clone()),
            _ => standing.get("taskId"),
        };
        let (Some(id), Some(status)) = (id, Status::of(&standing)) else {
            return Next::Gone(Failure::malformed("the backend does not say how its task stands"));
        };
        let fetches = match status {
            Status::Working => Fetches::Nothing,
            Status::InputRequired => Fetches::Questions,
            Status::Ended => Fetches::Result,
            Status::Cancelled => {
                *self = Self::No;
                return Next::Gone(cancelled(&standing));
            }
        };
        let params = tasks::of_task(&id).to_json();
        *self = Self::Running { id, fetches };
        if fetches != Fetches::Nothing {
            return Next::Ask { standing, method: RESULT, params, after: Duration::ZERO };
        }
        let after = pause(&standing);
        Next::Ask { standing, method: GET, params, after }
    }

    /// What to ask in place of a result that does not come: a task may go on for long after it was answered.
    pub(super) fn look_again(&mut self) -> Option<(&'static str, RawJson)> {
        let Self::Running { id, fetches } = self else { return None };
        (*fetches == Fetches::Questions).then(|| {
            *fetches = Fetches::Nothing;
            (GET, tasks::of_task(id).to_json())
        })
    }

    /// What the backend is told of a task that nobody waits for any more.
    pub(super) fn abandon(&mut self) -> Option<Object> {
        match std::mem::take(self) {
            Self::Running { id, .. } => Some(tasks::of_task(&id)),
            Self::Followed(task) => Some(task.params()),
            Self::No | Self::Wanted | Self::Offered(_) => None,
        }
    }

    /// What happens while the backend is asked nothing: see [`Followed::next_question`].
    pub(super) fn next_question(&mut self) -> Option<WireEvent> {
        match self {
            Self::Followed(task) => task.next_question(),
            _ => None,
        }
    }

    /// Whether the client has to answer before the backend is asked anything.
    pub(super) fn is_asking(&self) -> bool {
        matches!(self, Self::Followed(task) if task.is_asking())
    }

    /// Takes an answer to a task of the extension, and returns the request that follows from it.
    pub(super) fn answer(
        &mut self,
        id: &Id,
        outcome: &Result<RawJson, RawJson>,
    ) -> Option<(&'static str, RawJson)> {
        match self {
            Self::Followed(task) => task.answer(id, outcome),
            _ => None,
        }
    }

    /// What the backend asks in the middle of its task, as anybody may read it.
    pub(super) fn untied(&self, params: Option<RawJson>) -> Option<RawJson> {
        match self {
            Self::Running { .. } => params.map(tasks::untied),
            _ => params,
        }
    }

    /// An answer to that, as the backend wants it.
    pub(super) fn tied(&self, outcome: &Result<RawJson, RawJson>) -> Result<RawJson, RawJson> {
        match (self, outcome) {
            (Self::Running { id, .. }, Ok(result)) => Ok(tasks::tied(result, id)),
            _ => outcome.clone(),
        }
    }
}

/// Between two questions how a task stands, after it stood like this.
pub(super) fn pause(standing: &RawJson) -> Duration {
    tasks::poll_interval(standing).unwrap_or(POLL).clamp(MIN_POLL, MAX_POLL)
}

pub(super) fn cancelled(task: &RawJson) -> Failure {
    let said = task.get("statusMessage").and_then(|message| message.to::<String>()).unwrap_or_default();
    let reason = if said.is_empty() { said } else { format!(": {said}") };
    Failure::new(FailureKind::Lost, Sent::Maybe, format!("the backend cancelled its task{reason}"))
}

impl Admission {
    /// Whether the backend takes calls that are to run as tasks.
    pub fn takes_tasks(&self) -> bool {
        let agreement = self.lease.connection().agreement();
        tasks::are_taken(agreement.revision, &agreement.capabilities)
    }

    /// The same as [`Admission::call`], but the backend is asked to run it as a task.
    pub fn call_as_task(self, id: u64, method: &'static str, params: RawJson, beside: Beside) -> Call {
        let task = RawJson::of(&json!({ "ttl": TTL.as_millis() as u64 }));
        let params = Object::parse(&params).unwrap_or_default().changed(&[("task", Some(task))]);
        let mut call = self.call(id, method, params, beside);
        call.runs_as(AsTask::Wanted);
        call
    }

    /// The same as [`Admission::call`], but a task that a modern backend makes of it is followed to its end: the
    /// parameters declare the extension.
    pub fn call_to_the_end(self, id: u64, method: &'static str, params: RawJson, beside: Beside) -> Call {
        let meta = params.get("_meta");
        let mut call = self.call(id, method, params, beside);
        call.runs_as(AsTask::Offered(meta));
        call
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn said(text: &'static str) -> Result<RawJson, RawJson> {
        Ok(RawJson::parse(text.into()).unwrap())
    }

    /// The next request, and how long to wait before it.
    fn asks(task: &mut AsTask, text: &'static str) -> (&'static str, String, u128) {
        match task.take(said(text)) {
            Next::Ask { method, params, after, .. } => {
                (method, params.as_str().to_owned(), after.as_millis())
            }
            other => panic!("{other:?}"),
        }
    }

    const T1: &str = r#"{"taskId":"t1"}"#;

    #[test]
    fn a_task_is_asked_how_it_stands_and_fetched_when_there_is_something_to_fetch() {
        let mut task = AsTask::Wanted;
        let created = r#"{"task":{"taskId":"t1","status":"working","pollInterval":250}}"#;
        assert_eq!(asks(&mut task, created), (GET, T1.to_owned(), 250));
        assert_eq!(asks(&mut task, r#"{"taskId":"t1","status":"working"}"#), (GET, T1.to_owned(), 1000));
        let never = r#"{"taskId":"t1","status":"working","pollInterval":99999999}"#;
        assert_eq!(asks(&mut task, never).2, MAX_POLL.as_millis());
        assert_eq!(asks(&mut task, r#"{"taskId":"t1","status":"failed"}"#), (RESULT, T1.to_owned(), 0));
        let result = r#"{"content":[],"isError":true,"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t1"}}}"#;
        let Next::Over(Ok(result)) = task.take(said(result)) else { panic!("not over") };
        assert_eq!(result.as_str(), r#"{"content":[],"isError":true}"#);
        assert!(task.abandon().is_none());
    }

    #[test]
    fn an_answer_that_makes_no_task_is_the_answer() {
        let Next::Over(Ok(_)) = AsTask::Wanted.take(said(r#"{"content":[]}"#)) else { panic!("not over") };
        let unasked = r#"{"task":{"taskId":"t1","status":"working"}}"#;
        let Next::Over(Ok(result)) = AsTask::No.take(said(unasked)) else { panic!("not over") };
        assert_eq!(result.as_str(), unasked);
    }

    #[test]
    fn a_task_that_is_given_up_is_cancelled_and_one_that_was_cancelled_is_not() {
        let mut task = AsTask::Wanted;
        asks(&mut task, r#"{"task":{"taskId":"t1","status":"input_required"}}"#);
        assert_eq!(task.abandon().unwrap().to_json().as_str(), T1);
        let mut task = AsTask::Wanted;
        let gone = task.take(said(r#"{"task":{"taskId":"t1","status":"cancelled","statusMessage":"no"}}"#));
        let Next::Gone(failure) = gone else { panic!("not gone") };
        assert_eq!(failure.message, "the backend cancelled its task: no");
        assert!(task.abandon().is_none());
    }

    #[test]
    fn what_a_task_asks_loses_its_tie_and_the_answer_gets_it() {
        let running = AsTask::Running { id: RawJson::of("t1"), fetches: Fetches::Result };
        let answer = running.tied(&said("{}")).unwrap();
        assert_eq!(answer.as_str(), r#"{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t1"}}}"#);
        assert_eq!(running.untied(Some(answer)).unwrap().as_str(), "{}");
    }
}
