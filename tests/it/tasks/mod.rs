//! Does a call that goes on as a task reach its end, whoever began it and whoever runs it?

mod follow;
mod legacy;
mod relay;
mod required;
mod updates;

use crate::support::{Client, Message};

/// The capabilities of a client that follows tasks, and of one that can only be asked.
const FOLLOWS: &str = r#"{"elicitation":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
const ASKS: &str = r#"{"elicitation":{}}"#;

/// Calls, and calls again with the answer to the one question that comes.
async fn answer_question(client: &Client, call: &str) -> Message {
    let wanted = client.ask("tools/call", call).await;
    assert_eq!(wanted.result_of("resultType").as_deref(), Some(r#""input_required""#), "{wanted:?}");
    let requests = wanted.result_of("inputRequests").unwrap();
    let key = requests.split('"').nth(1).unwrap();
    let given = format!(r#"{{"{key}":{{"action":"accept","content":{{"n":1.10}}}}}}"#);
    let state = wanted.result_of("requestState").unwrap();
    client.ask("tools/call", &format!(r#"{call},"inputResponses":{given},"requestState":{state}"#)).await
}
