//! What does a stdio server with a database look like?
//!
//! Customers and notes: tools to find and change them, resources to read them, a prompt to prepare a call.

mod briefing;
mod queries;
mod records;
mod seed;
mod store;
mod tools;

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    handler::server::router::{prompt::PromptRouter, tool::ToolRouter},
    model::{
        Implementation, ListResourceTemplatesResult, ListResourcesResult, PaginatedRequestParams,
        ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, Resource, ResourceContents,
        ResourceTemplate, ServerCapabilities, ServerConfig,
    },
    prompt_handler,
    service::{RequestContext, ServerInitializeError, serve_server_with_ct},
    tool_handler,
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use self::store::{Store, StoreError};
use super::{lifetime, schemas::portable};

const SUMMARY_URI: &str = "crm://summary";
const CUSTOMER_PREFIX: &str = "crm://customers/";
const INSTRUCTIONS: &str = "A small customer database. Use find_customer to turn a name, company or e-mail address \
                            into a customer id; every other tool takes that id. All people in it are fictional.";

/// Serves the CRM on standard input and output until the input ends or a signal arrives.
pub(super) async fn run(db: PathBuf) -> anyhow::Result<()> {
    let store = tokio::task::spawn_blocking(move || open(&db)).await??;
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone());
    match serve_server_with_ct(Crm::new(store), rmcp::transport::stdio_pipes(), stop).await {
        Ok(running) => running.waiting().await.map(|_| ()).context("the stdio session failed"),
        // Ended before it began: nobody is waiting for anything.
        Err(ServerInitializeError::Cancelled | ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(error).context("the stdio handshake failed"),
    }
}

fn open(db: &Path) -> anyhow::Result<Store> {
    if let Some(parent) = db.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).with_context(|| format!("failed to create {}", parent.display()))?;
    }
    let store = Store::open(db).with_context(|| format!("failed to open the database {}", db.display()))?;
    // Standard error is free for people; when nobody listens there any more, that is no reason to stop.
    let _ = writeln!(std::io::stderr(), "switchyard demo crm: serving {} over stdio", db.display());
    Ok(store)
}

/// On a terminal a read of standard input cannot be given up, so there signals keep their default effect.
fn stop_on_signal(stop: CancellationToken) {
    if std::io::stdin().is_terminal() {
        return;
    }
    tokio::spawn(async move {
        lifetime::signalled().await;
        stop.cancel();
    });
}

/// The server that one client talks to.
pub(super) struct Crm {
    store: Store,
    tools: ToolRouter<Self>,
    prompts: PromptRouter<Self>,
}

impl Crm {
    fn new(store: Store) -> Self {
        Self { store, tools: portable(Self::tool_router()), prompts: Self::prompt_router() }
    }
}

#[tool_handler(router = self.tools)]
#[prompt_handler(router = self.prompts)]
impl ServerHandler for Crm {
    fn get_info(&self) -> ServerConfig {
        let capabilities =
            ServerCapabilities::builder().enable_tools().enable_prompts().enable_resources().build();
        let implementation = Implementation::new("switchyard-demo-crm", env!("CARGO_PKG_VERSION"))
            .with_title("Switchyard demo: customers");
        ServerConfig::new(capabilities).with_server_info(implementation).with_instructions(INSTRUCTIONS)
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let summary = Resource::new(SUMMARY_URI, "summary")
            .with_title("Customers in numbers")
            .with_description("How many customers there are, by status, and how many notes")
            .with_mime_type("application/json");
        Ok(ListResourcesResult::with_all_items(vec![summary]))
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let customer = ResourceTemplate::new(format!("{CUSTOMER_PREFIX}{{id}}"), "customer")
            .with_title("One customer")
            .with_description("A customer with all notes, newest first")
            .with_mime_type("application/json");
        Ok(ListResourceTemplatesResult::with_all_items(vec![customer]))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri;
        if uri == SUMMARY_URI {
            return document(&uri, self.store.summary().await);
        }
        match uri.strip_prefix(CUSTOMER_PREFIX).and_then(|id| id.parse().ok()) {
            Some(id) => document(&uri, self.store.dossier(id).await),
            None => Err(no_resource(&uri, "this server has crm://summary and crm://customers/{id}")),
        }
    }
}

fn customer_uri(id: i64) -> String {
    format!("{CUSTOMER_PREFIX}{id}")
}

fn document(
    uri: &str,
    content: Result<impl Serialize, StoreError>,
) -> Result<ReadResourceResponse, ErrorData> {
    let content = content.map_err(|error| match error {
        StoreError::NoCustomer(_) => no_resource(uri, &error.to_string()),
        other => ErrorData::internal_error(other.to_string(), None),
    })?;
    let text = serde_json::to_string_pretty(&content)
        .map_err(|error| ErrorData::internal_error(format!("cannot write {uri} as JSON: {error}"), None))?;
    let contents = ResourceContents::text(text, uri).with_mime_type("application/json");
    Ok(ReadResourceResult::new(vec![contents]).into())
}

fn no_resource(uri: &str, why: &str) -> ErrorData {
    ErrorData::resource_not_found(
        format!("no resource {uri}: {why}"),
        Some(serde_json::json!({ "uri": uri })),
    )
}
