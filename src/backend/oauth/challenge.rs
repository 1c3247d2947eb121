//! What does a refusal ask for? Reads `WWW-Authenticate` (RFC 6750, section 3; RFC 9728, section 5.1).

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, StatusCode};
use rmcp::transport::auth::WWWAuthenticateParams;
use url::Url;

use super::grant::words;

/// Most scopes that a challenge can ask for, and the longest, in bytes.
const MOST_SCOPES: usize = 64;
const LONGEST_SCOPE: usize = 128;

/// A refusal that a token could change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// HTTP 401: no token, or none that is accepted. Holds the header, for discovery.
    Token(Option<String>),
    /// HTTP 403 `insufficient_scope`: the token is not enough.
    Scopes { header: String, scopes: Vec<String> },
}

impl Challenge {
    /// Reads an answer of the backend at `url`; `None` if no token would change it.
    pub(super) fn read(status: StatusCode, headers: &HeaderMap, url: &Url) -> Option<Self> {
        let mut values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        match status {
            StatusCode::UNAUTHORIZED => {
                let bearer = values.find(|value| value.to_ascii_lowercase().contains("bearer"));
                Some(Self::Token(bearer.map(str::to_owned)))
            }
            StatusCode::FORBIDDEN => values.find_map(|value| {
                let params = WWWAuthenticateParams::parse(value, url);
                let scopes = params.scope.as_deref().map(acceptable).unwrap_or_default();
                let header = value.to_owned();
                params.is_insufficient_scope().then_some(Self::Scopes { header, scopes })
            }),
            _ => None,
        }
    }

    /// The header.
    pub(super) fn header(&self) -> Option<&str> {
        match self {
            Self::Token(header) => header.as_deref(),
            Self::Scopes { header, .. } => Some(header),
        }
    }

    /// What the token must have.
    pub(super) fn scopes(&self) -> &[String] {
        match self {
            Self::Token(_) => &[],
            Self::Scopes { scopes, .. } => scopes,
        }
    }
}

/// The scopes that are spelt as RFC 6749, section 3.3, allows.
fn acceptable(scope: &str) -> Vec<String> {
    let is_legal = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    let mut scopes = words(scope);
    scopes.retain(|scope| scope.len() <= LONGEST_SCOPE && scope.bytes().all(is_legal));
    scopes.truncate(MOST_SCOPES);
    scopes
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(status: u16, values: &[&'static str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, http::HeaderValue::from_static(value));
        }
        let url = Url::parse("https://crm.example.com/mcp").unwrap();
        Challenge::read(StatusCode::from_u16(status).unwrap(), &headers, &url)
    }

    #[test]
    fn the_bearer_challenge_is_found_among_others() {
        let bearer = r#"Bearer realm="x", scope="a""#;
        assert_eq!(read(401, &["Basic realm=x", bearer]), Some(Challenge::Token(Some(bearer.to_owned()))));
        assert_eq!(read(401, &[]), Some(Challenge::Token(None)));
        assert_eq!(read(200, &[bearer]), None);
    }

    #[test]
    fn only_a_lack_of_scopes_can_be_mended_after_403() {
        assert_eq!(read(403, &[]), None);
        assert_eq!(read(403, &[r#"Bearer error="invalid_request""#]), None);
        let header = r#"Bearer error="insufficient_scope", scope="mcp:read mcp:write a\\b""#;
        let asked = read(403, &[header]).unwrap();
        assert_eq!(asked.scopes(), ["mcp:read", "mcp:write"]);
        assert_eq!(asked.header(), Some(header));
    }
}
