//! How fast is a server over standard input and output when nothing is in between?

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use memchr::memmem;

use super::Arguments;
use super::latency::Latencies;
use super::pace::Pace;
use super::work::{Work, initialize_params};

/// Keeps as many requests in flight as there would be connections.
pub(crate) fn run(command: &str, arguments: &Arguments) -> (Latencies, Duration) {
    let mut words = command.split_whitespace();
    let mut child = Command::new(words.next().expect("a command"))
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut input = child.stdin.take().expect("piped");
    let mut output = BufReader::with_capacity(64 * 1024, child.stdout.take().expect("piped"));
    let mut line = Vec::new();
    let opening =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}}"#, initialize_params());
    writeln!(input, "{opening}").expect("a reader");
    output.read_until(b'\n', &mut line).expect("an answer");

    let mut lanes: Vec<Work> =
        (0..arguments.connections).map(|number| Work::new(arguments, number)).collect();
    let pace = Pace::new(arguments);
    let (mut latencies, mut waiting) = (Latencies::default(), HashMap::new());
    for (number, lane) in lanes.iter_mut().enumerate() {
        send(&mut input, &pace, lane, number, &mut waiting);
    }
    while !waiting.is_empty() {
        line.clear();
        output.read_until(b'\n', &mut line).expect("an answer");
        let (number, sent): (usize, Instant) = waiting.remove(&id_of(&line)).expect("an answer to a request");
        assert!(lanes[number].is_answered_by(&line), "a wrong answer");
        latencies.add(sent.elapsed(), None);
        send(&mut input, &pace, &mut lanes[number], number, &mut waiting);
    }
    let elapsed = pace.elapsed();
    drop(input);
    child.wait().expect("the child ends");
    (latencies, elapsed)
}

fn send(
    input: &mut ChildStdin,
    pace: &Pace,
    lane: &mut Work,
    number: usize,
    waiting: &mut HashMap<u64, (usize, Instant)>,
) {
    let Some(turn) = pace.turn() else { return };
    let body = [lane.next(), b"\n"].concat();
    waiting.insert(id_of(&body), (number, turn.since));
    input.write_all(&body).expect("a reader");
}

fn id_of(text: &[u8]) -> u64 {
    let at = memmem::find(text, b"\"id\":").expect("an id") + 5;
    let digits = text[at..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |id, digit| id * 10 + u64::from(digit - b'0'))
}
