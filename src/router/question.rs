//! What a backend asks a client in the middle of a call, and the way back for the answer.

use std::collections::HashMap;

use serde_json::json;
use tokio::sync::mpsc;

use crate::protocol::{Id, Object, RawJson, RpcError, question};

/// Questions of one call that may wait for their answers at a time.
pub(super) const OPEN: usize = 32;

/// Takes the answer to one question; dropped unused, the question is answered with an error.
#[derive(Debug)]
pub struct Answerer {
    key: u64,
    answers: Option<mpsc::Sender<(u64, Said)>>,
}

/// What a client says to a question.
#[derive(Debug)]
enum Said {
    /// It goes on; the parameters of `notifications/progress`.
    Progress(RawJson),
    Answer(Outcome),
}

/// What came of the open questions.
#[derive(Debug)]
pub(super) enum Reaction {
    /// The client answered one.
    Answer(Origin, Outcome),
    /// The client is at work on one of a legacy backend; the parameters of `notifications/progress`.
    Progress(RawJson),
}

/// A client's answer: its `result` or its `error`.
pub(super) type Outcome = Result<RawJson, RawJson>;

impl Answerer {
    /// Tells the question from others of the same call; see [`Event::Withdrawn`](super::Event::Withdrawn).
    pub fn key(&self) -> u64 {
        self.key
    }

    /// Tells the backend that the client goes on; lost if there is no room, as notifications may be.
    pub fn progress(&self, params: RawJson) {
        // The places of the answers are theirs.
        if let Some(answers) = self.answers.as_ref().filter(|answers| answers.capacity() > OPEN) {
            let _ = answers.try_send((self.key, Said::Progress(params)));
        }
    }

    /// Gives the client's answer to the backend.
    pub fn answer(mut self, outcome: Result<RawJson, RawJson>) {
        self.send(outcome);
    }

    fn send(&mut self, outcome: Outcome) {
        if let Some(answers) = self.answers.take() {
            // More places than questions may be open, and so many are kept for answers: there is always room.
            let _ = answers.try_send((self.key, Said::Answer(outcome)));
        }
    }
}

impl Drop for Answerer {
    fn drop(&mut self) {
        self.send(Err(RpcError::internal("the client went away without an answer").to_json()));
    }
}

/// Where an answer has to go.
#[derive(Debug)]
pub(super) enum Origin {
    /// A request of a legacy backend, under its id.
    Wire(Id),
    /// An entry of a modern backend's `inputRequests`, under its key.
    Input {
        /// Its key.
        key: String,
        /// What was asked.
        method: String,
    },
}

/// The questions of one call that wait for a legacy client's answers.
#[derive(Debug, Default)]
pub(super) struct Questions {
    /// Made with the first question: few calls ask any.
    channel: Option<(mpsc::Sender<Answered>, mpsc::Receiver<Answered>)>,
    open: HashMap<u64, Origin>,
    next: u64,
}

type Answered = (u64, Said);

/// Messages of a client about the questions of one call that may wait.
const QUEUE: usize = 2 * OPEN;

impl Questions {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Opens a question; `None` if too many are open already.
    pub(super) fn open(&mut self, origin: Origin) -> Option<Answerer> {
        if self.open.len() >= OPEN {
            return None;
        }
        self.next += 1;
        self.open.insert(self.next, origin);
        let (sender, _) = self.channel.get_or_insert_with(|| mpsc::channel(QUEUE));
        Some(Answerer { key: self.next, answers: Some(sender.clone()) })
    }

    /// Closes the question that a legacy backend asked under `id`, and returns its key.
    pub(super) fn withdraw(&mut self, id: &Id) -> Option<u64> {
        let is_meant = |origin: &Origin| matches!(origin, Origin::Wire(asked) if asked.means(id));
        let key = *self.open.iter().find(|(_, origin)| is_meant(origin))?.0;
        self.open.remove(&key).map(|_| key)
    }

    /// The next thing that a client says. Cancel-safe. Waits for ever while no question is open.
    pub(super) async fn next(&mut self) -> Reaction {
        loop {
            let Some((_, answers)) = &mut self.channel else { return std::future::pending().await };
            let Some((key, said)) = answers.recv().await else { return std::future::pending().await };
            match said {
                Said::Progress(params) if matches!(self.open.get(&key), Some(Origin::Wire(_))) => {
                    return Reaction::Progress(params);
                }
                Said::Progress(_) => {}
                Said::Answer(outcome) => {
                    if let Some(origin) = self.open.remove(&key) {
                        return Reaction::Answer(origin, outcome);
                    }
                }
            }
        }
    }

    /// The next answer; nobody listens to how its questions go on.
    pub(super) async fn answer(&mut self) -> (Origin, Outcome) {
        loop {
            if let Reaction::Answer(origin, outcome) = self.next().await {
                return (origin, outcome);
            }
        }
    }
}

/// A question of a legacy backend as a modern client reads it: what names the backend's session is
/// left out (MCP 2026-07-28, client/elicitation: URL mode has no `elicitationId`).
pub(super) fn for_modern(method: &str, params: Option<&RawJson>) -> RawJson {
    let mut shown = params.and_then(Object::parse).unwrap_or_default();
    shown.remove("elicitationId");
    shown.remove("_meta");
    let mut entry = Object::new();
    entry.set("method", RawJson::of(method));
    if !shown.is_empty() || method != question::LIST_ROOTS {
        entry.set("params", shown.to_json());
    }
    entry.to_json()
}

/// Whether a question sends its client to a page.
pub(super) fn is_page(method: &str, params: Option<&RawJson>) -> bool {
    let mode = params.and_then(|params| params.get("mode"));
    method == question::ELICIT && mode.is_some_and(|mode| mode.string().as_deref() == Some("url"))
}

/// A question of a modern backend as a legacy client reads it: a URL elicitation has an id there.
pub(super) fn for_legacy(method: &str, params: Option<RawJson>, id: &str) -> Option<RawJson> {
    if !is_page(method, params.as_ref()) {
        return params;
    }
    let mut object = params.as_ref().and_then(Object::parse)?;
    object.set("elicitationId", RawJson::of(id));
    Some(object.to_json())
}

/// A client's answer as `inputResponses` takes it. An error has no form there: for an elicitation it
/// reads as cancelled, for anything else the call cannot go on.
pub(super) fn as_input(method: &str, outcome: Outcome) -> Option<RawJson> {
    match outcome {
        Ok(result) => Some(result),
        Err(_) if method == question::ELICIT => Some(RawJson::of(&json!({ "action": "cancel" }))),
        Err(_) => None,
    }
}

/// What a legacy backend is told when nobody will answer (the client never came back).
pub(super) fn unanswered(method: &str) -> Outcome {
    match method {
        question::ELICIT => Ok(RawJson::of(&json!({ "action": "cancel" }))),
        question::SAMPLE => Err(RpcError::new(-1, "the sampling request was not answered").to_json()),
        _ => Err(RpcError::internal("the client did not answer").to_json()),
    }
}

/// What a backend is told that asks more than that.
pub(super) fn too_many() -> RawJson {
    RpcError::internal("too many questions are open").to_json()
}

/// What a backend is told that asks in a form which the client's revision does not have.
pub(super) fn not_readable() -> RawJson {
    RpcError::invalid_params("the client's revision has no form with several choices").to_json()
}

/// What a backend is told that asks for something the client did not declare.
pub(super) fn not_declared(method: &str) -> RawJson {
    match method {
        question::ELICIT => RpcError::invalid_params("the client did not declare this mode of elicitation"),
        _ => RpcError::method_not_found(method),
    }
    .to_json()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_finds_its_question_and_a_dropped_one_is_an_error() {
        let mut questions = Questions::default();
        let first = questions.open(Origin::Wire(Id::number(7))).unwrap();
        let second = questions.open(Origin::Wire(Id::number(8))).unwrap();
        second.answer(Ok(RawJson::empty_object()));
        drop(first);
        let (Origin::Wire(id), Ok(_)) = questions.answer().await else { panic!("not the second") };
        assert_eq!(id, Id::number(8));
        let (Origin::Wire(id), Err(_)) = questions.answer().await else { panic!("not the first") };
        assert_eq!(id, Id::number(7));
        assert!(questions.is_empty());
    }

    #[tokio::test]
    async fn progress_never_takes_the_place_of_an_answer_and_ends_with_the_question() {
        let mut questions = Questions::default();
        let (one, two) = (Origin::Wire(Id::number(1)), Origin::Wire(Id::number(2)));
        let (one, two) = (questions.open(one).unwrap(), questions.open(two).unwrap());
        for _ in 0..2 * QUEUE {
            one.progress(RawJson::empty_object());
        }
        one.answer(Ok(RawJson::empty_object()));
        for _ in 0..QUEUE - OPEN {
            assert!(matches!(questions.next().await, Reaction::Progress(_)));
        }
        assert!(matches!(questions.next().await, Reaction::Answer(..)));

        let text = Id::new(RawJson::of("2")).unwrap();
        assert_eq!(questions.withdraw(&Id::number(9)), None);
        assert_eq!(questions.withdraw(&text), Some(two.key()));
        assert!(questions.is_empty());
        two.progress(RawJson::empty_object());
        drop(two);
        let nothing = tokio::time::timeout(std::time::Duration::ZERO, questions.next()).await;
        assert!(nothing.is_err(), "what is said to a question that was withdrawn means nothing");
    }

    #[test]
    fn questions_are_bounded() {
        let mut questions = Questions::default();
        let open: Vec<_> =
            (0..OPEN).map(|n| questions.open(Origin::Wire(Id::number(n as u64))).unwrap()).collect();
        assert!(questions.open(Origin::Wire(Id::number(99))).is_none());
        drop(open);
    }

    #[test]
    fn url_elicitations_have_an_id_only_in_the_legacy_era() {
        let params = RawJson::of(&json!({"mode": "url", "url": "https://x.example", "elicitationId": "e"}));
        let modern = for_modern(question::ELICIT, Some(&params));
        assert_eq!(
            modern.as_str(),
            r#"{"method":"elicitation/create","params":{"mode":"url","url":"https://x.example"}}"#
        );
        let legacy = for_legacy(question::ELICIT, modern.get("params"), "e2").unwrap();
        assert_eq!(legacy.get("elicitationId").unwrap().as_str(), "\"e2\"");
    }
}
