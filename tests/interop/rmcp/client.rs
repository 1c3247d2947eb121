//! How does a client on rmcp go through the matrix?

#![expect(deprecated, reason = "sampling is part of what is tested")]

use std::{process::Stdio, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rmcp::{
    ClientHandler, ClientLifecycleMode, ClientServiceExt as _, ErrorData, RoleClient,
    model::{
        ClientCapabilities, ClientConfig, CreateMessageRequestParams, CreateMessageResult,
        ElicitRequestParams, ElicitResult, ElicitationAction, Implementation, ProgressNotificationParam,
        ProtocolVersion, ResourceUpdatedNotificationParam, SamplingMessage,
    },
    service::{NotificationContext, RequestContext, RunningService},
    transport::{StreamableHttpClientTransport, TokioChildProcess},
};
use serde_json::json;
use tokio::{process::Command, sync::Semaphore, time::timeout};

use crate::{
    plan::{Plan, Report, Target},
    steps,
};

pub(crate) type Client = RunningService<RoleClient, Host>;

/// How much is done, and of how much.
type Progress = (f64, Option<f64>);

/// What stands behind a client: a user called Ada, and a model of few words. Remembers what it is told.
#[derive(Clone, Default)]
pub(crate) struct Host {
    pub(crate) progress: Arc<Mutex<Vec<Progress>>>,
    pub(crate) updated: Arc<Mutex<Vec<String>>>,
}

impl ClientHandler for Host {
    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder().enable_elicitation().enable_sampling().build();
        ClientConfig::new(capabilities, Implementation::new("matrix", "1.0.0"))
    }

    async fn create_elicitation(
        &self,
        _: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(json!({"name": "Ada"})))
    }

    async fn create_message(
        &self,
        _: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        Ok(CreateMessageResult::new(SamplingMessage::assistant_text("hi"), "none".to_owned()))
    }

    async fn on_progress(&self, params: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.progress.lock().push((params.progress, params.total));
    }

    async fn on_resource_updated(
        &self,
        params: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.updated.lock().push(params.uri);
    }
}

/// Visits every target, some of them at once.
pub(crate) async fn visit_all(plan: Plan) -> anyhow::Result<()> {
    let (gate, plan) = (Arc::new(Semaphore::new(plan.at_once)), Arc::new(plan));
    let visits = plan.targets.iter().cloned().map(|target| {
        let (gate, plan) = (Arc::clone(&gate), Arc::clone(&plan));
        tokio::spawn(async move {
            let _place = gate.acquire().await;
            visit(&target, &plan.steps, Duration::from_secs(plan.patience)).await
        })
    });
    for visit in visits.collect::<Vec<_>>() {
        let report = serde_json::to_string(&visit.await?)?;
        std::io::Write::write_all(&mut std::io::stdout(), format!("{report}\n").as_bytes())?;
    }
    Ok(())
}

async fn visit(target: &Target, steps: &[String], patience: Duration) -> Report {
    let mut report = Report { target: target.name.clone(), ..Report::default() };
    let client = match timeout(patience, connect(target)).await {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => return Report { error: Some(format!("{error:#}")), ..report },
        Err(_) => return Report { error: Some("no connection in time".to_owned()), ..report },
    };
    let revision = client.peer_info().map(|info| info.protocol_version.to_string());
    let modern = revision.as_deref().is_some_and(|revision| revision >= "2026");
    report.revision = revision;
    for step in steps {
        let outcome = match timeout(patience, steps::run(step, &client, target, modern)).await {
            Ok(outcome) => outcome.err().map(|error| format!("{error:#}")),
            Err(_) => Some("not done in time".to_owned()),
        };
        report.steps.insert(step.clone(), outcome);
    }
    let _ = timeout(patience, client.cancel()).await;
    report
}

async fn connect(target: &Target) -> anyhow::Result<Client> {
    let era = ClientLifecycleMode::Auto {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        legacy_version: None,
    };
    if target.transport != "stdio" {
        let transport = StreamableHttpClientTransport::from_uri(target.url.as_str());
        return Ok(Host::default().serve_with_lifecycle(transport, era).await?);
    }
    let mut command = Command::new(&target.command);
    command.args(&target.args).env_clear().envs(&target.env);
    let (transport, _) = TokioChildProcess::builder(command).stderr(Stdio::null()).spawn()?;
    Ok(Host::default().serve_with_lifecycle(transport, era).await?)
}
