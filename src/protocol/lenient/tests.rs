#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

fn all(text: &[u8]) -> Vec<Read> {
    let mut all = Vec::new();
    each_message(&Bytes::copy_from_slice(text), |message| all.push(message));
    all
}

fn one(text: &str) -> Message {
    all(text.as_bytes()).pop().unwrap().unwrap_or_else(|malformed| panic!("{text}: {malformed:?}"))
}

fn outcome(members: &str) -> Result<String, String> {
    let Message::Response(response) = one(&format!(r#"{{"jsonrpc":"2.0","id":1,{members}}}"#)) else {
        panic!("no response: {members}")
    };
    assert_eq!(response.id.unwrap().as_number(), Some(1));
    let text = |value: RawJson| value.as_str().to_owned();
    response.outcome.map(text).map_err(text)
}

fn body(text: &str) -> Vec<Read> {
    let mut all = Vec::new();
    each_in_body(&Bytes::copy_from_slice(text.as_bytes()), |message| all.push(message));
    all
}

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

#[test]
fn an_error_object_keeps_its_bytes_and_anything_else_becomes_one() {
    let kept = r#"{ "message":"\u00e9", "code":-32000 , "x":1.0}"#;
    assert_eq!(outcome(&format!("\"error\":{kept}")), Err(kept.to_owned()));
    let table = [
        (r#""boom""#, r#"{"code":-32603,"message":"boom"}"#),
        ("7", r#"{"code":-32603,"message":"7"}"#),
        ("true", r#"{"code":-32603,"message":"true"}"#),
        (r#"["a"]"#, r#"{"code":-32603,"message":"[\"a\"]"}"#),
        ("null", r#"{"code":-32603,"message":"the server gave no reason"}"#),
        ("{}", r#"{"code":-32603,"message":"the server gave no reason","data":{}}"#),
        (
            r#"{"code":-32000}"#,
            r#"{"code":-32000,"message":"the server gave no reason","data":{"code":-32000}}"#,
        ),
        (
            r#"{"code":"E_QUOTA","message":"boom"}"#,
            r#"{"code":-32603,"message":"boom","data":{"code":"E_QUOTA","message":"boom"}}"#,
        ),
        (r#"{"code":1.0,"message":"boom"}"#, r#"{"code":1,"message":"boom"}"#),
        (r#"{"code":-3.2e4,"message":"boom"}"#, r#"{"code":-32000,"message":"boom"}"#),
        (r#"{"code":"-32000","message":"boom"}"#, r#"{"code":-32000,"message":"boom"}"#),
        (r#"{"code":1.5,"message":"boom","data":[1]}"#, r#"{"code":-32603,"message":"boom","data":[1]}"#),
        (r#"{"code":1,"message":{"a":1}}"#, r#"{"code":1,"message":"{\"a\":1}"}"#),
        (
            r#"{"code":1,"message":null,"data":1}"#,
            r#"{"code":1,"message":"the server gave no reason","data":1}"#,
        ),
        (r#"{"code":9007199254740993,"message":"m","data":1}"#, r#"{"code":-32603,"message":"m","data":1}"#),
    ];
    for (error, told) in table {
        assert_eq!(outcome(&format!("\"error\":{error}")), Err(told.to_owned()), "{error}");
    }
}

#[test]
fn of_a_result_and_an_error_the_one_that_is_there_counts() {
    let error = r#"{"code":1,"message":"m"}"#;
    assert_eq!(outcome(r#""result":{"a":1},"error":null"#), Ok(r#"{"a":1}"#.to_owned()));
    assert_eq!(outcome(&format!(r#""result":{{}},"error":{error}"#)), Ok("{}".to_owned()));
    assert_eq!(outcome(&format!(r#""result":null,"error":{error}"#)), Err(error.to_owned()));
    assert_eq!(outcome(&format!(r#""result":7,"error":{error}"#)), Err(error.to_owned()));
    assert_eq!(outcome(r#""result":null,"error":null"#), Ok("null".to_owned()));
    assert_eq!(outcome(r#""method":null,"params":null,"result":{},"error":null"#), Ok("{}".to_owned()));
    assert_eq!(outcome(r#""result":{"a":1},"result":{"a":2}"#), Ok(r#"{"a":2}"#.to_owned()));
}

#[test]
fn members_that_are_null_are_as_good_as_absent() {
    let text = r#"{"jsonrpc":"2.0","id":null,"method":"notifications/x","params":{"a":1},"result":null,"error":null}"#;
    let Message::Notification { params: Some(params), .. } = one(text) else { panic!("no notification") };
    assert_eq!(params.as_str(), r#"{"a":1}"#);
    let text = r#"{"jsonrpc":"2.0","id":"q","method":"roots/list","params":[ ]}"#;
    assert!(matches!(one(text), Message::Request { params: None, .. }));
}

#[test]
fn numbers_and_bytes_that_json_does_not_have_are_replaced_outside_of_strings_only() {
    let odd = r#""result":{"a":[NaN,-Infinity, Infinity,-1],"b":"NaN, \"Infinity"}"#;
    assert_eq!(outcome(odd), Ok(r#"{"a":[null,null, null,-1],"b":"NaN, \"Infinity"}"#.to_owned()));
    let mut text = b"\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"a\":\"caf\xe9\"}}".to_vec();
    let Message::Response(response) = all(&text).pop().unwrap().unwrap() else { panic!("no response") };
    assert_eq!(response.outcome.unwrap().as_str(), "{\"a\":\"caf\u{fffd}\"}");
    text.truncate(20);
    assert!(all(&text).pop().unwrap().is_err());
}

#[test]
fn what_no_sdk_takes_is_refused() {
    for text in [
        "",
        "Starting",
        "17",
        "{}",
        r#"{"id":1,"result":{}}"#,
        r#"{"jsonrpc":"1.0","id":1,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":true,"method":"x"}"#,
        r#"{"jsonrpc":"2.0","method":7}"#,
        r#"{"jsonrpc":"2.0","method":"x","params":[1]}"#,
    ] {
        assert!(all(text.as_bytes()).pop().unwrap().is_err(), "{text}");
    }
    let deep = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{}1{}}}"#, "[".repeat(100), "]".repeat(100));
    assert!(all(deep.as_bytes()).pop().unwrap().is_err());
}

#[test]
fn a_batch_is_read_message_by_message_and_an_empty_one_is_none() {
    let mixed = format!(" [{PING}, 5, {PING}]");
    let read: Vec<bool> = all(mixed.as_bytes()).iter().map(Result::is_ok).collect();
    assert_eq!(read, [true, false, true]);
    assert!(matches!(all(b"[]").as_slice(), [Err(_)]));
    let odd = all(br#"[{"jsonrpc":"2.0","id":1,"result":{"a":NaN}}]"#);
    assert!(matches!(odd.as_slice(), [Ok(_)]));
}

#[test]
fn lines_of_a_body_that_are_no_messages_mean_nothing_beside_those_that_are() {
    let read = |text: &str| body(text).iter().map(Result::is_ok).collect::<Vec<_>>();
    assert_eq!(read(&format!("Warning: x\r\n{PING}\r\nbye\n{PING}\n")), [true, true]);
    assert_eq!(read(&format!("[5,\n{PING}]")), [true]);
    assert_eq!(read("one\ntwo"), [false]);
    assert_eq!(read(""), [false]);
    let pretty = "{\n \"jsonrpc\": \"2.0\",\n \"id\": 1,\n \"result\": {}\n}\n";
    assert_eq!(read(pretty), [true]);
}

proptest! {
    #[test]
    fn an_error_always_has_a_code_and_a_message(code in odd(), message in odd(), data in odd()) {
        for error in [code.clone(), format!(r#"{{"code":{code},"message":{message}}}"#), format!(r#"{{"message":{message},"data":{data}}}"#)] {
            let told = error_object(RawJson::parse(error.clone().into()).unwrap());
            let told: serde_json::Value = told.to().unwrap();
            prop_assert!(told["code"].is_i64() && told["message"].is_string(), "{} became {}", error, told);
        }
    }
}

fn odd() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "null",
        "true",
        "0",
        "-1",
        "1.0",
        "1.5",
        "-32000",
        "99999999999999999999",
        "\"\"",
        "\"-5\"",
        "\"text\"",
        "[]",
        "{}",
        "[1]",
        r#"{"a":1}"#,
        r#"{"code":1}"#,
    ])
    .prop_map(str::to_owned)
}
