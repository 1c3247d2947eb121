//! Does anybody lose anything when the program is stopped, started again or replaced?

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::{Method, StatusCode};
use rustix::time::{ClockId, clock_gettime};
use tokio::net::UnixDatagram;
use tokio::task::JoinHandle;

use crate::support::client::Events;
use crate::support::port::listener;
use crate::support::process::Serving;
use crate::support::program::Program;
use crate::support::{Answer, Asked, Client, RawBackend, Speaks, eventually, within};

const ONE: &str = r#"[{"name":"one","inputSchema":{"type":"object"}}]"#;

#[tokio::test]
async fn a_session_goes_on_after_a_restart_and_one_that_ended_does_not() {
    let raw = RawBackend::start(Speaks::Modern, ONE, |_| None).await;
    let program = Program::start(&format!("backends:\n{}", raw.entry("a"))).await;
    let (stays, ends) = (Client::legacy(&program.url).await, Client::legacy(&program.url).await);
    let ended = within("the end of a session", ends.verb(Method::DELETE).send()).await.unwrap();
    assert_eq!(ended.status(), StatusCode::NO_CONTENT);

    let program = program.restart().await;
    let (stays, ends) = (stays.moved_to(&program.url), ends.moved_to(&program.url));
    assert!(stays.call("a__one", "{}").await.result.is_some());
    let listening = stays.verb(Method::GET).header("accept", "text/event-stream");
    let mut events =
        Events::of(within("a stream", listening.header("last-event-id", "n0-3").send()).await.unwrap());
    assert!(events.next_event().await.is_some());
    let refused = within("a refusal", ends.request("1", "tools/list", "", "").send()).await.unwrap();
    assert_eq!(refused.status(), StatusCode::NOT_FOUND);
    let forged = program.modern().post().header("mcp-session-id", format!("{}x", stays.session()));
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert!(!within("a refusal", forged.body(body).send()).await.unwrap().status().is_success());
    let state = program.directory.path().join(".switchyard").join("sessions.json");
    assert!(!std::fs::read_to_string(state).unwrap().contains(stays.session()));
}

#[tokio::test]
async fn what_a_session_watches_is_watched_again_after_a_restart() {
    let raw = RawBackend::with_resource().await;
    let program = Program::start(&format!("backends:\n{}", raw.entry("a"))).await;
    let client = Client::legacy(&program.url).await;
    let uri = client.ask("resources/list", "").await.result_value()["resources"][0]["uri"].clone();
    assert!(client.ask("resources/subscribe", &format!(r#""uri":{uri}"#)).await.result.is_some());
    let program = program.restart().await;
    let client = client.moved_to(&program.url);
    assert!(client.ask("ping", "").await.result.is_some());
    eventually("the subscription at the backend", async || {
        (raw.asked("resources/subscribe").len() == 2).then_some(())
    })
    .await;
}

/// Clients that call without a pause until they are stopped.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(clients: Vec<Client>) -> Self {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let call = |client: Client| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let answer = client.call("a__one", "{}").await;
                    assert!(answer.result.is_some_and(|result| !result.contains("isError")));
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            })
        };
        let clients = clients.into_iter().map(call).collect();
        Self { stop, answered, clients }
    }

    async fn another(&self, count: usize) {
        let goal = self.answered.load(Ordering::SeqCst) + count;
        eventually("more answers", async || (self.answered.load(Ordering::SeqCst) >= goal).then_some(()))
            .await;
    }

    /// Every call was answered.
    async fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.clients {
            within("the end of a client", client).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_process_that_takes_over_refuses_nobody_and_cuts_no_answer() {
    let raw = RawBackend::start(Speaks::Modern, ONE, |_| None).await;
    let mut program = Program::start(&format!("backends:\n{}", raw.entry("a"))).await;
    let url = program.url.clone();
    eventually("the tool", async || (!program.modern().tools().await.is_empty()).then_some(())).await;
    let session = Client::legacy(&url).await;
    // Some keep their connections, some open one for each call.
    let load = Load::start(vec![
        Client::modern(&url),
        Client::legacy(&url).await,
        Client::modern(&url).unpooled(),
        Client::modern(&url).unpooled(),
    ]);
    for _ in 0..3 {
        load.another(50).await;
        let (new, mut old) = program.upgrade().await;
        assert_eq!(new.url, url);
        assert_eq!(old.ended().await.code(), Some(0), "{}", old.log());
        program = new;
        assert_eq!(program.status().await["server"]["state"], "serving");
    }
    load.another(50).await;
    load.stop().await;
    assert!(session.call("a__one", "{}").await.result.is_some());
}

#[tokio::test]
async fn a_successor_that_fails_leaves_everything_as_it_was() {
    let raw = RawBackend::start(Speaks::Modern, ONE, |_| None).await;
    let program = Program::start(&format!("backends:\n{}", raw.entry("a"))).await;
    let good = std::fs::read_to_string(program.file()).unwrap();
    program.write("backends: { a: { comand: x } }\n");
    program.refusal().await;
    let mut failed = Serving::start(program.directory.path(), &["serve", "--take-over"]);
    assert_eq!(failed.ended().await.code(), Some(2));
    std::fs::write(program.file(), good).unwrap();
    assert_eq!(program.status().await["server"]["state"], "serving");
    assert!(program.modern().call("a__one", "{}").await.result.is_some());
}

#[tokio::test]
async fn a_socket_that_systemd_passes_is_served_and_outlives_the_process() {
    let raw = RawBackend::start(Speaks::Modern, ONE, |_| None).await;
    let directory = tempfile::tempdir().unwrap();
    let yaml = format!("admin: {{ enabled: false }}\nbackends:\n{}", raw.entry("a"));
    std::fs::write(directory.path().join("gateway.yaml"), yaml).unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", socket.local_addr().unwrap());
    let mut first = Serving::activated(directory.path(), socket.try_clone().unwrap());
    assert_eq!(first.said("endpoint").await, url);
    let client = Client::modern(&url).unpooled();
    assert!(client.call("a__one", "{}").await.result.is_some());
    first.terminate();
    assert_eq!(first.ended().await.code(), Some(0), "{}", first.log());
    // Nobody serves now, and nobody is refused either.
    let waiting = tokio::spawn(async move { client.call("a__one", "{}").await });
    let _second = Serving::activated(directory.path(), socket);
    assert!(within("the answer", waiting).await.unwrap().result.is_some());
}

/// The next word to the service manager.
async fn told(manager: &UnixDatagram) -> String {
    let mut word = [0; 1024];
    let length = within("a word to the service manager", manager.recv(&mut word)).await.unwrap();
    String::from_utf8(word[..length].to_vec()).unwrap()
}

/// One reload as the service manager is told of it: since when, and what became of it.
async fn reload(manager: &UnixDatagram) -> (i64, String) {
    let begun = told(manager).await;
    let since = begun.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap_or_else(|| panic!("{begun}"));
    let since = since.parse().unwrap();
    let ended = told(manager).await;
    (since, ended.strip_prefix("READY=1\nSTATUS=").unwrap_or_else(|| panic!("{ended}")).to_owned())
}

fn monotonic_us() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}

#[tokio::test]
async fn the_service_manager_is_told_of_the_start_each_reload_and_the_end() {
    let raw = RawBackend::start(Speaks::Modern, ONE, |_| None).await;
    let directory = tempfile::tempdir().unwrap();
    let server = "server: { listen: \"127.0.0.1:0\" }\nadmin: { enabled: false }\n";
    let write = |backends: &str| {
        let yaml = format!("{server}backends:\n{backends}");
        std::fs::write(directory.path().join("gateway.yaml"), yaml).unwrap();
    };
    write(&raw.entry("a"));
    let socket = directory.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    let mut serving = Serving::managed(directory.path(), &socket);
    assert_eq!(told(&manager).await, "READY=1\nSTATUS=configuration 1 is in force");
    let url = serving.said("endpoint").await;
    assert!(Client::modern(&url).ask("server/discover", "").await.result.is_some());

    let asked = monotonic_us();
    serving.hang_up();
    let (since, outcome) = reload(&manager).await;
    assert!((asked..=monotonic_us()).contains(&since), "{since}, asked at {asked}");
    assert_eq!(outcome, "configuration 1 is in force");
    // The file is followed too, so each change may be seen more than once.
    write("  a: { comand: x }\n");
    serving.hang_up();
    let refusal = loop {
        let (_, outcome) = reload(&manager).await;
        if outcome.starts_with("configuration refused") {
            break outcome;
        }
    };
    assert!(refusal.contains("gateway.yaml:4:3: backend `a`"), "{refusal}");
    assert!(refusal.ends_with("; configuration 1 is in force"), "{refusal}");
    write(&raw.entry("b"));
    while reload(&manager).await.1 != "configuration 2 is in force" {}
    serving.terminate();
    while told(&manager).await != "STOPPING=1" {}
    assert_eq!(serving.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_successor_waits_for_one_that_drains() {
    let hang = |asked: &Asked| (asked.message.method == "tools/call").then(Answer::never);
    let raw = RawBackend::start(Speaks::Modern, ONE, hang).await;
    let mut program = Program::start(&format!("backends:\n{}", raw.entry("a"))).await;
    let client = program.modern();
    eventually("the tool", async || (!client.tools().await.is_empty()).then_some(())).await;
    // Never answered, so the drain lasts until the process is told twice.
    let call = client.request("1", "tools/call", r#""name":"a__one""#, "").send();
    let in_flight = tokio::spawn(call);
    eventually("a call in flight", async || (!raw.asked("tools/call").is_empty()).then_some(())).await;
    program.serving.terminate();
    eventually("a drain", async || (program.status().await["server"]["state"] == "draining").then_some(()))
        .await;
    let mut new = Serving::start(program.directory.path(), &["serve", "--take-over"]);
    eventually("a wait", async || new.log().contains("waiting for its end").then_some(())).await;
    assert!(new.is_running());
    program.serving.terminate();
    program.serving.ended().await;
    assert!(Client::modern(&new.said("endpoint").await).ask("server/discover", "").await.result.is_some());
    in_flight.abort();
}

#[tokio::test]
async fn another_file_is_refused_the_directory_in_use_and_a_take_over_leaves_its_gateway_alone() {
    let raw = RawBackend::start(Speaks::Modern, ONE, |_| None).await;
    let program = Program::start(&format!("state_dir: state\nbackends:\n{}", raw.entry("a"))).await;
    let other = program.directory.path().join("other.yaml");
    std::fs::copy(program.file(), &other).unwrap();
    let serve = ["serve", "--take-over", "--config", "other.yaml"];
    let mut refused = Serving::start(program.directory.path(), &serve);
    assert_eq!(refused.ended().await.code(), Some(1));
    let holder = format!("process {} with ", program.serving.pid());
    eventually("the holder's name", async || {
        (refused.log().contains(&holder) && refused.log().contains("gateway.yaml")).then_some(())
    })
    .await;
    assert_eq!(program.status().await["server"]["state"], "serving");

    // Where neither names a directory, the other one has its own.
    let program = Program::start(&format!("backends:\n{}", raw.entry("a"))).await;
    std::fs::copy(program.file(), program.directory.path().join("other.yaml")).unwrap();
    let beside = Serving::start(program.directory.path(), &serve);
    assert_ne!(beside.said("endpoint").await, program.url);
    assert_eq!(program.status().await["server"]["state"], "serving");
}

#[tokio::test]
async fn after_a_take_over_the_status_shows_where_clients_are_listened_for_and_what_needs_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let port = listener().await.local_addr().unwrap().port();
    let write = |listen: u16| {
        let yaml = format!(
            "server: {{ listen: 127.0.0.1:{listen} }}\nadmin: {{ listen: 127.0.0.1:0 }}\nbackends: {{}}\n"
        );
        std::fs::write(directory.path().join("gateway.yaml"), yaml).unwrap();
    };
    write(port);
    std::fs::create_dir(directory.path().join(".switchyard")).unwrap();
    let left = directory.path().join(".switchyard").join("applied.yaml.1-2.new");
    std::fs::write(&left, "half").unwrap();
    let old = Serving::start(directory.path(), &["serve"]);
    old.said("endpoint").await;
    assert!(!left.exists(), "what a killed process left is removed");
    write(listener().await.local_addr().unwrap().port());
    let serving = Serving::start(directory.path(), &["serve", "--take-over"]);
    let program = Program::of(directory, serving).await;
    eventually("what needs a restart", async || {
        (program.status().await["config"]["needs_restart"] == serde_json::json!(["server.listen"]))
            .then_some(())
    })
    .await;
    assert_eq!(program.status().await["server"]["listen"], format!("127.0.0.1:{port}"));
}
