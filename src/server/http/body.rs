//! How is a body read, bounded in size and time?

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::endpoint::Context;
use crate::budget::{Arriving, Gathered};
use crate::server::error::Error;
use crate::telemetry::process;
use crate::threads::Turn;

/// Most that is read of a body that is refused, and the longest that takes.
const DISCARD_BYTES: usize = 64 * 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(2);
/// How long a large body may wait for room in memory; nothing of it is read meanwhile.
const ROOM_WAIT: Duration = Duration::from_secs(2);
/// For bodies on their way when the drain begins.
const LAST_BODIES: Duration = Duration::from_secs(2);

/// Reads the JSON a client posts, once its headers say that it is that and not too much. When the gateway stops, a body
/// that is still on its way is not waited for.
pub(super) async fn read(context: &Context, mut body: Incoming) -> Result<Bytes, Error> {
    let (headers, limits) = (&context.headers, &context.policy.limits);
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > limits.body_bytes) {
        discard(body).await;
        return Err(Error::BodyTooLarge(limits.body_bytes));
    }
    if !is_json(headers) {
        return Err(Error::UnsupportedMediaType);
    }
    if !accepts(headers, "application/json") && !accepts(headers, "text/event-stream") {
        return Err(Error::NotAcceptable);
    }
    let mut arriving = Arriving::of(context.holder());
    if !arriving.announce(announced.unwrap_or(0), ROOM_WAIT).await {
        return Err(Error::NoRoom);
    }
    let read = tokio::select! {
        whole = timeout(limits.body_timeout, whole(&mut body, announced, limits.body_bytes, arriving)) => {
            whole.unwrap_or(Err(Error::BodyTimeout))
        }
        () = patience_ends(&context.server.shutdown) => Err(Error::BodyTimeout),
    };
    if matches!(read, Err(Error::NoRoom)) {
        discard(body).await;
    }
    read
}

/// Reads to the end; what has arrived of a large body is counted as it grows.
async fn whole(
    body: &mut Incoming,
    announced: Option<usize>,
    limit: usize,
    mut arriving: Arriving,
) -> Result<Bytes, Error> {
    let (mut text, mut turn) = (Gathered::default(), Turn::default());
    while let Some(frame) = next_frame(body, &arriving).await? {
        let frame = frame.map_err(|_| Error::BadRequest("the body ended early"))?;
        let Ok(data) = frame.into_data() else { continue };
        if text.len() + data.len() > limit {
            return Err(Error::BodyTooLarge(limit));
        }
        if !arriving.grow(text.len() + data.len(), ROOM_WAIT).await {
            return Err(no_room(&arriving));
        }
        let size = data.len();
        text.push(data, announced);
        turn.taken(size).await;
    }
    Ok(arriving.finish().keep(text.finish()))
}

/// The next frame, unless the body has to give way to others.
async fn next_frame(
    body: &mut Incoming,
    arriving: &Arriving,
) -> Result<Option<Result<Frame<Bytes>, hyper::Error>>, Error> {
    if !arriving.is_large() {
        return Ok(body.frame().await);
    }
    tokio::select! {
        frame = body.frame() => Ok(frame),
        () = arriving.given_way() => Err(no_room(arriving)),
    }
}

fn no_room(arriving: &Arriving) -> Error {
    if arriving.has_given_way() {
        process::evicted("bodies");
    }
    Error::NoRoom
}

async fn patience_ends(stopping: &CancellationToken) {
    stopping.cancelled().await;
    sleep(LAST_BODIES).await;
}

/// Reads a body that is refused, within bounds: many clients write all of it before they read why.
async fn discard(mut body: Incoming) {
    let reading = async {
        let mut left = DISCARD_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(length) else { return };
            left = rest;
        }
    };
    let _ = timeout(DISCARD_TIME, reading).await;
}

/// Whether the client takes `media_type`. No `Accept` at all takes everything, as HTTP says.
pub(super) fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let mut accepted = headers.get_all(ACCEPT).iter().peekable();
    if accepted.peek().is_none() {
        return true;
    }
    let media_type = media_type.as_bytes();
    let is_its_family =
        |family: &[u8]| media_type.strip_prefix(family).is_some_and(|rest| rest.starts_with(b"/"));
    let admits = |range: &[u8]| {
        let range = range.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        range.eq_ignore_ascii_case(media_type)
            || range == b"*/*"
            || range.strip_suffix(b"/*").is_some_and(is_its_family)
    };
    accepted.any(|value| value.as_bytes().split(|byte| *byte == b',').any(admits))
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|given| given.to_str().ok()).unwrap_or_default();
    given.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn accept_is_read_with_ranges_parameters_and_several_lines() {
        let takes = |values: &[&str], media_type| {
            let headers = values.iter().map(|value| (ACCEPT, value.parse().unwrap())).collect();
            accepts(&headers, media_type)
        };
        assert!(takes(&[], "application/json"));
        assert!(takes(&["text/html, Application/JSON;q=0.5"], "application/json"));
        assert!(takes(&["text/html", "text/*"], "text/event-stream"));
        assert!(!takes(&["application/json"], "text/event-stream"));
    }

    #[test]
    fn a_form_is_not_json() {
        let typed = |value: &str| is_json(&HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())]));
        assert!(typed("application/json; charset=utf-8"));
        assert!(!typed("text/plain") && !typed("application/json-patch+json"));
        assert!(!is_json(&HeaderMap::new()));
    }
}
