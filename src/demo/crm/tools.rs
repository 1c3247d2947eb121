//! Which tools does the CRM offer, and what do they promise about themselves?
//!
//! The doc comment of a tool is the description that clients and models see.

use rmcp::{
    handler::server::wrapper::{Json, Parameters},
    model::{ContentBlock, IntoContents},
    tool, tool_router,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Crm,
    records::{Changes, Customer, Matches, NewCustomer, Note, Notes, Page},
    store::StoreError,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FindCustomer {
    /// Words to look for in name, company and e-mail, in any case and order; all of them must occur
    query: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListCustomers {
    /// How many customers to return, 1 to 100
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 100))]
    limit: u32,
    /// How many customers to skip: the next_offset of the page before
    #[serde(default)]
    offset: u32,
}

fn default_limit() -> u32 {
    20
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetCustomer {
    /// Number of the customer, as find_customer or list_customers gave it
    id: i64,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AddNote {
    /// Number of the customer the note is about
    customer_id: i64,
    /// What to remember, up to 10000 characters
    text: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListNotes {
    /// Number of the customer whose notes to read
    customer_id: i64,
}

/// In a tool's error position this becomes a result with `isError`, which the model reads and can act on.
impl IntoContents for StoreError {
    fn into_contents(self) -> Vec<ContentBlock> {
        vec![ContentBlock::text(self.to_string())]
    }
}

#[tool_router(vis = "pub(in crate::demo)")]
impl Crm {
    /// Find customers by name, company or e-mail address. Start here to get a customer's id.
    #[tool(annotations(title = "Find customer", read_only_hint = true, open_world_hint = false))]
    async fn find_customer(
        &self,
        Parameters(FindCustomer { query }): Parameters<FindCustomer>,
    ) -> Result<Json<Matches>, StoreError> {
        let customers = self.store.find(query).await?;
        Ok(Json(Matches { customers }))
    }

    /// List all customers page by page, ordered by id.
    #[tool(annotations(title = "List customers", read_only_hint = true, open_world_hint = false))]
    async fn list_customers(
        &self,
        Parameters(ListCustomers { limit, offset }): Parameters<ListCustomers>,
    ) -> Result<Json<Page>, StoreError> {
        self.store.page(limit.clamp(1, 100), offset).await.map(Json)
    }

    /// Get one customer by id.
    #[tool(annotations(title = "Get customer", read_only_hint = true, open_world_hint = false))]
    async fn get_customer(
        &self,
        Parameters(GetCustomer { id }): Parameters<GetCustomer>,
    ) -> Result<Json<Customer>, StoreError> {
        self.store.customer(id).await.map(Json)
    }

    /// Create a customer, who starts as a lead. Fails if another customer has the same e-mail address.
    #[tool(annotations(
        title = "Create customer",
        read_only_hint = false,
        destructive_hint = false,
        idempotent_hint = false,
        open_world_hint = false
    ))]
    async fn create_customer(
        &self,
        Parameters(new): Parameters<NewCustomer>,
    ) -> Result<Json<Customer>, StoreError> {
        self.store.create(new).await.map(Json)
    }

    /// Change a customer's name, e-mail address, company or status. What is left out stays; what is given replaces the old value.
    #[tool(annotations(
        title = "Update customer",
        read_only_hint = false,
        destructive_hint = true,
        idempotent_hint = true,
        open_world_hint = false
    ))]
    async fn update_customer(
        &self,
        Parameters(changes): Parameters<Changes>,
    ) -> Result<Json<Customer>, StoreError> {
        self.store.update(changes).await.map(Json)
    }

    /// Add a note about a customer. Notes are kept for good and cannot be changed.
    #[tool(annotations(
        title = "Add note",
        read_only_hint = false,
        destructive_hint = false,
        idempotent_hint = false,
        open_world_hint = false
    ))]
    async fn add_note(
        &self,
        Parameters(AddNote { customer_id, text }): Parameters<AddNote>,
    ) -> Result<Json<Note>, StoreError> {
        self.store.add_note(customer_id, text).await.map(Json)
    }

    /// Read the notes about a customer, newest first.
    #[tool(annotations(title = "List notes", read_only_hint = true, open_world_hint = false))]
    async fn list_notes(
        &self,
        Parameters(ListNotes { customer_id }): Parameters<ListNotes>,
    ) -> Result<Json<Notes>, StoreError> {
        let notes = self.store.notes(customer_id).await?;
        Ok(Json(Notes { notes }))
    }
}
