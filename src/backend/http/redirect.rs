//! Which redirects of a backend are followed?
//!
//! | redirect | followed |
//! |---|---|
//! | 307 and 308 within the origin | yes, with the same method and body |
//! | 301, 302 and 303 of a GET within the origin | yes |
//! | 301, 302 and 303 of anything else | no: the request would become a GET, and its message would be lost |
//! | from http to https on the same host, both on their default ports | as within the origin |
//! | to another origin, or to a URL with credentials of its own | no, and nothing is sent there |
//!
//! These are the rules of the SDKs' clients.

use http::header::LOCATION;
use http::{HeaderMap, Method, StatusCode};
use url::Url;

/// Redirects of one request that are followed, as many as the SDKs' clients follow.
pub(super) const MAX_REDIRECTS: usize = 20;

/// Where the redirect of a request to `sent` leads; `None` for a response that is no redirect.
///
/// # Errors
/// Why it is not followed, with the target but neither its query nor credentials.
pub(super) fn follow(
    sent: &Url,
    method: &Method,
    status: StatusCode,
    headers: &HeaderMap,
) -> Option<Result<Url, String>> {
    let keeps_method = match status.as_u16() {
        307 | 308 => true,
        301..=303 => method == Method::GET,
        _ => return None,
    };
    let location = headers.get(LOCATION)?;
    let refuse = |why: &str| Some(Err(format!("the backend answered HTTP {status}: {why}")));
    let joined = std::str::from_utf8(location.as_bytes()).ok().and_then(|text| sent.join(text.trim()).ok());
    let Some(mut target) = joined else {
        return refuse("a redirect to something that is no URL");
    };
    target.set_fragment(None);
    let named = describe(&target);
    if adds_credentials(sent, &target) {
        return refuse(&format!("a redirect to {named} with credentials of its own is not followed"));
    }
    if !within_origin(sent, &target) {
        return refuse(&match sent.scheme() == "https" && target.scheme() == "http" {
            true => format!("a redirect to plain http, {named}, is not followed; try it with https"),
            false => format!(
                "a redirect to another origin, {named}, is not followed; configure that URL if it is the server meant"
            ),
        });
    }
    if !keeps_method {
        return refuse(&format!(
            "a redirect to {named} that turns a {method} into a GET is not followed; configure that URL"
        ));
    }
    keep_credentials(sent, &mut target);
    Some(Ok(target))
}

/// Whether a request for `sent` may go to `target` instead, with all its headers.
pub(in super::super) fn within_origin(sent: &Url, target: &Url) -> bool {
    let is_upgrade = sent.scheme() == "http"
        && target.scheme() == "https"
        && sent.host() == target.host()
        && sent.port().is_none()
        && target.port().is_none();
    sent.origin() == target.origin() || is_upgrade
}

/// Whether later requests may go to `target` at once: the server said so, or the redirect only spells the same place
/// in another way. Anything else may hold for one request only.
pub(super) fn is_lasting(sent: &Url, target: &Url, status: StatusCode) -> bool {
    let path = |url: &Url| url.path().trim_end_matches('/').to_owned();
    let is_same_place = path(sent) == path(target) && sent.query() == target.query();
    status == StatusCode::PERMANENT_REDIRECT || is_same_place
}

/// `target` for people: without credentials, query and fragment.
fn describe(target: &Url) -> String {
    let mut named = target.clone();
    let _ = named.set_username("");
    let _ = named.set_password(None);
    named.set_query(None);
    named.set_fragment(None);
    named.into()
}

fn adds_credentials(sent: &Url, target: &Url) -> bool {
    let has_some = !target.username().is_empty() || target.password().is_some();
    has_some && (target.username(), target.password()) != (sent.username(), sent.password())
}

/// An absolute target names no credentials, and the server wants them all the same.
fn keep_credentials(sent: &Url, target: &mut Url) {
    let _ = target.set_username(sent.username());
    let _ = target.set_password(sent.password());
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn outcome(
        sent: &str,
        method: &Method,
        status: u16,
        location: &'static str,
    ) -> Option<Result<String, String>> {
        let headers = HeaderMap::from_iter([(LOCATION, http::HeaderValue::from_static(location))]);
        let status = StatusCode::from_u16(status).unwrap();
        let followed = follow(&Url::parse(sent).unwrap(), method, status, &headers)?;
        Some(followed.map(String::from))
    }

    #[test]
    fn redirects_within_the_origin_that_keep_the_method_are_followed() {
        let at = "http://a.example:8080/mcp?x=1";
        for (method, status, location, target) in [
            (Method::POST, 307, "/mcp/?x=1", "http://a.example:8080/mcp/?x=1"),
            (Method::DELETE, 308, "other/", "http://a.example:8080/other/"),
            (Method::POST, 308, "HTTP://A.example:8080/m#part", "http://a.example:8080/m"),
            (Method::GET, 301, "//a.example:8080/m", "http://a.example:8080/m"),
            (Method::GET, 303, "?", "http://a.example:8080/mcp?"),
        ] {
            assert_eq!(outcome(at, &method, status, location), Some(Ok(target.to_owned())), "{location}");
        }
        let upgraded = outcome("http://a.example/mcp", &Method::POST, 307, "https://a.example/mcp");
        assert_eq!(upgraded, Some(Ok("https://a.example/mcp".to_owned())));
        let with_credentials = outcome("http://u:p@a.example/mcp", &Method::POST, 307, "http://a.example/m");
        assert_eq!(with_credentials, Some(Ok("http://u:p@a.example/m".to_owned())));
    }

    #[test]
    fn all_others_are_refused_and_their_target_is_named_without_its_secrets() {
        for (sent, status, location, named) in [
            (
                "http://a.example/mcp",
                307,
                "http://b.example/m?token=t",
                "another origin, http://b.example/m,",
            ),
            ("http://a.example/mcp", 307, "http://a.example:81/m", "another origin, http://a.example:81/m,"),
            ("http://a.example/mcp", 308, "https://a.example:8443/", "another origin"),
            ("https://a.example/mcp", 307, "http://a.example/mcp", "plain http, http://a.example/mcp,"),
            (
                "http://a.example/mcp",
                307,
                "http://u:secret@a.example/m",
                "http://a.example/m with credentials",
            ),
            ("http://a.example/mcp", 302, "/login?next=x", "http://a.example/login that turns a POST"),
            ("http://a.example/mcp", 307, "http://", "no URL"),
            ("http://a.example/mcp", 307, "file:///etc/passwd", "another origin"),
        ] {
            let refused = outcome(sent, &Method::POST, status, location).unwrap().unwrap_err();
            assert!(refused.contains(named), "{refused}");
            assert!(!refused.contains("secret") && !refused.contains("token"), "{refused}");
        }
        assert_eq!(outcome("http://a.example/", &Method::GET, 304, "/x"), None);
        assert!(
            follow(
                &Url::parse("http://a/").unwrap(),
                &Method::POST,
                StatusCode::TEMPORARY_REDIRECT,
                &HeaderMap::new()
            )
            .is_none()
        );
    }

    #[test]
    fn only_another_spelling_of_the_same_place_or_a_permanent_redirect_is_remembered() {
        let is_lasting = |sent: &str, target: &str, status| {
            let (sent, target) = (Url::parse(sent).unwrap(), Url::parse(target).unwrap());
            super::is_lasting(&sent, &target, StatusCode::from_u16(status).unwrap())
        };
        assert!(is_lasting("http://a/mcp?k=1", "http://a/mcp/?k=1", 307));
        assert!(is_lasting("http://a/mcp", "https://a/mcp", 307));
        assert!(is_lasting("http://a/mcp", "http://a/v2", 308));
        assert!(!is_lasting("http://a/mcp", "http://a/node3/mcp", 307));
        assert!(!is_lasting("http://a/mcp", "http://a/mcp?ticket=9", 307));
    }
}
