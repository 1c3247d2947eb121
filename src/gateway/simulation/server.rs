//! How does a server behave that cannot be relied on?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::backend::{Backend, scripted};
use crate::protocol::RawJson;

use super::dice::Dice;
use super::tally::Tally;

/// A tool that may run once, and one that its operator lets run twice.
pub(super) const ONCE: &str = "once";
pub(super) const TWICE: &str = "twice";

/// One backend and the server behind it, through all of its connections.
pub(super) struct Server {
    backend: Arc<Backend>,
    dice: Dice,
    tally: Arc<Tally>,
    shared: Arc<Shared>,
}

struct Shared {
    /// The connection there is now.
    mouth: Mutex<scripted::Mouth>,
    is_well: AtomicBool,
}

/// One request, as the server understood it.
#[derive(Clone)]
struct Request {
    id: Value,
    number: Value,
    token: Value,
}

impl Server {
    /// Connected from the start.
    pub(super) fn start(backend: Arc<Backend>, mut dice: Dice, tally: Arc<Tally>) -> Self {
        let line = backend.connect_line(tools());
        let shared = Shared { mouth: Mutex::new(line.mouth()), is_well: AtomicBool::new(false) };
        let shared = Arc::new(shared);
        tokio::spawn(serve(line, dice.fork(), Arc::clone(&tally), Arc::clone(&shared)));
        Self { backend, dice, tally, shared }
    }

    pub(super) fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// Its process ends; what it began goes on all the same.
    pub(super) fn crash(&mut self) {
        self.shared.mouth.lock().crash();
        self.backend.disconnected(self.dice.millis(0..600));
    }

    /// It is connected again, if it was not.
    pub(super) fn come_back(&mut self) {
        self.shared.mouth.lock().crash();
        let line = self.backend.connect_line(tools());
        *self.shared.mouth.lock() = line.mouth();
        let (tally, shared) = (Arc::clone(&self.tally), Arc::clone(&self.shared));
        tokio::spawn(serve(line, self.dice.fork(), tally, shared));
    }

    /// From now on it does what it should.
    pub(super) fn heal(&mut self) {
        self.shared.is_well.store(true, Ordering::Relaxed);
        if self.backend.connection_is_lost() {
            self.come_back();
        }
    }

    /// Serves what is in flight to its end; by then nothing of it may be left.
    pub(super) async fn retire(self, tally: Arc<Tally>) {
        sleep(2 * super::TOTAL).await;
        self.shared.mouth.lock().crash();
        if let Err(wrong) = self.left_over() {
            tally.wrong(format!("after a reload: {wrong}"));
        }
    }

    /// What calls that are over have left behind.
    pub(super) fn left_over(&self) -> Result<(), String> {
        let open = self.shared.mouth.lock().open_calls();
        if open > 0 {
            return Err(format!("{open} calls are still in the table of {}", self.backend.name()));
        }
        if !self.backend.is_at_rest() {
            return Err(format!("{} still has a place or a probe taken", self.backend.name()));
        }
        Ok(())
    }
}

fn tools() -> Vec<RawJson> {
    [ONCE, TWICE]
        .map(|name| RawJson::of(&json!({ "name": name, "inputSchema": { "type": "object" } })))
        .into()
}

/// Takes frames off one connection; each request is worked on by itself.
async fn serve(mut line: scripted::Line, mut dice: Dice, tally: Arc<Tally>, shared: Arc<Shared>) {
    while let Some(frame) = line.take().await {
        let is_well = shared.is_well.load(Ordering::Relaxed);
        if !is_well && dice.one_in(5) {
            // A pipe that is full.
            sleep(dice.millis(0..300)).await;
        }
        let Some(request) = read(&frame.text) else { continue };
        if !frame.write() {
            continue;
        }
        tally.ran(request.number.as_u64().unwrap_or_default());
        let work = Work { request, mouth: line.mouth(), shared: Arc::clone(&shared), dice: dice.fork() };
        tokio::spawn(work.done(is_well));
    }
}

fn read(text: &[u8]) -> Option<Request> {
    let message: Value = serde_json::from_slice(text).ok()?;
    let params = &message["params"];
    let number = params["arguments"]["number"].clone();
    let token = params["_meta"]["progressToken"].clone();
    message.get("id").map(|id| Request { id: id.clone(), number, token })
}

struct Work {
    request: Request,
    /// The connection it came by.
    mouth: scripted::Mouth,
    shared: Arc<Shared>,
    dice: Dice,
}

impl Work {
    async fn done(mut self, is_well: bool) {
        let way = if is_well { 0 } else { self.dice.below(20) };
        match way {
            0..8 => self.answer_after(0..150).await,
            8 => self.answer_after(800..1300).await,
            9 => self.answer_after(3_100..9_000).await,
            10 | 11 => {
                self.answer_after(0..150).await;
                self.answer_after(0..150).await;
            }
            12 => self.progress(5, 0..400).await,
            13 => self.progress(40, 200..500).await,
            14 => self.say(&json!({"jsonrpc": "2.0", "id": self.request.id, "result": [1]})),
            15 => self.say_text(format!(r#"{{"jsonrpc":"2.0","id":{},"result":NaN}}"#, self.request.id)),
            16 => self.fail().await,
            17 => self.answer_for_somebody_else(),
            // Never.
            _ => {}
        }
    }

    async fn answer_after(&mut self, wait: std::ops::Range<u64>) {
        sleep(self.dice.millis(wait)).await;
        let result = json!({"resultType": "complete", "content": [], "number": self.request.number});
        self.say(&json!({"jsonrpc": "2.0", "id": self.request.id, "result": result}));
    }

    async fn progress(&mut self, times: u32, pause: std::ops::Range<u64>) {
        for _ in 0..times {
            sleep(self.dice.millis(pause.clone())).await;
            let params = json!({"progressToken": self.request.token, "progress": self.request.number});
            self.say(&json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}));
        }
        self.answer_after(0..50).await;
    }

    async fn fail(&mut self) {
        sleep(self.dice.millis(0..100)).await;
        let error = json!({"code": -32603, "message": "no", "data": {"number": self.request.number}});
        self.say(&json!({"jsonrpc": "2.0", "id": self.request.id, "error": error}));
    }

    /// Under an id that was never given, and under one that is not even a number.
    fn answer_for_somebody_else(&mut self) {
        let result = json!({"content": [], "number": self.request.number});
        self.say(&json!({"jsonrpc": "2.0", "id": 1_u64 << 40, "result": result}));
        self.say(&json!({"jsonrpc": "2.0", "id": "one", "result": result}));
    }

    fn say(&mut self, message: &Value) {
        self.say_text(message.to_string());
    }

    /// A server that was restarted may answer on its new connection what it was asked on the last one.
    fn say_text(&mut self, text: String) {
        if self.dice.one_in(2) {
            return self.mouth.say(text);
        }
        self.shared.mouth.lock().clone().say(text);
    }
}
