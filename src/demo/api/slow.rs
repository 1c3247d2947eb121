//! How does a tool behave that takes its time?
//!
//! It says how far it has come, and it stops when nobody waits for the answer any more.

use std::time::Duration;

use rmcp::{RoleServer, model::ProgressNotificationParam, service::RequestContext};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::inventory::{Inventory, OrderStatus};

const MAX_SECONDS: u32 = 600;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SlowReport {
    /// How long to take, 1 to 600 seconds
    #[serde(default = "default_seconds")]
    #[schemars(range(min = 1, max = 600))]
    pub(super) seconds: u32,
}

fn default_seconds() -> u32 {
    20
}

/// Sales in numbers.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Report {
    /// Orders that were not cancelled
    pub(super) orders: usize,
    /// Pieces in those orders
    pub(super) pieces: u64,
    /// Value of those orders, in cents
    pub(super) total_cents: u64,
    /// How long this report took, in seconds
    pub(super) seconds: u32,
}

/// Waits `seconds`, with a progress notification after each if the request has a progress token, then reports.
pub(super) async fn report(
    inventory: &Inventory,
    seconds: u32,
    context: &RequestContext<RoleServer>,
) -> Result<Report, String> {
    if !(1..=MAX_SECONDS).contains(&seconds) {
        return Err(format!("seconds must be between 1 and {MAX_SECONDS}"));
    }
    for done in 1..=seconds {
        let second = tokio::time::sleep(Duration::from_secs(1));
        if context.ct.run_until_cancelled(second).await.is_none() {
            return Err(format!("cancelled after {} of {seconds} seconds", done - 1));
        }
        notify(context, done, seconds).await;
    }
    Ok(compile(inventory, seconds))
}

async fn notify(context: &RequestContext<RoleServer>, done: u32, total: u32) {
    let Some(token) = context.meta.get_progress_token() else {
        return;
    };
    let progress = ProgressNotificationParam::new(token, f64::from(done))
        .with_total(f64::from(total))
        .with_message(format!("{done} of {total} seconds"));
    // Progress is a courtesy: if it cannot be delivered, the report is still worth finishing.
    let _ = context.peer.notify_progress(progress).await;
}

fn compile(inventory: &Inventory, seconds: u32) -> Report {
    let mut orders = inventory.orders(None);
    orders.retain(|order| order.status != OrderStatus::Cancelled);
    Report {
        orders: orders.len(),
        pieces: orders.iter().map(|order| u64::from(order.quantity)).sum(),
        total_cents: orders.iter().map(|order| order.total_cents).sum(),
        seconds,
    }
}
