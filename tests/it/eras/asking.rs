//! rmcp's server asks, rmcp's client answers, each in either era, with the gateway between.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rmcp::model::*;
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, ServerHandler};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::support::peer::{self, call};
use crate::support::{Yard, within};

/// Books what its client answers; asks for it in the way of the era it speaks.
#[derive(Clone)]
struct Booking {
    version: ProtocolVersion,
}

fn question() -> ElicitRequestParams {
    let schema =
        json!({"type": "object", "properties": {"seats": {"type": "integer"}}, "required": ["seats"]});
    ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: "How many seats?".into(),
        requested_schema: serde_json::from_value(schema).unwrap(),
    }
}

fn booked(answer: &Value) -> CallToolResponse {
    CallToolResult::success(vec![ContentBlock::text(format!("booked: {}", answer["content"]["seats"]))])
        .into()
}

impl ServerHandler for Booking {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Owned(vec![self.version.clone()])
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let Value::Object(schema) = json!({"type": "object"}) else { unreachable!() };
        Ok(ListToolsResult::with_all_items(vec![Tool::new("book", "Books seats", Arc::new(schema))]))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if self.version != ProtocolVersion::V_2026_07_28 {
            let asked = ServerRequest::ElicitRequest(ElicitRequest::new(question()));
            let answer = context.peer.send_request(asked).await;
            let answer = answer.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
            return Ok(booked(&serde_json::to_value(answer).unwrap()));
        }
        if let Some(responses) = &request.input_responses {
            assert_eq!(request.request_state.as_deref(), Some("its own"));
            return Ok(booked(&serde_json::to_value(&responses["seats"]).unwrap()));
        }
        let mut requests = InputRequests::new();
        requests.insert("seats".to_owned(), InputRequest::Elicitation(ElicitRequest::new(question())));
        Ok(InputRequiredResult::new(Some(requests), Some("its own".into())).into())
    }
}

/// Serves until it is dropped.
struct Serving {
    url: String,
    task: JoinHandle<()>,
}

impl Serving {
    async fn start(version: ProtocolVersion) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let booking = Booking { version };
        let service: StreamableHttpService<Booking, LocalSessionManager> = StreamableHttpService::new(
            move || Ok(booking.clone()),
            Arc::default(),
            StreamableHttpServerConfig::default(),
        );
        Self { url, task: tokio::spawn(accept(listener, service)) }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, service: StreamableHttpService<Booking, LocalSessionManager>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let service = service.clone();
        let answer = service_fn(move |request| {
            let service = service.clone();
            async move { Ok::<_, Infallible>(service.handle(request).await) }
        });
        connections
            .spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    }
}

/// Both clients at one server.
async fn book(version: ProtocolVersion) {
    let server = Serving::start(version).await;
    let yard = Yard::of(&format!("  travel: {{ url: \"{}\" }}\n", server.url)).await;
    for era in [peer::legacy(), peer::modern()] {
        let client = peer::over_http(&yard.url, era.clone()).await;
        for _ in 0..3 {
            let result =
                within("a booking", client.call_tool(call("travel__book", json!({})))).await.unwrap();
            let text = &result.content[0].as_text().unwrap().text;
            assert_eq!(text, "booked: 3", "{era:?}");
        }
        within("the end of the client", client.cancel()).await.unwrap();
    }
}

#[tokio::test]
async fn a_legacy_server_asks_clients_of_both_eras() {
    book(ProtocolVersion::V_2025_11_25).await;
}

#[tokio::test]
async fn a_modern_server_asks_clients_of_both_eras() {
    book(ProtocolVersion::V_2026_07_28).await;
}
