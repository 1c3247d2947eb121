//! Names that lead nowhere, and arguments that do not fit.

use crate::support::{Client, RawBackend, Speaks, Yard};

const TOOLS: &str = r#"[{"name":"find_customer","inputSchema":{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"]}}]"#;

async fn scene(settings: &str) -> (RawBackend, Yard) {
    let backend = RawBackend::start(Speaks::Legacy, TOOLS, |_| None).await;
    let yard = Yard::of(&backend.entry_with("crm", settings)).await;
    (backend, yard)
}

#[tokio::test]
async fn an_unknown_tool_is_refused_with_the_nearest_name_and_no_backend_hears_of_it() {
    let (backend, yard) = scene("type: http").await;
    for client in [Client::legacy(&yard.url).await, Client::modern(&yard.url)] {
        for misspelt in ["find_customer", "crm__find_custmer", "crm.find_customer"] {
            let error = client.call(misspelt, "{}").await.error_value();
            assert_eq!(error["code"], -32602);
            assert!(error["message"].as_str().unwrap().contains("`crm__find_customer`"), "{error}");
            assert_eq!(error["data"]["nearest"][0], "crm__find_customer");
        }
        let error = client.call("nothing like it", "{}").await.error_value();
        assert_eq!((&error["code"], &error["data"]["nearest"]), (&(-32602).into(), &serde_json::json!([])));
    }
    assert!(backend.asked("tools/call").is_empty());
}

#[tokio::test]
async fn a_resource_nobody_offers_is_unknown_in_the_words_of_the_clients_era() {
    let (backend, yard) = scene("type: http").await;
    let code = async |client: Client| {
        let error = client.ask("resources/read", r#""uri":"no://such""#).await.error_value();
        assert_eq!(error["data"]["uri"], "no://such");
        error["code"].as_i64().unwrap()
    };
    assert_eq!(code(Client::legacy(&yard.url).await).await, -32002);
    assert_eq!(code(Client::modern(&yard.url)).await, -32602);
    assert!(backend.asked("resources/read").is_empty());
}

#[tokio::test]
async fn arguments_that_do_not_fit_never_reach_a_backend_that_wants_them_checked() {
    let (backend, yard) = scene("validate_arguments: true").await;
    let client = Client::modern(&yard.url);
    for arguments in ["{}", r#"{"id":"7"}"#, "[]"] {
        let failure = client.call("crm__find_customer", arguments).await.failure();
        assert_eq!(failure["error"], "invalid_arguments", "{arguments}");
    }
    assert!(backend.asked("tools/call").is_empty());
    assert!(client.call("crm__find_customer", r#"{"id":7}"#).await.result_value()["isError"].is_null());
    assert_eq!(backend.asked("tools/call").len(), 1);
}

#[tokio::test]
async fn arguments_are_not_judged_unless_the_operator_asks_for_it() {
    let (backend, yard) = scene("type: http").await;
    Client::modern(&yard.url).call("crm__find_customer", r#"{"id":"7"}"#).await;
    assert_eq!(backend.asked("tools/call").len(), 1);
}

#[tokio::test]
async fn prefix_hide_rename_and_description_are_what_clients_see_and_call() {
    let (backend, yard) =
        scene("prefix: c, rename: { find_customer: find }, description: { find_customer: Finds. }").await;
    let client = Client::legacy(&yard.url).await;
    let listed = client.ask("tools/list", "").await.result_value();
    assert_eq!(
        (&listed["tools"][0]["name"], &listed["tools"][0]["description"]),
        (&"c__find".into(), &"Finds.".into())
    );
    client.call("c__find", "{}").await;
    let asked = backend.asked("tools/call").pop().unwrap();
    assert_eq!(asked.message.param("name").as_deref(), Some(r#""find_customer""#));
    let (_hidden, yard) = scene("hide: [\"find_*\"]").await;
    let client = Client::modern(&yard.url);
    assert!(client.tools().await.is_empty());
    assert_eq!(client.call("crm__find_customer", "{}").await.error_value()["code"], -32602);
}
