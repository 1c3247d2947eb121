//! User interfaces that tools link to: whoever's tool it is, its interface is read there.

use crate::support::{Answer, Client, RawBackend, Speaks, Yard};

const TOOLS: &str = r#"[{"name":"chart","inputSchema":{"type":"object"},"_meta":{"ui":{"resourceUri":"ui://chart","csp":1.0}}}]"#;

/// Lists no resource; answers each read with its own name.
async fn backend(speaks: Speaks, name: &'static str) -> RawBackend {
    RawBackend::start(speaks, TOOLS, move |asked| {
        let uri = asked.message.param("uri").filter(|_| asked.message.method == "resources/read")?;
        Some(Answer::Result(format!(r#"{{"contents":[{{"uri":{uri},"text":"{name}"}}]}}"#)))
    })
    .await
}

#[tokio::test]
async fn an_interface_in_no_list_is_read_from_the_backend_whose_tool_links_it_under_the_uri_shown_there() {
    let (one, two) = (backend(Speaks::Modern, "one").await, backend(Speaks::Legacy, "two").await);
    let yard = Yard::of(&(one.entry("one") + &two.entry("two"))).await;
    for client in [Client::modern(&yard.url), Client::legacy(&yard.url).await] {
        let tools = client.ask("tools/list", "").await.result_value();
        for (at, name, shown) in [(0, "one", "ui://chart"), (1, "two", "two+ui://chart")] {
            let ui = &tools["tools"][at]["_meta"]["ui"];
            assert_eq!((&ui["resourceUri"], &ui["csp"]), (&shown.into(), &1.0.into()));
            let read = client.ask("resources/read", &format!(r#""uri":"{shown}""#)).await.result_value();
            assert_eq!(read["contents"][0]["text"], name);
            assert_eq!(read["contents"][0]["uri"], shown);
        }
    }
    for backend in [one, two] {
        let reads = backend.asked("resources/read");
        assert_eq!(reads.len(), 2);
        assert!(reads.iter().all(|read| read.message.param("uri").as_deref() == Some(r#""ui://chart""#)));
    }
}
