//! Which tools does the shop offer, and what do they promise about themselves?
//!
//! The doc comment of a tool is the description that clients and models see.

use rmcp::{
    ErrorData, RoleServer,
    handler::server::wrapper::{Json, Parameters},
    model::{CallToolResult, ContentBlock, IntoContents},
    service::RequestContext,
    tool, tool_router,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Api,
    inventory::{InventoryError, Order, OrderStatus, Stock},
    slow::{self, Report, SlowReport},
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListOrders {
    /// Only orders with this status; all orders if left out
    status: Option<OrderStatus>,
}

/// Orders, newest first.
#[derive(Debug, Serialize, JsonSchema)]
struct Orders {
    /// The orders
    orders: Vec<Order>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetOrder {
    /// Number of the order, e.g. 1001
    id: u64,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateOrder {
    /// Product to order, e.g. "TEA-100"
    sku: String,
    /// How many pieces, at least 1 and at most what is in stock
    #[schemars(range(min = 1))]
    quantity: u32,
    /// Who orders
    customer: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CheckStock {
    /// Product to look up, e.g. "POT-BLU"
    sku: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Flaky {
    /// How to fail
    #[serde(default)]
    mode: FailureMode,
}

#[derive(Debug, Default, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum FailureMode {
    /// The tool answers, and its answer says that it failed (isError)
    #[default]
    ToolError,
    /// The server answers with a JSON-RPC internal error instead of a result
    ProtocolError,
}

/// In a tool's error position this becomes a result with `isError`, which the model reads and can act on.
impl IntoContents for InventoryError {
    fn into_contents(self) -> Vec<ContentBlock> {
        vec![ContentBlock::text(self.to_string())]
    }
}

#[tool_router(vis = "pub(in crate::demo)")]
impl Api {
    /// List orders, newest first, optionally only those with one status.
    #[tool(annotations(title = "List orders", read_only_hint = true, open_world_hint = false))]
    fn list_orders(&self, Parameters(ListOrders { status }): Parameters<ListOrders>) -> Json<Orders> {
        Json(Orders { orders: self.inventory.orders(status) })
    }

    /// Get one order by its number.
    #[tool(annotations(title = "Get order", read_only_hint = true, open_world_hint = false))]
    fn get_order(
        &self,
        Parameters(GetOrder { id }): Parameters<GetOrder>,
    ) -> Result<Json<Order>, InventoryError> {
        self.inventory.order(id).map(Json)
    }

    /// Order a product. Takes the pieces out of the stock; calling twice orders twice.
    #[tool(annotations(
        title = "Create order",
        read_only_hint = false,
        destructive_hint = false,
        idempotent_hint = false,
        open_world_hint = false
    ))]
    fn create_order(
        &self,
        Parameters(CreateOrder { sku, quantity, customer }): Parameters<CreateOrder>,
    ) -> Result<Json<Order>, InventoryError> {
        self.inventory.create(&sku, quantity, &customer).map(Json)
    }

    /// Look up how many pieces of a product are in stock and what one costs.
    #[tool(annotations(title = "Check stock", read_only_hint = true, open_world_hint = false))]
    fn check_stock(
        &self,
        Parameters(CheckStock { sku }): Parameters<CheckStock>,
    ) -> Result<Json<Stock>, InventoryError> {
        self.inventory.stock(&sku).map(Json)
    }

    /// Compile a sales report, deliberately slowly: reports progress every second and stops early when cancelled.
    #[tool(annotations(title = "Slow report", read_only_hint = true, open_world_hint = false))]
    async fn slow_report(
        &self,
        Parameters(SlowReport { seconds }): Parameters<SlowReport>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Report>, String> {
        slow::report(&self.inventory, seconds, &context).await.map(Json)
    }

    /// Fail on request, to see how errors travel: as a tool error or as a protocol error.
    #[tool(annotations(title = "Flaky", read_only_hint = true, open_world_hint = false))]
    fn flaky(&self, Parameters(Flaky { mode }): Parameters<Flaky>) -> Result<CallToolResult, ErrorData> {
        let message = "failed, as you asked";
        match mode {
            FailureMode::ToolError => Ok(CallToolResult::error(vec![ContentBlock::text(message)])),
            FailureMode::ProtocolError => Err(ErrorData::internal_error(message, None)),
        }
    }
}
