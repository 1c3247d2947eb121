//! One request and everything that belongs to it: progress, logs, questions back, the answer.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::protocol::RawJson;

use super::driver::Driver;
use super::question::Answerer;
use super::request::Inbound;
use super::router::Router;

/// What a client hears of its request.
#[derive(Debug)]
pub enum Event {
    /// Progress, a log message or a vendor's notification that belongs to the request.
    Notification {
        /// `notifications/progress`, `notifications/message` or a vendor's.
        method: Cow<'static, str>,
        /// With the client's own progress token.
        params: Option<RawJson>,
    },
    /// The backend asks the client something. Only legacy clients get this, and only for what they
    /// declared; a modern client's answer says `input_required` instead.
    Question {
        /// `elicitation/create`, `sampling/createMessage` or `roots/list`.
        method: String,
        /// As the backend sent them.
        params: Option<RawJson>,
        /// Takes the client's answer.
        answerer: Answerer,
    },
    /// The backend no longer wants an answer to a question.
    Withdrawn {
        /// The [key](Answerer::key) of the question's answerer.
        question: u64,
        /// As the backend gave it.
        reason: Option<RawJson>,
    },
    /// The answer: its `result` or its `error`. Nothing comes after it.
    Answer(Result<RawJson, RawJson>),
}

type Step = Pin<Box<dyn Future<Output = (Box<Driver>, Event)> + Send>>;

/// A request under way. Nothing happens until its first event is asked for; dropped before its
/// answer, it is cancelled at the backend.
pub struct Exchange {
    /// Holds what was begun, so that an interrupted `next` goes on where it was.
    step: Option<Step>,
}

impl Exchange {
    pub(super) fn new(router: Arc<Router>, inbound: Inbound) -> Self {
        Self { step: Some(Box::pin(Box::new(Driver::new(router, inbound)).step())) }
    }

    /// The next event. Cancel-safe. After the answer it never returns.
    pub async fn next(&mut self) -> Event {
        let Some(step) = &mut self.step else { return std::future::pending().await };
        let (driver, event) = step.await;
        self.step = match event {
            Event::Answer(_) => None,
            Event::Notification { .. } | Event::Question { .. } | Event::Withdrawn { .. } => {
                Some(Box::pin(driver.step()))
            }
        };
        event
    }
}
