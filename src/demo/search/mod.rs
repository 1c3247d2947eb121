//! What does a server on the oldest HTTP transport look like?
//!
//! Full-text search in Switchyard's own documentation, which is part of the binary, over HTTP+SSE.

mod index;

use std::{borrow::Cow, sync::Arc};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    handler::server::{
        router::tool::ToolRouter,
        wrapper::{Json, Parameters},
    },
    model::{
        Implementation, ListResourcesResult, PaginatedRequestParams, ProtocolVersion,
        ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, Resource, ResourceContents,
        ServerCapabilities, ServerConfig,
    },
    service::RequestContext,
    tool, tool_handler, tool_router,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use self::index::{Index, Section};
use super::{lifetime, schemas::portable, serve, sse_transport::SseServer};

/// Slug and Markdown of every page that can be found.
const PAGES: [(&str, &str); 4] = [
    ("readme", include_str!("../../../README.md")),
    ("architecture", include_str!("../../../ARCHITECTURE.md")),
    ("bridging", include_str!("../../../docs/bridging.md")),
    (
        "gateway-yaml",
        concat!("# gateway.yaml\n\n```yaml\n", include_str!("../../../gateway.yaml"), "\n```\n"),
    ),
];
const MARKDOWN: &str = "text/markdown";
const INSTRUCTIONS: &str = "Searches Switchyard's own documentation. Use search_docs first, then read_section with \
                            the uri of the best hit.";

/// Serves the documentation search at `/sse` until a signal or the end of the parent process.
pub(super) async fn run(port: u16) -> anyhow::Result<()> {
    let listener = serve::bind("search", port, "/sse").await?;
    let index = Arc::new(Index::new(PAGES));
    let stop = CancellationToken::new();
    let server = Arc::new(SseServer::new(move || Search::new(Arc::clone(&index)), stop.clone()));
    let handler = move |request| {
        let server = Arc::clone(&server);
        async move { server.answer(request).await }
    };
    let serving = serve::serve(listener, handler, stop.clone());
    let ended = async {
        lifetime::ended().await;
        stop.cancel();
    };
    tokio::join!(serving, ended);
    Ok(())
}

/// The server that one session talks to.
pub(super) struct Search {
    index: Arc<Index>,
    tools: ToolRouter<Self>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SearchDocs {
    /// What to look for, in plain words, e.g. "when does a breaker trip"
    query: String,
    /// How many hits to return, 1 to 20
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 20))]
    limit: usize,
}

fn default_limit() -> usize {
    5
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReadSection {
    /// Address of the section, as search_docs gave it, e.g. "docs://readme"
    uri: String,
}

/// Sections that match, best first.
#[derive(Debug, Serialize, JsonSchema)]
struct Hits {
    /// The sections; empty if no word of the query occurs anywhere
    hits: Vec<DocsHit>,
}

/// One section that matches.
#[derive(Debug, Serialize, JsonSchema)]
struct DocsHit {
    /// Page and heading
    title: String,
    /// The line that matches best
    snippet: String,
    /// Address to give to read_section
    uri: String,
    /// BM25 score; only comparable within one answer
    score: f32,
}

#[tool_router(vis = "pub(in crate::demo)")]
impl Search {
    fn new(index: Arc<Index>) -> Self {
        Self { index, tools: portable(Self::tool_router()) }
    }

    /// Search Switchyard's documentation. Returns the best sections with a matching line and an address to read on.
    #[tool(annotations(title = "Search documentation", read_only_hint = true, open_world_hint = false))]
    fn search_docs(&self, Parameters(SearchDocs { query, limit }): Parameters<SearchDocs>) -> Json<Hits> {
        let hits = self.index.search(&query, limit.clamp(1, 20)).into_iter();
        let hits = hits.map(|hit| DocsHit {
            title: hit.section.title.clone(),
            snippet: hit.snippet,
            uri: hit.section.uri.clone(),
            score: hit.score,
        });
        Json(Hits { hits: hits.collect() })
    }

    /// Read one section of the documentation in full, as Markdown.
    #[tool(annotations(title = "Read section", read_only_hint = true, open_world_hint = false))]
    fn read_section(
        &self,
        Parameters(ReadSection { uri }): Parameters<ReadSection>,
    ) -> Result<String, String> {
        let section = self.index.section(&uri);
        section.map(|section| section.text.clone()).ok_or_else(|| no_section(&uri))
    }
}

#[tool_handler(router = self.tools)]
impl ServerHandler for Search {
    fn get_info(&self) -> ServerConfig {
        let implementation = Implementation::new("switchyard-demo-search", env!("CARGO_PKG_VERSION"))
            .with_title("Switchyard demo: documentation search");
        ServerConfig::new(ServerCapabilities::builder().enable_tools().enable_resources().build())
            .with_server_info(implementation)
            .with_instructions(INSTRUCTIONS)
    }

    /// HTTP+SSE was replaced before requests without a session existed, so the modern revision is not offered here.
    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(ProtocolVersion::known_up_to(&ProtocolVersion::V_2025_11_25))
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let resources = self.index.sections().iter().map(resource).collect();
        Ok(ListResourcesResult::with_all_items(resources))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri;
        let Some(section) = self.index.section(&uri) else {
            let data = serde_json::json!({ "uri": uri });
            return Err(ErrorData::resource_not_found(no_section(&uri), Some(data)));
        };
        let contents = ResourceContents::text(section.text.clone(), uri).with_mime_type(MARKDOWN);
        Ok(ReadResourceResult::new(vec![contents]).into())
    }
}

fn resource(section: &Section) -> Resource {
    Resource::new(section.uri.clone(), section.title.clone())
        .with_mime_type(MARKDOWN)
        .with_size(section.text.len() as u64)
}

fn no_section(uri: &str) -> String {
    format!("no section {uri}; search_docs returns addresses that exist")
}
