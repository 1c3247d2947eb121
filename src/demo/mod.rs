//! What can be put behind the gateway before any real server is at hand?
//!
//! Three small MCP servers that need no network and no account, one for each way a server can be reached:
//! `crm` over stdio, `api` over Streamable HTTP in both eras, `search` over the HTTP+SSE transport of MCP 2024-11-05.
//! They are ordinary servers: nothing in them knows that a gateway exists.

mod api;
mod crm;
mod lifetime;
mod schemas;
mod search;
mod serve;
mod sse_transport;

use std::path::PathBuf;

use clap::Subcommand;

/// The demo servers, as `switchyard demo <name>`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum DemoCommand {
    /// Customers and notes in SQLite, served over stdio
    Crm {
        /// Database file; created and filled with fictional customers if it is missing
        #[arg(long, value_name = "PATH", default_value = ".switchyard/crm.sqlite")]
        db: PathBuf,
    },
    /// Orders and stock in memory, served over Streamable HTTP at http://127.0.0.1:PORT/mcp
    ///
    /// Stops on SIGINT or SIGTERM, and at the end of standard input if that is a pipe.
    Api {
        /// Port on 127.0.0.1; 0 takes any free one, which is printed on standard error
        #[arg(long, default_value_t = 7401)]
        port: u16,
    },
    /// Search in Switchyard's own documentation, served over HTTP+SSE at http://127.0.0.1:PORT/sse
    ///
    /// Stops on SIGINT or SIGTERM, and at the end of standard input if that is a pipe.
    Search {
        /// Port on 127.0.0.1; 0 takes any free one, which is printed on standard error
        #[arg(long, default_value_t = 7402)]
        port: u16,
    },
}

/// Runs one demo server until its client, its parent process or a signal ends it.
///
/// # Errors
///
/// The database cannot be opened, the port cannot be bound, or the stdio handshake failed.
pub async fn run(command: DemoCommand) -> anyhow::Result<()> {
    match command {
        DemoCommand::Crm { db } => crm::run(db).await,
        DemoCommand::Api { port } => api::run(port).await,
        DemoCommand::Search { port } => search::run(port).await,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rmcp::model::Tool;

    use super::*;

    fn tools() -> Vec<Tool> {
        let crm = schemas::portable(crm::Crm::tool_router()).list_all();
        let api = schemas::portable(api::Api::tool_router()).list_all();
        [crm, api, schemas::portable(search::Search::tool_router()).list_all()].concat()
    }

    #[test]
    fn every_tool_says_what_it_does_what_it_takes_and_whether_it_changes_anything() {
        for tool in tools() {
            assert!(
                tool.description.is_some_and(|text| text.len() > 20),
                "{} needs a description",
                tool.name
            );
            assert!(
                tool.annotations.and_then(|hints| hints.read_only_hint).is_some(),
                "{} needs hints",
                tool.name
            );
            let properties = tool.input_schema["properties"].as_object().unwrap();
            let silent = properties.iter().find(|(_, schema)| schema.get("description").is_none());
            assert_eq!(silent, None, "argument of {}", tool.name);
        }
    }

    #[test]
    fn no_schema_has_a_format_that_clients_warn_of() {
        for tool in tools() {
            let schemas = serde_json::json!([tool.input_schema, tool.output_schema]).to_string();
            assert!(!schemas.contains("\"format\":\"u") && !schemas.contains("\"format\":\"i"), "{schemas}");
        }
    }

    #[test]
    fn tool_names_are_unique_over_all_demo_servers() {
        let names: std::collections::BTreeSet<_> = tools().into_iter().map(|tool| tool.name).collect();
        assert_eq!(names.len(), tools().len());
        assert_eq!(names.len(), 15);
    }
}
