//! What does a Streamable HTTP server look like, and how does it behave when it is slow or broken?
//!
//! Orders and stock, plus two tools that misbehave on request so that deadlines, cancellation and circuit breakers
//! can be seen at work. Modern clients are served without a session, legacy ones with.

mod inventory;
mod slow;
mod tools;

use std::sync::Arc;

use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, StatusCode, body::Incoming};
use rmcp::{
    ServerHandler,
    handler::server::router::tool::ToolRouter,
    model::{Implementation, ServerCapabilities, ServerConfig},
    tool_handler,
    transport::{
        StreamableHttpServerConfig, StreamableHttpService,
        streamable_http_server::session::local::LocalSessionManager,
    },
};
use tokio_util::sync::CancellationToken;

use self::inventory::Inventory;
use super::{
    lifetime,
    schemas::portable,
    serve::{self, Answer},
};

const PATH: &str = "/mcp";
const MAX_BODY_BYTES: usize = 1024 * 1024;
const INSTRUCTIONS: &str = "Orders and stock of a fictional tea shop, kept in memory. slow_report and flaky exist to \
                            show what a gateway does with slow and failing tools.";

/// Serves orders and stock at `/mcp` until a signal or the end of the parent process.
pub(super) async fn run(port: u16) -> anyhow::Result<()> {
    let listener = serve::bind("api", port, PATH).await?;
    let stop = CancellationToken::new();
    let service = service(stop.clone());
    let handler = move |request| answer(service.clone(), request);
    let serving = serve::serve(listener, handler, stop.clone());
    let ended = async {
        lifetime::ended().await;
        stop.cancel();
    };
    tokio::join!(serving, ended);
    Ok(())
}

type McpService = StreamableHttpService<Api, LocalSessionManager>;

fn service(stop: CancellationToken) -> McpService {
    let inventory = Arc::new(Inventory::new());
    let config = StreamableHttpServerConfig::default()
        .with_max_request_body_bytes(MAX_BODY_BYTES)
        .with_allowed_origins(["http://localhost:*", "http://127.0.0.1:*"])
        .with_cancellation_token(stop);
    let factory = move || Ok(Api::new(Arc::clone(&inventory)));
    StreamableHttpService::new(factory, Arc::default(), config)
}

async fn answer(service: McpService, request: Request<Incoming>) -> Answer {
    if request.uri().path() == PATH {
        return service.handle(request).await;
    }
    let mut not_found = Response::new(Empty::new().boxed());
    *not_found.status_mut() = StatusCode::NOT_FOUND;
    not_found
}

/// The server that one session, or one modern request, talks to; all share the inventory.
pub(super) struct Api {
    inventory: Arc<Inventory>,
    tools: ToolRouter<Self>,
}

impl Api {
    fn new(inventory: Arc<Inventory>) -> Self {
        Self { inventory, tools: portable(Self::tool_router()) }
    }
}

#[tool_handler(router = self.tools)]
impl ServerHandler for Api {
    fn get_info(&self) -> ServerConfig {
        let implementation = Implementation::new("switchyard-demo-api", env!("CARGO_PKG_VERSION"))
            .with_title("Switchyard demo: orders and stock");
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(implementation)
            .with_instructions(INSTRUCTIONS)
    }
}
