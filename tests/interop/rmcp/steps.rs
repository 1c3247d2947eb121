//! What does each step of the matrix do, and when has it gone well?

#![expect(deprecated, reason = "the era with a handshake is half of what is tested")]

use std::{path::Path, time::Duration};

use anyhow::{Context as _, bail, ensure};
use rmcp::{
    model::{
        CallToolRequest, CallToolRequestParams, ClientRequest, ServerNotification, SubscribeRequestParams,
        SubscriptionFilter,
    },
    service::PeerRequestOptions,
};
use serde_json::{Value, json};

use crate::{client::Client, plan::Target};

const BEAT: Duration = Duration::from_millis(50);
const BEATS: usize = 1_200;

/// Goes one step.
pub(crate) async fn run(step: &str, client: &Client, target: &Target, modern: bool) -> anyhow::Result<()> {
    match step {
        "list" => list(client, target).await,
        "call" => says(client, target, "echo", json!({"text": "Grüße 🚂"}), "Grüße 🚂").await,
        "progress" => progress(client, target).await,
        "cancel" => cancel(client, target).await,
        "elicit" => says(client, target, "ask", json!({}), "Hello, Ada!").await,
        "sample" => says(client, target, "sample", json!({}), "The model said hi").await,
        "subscribe" if modern => listen(client, target).await,
        "subscribe" => subscribe(client, target).await,
        other => bail!("no such step: {other}"),
    }
}

async fn list(client: &Client, target: &Target) -> anyhow::Result<()> {
    // A gateway that was launched just now does not keep anybody waiting for what it does not know yet.
    for attempt in 1.. {
        let tools = client.list_all_tools().await?;
        let names = target.tools.iter().map(|tool| format!("{}{tool}", target.prefix));
        let Some(missing) = names.into_iter().find(|name| !tools.iter().any(|tool| tool.name == *name))
        else {
            break;
        };
        ensure!(attempt < BEATS, "{missing} is not listed");
        tokio::time::sleep(BEAT).await;
    }
    let resources = client.list_all_resources().await?;
    ensure!(resources.iter().any(|resource| resource.uri == target.note), "{} is not listed", target.note);
    Ok(())
}

async fn progress(client: &Client, target: &Target) -> anyhow::Result<()> {
    says(client, target, "progress", json!({}), "done").await?;
    let wanted = [1.0, 2.0, 3.0].map(|step| (step, Some(3.0)));
    // The last of them may still be on its way through the SDK.
    until("three steps of progress", || *client.service().progress.lock() == wanted).await
}

async fn cancel(client: &Client, target: &Target) -> anyhow::Result<()> {
    let record = Path::new(&target.record);
    let call = params(target, "slow", json!({"record": target.record}));
    let request = ClientRequest::CallToolRequest(CallToolRequest::new(call));
    let call = client.send_cancellable_request(request, PeerRequestOptions::no_options()).await?;
    written(record, "started").await?;
    call.cancel(Some("no longer wanted".to_owned())).await?;
    written(record, "cancelled").await
}

async fn subscribe(client: &Client, target: &Target) -> anyhow::Result<()> {
    client.subscribe(SubscribeRequestParams::new(target.note.clone())).await?;
    says(client, target, "touch", json!({}), "touched").await?;
    until("notifications/resources/updated", || client.service().updated.lock().contains(&target.note)).await
}

async fn listen(client: &Client, target: &Target) -> anyhow::Result<()> {
    let filter = SubscriptionFilter::builder().resource_subscription(target.note.clone()).build();
    let mut subscription = client.listen(filter).await?;
    says(client, target, "touch", json!({}), "touched").await?;
    let told = tokio::time::timeout(BEAT * 100, subscription.next()).await.context("nothing was heard")??;
    match told {
        Some(ServerNotification::ResourceUpdatedNotification(told)) if told.params.uri == target.note => {
            Ok(())
        }
        other => bail!("heard {other:?}"),
    }
}

async fn says(
    client: &Client,
    target: &Target,
    tool: &str,
    arguments: Value,
    wanted: &str,
) -> anyhow::Result<()> {
    let result = client.call_tool(params(target, tool, arguments)).await?;
    let text = result.content.first().and_then(|block| block.as_text()).map(|block| block.text.as_str());
    ensure!(text == Some(wanted), "{text:?} instead of {wanted:?}");
    Ok(())
}

fn params(target: &Target, tool: &str, arguments: Value) -> CallToolRequestParams {
    let params = CallToolRequestParams::new(format!("{}{tool}", target.prefix));
    match arguments {
        Value::Object(arguments) => params.with_arguments(arguments),
        _ => params,
    }
}

async fn written(file: &Path, wanted: &str) -> anyhow::Result<()> {
    until(wanted, || std::fs::read_to_string(file).is_ok_and(|text| text == wanted)).await
}

async fn until(what: &str, is_so: impl Fn() -> bool) -> anyhow::Result<()> {
    for _ in 0..BEATS {
        if is_so() {
            return Ok(());
        }
        tokio::time::sleep(BEAT).await;
    }
    bail!("never came: {what}")
}
