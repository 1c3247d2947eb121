//! What does a failed HTTP status say that came without an MCP answer?

use std::time::{Duration, SystemTime};

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};

use super::super::{Failure, FailureKind, Sent};

/// Longest wait that a server may ask for: one absurd header must not silence it for good.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// The failure that a status stands for.
pub(in super::super) fn refusal(status: StatusCode, headers: &HeaderMap) -> Failure {
    let described = format!("the backend answered HTTP {status}");
    let wait = retry_after(headers, SystemTime::now());
    let failure = match status.as_u16() {
        300..=399 => Failure::unavailable(format!(
            "{described}: redirects are not followed; configure the URL it points to"
        )),
        401 | 403 => {
            Failure::unavailable(format!("{described}: it does not accept the gateway's credentials"))
        }
        404 | 405 => Failure::unavailable(format!("{described}: is the URL right?")),
        429 => Failure::new(FailureKind::Busy, Sent::No, described).retry_after(wait),
        503 if wait.is_some() => Failure::new(FailureKind::Busy, Sent::No, described).retry_after(wait),
        400..=499 => Failure::new(FailureKind::Malformed, Sent::No, described),
        _ => Failure::lost(Sent::Maybe, described),
    };
    failure.with_status(status.as_u16())
}

/// `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3), at most an hour.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse().map(Duration::from_secs) {
        Ok(wait) => wait,
        Err(_) if is_number(text) => LONGEST_WAIT,
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(LONGEST_WAIT))
}

/// More seconds than a number can hold are still seconds.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// 1994-11-06T08:49:37Z, the date of RFC 9110's own examples.
    const NOW: Duration = Duration::from_secs(784_111_777);

    fn wait(text: &'static str) -> Option<u64> {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
        retry_after(&headers, SystemTime::UNIX_EPOCH + NOW).map(|wait| wait.as_secs())
    }

    #[test]
    fn a_pause_is_read_in_seconds_and_as_a_date_in_each_of_its_forms() {
        assert_eq!(wait("120"), Some(120));
        assert_eq!(wait(" 0 "), Some(0));
        assert_eq!(wait("Sun, 06 Nov 1994 08:51:37 GMT"), Some(120));
        assert_eq!(wait("Sunday, 06-Nov-94 08:51:37 GMT"), Some(120));
        assert_eq!(wait("Sun Nov  6 08:51:37 1994"), Some(120));
    }

    #[test]
    fn a_pause_that_is_over_is_none_and_an_absurd_one_is_cut_to_an_hour() {
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(wait("Fri, 31 Dec 9999 23:59:59 GMT"), Some(3600));
        assert_eq!(wait("99999999999999999999999"), Some(3600));
    }

    #[test]
    fn what_is_neither_a_number_nor_a_date_is_no_pause() {
        for text in ["", "soon", "-5", "1.5", "Sun, 99 Nov 1994 08:51:37 GMT"] {
            assert_eq!(wait(text), None, "{text}");
        }
    }
}
