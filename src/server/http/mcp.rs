//! Which era does a message posted to `/mcp` belong to?

use std::sync::Arc;

use http::{HeaderMap, Response, StatusCode};
use hyper::body::Incoming;

use super::connection::Activity;
use super::endpoint::Context;
use super::respond::{Body, empty};
use super::{body, legacy, modern};
use crate::protocol::{
    Era, Message, RequestMeta, Revision, RpcError, TraceContext, header, method, parse, parse_batch, trace,
};
use crate::server::error::Error;
use crate::server::refusal_log;

/// Reads what a client posts and hands it to its era.
pub(super) async fn post(context: Context, incoming: Incoming) -> Result<Response<Body>, Error> {
    let text = body::read(&context, incoming).await?;
    context.connection.begin(Activity::Calling);
    // A body may take its time, and its sender may have been taken out meanwhile.
    if !context.server.still_knows(&context.principal, &context.policy) {
        return Err(Error::Unauthorized { token_given: true });
    }
    if let Some(batch) = parse_batch(&text) {
        return legacy::batch(&context, batch.map_err(Error::Malformed)?).await;
    }
    match parse(&text).map_err(Error::Malformed)? {
        Message::Request { id, method, params } => {
            let meta = RequestMeta::of(params.as_ref()).traced_by(trace_of(&context.headers));
            let answered = match era_of(&context.headers, &method, &meta) {
                Era::Modern => modern::answer(&context, &id, &method, params, &meta).await,
                Era::Legacy => legacy::answer(&context, &id, &method, params, meta).await,
            };
            Ok(answered.unwrap_or_else(|error| {
                refusal_log::note(&error, &context.request_id, Some(&context.principal));
                error.into_response(Some(&id), &context.request_id)
            }))
        }
        Message::Notification { method, params } => {
            let meta = RequestMeta::of(params.as_ref());
            match era_of(&context.headers, &method, &meta) {
                // Nothing a stateless client can notify of means anything: it cancels by closing the stream.
                Era::Modern => Ok(empty(StatusCode::ACCEPTED)),
                Era::Legacy => legacy::notification(&context, &method, params.as_ref()),
            }
        }
        Message::Response(response) => match era_of(&context.headers, "", &RequestMeta::default()) {
            Era::Modern => {
                Err(Error::invalid(RpcError::invalid_request("clients of this revision send no responses")))
            }
            Era::Legacy => legacy::response(&context, response),
        },
    }
}

/// The trace that the headers of a request name. A parent that stands twice names none
/// (W3C Trace Context, section 3.2.1); a state may be spread over several headers.
fn trace_of(headers: &HeaderMap) -> Option<Arc<TraceContext>> {
    let mut parents = headers.get_all(trace::PARENT).iter();
    let (parent, None) = (parents.next()?, parents.next()) else { return None };
    let states = headers.get_all(trace::STATE).iter().map(|state| state.to_str().ok());
    let states: Option<Vec<&str>> = states.collect();
    TraceContext::of_headers(parent.to_str().ok()?, &states.unwrap_or_default().join(","))
}

/// The era of a message: its metadata decides, then its method, then the version header.
///
/// A version nobody knows counts as modern outside a session, so that the refusal lists the known ones.
fn era_of(headers: &HeaderMap, name: &str, meta: &RequestMeta) -> Era {
    if meta.protocol_version.is_some() || meta.client_capabilities.is_some() {
        return Era::Modern;
    }
    match name {
        method::INITIALIZE => return Era::Legacy,
        method::DISCOVER | method::LISTEN => return Era::Modern,
        _ => {}
    }
    let version = headers.get(header::PROTOCOL_VERSION).map(|version| version.to_str().unwrap_or_default());
    match version.map(Revision::parse) {
        Some(Some(revision)) => revision.era(),
        _ if headers.contains_key(header::SESSION_ID) => Era::Legacy,
        Some(None) => Era::Modern,
        None if headers.contains_key(header::METHOD) => Era::Modern,
        None => Era::Legacy,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn era(headers: &[(HeaderName, &str)], method: &str, version: Option<&str>) -> Era {
        let header = |(name, value): &(HeaderName, &str)| (name.clone(), value.parse().unwrap());
        let meta = RequestMeta { protocol_version: version.map(Into::into), ..RequestMeta::default() };
        era_of(&headers.iter().map(header).collect(), method, &meta)
    }

    const SESSION: (HeaderName, &str) = (header::SESSION_ID, "s");

    #[test]
    fn metadata_makes_any_message_modern() {
        assert_eq!(era(&[SESSION], "initialize", Some("2026-07-28")), Era::Modern);
        assert_eq!(era(&[], "tools/list", Some("1999-01-01")), Era::Modern);
    }

    #[test]
    fn without_metadata_the_header_and_the_session_decide() {
        const HEADER: HeaderName = header::PROTOCOL_VERSION;
        assert_eq!(era(&[(HEADER, "2026-07-28")], "tools/list", None), Era::Modern);
        assert_eq!(era(&[(HEADER, "2026-07-28")], "initialize", None), Era::Legacy);
        assert_eq!(era(&[(HEADER, "2025-06-18"), SESSION], "tools/list", None), Era::Legacy);
        assert_eq!(era(&[(HEADER, "nonsense"), SESSION], "tools/list", None), Era::Legacy);
        assert_eq!(era(&[(HEADER, "nonsense")], "tools/list", None), Era::Modern);
        assert_eq!(era(&[], "tools/list", None), Era::Legacy);
        assert_eq!(era(&[], "server/discover", None), Era::Modern);
    }
}
