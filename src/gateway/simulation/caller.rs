//! What does one client see of its call?

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::protocol::{RawJson, Revision, Routed};
use crate::router::{Event, Exchange, Inbound, Principal, RequestId, Router};

use super::dice::Dice;
use super::server::{ONCE, TWICE};
use super::tally::{Ending, Tally};

/// One call of one client; its number is its argument, its progress token, and part of its answer.
pub(super) struct Caller {
    number: u64,
    backend: u64,
    tool: &'static str,
    /// After which it gives up.
    patience: Option<Duration>,
}

impl Caller {
    pub(super) fn new(number: u64, dice: &mut Dice, backends: u64) -> Self {
        let patience = dice.one_in(6).then(|| dice.millis(0..1500));
        let tool = if dice.one_in(4) { TWICE } else { ONCE };
        Self { number, backend: dice.below(backends), tool, patience }
    }

    /// One that waits as long as it takes.
    pub(super) fn steady(number: u64, backend: u64) -> Self {
        Self { number, backend, tool: ONCE, patience: None }
    }

    pub(super) async fn call(self, router: Arc<Router>, tally: Arc<Tally>) {
        tally.called(self.number, self.tool == TWICE);
        let start = Instant::now();
        let mut exchange = router.call(self.inbound());
        let answering = self.answer(&mut exchange, &tally);
        let ending = match self.patience {
            None => answering.await,
            Some(patience) => timeout(patience, answering).await.unwrap_or(Ending::GivenUp),
        };
        let is_over = ending != Ending::GivenUp;
        tally.ended(self.number, ending, start.elapsed());
        // Nothing may come after the answer.
        if is_over && let Ok(event) = timeout(super::TOTAL, exchange.next()).await {
            tally.wrong(format!("call {} heard something after its answer: {event:?}", self.number));
        }
    }

    fn inbound(&self) -> Inbound {
        let params = json!({
            "name": format!("b{}__{}", self.backend, self.tool),
            "arguments": { "number": self.number },
        });
        let caller = crate::router::Caller {
            principal: Principal::anonymous(),
            request_id: RequestId::new(self.number),
            revision: Revision::LATEST,
            capabilities: RawJson::empty_object(),
            client_info: None,
            session: None,
            log_level: None,
            asked_level: None,
            progress_token: Some(RawJson::of(&self.number)),
            trace: None,
        };
        Inbound::new(Routed::CallTool, Some(RawJson::of(&params)), caller)
    }

    async fn answer(&self, exchange: &mut Exchange, tally: &Tally) -> Ending {
        loop {
            match exchange.next().await {
                Event::Answer(outcome) => return self.judge(outcome, tally),
                Event::Notification { params, .. } => {
                    let params: Value = params.and_then(|params| params.to()).unwrap_or_default();
                    self.is_own(&params["progressToken"], tally);
                    self.is_own(&params["progress"], tally);
                    // A slow reader.
                    sleep(Duration::from_millis(self.number % 3)).await;
                }
                Event::Withdrawn { .. } => tally.wrong("nobody asks".to_owned()),
                Event::Question { method, .. } => tally.wrong(format!("nobody asks {method}")),
            }
        }
    }

    fn judge(&self, outcome: Result<RawJson, RawJson>, tally: &Tally) -> Ending {
        let (Ok(text) | Err(text)) = &outcome;
        let answer: Value = text.to().unwrap_or_default();
        let Some(failure) = answer["_meta"].get("switchyard/error") else {
            let number = if outcome.is_ok() { &answer["number"] } else { &answer["data"]["number"] };
            self.is_own(number, tally);
            return Ending::Answered;
        };
        let message = failure["message"].as_str().unwrap_or_default().to_owned();
        match message.contains("may have run") || failure["error"] == "tool_error" {
            true => Ending::MayHaveRun(message),
            false => Ending::NotRun(message),
        }
    }

    fn is_own(&self, number: &Value, tally: &Tally) {
        if number.as_u64() != Some(self.number) {
            tally.wrong(format!("call {} was told of call {number}", self.number));
        }
    }
}
