//! Answers that are compressed though nobody said they may be.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::{INITIALIZED, TOOLS, call, sse_server};
use crate::support::message::result;
use crate::support::{Answer, Asked, Client, RawBackend, Speaks, Yard};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn answer(asked: &Asked) -> Option<String> {
    let id = asked.message.id.as_deref()?;
    Some(match asked.message.method.as_str() {
        "initialize" => result(id, INITIALIZED),
        "tools/list" => result(id, &format!(r#"{{"tools":{TOOLS}}}"#)),
        "tools/call" => result(id, r#"{"content":[]}"#),
        _ => return None,
    })
}

fn compressed(coding: &str, content_type: &str, body: Vec<u8>) -> Answer {
    let headers = vec![("content-encoding", coding.to_owned()), ("content-type", content_type.to_owned())];
    Answer::Whole(200, headers, body.into())
}

#[tokio::test]
async fn compressed_answers_are_read_in_each_coding() {
    type Encode = fn(&[u8]) -> Vec<u8>;
    let codings: [(&str, Encode); 4] = [
        ("gzip", gzip),
        ("deflate", zlib),
        ("deflate", raw_deflate),
        ("gzip, deflate", |text| zlib(&gzip(text))),
    ];
    for (coding, encode) in codings {
        let backend = RawBackend::start(Speaks::Legacy, TOOLS, move |asked| {
            Some(compressed(coding, "application/json", encode(answer(asked)?.as_bytes())))
        })
        .await;
        call(&Yard::of(&backend.entry("raw")).await).await;
    }
}

#[tokio::test]
async fn compressed_event_streams_are_read() {
    let backend = RawBackend::start(Speaks::Legacy, TOOLS, |asked| {
        let event = format!(": hello\n\ndata: {}\n\n", answer(asked)?);
        Some(compressed("gzip", "text/event-stream", gzip(event.as_bytes())))
    })
    .await;
    call(&Yard::of(&backend.entry("raw")).await).await;
}

#[tokio::test]
async fn compressed_refusals_say_why_and_those_of_http_sse_end_nothing() {
    let backend = sse_server::start("/messages/{}", |asked, _| {
        let is_unknown =
            !matches!(asked.message.method.as_str(), "" | "initialize" | "tools/list" | "tools/call");
        let headers = vec![("content-encoding", "gzip".to_owned())];
        (is_unknown && asked.message.id.is_some())
            .then(|| Answer::Whole(400, headers, gzip(b"what is that?").into()))
    })
    .await;
    call(&Yard::of(&sse_server::entry(&backend)).await).await;
}

#[tokio::test]
async fn what_grows_past_the_bound_of_a_message_fails_and_what_is_no_gzip_too() {
    let bomb: Bytes = gzip(&vec![b' '; 17 << 20]).into();
    let lie = Bytes::from_static(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
    for (body, told) in [(bomb, "more than 16777216 bytes"), (lie, "cannot be decompressed")] {
        let backend = RawBackend::start(Speaks::Modern, TOOLS, move |asked| {
            let is_call = asked.message.method == "tools/call";
            is_call.then(|| compressed("gzip", "application/json", body.to_vec()))
        })
        .await;
        let yard = Yard::of(&backend.entry("raw")).await;
        let failure = Client::modern(&yard.url).call("raw__echo", "{}").await.failure();
        assert!(failure["message"].as_str().unwrap().contains(told), "{failure}");
    }
}
