//! What clients are told the gateway can do.

use crate::support::{Client, RawBackend, Speaks, Yard};

#[tokio::test]
async fn capabilities_are_the_same_whichever_backends_are_up() {
    let backend = RawBackend::start(Speaks::Modern, "[]", |_| None).await;
    let yard = Yard::of(&backend.entry("raw")).await;
    let client = Client::modern(&yard.url);
    let up = client.ask("server/discover", "").await.result_value()["capabilities"].clone();
    assert!(up["resources"]["subscribe"] == true && up["tools"]["listChanged"] == true);

    let entry = backend.entry("raw");
    drop(backend);
    let without = Yard::of(&entry).await;
    assert_eq!(without.backend("raw").snapshot.state, "down");
    let down = Client::modern(&without.url).ask("server/discover", "").await.result_value();
    assert_eq!(down["capabilities"], up);
}
