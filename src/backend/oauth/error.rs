//! Why there is no token, said without one.

use rmcp::transport::auth::AuthError;

/// Longest text of somebody else's in a message, in characters.
const QUOTED: usize = 200;

/// Why the gateway was not let in.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OAuthError {
    /// A person has to let the gateway in, with the command that is given this.
    #[error("not connected: run `switchyard connect {0}`")]
    NotConnected(String),
    /// The same at a server that names no authorization server: it may want a key.
    #[error(
        "not connected: if the server takes an API key, write it under `headers`, such as \
         `Authorization: Bearer ${{API_KEY}}`; if it uses OAuth, run `switchyard connect {0}`"
    )]
    NoCredentials(String),
    /// A person has to let the gateway do more.
    #[error("the token lacks the scopes `{scopes}`: run `switchyard connect {connect}` to grant them")]
    LacksScopes {
        /// What that command is given.
        connect: String,
        /// What it asks for.
        scopes: String,
    },
    /// The backend refuses a token that was granted everything it asked for.
    #[error("the backend refuses the token though it has the scopes `{0}` that it asks for")]
    RefusesScopes(String),
    /// What was found out about the authorization server forbids to use it.
    #[error("the authorization server cannot be used: {0}")]
    Unusable(String),
    /// The authorization server did not do what it was asked.
    #[error("the authorization server refused: {0}")]
    Refused(String),
    /// The grant or its key could not be read or written.
    #[error("the grant could not be kept: {0}; is `state_dir` writable?")]
    NotKept(String),
    /// Another process does not let go of the grant.
    #[error("another process holds on to the grant")]
    Locked,
}

impl OAuthError {
    /// Whether `switchyard connect` changes it.
    pub fn needs_a_person(&self) -> bool {
        matches!(self, Self::NotConnected(_) | Self::NoCredentials(_) | Self::LacksScopes { .. })
    }

    /// What went wrong before anything was asked for.
    pub(super) fn unusable(error: &AuthError) -> Self {
        Self::Unusable(quoted(&with_source(error)))
    }

    /// What went wrong when something was.
    pub(super) fn refused(error: &AuthError) -> Self {
        Self::Refused(quoted(&error.to_string()))
    }
}

impl From<std::io::Error> for OAuthError {
    fn from(error: std::io::Error) -> Self {
        Self::NotKept(error.to_string())
    }
}

fn with_source(error: &AuthError) -> String {
    let source = std::error::Error::source(error).map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

/// One bounded line of somebody else's text.
pub(super) fn quoted(text: &str) -> String {
    let line = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    line.take(QUOTED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_fits_on_a_line() {
        let body = format!("HTTP 400: {}\n{}", "x".repeat(500), "\u{1b}[2J");
        let OAuthError::Refused(text) = OAuthError::refused(&AuthError::RegistrationFailed(body)) else {
            unreachable!()
        };
        assert_eq!(text.chars().count(), QUOTED);
        assert!(!text.contains(char::is_control));
    }
}
