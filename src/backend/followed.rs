//! How does a call go on that a modern backend runs as a task of the extension, for a client that knows no tasks? It is
//! asked how it stands until it is over; what it asks, the client is asked in the middle of its call.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Duration;

use serde_json::json;

use crate::protocol::tasks::{self, Status};
use crate::protocol::{Id, Object, RawJson, meta_key, question};

use super::Failure;
use super::task::{GET, Next, cancelled, pause};
use super::wire::WireEvent;

const UPDATE: &str = "tasks/update";

/// What a task may ask in all its life.
const QUESTIONS: usize = 256;

/// A task under way.
#[derive(Debug)]
pub(super) struct Followed {
    id: RawJson,
    /// Of every request about it: the backend wants the extension declared with each.
    meta: Option<RawJson>,
    /// The keys of all questions so far; none comes twice in the life of a task.
    seen: HashSet<String>,
    /// To be asked.
    waiting: VecDeque<WireEvent>,
    /// Asked and not answered: the methods, by key.
    open: BTreeMap<String, String>,
    answers: Object,
    /// The answers are on their way: what comes back only says so.
    is_told: bool,
    /// A question that the client refused and that has no other answer.
    refused: Option<String>,
}

impl Followed {
    /// The task that `created` tells of, after a call with `meta`.
    ///
    /// # Errors
    /// It has no id.
    pub(super) fn new(created: &RawJson, meta: Option<&RawJson>) -> Result<Self, Failure> {
        let id = created.get("taskId").filter(|id| id.string().is_some());
        let id = id.ok_or_else(|| Failure::malformed("the backend made a task without an id"))?;
        let meta = meta.and_then(Object::parse).map(|mut meta| {
            meta.remove(meta_key::PROGRESS_TOKEN);
            meta.to_json()
        });
        Ok(Self {
            id,
            meta,
            seen: HashSet::new(),
            waiting: VecDeque::new(),
            open: BTreeMap::new(),
            answers: Object::new(),
            is_told: false,
            refused: None,
        })
    }

    /// Takes what the backend says of it.
    pub(super) fn stands(&mut self, standing: RawJson) -> Next {
        let is_told = std::mem::take(&mut self.is_told);
        match Status::of(&standing) {
            None if is_told => self.ask_again(standing),
            None => Next::Gone(Failure::malformed("the backend does not say how its task stands")),
            Some(Status::Working) => self.ask_again(standing),
            Some(Status::InputRequired) => self.asks(standing),
            Some(Status::Ended) => ended(&standing),
            Some(Status::Cancelled) => Next::Gone(cancelled(&standing)),
        }
    }

    /// Takes the first word of it, which says how it stands and nothing more.
    pub(super) fn created(&self, standing: RawJson) -> Next {
        let after = match Status::of(&standing) {
            Some(Status::Working) | None => pause(&standing),
            Some(Status::InputRequired | Status::Ended) => Duration::ZERO,
            Some(Status::Cancelled) => return Next::Gone(cancelled(&standing)),
        };
        self.ask(standing, after)
    }

    fn ask_again(&self, standing: RawJson) -> Next {
        let after = pause(&standing);
        self.ask(standing, after)
    }

    fn ask(&self, standing: RawJson, after: Duration) -> Next {
        Next::Ask { standing, method: GET, params: self.params().to_json(), after }
    }

    fn asks(&mut self, standing: RawJson) -> Next {
        match self.has_news(&standing) {
            _ if self.seen.len() > QUESTIONS => Next::Gone(Failure::malformed(format!(
                "the backend's task asked more than {QUESTIONS} things"
            ))),
            true => Next::Questions { standing },
            // It has its answers and did not look at them yet.
            false => self.ask_again(standing),
        }
    }

    /// Notes the questions that were not there before, and no more of them than are too many.
    fn has_news(&mut self, standing: &RawJson) -> bool {
        let requests = standing.get("inputRequests").and_then(|requests| Object::parse(&requests));
        for (key, request) in requests.iter().flat_map(Object::members) {
            let method = request.get("method").and_then(|method| method.to::<String>());
            let Some((id, method)) = Id::new(RawJson::of(&*key)).zip(method) else { continue };
            if self.seen.len() <= QUESTIONS && self.seen.insert(key.to_string()) {
                self.open.insert(key.into_owned(), method.clone());
                self.waiting.push_back(WireEvent::Question { id, method, params: request.get("params") });
            }
        }
        !self.waiting.is_empty()
    }

    /// What happens while nothing is asked of the backend: its next question, or that it cannot be answered.
    /// `None` if the client has to answer first.
    pub(super) fn next_question(&mut self) -> Option<WireEvent> {
        if let Some(method) = self.refused.take() {
            let message = format!("the tool needs `{method}`, which the client does not offer or refused");
            return Some(WireEvent::Failed(Failure::malformed(message)));
        }
        self.waiting.pop_front()
    }

    /// Whether the client has to answer before the backend is asked anything.
    pub(super) fn is_asking(&self) -> bool {
        !self.open.is_empty()
    }

    /// Takes an answer; with the last one, all of them go to the backend. An error has no form there: for an
    /// elicitation it reads as cancelled, for anything else the call cannot go on.
    pub(super) fn answer(
        &mut self,
        id: &Id,
        outcome: &Result<RawJson, RawJson>,
    ) -> Option<(&'static str, RawJson)> {
        let key = id.raw().to::<String>()?;
        let method = self.open.get(&key)?;
        let answer = match outcome {
            Ok(answer) => answer.clone(),
            Err(_) if method == question::ELICIT => RawJson::of(&json!({ "action": "cancel" })),
            Err(_) => {
                self.refused = Some(method.clone());
                return None;
            }
        };
        self.open.remove(&key);
        self.answers.set(&key, answer);
        if self.is_asking() {
            return None;
        }
        self.is_told = true;
        let answers = std::mem::take(&mut self.answers);
        let mut params = self.params();
        params.set("inputResponses", answers.to_json());
        Some((UPDATE, params.to_json()))
    }

    /// The parameters of a request about it.
    pub(super) fn params(&self) -> Object {
        let mut params = tasks::of_task(&self.id);
        if let Some(meta) = &self.meta {
            params.set("_meta", meta.clone());
        }
        params
    }
}

/// A task that is over has its outcome in it.
fn ended(standing: &RawJson) -> Next {
    match (standing.get("result"), standing.get("error")) {
        (Some(result), _) => Next::Over(Ok(result)),
        (None, Some(error)) => Next::Over(Err(error)),
        (None, None) => Next::Gone(Failure::malformed("the backend's task is over without a result")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn raw(text: &str) -> RawJson {
        RawJson::parse(text.to_owned().into()).unwrap()
    }

    fn followed() -> Followed {
        let meta = raw(r#"{"a":1.0,"progressToken":7}"#);
        Followed::new(&raw(r#"{"resultType":"task","taskId":"t","status":"working"}"#), Some(&meta)).unwrap()
    }

    fn asking(keys: &[&str]) -> RawJson {
        let questions: Vec<String> = keys
            .iter()
            .map(|key| format!(r#""{key}":{{"method":"elicitation/create","params":{{}}}}"#))
            .collect();
        raw(&format!(r#"{{"status":"input_required","inputRequests":{{{}}}}}"#, questions.join(",")))
    }

    fn asked(task: &mut Followed) -> Id {
        let Some(WireEvent::Question { id, .. }) = task.next_question() else { panic!("no question") };
        id
    }

    #[test]
    fn each_question_is_asked_once_and_the_answers_go_together() {
        let mut task = followed();
        assert!(matches!(task.stands(asking(&["a", "b"])), Next::Questions { .. }));
        let (a, b) = (asked(&mut task), asked(&mut task));
        assert!(task.next_question().is_none() && task.is_asking());
        assert!(task.answer(&b, &Err(raw("{}"))).is_none());
        let (method, params) = task.answer(&a, &Ok(raw(r#"{"n":1.0}"#))).unwrap();
        let expected =
            r#"{"taskId":"t","_meta":{"a":1.0},"inputResponses":{"b":{"action":"cancel"},"a":{"n":1.0}}}"#;
        assert_eq!((method, params.as_str()), (UPDATE, expected));
        for said in [raw("{}"), asking(&["a", "b"])] {
            let Next::Ask { method, .. } = task.stands(said) else { panic!("asked again") };
            assert_eq!(method, GET);
        }
        assert!(matches!(task.stands(asking(&["b", "c"])), Next::Questions { .. }));
        assert_eq!(asked(&mut task).raw().as_str(), r#""c""#);
    }

    #[test]
    fn a_task_that_asks_for_ever_is_given_up() {
        let mut task = followed();
        let more = |n: usize| asking(&[format!("k{n}").as_str(), format!("l{n}").as_str()]);
        let asked = (0..1000).take_while(|n| matches!(task.stands(more(*n)), Next::Questions { .. })).count();
        assert_eq!(asked, QUESTIONS / 2);
        assert!(matches!(task.stands(more(1000)), Next::Gone(_)) && task.waiting.len() <= QUESTIONS + 1);
    }

    #[test]
    fn a_refusal_without_a_form_ends_the_call() {
        let mut task = followed();
        task.stands(raw(r#"{"status":"input_required","inputRequests":{"a":{"method":"roots/list"}}}"#));
        let id = asked(&mut task);
        assert!(task.answer(&id, &Err(raw("{}"))).is_none());
        assert!(matches!(task.next_question(), Some(WireEvent::Failed(_))));
    }

    #[test]
    fn a_task_that_is_over_is_its_outcome_and_one_that_says_nothing_is_a_failure() {
        let over = |text: &str| match followed().stands(raw(text)) {
            Next::Over(outcome) => outcome.unwrap_or_else(|error| error).as_str().to_owned(),
            Next::Gone(failure) => failure.message,
            other => panic!("{other:?}"),
        };
        assert_eq!(over(r#"{"status":"completed","result":{"n":1.50}}"#), r#"{"n":1.50}"#);
        assert_eq!(over(r#"{"status":"failed","error":{"code":1}}"#), r#"{"code":1}"#);
        assert_eq!(over(r#"{"status":"completed"}"#), "the backend's task is over without a result");
        assert_eq!(over(r#"{"status":"cancelled"}"#), "the backend cancelled its task");
        assert_eq!(over("{}"), "the backend does not say how its task stands");
    }
}
