//! What is changed in progress and log messages that a typed client would refuse as they came?
//!
//! | what a backend sends | what a client gets |
//! |---|---|
//! | `progress` or `total` as text | the number |
//! | no `progress`, or one that is no number | nothing |
//! | a `total` that is no number, a `message` or `logger` that is no text | the rest |
//! | a `level` that is none | `debug` |
//! | a log message without `data` | `null` for it |

use crate::protocol::{LogLevel, Object, RawJson};

/// Progress as every client reads it; `None` if it says none.
pub(in crate::router) fn progress(params: RawJson) -> Option<RawJson> {
    // One pass, because there may be very many; what has escapes in its keys is looked at again.
    let mut has_progress = false;
    let is_plain = params.spelt_members().all(|(key, value)| match key {
        b"\"progress\"" => {
            has_progress = true;
            starts_number(value)
        }
        b"\"total\"" => starts_number(value),
        b"\"message\"" => starts_text(value),
        _ => !key.contains(&b'\\'),
    });
    if is_plain && has_progress {
        return Some(params);
    }
    let said = params.get("progress")?;
    let total = params.get("total");
    if is_number(&said) && total.as_ref().is_none_or(is_number) && is_text_or_none(&params, "message") {
        return Some(params);
    }
    let mut repaired = Object::parse(&params)?;
    repaired.set("progress", number_in(&said)?);
    match total.as_ref().and_then(number_in) {
        Some(total) => _ = repaired.set("total", total),
        None => _ = repaired.remove("total"),
    }
    if !is_text_or_none(&params, "message") {
        repaired.remove("message");
    }
    Some(repaired.to_json())
}

fn starts_text(value: &[u8]) -> bool {
    value.first() == Some(&b'"')
}

fn starts_number(value: &[u8]) -> bool {
    value.first().is_some_and(|first| *first == b'-' || first.is_ascii_digit())
}

/// A log message as every client reads it.
pub(in crate::router) fn log_message(params: RawJson) -> Option<RawJson> {
    let (mut has_level, mut has_data) = (false, false);
    let is_plain = params.spelt_members().all(|(key, value)| match key {
        b"\"level\"" => {
            has_level = true;
            is_level(value)
        }
        b"\"data\"" => {
            has_data = true;
            true
        }
        b"\"logger\"" => starts_text(value),
        _ => !key.contains(&b'\\'),
    });
    if is_plain && has_level && has_data {
        return Some(params);
    }
    let level = params.get("level").and_then(|level| LogLevel::parse(&level.string()?));
    let has_data = params.get("data").is_some();
    let is_logger_fine = is_text_or_none(&params, "logger");
    if level.is_some() && has_data && is_logger_fine {
        return Some(params);
    }
    let mut repaired = Object::parse(&params)?;
    repaired.set("level", RawJson::of(level.unwrap_or(LogLevel::Debug).as_str()));
    if !has_data {
        repaired.set("data", RawJson::of(&()));
    }
    if !is_logger_fine {
        repaired.remove("logger");
    }
    Some(repaired.to_json())
}

fn is_text_or_none(params: &RawJson, key: &str) -> bool {
    params.get(key).is_none_or(|value| starts_text(value.as_bytes()))
}

fn is_number(value: &RawJson) -> bool {
    starts_number(value.as_bytes())
}

/// Whether a value, as it is spelt, is the name of a level.
fn is_level(value: &[u8]) -> bool {
    let name = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    name.and_then(|name| std::str::from_utf8(name).ok()).is_some_and(|name| LogLevel::parse(name).is_some())
}

/// The number that a value is, or spells.
fn number_in(value: &RawJson) -> Option<RawJson> {
    if is_number(value) {
        return Some(value.clone());
    }
    let number: f64 = value.string()?.trim().parse().ok()?;
    number.is_finite().then(|| RawJson::of(&number))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn told(change: fn(RawJson) -> Option<RawJson>, params: &str) -> Option<String> {
        change(RawJson::parse(params.to_owned().into()).unwrap()).map(|params| params.as_str().to_owned())
    }

    #[test]
    fn progress_that_clients_read_keeps_its_bytes_and_other_is_put_right_or_not_told() {
        for fine in [
            r#"{ "progress":1.50,"progressToken":1 }"#,
            r#"{"progress":-1,"total":2,"message":"m","x":[]}"#,
            r#"{"\u0070rogress":1,"x\u0041":2}"#,
        ] {
            assert_eq!(told(progress, fine).as_deref(), Some(fine));
        }
        let table = [
            (r#"{"progress":"0.5","total":null,"message":null}"#, Some(r#"{"progress":0.5}"#)),
            (r#"{"progress":1,"total":" 2 ","message":{"a":1}}"#, Some(r#"{"progress":1,"total":2.0}"#)),
            (r#"{"progress":"half"}"#, None),
            (r#"{"progress":null}"#, None),
            ("{}", None),
        ];
        for (said, expected) in table {
            assert_eq!(told(progress, said).as_deref(), expected, "{said}");
        }
    }

    #[test]
    fn a_log_message_has_a_level_and_data() {
        let fine = r#"{ "level":"error", "data":null,"logger":"x" }"#;
        assert_eq!(told(log_message, fine).as_deref(), Some(fine));
        let table = [
            (r#"{"level":"warn","data":1.0}"#, r#"{"level":"debug","data":1.0}"#),
            (r#"{"level":3,"logger":null}"#, r#"{"level":"debug","data":null}"#),
        ];
        for (said, expected) in table {
            assert_eq!(told(log_message, said).as_deref(), Some(expected), "{said}");
        }
    }
}
