//! Does a call that goes on as a task reach its end, whoever began it and whoever runs it?

mod relay;

/// The capabilities of a client that follows tasks.
const FOLLOWS: &str = r#"{"elicitation":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
