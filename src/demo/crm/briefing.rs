//! How is a call with a customer prepared?

use rmcp::{
    ErrorData,
    handler::server::wrapper::Parameters,
    model::{GetPromptResult, PromptMessage, Role},
    prompt, prompt_router,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Crm, customer_uri, records::Dossier, store::StoreError};

/// Arguments of a prompt are strings on the wire (MCP 2025-11-25, server/prompts).
#[derive(Debug, Deserialize, JsonSchema)]
struct PrepareCall {
    /// Number of the customer to call
    customer_id: String,
}

#[prompt_router(vis = "pub(super)")]
impl Crm {
    /// Briefing for a call with one customer: who they are, what was noted, what to settle.
    #[prompt]
    async fn prepare_call(
        &self,
        Parameters(PrepareCall { customer_id }): Parameters<PrepareCall>,
    ) -> Result<GetPromptResult, ErrorData> {
        let id = customer_id.trim().parse().map_err(|_| not_a_number())?;
        let dossier = self.store.dossier(id).await.map_err(into_protocol_error)?;
        let message = PromptMessage::new_text(Role::User, compose(&dossier));
        let description = format!("Briefing for a call with {}", dossier.customer.name);
        Ok(GetPromptResult::new(vec![message]).with_description(description))
    }
}

fn not_a_number() -> ErrorData {
    ErrorData::invalid_params("customer_id must be a number such as 3", None)
}

fn into_protocol_error(error: StoreError) -> ErrorData {
    match error {
        StoreError::NoCustomer(_) => ErrorData::invalid_params(error.to_string(), None),
        other => ErrorData::internal_error(other.to_string(), None),
    }
}

fn compose(Dossier { customer, notes }: &Dossier) -> String {
    let company = customer.company.as_deref().unwrap_or("no company known");
    let status = customer.status.as_str();
    let mut text = format!(
        "I am about to call {} ({company}), customer {}, status \"{status}\", {}.\n\nNotes, newest first:\n",
        customer.name, customer.id, customer.email
    );
    for note in notes {
        text.push_str(&format!("- {}: {}\n", note.created_at, note.text));
    }
    if notes.is_empty() {
        text.push_str("- none yet\n");
    }
    text.push_str(&format!(
        "\nPrepare me: sum up in three sentences where we stand, list what is still open or promised, and suggest \
         two questions to ask. Use only what is written above; the same facts are in {}.",
        customer_uri(customer.id)
    ));
    text
}
