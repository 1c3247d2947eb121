//! What did the authorization server say on the way back (RFC 6749, section 4.1.2; RFC 9207)?

use url::form_urlencoded;

/// The parameters with which a browser comes back.
#[derive(Clone, PartialEq, Eq)]
pub struct Callback {
    pub(super) state: String,
    pub(super) issuer: Option<String>,
    /// The code, or the error.
    pub(super) outcome: Result<String, String>,
}

impl Callback {
    /// Reads a query string; `None` if it holds neither a code nor an error, or no state.
    pub fn read(query: &str) -> Option<Self> {
        let (mut state, mut issuer, mut code, mut error) = (None, None, None, None);
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*key {
                "state" => &mut state,
                "iss" => &mut issuer,
                "code" => &mut code,
                "error" => &mut error,
                _ => continue,
            };
            *place = Some(value.into_owned());
        }
        let outcome = match (code, error) {
            (_, Some(error)) => Err(error),
            (Some(code), None) => Ok(code),
            (None, None) => return None,
        };
        Some(Self { state: state?, issuer, outcome })
    }
}

impl std::fmt::Debug for Callback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callback").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_is_a_code_or_an_error_with_a_state() {
        let code = Callback::read("code=a%2Bb&state=s&iss=https%3A%2F%2Fas").unwrap();
        assert_eq!((code.outcome, code.state), (Ok("a+b".to_owned()), "s".to_owned()));
        assert_eq!(code.issuer.as_deref(), Some("https://as"));
        let both = Callback::read("code=c&state=s&error=access_denied").unwrap();
        assert_eq!(both.outcome, Err("access_denied".to_owned()));
        assert!(Callback::read("code=c").is_none());
        assert!(Callback::read("state=s").is_none());
    }

    #[test]
    fn a_code_is_not_printed() {
        let callback = Callback::read("code=s3cr3t&state=s3cr3t").unwrap();
        assert!(!format!("{callback:?}").contains("s3cr3t"));
    }
}
