//! A backend that keeps state: whose calls meet which connection?

mod bounds;
mod dismissed;
mod holders;
mod reuse;
mod sessions;
mod waiting;

use serde_json::Value;
use switchyard::server::new_token;

use crate::support::{Client, Yard};

/// A gateway for two clients, and their tokens.
async fn guarded(entries: &str) -> (Yard, String, String) {
    let ((ann, ann_hash), (bob, bob_hash)) = (new_token().unwrap(), new_token().unwrap());
    let clients =
        format!("clients:\n  ann: {{ token_sha256: {ann_hash} }}\n  bob: {{ token_sha256: {bob_hash} }}\n");
    (Yard::start(&format!("{clients}backends:\n{entries}")).await, ann, bob)
}

/// Has something noted, and says what is noted where this call came to.
async fn note(client: &Client, text: &str) -> Value {
    let noted = client.call("book__note", &format!("\"{text}\"")).await.result_value();
    noted["noted"].clone()
}

async fn pid(client: &Client) -> u32 {
    let answer = client.call("book__pid", "{}").await.result_value();
    answer["pid"].as_u64().unwrap().try_into().unwrap()
}
