//! What does the body of a refusal say?

use http::StatusCode;

use crate::protocol::RawJson;
use crate::telemetry::excerpt;

/// Members of a body that say why, the most telling first.
const MEMBERS: [&str; 7] =
    ["error_description", "message", "detail", "reason", "error", "title", "description"];

/// Why a request was refused, as far as the body of the refusal says so. What is said of credentials may quote them.
pub(super) fn reason_of(status: StatusCode, body: &[u8]) -> Option<String> {
    let is_secret = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    if is_secret { None } else { reason_in(body) }
}

/// The reason in a body: bounded, on one line, and fit to be shown.
fn reason_in(body: &[u8]) -> Option<String> {
    let body = body.trim_ascii();
    let json = RawJson::parse(bytes::Bytes::copy_from_slice(body)).ok();
    let reason = match &json {
        Some(json) => told_in(json, 0).unwrap_or_else(|| json.as_str().to_owned()),
        None if body.starts_with(b"<") => title_of(body)?,
        None => {
            let line = body.split(|byte| *byte == b'\n').next().unwrap_or_default();
            String::from_utf8_lossy(line).into_owned()
        }
    };
    let shown = excerpt(reason.trim().as_bytes());
    let says_something = !matches!(shown.as_str(), "" | "{}" | "[]" | "null");
    says_something.then_some(shown)
}

/// The text that says why, in an object, in what one of its members is, or in the first of several.
fn told_in(json: &RawJson, depth: usize) -> Option<String> {
    if let Some(text) = json.string() {
        return Some(text.into_owned());
    }
    if depth > 2 {
        return None;
    }
    if json.is_array() {
        return told_in(json.elements().first()?, depth + 1);
    }
    MEMBERS.iter().chain(&["errors", "msg"]).find_map(|key| told_in(&json.get(key)?, depth + 1))
}

fn title_of(page: &[u8]) -> Option<String> {
    let page = String::from_utf8_lossy(page).into_owned();
    let lower = page.to_ascii_lowercase();
    let start = lower.find("<title>")? + "<title>".len();
    let end = start + lower[start..].find("</title>")?;
    Some(page[start..end].split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_where_servers_put_it() {
        let table = [
            (r#"{"error":"quota exceeded"}"#, "quota exceeded"),
            (r#"{"error":"invalid_request","error_description":"no tenant"}"#, "no tenant"),
            (r#"{"error":{"code":400,"message":"no tenant"}}"#, "no tenant"),
            (r#"{"detail":[{"loc":["x"],"msg":"field required"}]}"#, "field required"),
            (r#"{"errors":[{"message":"no tenant"}],"status":400}"#, "no tenant"),
            (r#""no tenant""#, "no tenant"),
            (r#"{"status":400}"#, r#"{"status":400}"#),
            ("no tenant\nmore\n", "no tenant"),
            ("<!DOCTYPE html><HTML><Title>\n 413 Too\n Large </TITLE>", "413 Too Large"),
            ("no\x1b[2J tenant", "no\\u{1b}[2J tenant"),
        ];
        for (body, reason) in table {
            assert_eq!(reason_in(body.as_bytes()).as_deref(), Some(reason), "{body}");
        }
        for nothing in ["", " \n", "{}", "null", "<html><body>x</body></html>"] {
            assert_eq!(reason_in(nothing.as_bytes()), None, "{nothing}");
        }
        let deep = format!("{}1{}", r#"{"error":"#.repeat(50), "}".repeat(50));
        assert!(reason_in(deep.as_bytes()).is_some_and(|reason| reason.chars().count() <= 121));
    }
}
