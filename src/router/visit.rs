//! How is a modern client sent to the pages that a legacy backend wants visited first?
//!
//! MCP 2025-11-25 (client/elicitation) has an error for it, −32042: nothing waits at the backend, and
//! the client calls again afterwards. To a modern client the same is `input_required`, and the call it
//! makes again is a new one to the backend.

use crate::protocol::{Object, RawJson, RpcError};
use crate::telemetry::Outcome;

use super::bridge::{STATE, State, input_required};
use super::convert;
use super::driver::Driver;
use super::exchange::Event;
use super::target::Target;

impl Driver {
    /// The pages as `inputRequests`, if that is what the backend says and its client can open them.
    pub(super) fn pages_to_visit(&self, outcome: &Result<RawJson, RawJson>) -> Option<Object> {
        let error = outcome.as_ref().err().filter(|_| self.is_modern())?;
        convert::pages_to_visit(error, self.capabilities())
    }

    /// Sends the client to the pages. Whatever it comes back with, the call is made from the beginning.
    pub(super) fn visit_first(&mut self, target: &Target, requests: Object) -> Event {
        self.account.end(Outcome::Ok);
        let state = self.seal(self.digest(target), State::Again, STATE);
        Event::Answer(state.map(|state| input_required(requests, Some(&state))))
    }
}

/// The client comes back: takes out of `params` what would mean nothing to a legacy backend.
///
/// # Errors
/// −32602 when a page was declined: the backend would only ask for it again.
pub(super) fn over(params: &mut Object) -> Result<(), RpcError> {
    params.remove("requestState");
    let responses = params.remove("inputResponses").and_then(|all| Object::parse(&all)).unwrap_or_default();
    if responses.keys().filter_map(|key| responses.get(&key)).all(is_accepted) {
        return Ok(());
    }
    Err(RpcError::invalid_params("a page that the backend wants visited first was declined"))
}

/// Whether an answer to an elicitation says that it was followed.
pub(super) fn is_accepted(response: &RawJson) -> bool {
    response.get("action").is_some_and(|action| action.string().as_deref() == Some("accept"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn over(text: &'static str) -> Result<String, i32> {
        let mut params = Object::parse(&RawJson::parse(text.into()).unwrap()).unwrap();
        super::over(&mut params).map(|()| params.to_json().as_str().to_owned()).map_err(|error| error.code)
    }

    #[test]
    fn a_call_is_made_anew_without_a_trace_of_the_visit_unless_it_was_declined() {
        let accepted =
            r#"{"name":"t","inputResponses":{"u1":{"action":"accept"}},"requestState":"s","arguments":{ }}"#;
        assert_eq!(over(accepted).unwrap(), r#"{"name":"t","arguments":{ }}"#);
        assert_eq!(over(r#"{"requestState":"s"}"#).unwrap(), "{}");
        let declined = r#"{"inputResponses":{"u1":{"action":"accept"},"u2":{"action":"decline"}}}"#;
        assert_eq!(over(declined).unwrap_err(), -32602);
    }
}
