//! How does a server on rmcp keep the contract of the matrix?

use std::{borrow::Cow, convert::Infallible, net::Ipv4Addr, path::Path, sync::Arc, time::Duration};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rmcp::{
    ErrorData, Peer, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, InputRequest,
        InputRequests, InputRequiredResult, InputResponses, ListResourcesResult, ListToolsResult,
        PaginatedRequestParams, ProgressNotificationParam, ProtocolVersion, ReadResourceRequestParams,
        ReadResourceResponse, ReadResourceResult, Resource, ResourceContents,
        ResourceUpdatedNotificationParam, ServerCapabilities, ServerConfig, ServerRequest,
        SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
    },
    service::{RequestContext, SubscriptionContext},
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::broadcast};

type Context = RequestContext<RoleServer>;

const TOOLS: [&str; 6] = ["echo", "progress", "slow", "ask", "sample", "touch"];

/// The server; a clone shares everything.
#[derive(Clone)]
pub(crate) struct Contract {
    name: String,
    note: String,
    revisions: Vec<ProtocolVersion>,
    /// Who subscribed with a handshake.
    subscribers: Arc<Mutex<Vec<Peer<RoleServer>>>>,
    /// For those who listen without one.
    touched: broadcast::Sender<()>,
}

impl Contract {
    /// A server that speaks `revisions`.
    pub(crate) fn new(name: &str, revisions: Vec<ProtocolVersion>) -> Self {
        let (touched, _) = broadcast::channel(16);
        let note = format!("note://{name}/today");
        Self { name: name.to_owned(), note, revisions, subscribers: Arc::default(), touched }
    }

    async fn touch(&self) -> CallToolResult {
        // The SDK acknowledges a subscription before its handler begins to listen.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let _ = self.touched.send(());
        let subscribers = self.subscribers.lock().clone();
        for subscriber in subscribers {
            // One that has left is no reason not to tell the others.
            let _ = subscriber
                .notify_resource_updated(ResourceUpdatedNotificationParam::new(self.note.clone()))
                .await;
        }
        text("touched")
    }
}

impl ServerHandler for Contract {
    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Owned(self.revisions.clone())
    }

    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_resources();
        ServerConfig::new(capabilities.enable_resources_subscribe().build())
            .with_server_info(Implementation::new(self.name.clone(), "1.0.0"))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(TOOLS.iter().map(|name| tool(name)).collect()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        TOOLS.iter().find(|known| **known == name).map(|known| tool(known))
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        context: Context,
    ) -> Result<CallToolResponse, ErrorData> {
        let argument = |name: &str| {
            let value = call.arguments.as_ref().and_then(|arguments| arguments.get(name));
            value.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        match &*call.name {
            "echo" => Ok(text(argument("text")).into()),
            "progress" => Ok(progress(&context).await.into()),
            "slow" => Ok(slow(Path::new(&argument("record")), &context).await.into()),
            "ask" => {
                asked(&call, &context, question(WHO)?, |answer| {
                    format!("Hello, {}!", answer["content"]["name"].as_str().unwrap_or("nobody"))
                })
                .await
            }
            "sample" => {
                asked(&call, &context, question(SOMETHING)?, |answer| {
                    format!("The model said {}", answer["content"]["text"].as_str().unwrap_or("nothing"))
                })
                .await
            }
            "touch" => Ok(self.touch().await.into()),
            other => Err(ErrorData::invalid_params(format!("there is no tool {other}"), None)),
        }
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(vec![Resource::new(self.note.clone(), "today")]))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        Ok(ReadResourceResult::new(vec![ResourceContents::text("a note", request.uri)]).into())
    }

    async fn subscribe(&self, _: SubscribeRequestParams, context: Context) -> Result<(), ErrorData> {
        self.subscribers.lock().push(context.peer);
        Ok(())
    }

    async fn unsubscribe(&self, _: UnsubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        let mut touched = self.touched.subscribe();
        loop {
            tokio::select! {
                _ = touched.recv() => {
                    // Whoever did not ask for this resource is not told; the sink sees to it.
                    let _ = subscription.sink().notify_resource_updated(self.note.clone()).await;
                }
                () = subscription.cancelled() => return Ok(()),
            }
        }
    }
}

async fn progress(context: &Context) -> CallToolResult {
    if let Some(token) = context.meta.get_progress_token() {
        for step in [1.0, 2.0, 3.0] {
            let params = ProgressNotificationParam::new(token.clone(), step).with_total(3.0);
            let _ = context.peer.notify_progress(params).await;
            // Some clients take no progress that comes together with the answer.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    text("done")
}

/// Says in a file that it began, and that it was given up.
async fn slow(record: &Path, context: &Context) -> CallToolResult {
    let _ = std::fs::write(record, "started");
    tokio::select! {
        () = context.ct.cancelled() => {
            let _ = std::fs::write(record, "cancelled");
        }
        () = tokio::time::sleep(Duration::from_secs(30)) => {}
    }
    text("done")
}

const WHO: &str = r#"{"method": "elicitation/create", "params": {"mode": "form", "message": "Who are you?",
    "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}}}"#;
const SOMETHING: &str = r#"{"method": "sampling/createMessage", "params": {"maxTokens": 20,
    "messages": [{"role": "user", "content": {"type": "text", "text": "Say something."}}]}}"#;

fn question(written: &str) -> Result<InputRequest, ErrorData> {
    serde_json::from_str(written).map_err(|error| internal(error.to_string()))
}

/// Asks in the way of the call's era, and answers with what `say` makes of the answer.
async fn asked(
    call: &CallToolRequestParams,
    context: &Context,
    question: InputRequest,
    say: fn(&Value) -> String,
) -> Result<CallToolResponse, ErrorData> {
    let modern = context.protocol_version().is_some_and(|revision| !revision.has_initialize());
    if !modern {
        return Ok(text(say(&ask(&context.peer, question).await?)).into());
    }
    let answers: Option<&InputResponses> = call.input_responses.as_ref();
    match answers.and_then(|answers| answers.get("answer")) {
        Some(answer) => {
            Ok(text(say(&serde_json::to_value(answer).map_err(|error| internal(error.to_string()))?)).into())
        }
        None => {
            let questions = InputRequests::from([("answer".to_owned(), question)]);
            Ok(InputRequiredResult::from_input_requests(questions).into())
        }
    }
}

async fn ask(peer: &Peer<RoleServer>, question: InputRequest) -> Result<Value, ErrorData> {
    let request = match question {
        InputRequest::Elicitation(request) => ServerRequest::ElicitRequest(request),
        InputRequest::CreateMessage(request) => ServerRequest::CreateMessageRequest(request),
        other => return Err(internal(format!("no such question: {other:?}"))),
    };
    let answer = peer.send_request(request).await.map_err(|error| internal(error.to_string()))?;
    serde_json::to_value(answer).map_err(|error| internal(error.to_string()))
}

fn internal(error: String) -> ErrorData {
    ErrorData::internal_error(error, None)
}

fn text(text: impl Into<String>) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

fn tool(name: &'static str) -> Tool {
    let properties = json!({"text": {"type": "string"}, "record": {"type": "string"}});
    let Value::Object(schema) = json!({"type": "object", "properties": properties}) else {
        unreachable!("an object was written")
    };
    Tool::new(name, "Keeps the contract", schema)
}

/// Answers on 127.0.0.1 until the process is killed.
pub(crate) async fn http(contract: Contract, port: u16) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let sessions = Arc::new(LocalSessionManager::default());
    let factory = move || Ok(contract.clone());
    let service = StreamableHttpService::new(factory, sessions, StreamableHttpServerConfig::default());
    loop {
        let (stream, _) = listener.accept().await?;
        let service = service.clone();
        let answer = service_fn(move |request: Request<Incoming>| {
            let service = service.clone();
            async move { Ok::<_, Infallible>(service.handle(request).await) }
        });
        // A connection that breaks concerns its client only.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    }
}
