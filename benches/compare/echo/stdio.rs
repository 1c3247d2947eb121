//! Standard input and output.

use std::io::{BufRead as _, BufReader, BufWriter, Write as _};

use super::answer::{Answer, Server};

/// Answers line by line; what is answered is written once nothing more is waiting to be read.
pub(crate) fn serve(server: &Server) {
    let mut input = BufReader::with_capacity(64 * 1024, std::io::stdin().lock());
    let mut output = BufWriter::with_capacity(64 * 1024, std::io::stdout().lock());
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        match server.answer(&line) {
            Answer::None => {}
            Answer::One(text) | Answer::Opened(text) => writeln!(output, "{text}").unwrap(),
            Answer::Many(messages) => messages.iter().for_each(|text| writeln!(output, "{text}").unwrap()),
        }
        line.clear();
        if !input.buffer().contains(&b'\n') {
            output.flush().unwrap();
        }
    }
}
