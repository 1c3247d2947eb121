//! What is a refusal on the wire: one HTTP status and one JSON-RPC error for each reason.

use http::header::{ALLOW, CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use super::http::{Body, json};
use crate::protocol::{Id, Malformed, RpcError, code, frame};
use crate::router::RequestId;

/// Why a request is not served. Messages never quote what the client sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("no such path; the paths are {}", .0.join(", "))]
    UnknownPath(&'static [&'static str]),
    #[error("this method is not allowed here, but {0}")]
    MethodNotAllowed(&'static str),
    #[error("{0}")]
    BadRequest(&'static str),
    #[error("the Host header names neither this gateway nor an entry of `server.allowed_hosts`")]
    ForeignHost,
    #[error("the Origin is neither loopback nor an entry of `server.allowed_origins`")]
    ForeignOrigin,
    #[error("{}", if *.token_given { "the bearer token is not known" } else { "a bearer token is needed" })]
    Unauthorized { token_given: bool },
    #[error("the body is larger than {0} bytes")]
    BodyTooLarge(usize),
    #[error("the body did not arrive in time")]
    BodyTimeout,
    #[error("the gateway holds as much of large messages as it may; try again later")]
    NoRoom,
    #[error("the Content-Type must be application/json")]
    UnsupportedMediaType,
    #[error("the Accept header must admit application/json or text/event-stream")]
    NotAcceptable,
    #[error("{}", .0.error.message)]
    Malformed(Box<Malformed>),
    #[error("{}", .1.message)]
    Rpc(StatusCode, RpcError),
    #[error("no such session; begin again with `initialize`")]
    UnknownSession,
    #[error("too many sessions are open; try again later")]
    TooManySessions,
    #[error("too many connections are open, and no client has more of them than this one; close some")]
    TooManyConnections,
    #[error("the gateway failed to handle this request")]
    Panicked,
}

impl Error {
    /// A refusal of a readable message whose answer is an error with status 400.
    pub(super) fn invalid(error: RpcError) -> Self {
        Self::Rpc(StatusCode::BAD_REQUEST, error)
    }

    /// The whole response; `id` is that of the refused request, where it could be read.
    pub(super) fn into_response(self, id: Option<&Id>, request_id: &RequestId) -> Response<Body> {
        let status = self.status();
        let header = self.header();
        let is_final = matches!(
            self,
            Self::BodyTooLarge(_)
                | Self::BodyTimeout
                | Self::NoRoom
                | Self::BadRequest(_)
                | Self::TooManyConnections
        );
        let (own_id, error) = self.into_rpc();
        let error = error.with("request_id", request_id.to_string());
        let mut response = json(status, frame::error(id.or(own_id.as_ref()), &error.to_json()));
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        if is_final {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// The status it is answered with.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::UnknownPath(_) | Self::UnknownSession => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadRequest(_) | Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::ForeignHost | Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::Unauthorized { .. } => StatusCode::UNAUTHORIZED,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::Rpc(status, _) => *status,
            Self::TooManySessions | Self::TooManyConnections | Self::NoRoom => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn header(&self) -> Option<(HeaderName, &'static str)> {
        match self {
            Self::MethodNotAllowed(allowed) => Some((ALLOW, allowed)),
            Self::Unauthorized { token_given: false } => Some((WWW_AUTHENTICATE, "Bearer")),
            Self::Unauthorized { token_given: true } => {
                Some((WWW_AUTHENTICATE, "Bearer error=\"invalid_token\""))
            }
            Self::TooManySessions | Self::TooManyConnections | Self::NoRoom => Some((RETRY_AFTER, "5")),
            _ => None,
        }
    }

    fn into_rpc(self) -> (Option<Id>, RpcError) {
        let message = self.to_string();
        match self {
            Self::Malformed(malformed) => (malformed.id, malformed.error),
            Self::Rpc(_, error) => (None, error),
            Self::UnknownPath(paths) => (None, RpcError::invalid_request(message).with("paths", paths)),
            Self::TooManySessions | Self::TooManyConnections | Self::NoRoom | Self::Panicked => {
                (None, RpcError::internal(message))
            }
            _ => (None, RpcError::invalid_request(message)),
        }
    }

    /// Its name in logs.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::UnknownPath(_) => "path",
            Self::MethodNotAllowed(_) => "method",
            Self::Unauthorized { token_given: true } => "unknown_token",
            Self::Unauthorized { token_given: false } => "no_token",
            Self::UnsupportedMediaType | Self::NotAcceptable => "media_type",
            Self::UnknownSession => "unknown_session",
            Self::Rpc(..) => "rpc_error",
            Self::Panicked => "panic",
            other => other.reason().unwrap_or("refused"),
        }
    }

    /// The code of its JSON-RPC error, where that tells more than its name.
    pub(super) fn code(&self) -> Option<i32> {
        match self {
            Self::Rpc(_, error) => Some(error.code),
            Self::Malformed(malformed) => Some(malformed.error.code),
            _ => None,
        }
    }

    /// The label under which refusals are counted; none for what is an ordinary answer.
    pub(super) fn reason(&self) -> Option<&'static str> {
        Some(match self {
            Self::ForeignHost => "host",
            Self::ForeignOrigin => "origin",
            Self::BodyTooLarge(_) => "body_size",
            Self::BodyTimeout => "body_timeout",
            Self::BadRequest(_) => "http",
            Self::Malformed(_) => "malformed",
            Self::NoRoom => "memory",
            Self::TooManySessions => "sessions",
            Self::TooManyConnections => "connections",
            _ => return None,
        })
    }
}

/// The status of an answer to a stateless request whose error has `code`
/// (MCP 2026-07-28, basic/index, error codes).
pub(super) fn status_of(code: i32) -> StatusCode {
    match code {
        code::HEADER_MISMATCH | code::MISSING_CAPABILITY | code::UNSUPPORTED_VERSION => {
            StatusCode::BAD_REQUEST
        }
        code::PARSE_ERROR | code::INVALID_REQUEST => StatusCode::BAD_REQUEST,
        code::METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
        _ => StatusCode::OK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_an_unknown_token_says_so_in_the_challenge() {
        let error = Error::Unauthorized { token_given: true };
        let response = error.into_response(None, &RequestId::new(1));
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer error=\"invalid_token\"");
    }

    #[test]
    fn a_missing_capability_is_a_bad_request_and_an_unknown_tool_is_not() {
        assert_eq!(status_of(code::MISSING_CAPABILITY), StatusCode::BAD_REQUEST);
        assert_eq!(status_of(code::INVALID_PARAMS), StatusCode::OK);
    }
}
