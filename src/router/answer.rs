//! What does a client get of a backend's answer?

use crate::budget::{SMALL, sent};
use crate::protocol::tasks::is_created;
use crate::protocol::{Era, RawJson, Routed, RpcError, code};
use crate::telemetry::Outcome;

use super::convert;
use super::driver::{Calling, Driver};
use super::exchange::Event;
use super::hop;
use super::target::Target;
use super::tasks;

impl Driver {
    pub(super) fn answered(&mut self, calling: Calling, outcome: Result<RawJson, RawJson>) -> Option<Event> {
        let Calling { call, mut target, rounds, .. } = calling;
        // What it began, if it began anything, goes on there.
        target.replica = call.replica().map(str::to_owned);
        drop(call);
        self.conclude(target, rounds, outcome)
    }

    pub(super) fn conclude(
        &mut self,
        target: Target,
        rounds: u32,
        outcome: Result<RawJson, RawJson>,
    ) -> Option<Event> {
        if outcome.is_ok() {
            self.pages_done();
        }
        match outcome {
            Ok(result) if hop::wants_input(&result) => self.input_required(target, result, rounds),
            outcome => Some(match self.pages_to_visit(&outcome) {
                Some(requests) => self.visit_first(&target, requests),
                None => self.relay(&target, outcome),
            }),
        }
    }

    fn relay(&mut self, target: &Target, outcome: Result<RawJson, RawJson>) -> Event {
        let came = outcome.as_ref().ok().filter(|result| result.len() > SMALL).cloned();
        let outcome = self.shown(target, outcome).map(|shown| self.without_modern_members(shown));
        let code = outcome.as_ref().err().and_then(|error| error.get("code")).and_then(|code| code.to());
        self.account.end_with_code(outcome_of(&outcome), code);
        Event::Answer(outcome.map(|shown| counted(shown, came)))
    }

    /// What a modern backend says about a result is for clients of its era.
    fn without_modern_members(&self, result: RawJson) -> RawJson {
        match self.asked_in {
            Era::Modern if !self.is_modern() => hop::without_modern_members(result),
            Era::Modern | Era::Legacy => result,
        }
    }

    fn shown(&mut self, target: &Target, outcome: Result<RawJson, RawJson>) -> Result<RawJson, RawJson> {
        let caller = &self.inbound.caller;
        match (self.inbound.routed, outcome) {
            (Routed::Complete, Err(error)) if is_unknown_method(&error) => Ok(no_completions()),
            (Routed::ReadDirectory, Err(error)) if is_unknown_method(&error) => {
                Err(RpcError::invalid_params("the backend of this resource reads no directories").to_json())
            }
            (Routed::ReadDirectory, Ok(result)) => {
                let page = convert::result(&self.router.catalog(), &target.route, &self.inbound, result);
                self.directory_page(target, page)
            }
            (Routed::CallTool, Ok(result)) if is_created(&result) => self.task_created(target, &result),
            (routed, Ok(result)) => {
                let shown = convert::result(&self.router.catalog(), &target.route, &self.inbound, result);
                Ok(match routed {
                    Routed::ReadResource | Routed::GetSkill => hop::with_caching(shown, caller),
                    Routed::GetTask => tasks::shown(target, shown),
                    _ => shown,
                })
            }
            (_, Err(error)) => {
                let told = convert::error(&target.route, &self.inbound, self.asked_in, error);
                self.expect_pages(&target.route.backend, &told);
                told
            }
        }
    }
}

/// A large result that was changed is another piece of memory than what `came`, which is counted already.
fn counted(shown: RawJson, came: Option<RawJson>) -> RawJson {
    match came {
        Some(came) if came.as_bytes().as_ptr() != shown.as_bytes().as_ptr() => {
            RawJson::authored(sent(shown.into_bytes()))
        }
        _ => shown,
    }
}

fn is_unknown_method(error: &RawJson) -> bool {
    error.get("code").and_then(|code| code.to()) == Some(code::METHOD_NOT_FOUND)
}

fn no_completions() -> RawJson {
    RawJson::of(&serde_json::json!({ "completion": { "values": [], "hasMore": false } }))
}

pub(super) fn outcome_of(outcome: &Result<RawJson, RawJson>) -> Outcome {
    match outcome {
        Err(_) => Outcome::RpcError,
        Ok(result) if result.get("isError").is_some_and(|flag| flag.as_str() == "true") => Outcome::ToolError,
        Ok(_) => Outcome::Ok,
    }
}
