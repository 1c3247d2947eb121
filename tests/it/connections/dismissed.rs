//! A client is taken out of the configuration: what becomes of the process that was kept for it?

use serde_json::json;
use switchyard::server::new_token;

use super::{note, pid};
use crate::support::eventually;
use crate::support::gateway::raw_stdio_entry;
use crate::support::process::is_alive;
use crate::support::program::Program;

#[tokio::test]
async fn the_process_of_a_client_that_was_taken_out_ends_and_the_next_of_its_name_has_another() {
    let ((ann, ann_hash), (bob, bob_hash)) = (new_token().unwrap(), new_token().unwrap());
    let (next, next_hash) = new_token().unwrap();
    let book = raw_stdio_entry("book", "legacy", "connections: { mode: per_principal }");
    let bob_entry = format!("  bob: {{ token_sha256: {bob_hash} }}\n");
    let with = |ann: &str| format!("clients:\n{bob_entry}{ann}backends:\n{book}");
    let entry = |hash: &str| format!("  ann: {{ token_sha256: {hash} }}\n");
    let program = Program::start(&with(&entry(&ann_hash))).await;
    let (anns, bobs) = (program.modern().with_token(&ann), program.modern().with_token(&bob));
    eventually("the tools", async || (!anns.tools().await.is_empty()).then_some(())).await;
    assert_eq!(note(&anns, "a secret").await, json!(["a secret"]));
    assert_eq!(note(&bobs, "b").await, json!(["b"]));
    let (removed, stays) = (pid(&anns).await, pid(&bobs).await);
    program.write(&with(""));
    program.generation(2).await;
    eventually("the end of her process", async || (!is_alive(removed)).then_some(())).await;
    program.write(&with(&entry(&next_hash)));
    program.generation(3).await;
    let nexts = program.modern().with_token(&next);
    assert_eq!(note(&nexts, "x").await, json!(["x"]), "nothing of the former ann's");
    assert_eq!(pid(&bobs).await, stays);
}
