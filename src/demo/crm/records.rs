//! What does the CRM keep, and what can be asked of it?
//!
//! The doc comments of the fields are the descriptions that a model reads in the tools' schemas.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Customer {
    /// Number of the customer, never reused
    pub(super) id: i64,
    /// Name of the contact person
    pub(super) name: String,
    /// E-mail address, unique among all customers
    pub(super) email: String,
    /// Company the person works for, if known
    pub(super) company: Option<String>,
    /// Where the relationship stands
    pub(super) status: Status,
    /// When the customer was created, UTC, RFC 3339
    pub(super) created_at: String,
    /// When the customer was last changed, UTC, RFC 3339
    pub(super) updated_at: String,
}

/// Where the relationship with a customer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    /// Interested, has not bought yet
    Lead,
    /// Buys from us
    Active,
    /// Asked us to wait
    Paused,
    /// Has left
    Churned,
}

impl Status {
    pub(super) const ALL: [Self; 4] = [Self::Lead, Self::Active, Self::Paused, Self::Churned];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Lead => "lead",
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Churned => "churned",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// One note about a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Note {
    /// Number of the note
    pub(super) id: i64,
    /// Customer the note is about
    pub(super) customer_id: i64,
    /// What was noted
    pub(super) text: String,
    /// When it was written, UTC, RFC 3339
    pub(super) created_at: String,
}

/// Customers that match a search.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Matches {
    /// At most 20 customers, ordered by name
    pub(super) customers: Vec<Customer>,
}

/// One page of all customers, ordered by id.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Page {
    /// The customers of this page
    pub(super) customers: Vec<Customer>,
    /// How many customers there are in all
    pub(super) total: u32,
    /// Offset of the next page; null on the last one
    pub(super) next_offset: Option<u32>,
}

/// The notes about one customer, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Notes {
    /// At most 100 notes, newest first
    pub(super) notes: Vec<Note>,
}

/// Numbers for the `crm://summary` resource.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    pub(super) customers: u32,
    pub(super) notes: u32,
    pub(super) by_status: BTreeMap<&'static str, u32>,
}

/// Everything known about one customer.
#[derive(Debug, Serialize)]
pub(super) struct Dossier {
    pub(super) customer: Customer,
    pub(super) notes: Vec<Note>,
}

/// A customer to create.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCustomer {
    /// Name of the contact person, e.g. "Ada Quill"
    pub(super) name: String,
    /// E-mail address; no other customer may have it
    pub(super) email: String,
    /// Company the person works for
    pub(super) company: Option<String>,
}

/// Changes to a customer; what is left out stays as it is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Changes {
    /// Number of the customer, as find_customer or list_customers gave it
    pub(super) id: i64,
    /// New name
    pub(super) name: Option<String>,
    /// New e-mail address; no other customer may have it
    pub(super) email: Option<String>,
    /// New company; an empty string removes it
    pub(super) company: Option<String>,
    /// New status
    pub(super) status: Option<Status>,
}
