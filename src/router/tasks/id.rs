//! What does a client hold of a task? Whose it is and what it is called there, sealed for one principal: whichever replica
//! is asked finds the backend that has the task.

use serde::{Deserialize, Serialize};

use crate::protocol::RpcError;

use super::super::seal::{Sealed, Sealer};

/// Stands where other sealed texts have the digest of a request: one cannot be taken for the other.
const PURPOSE: &str = "task";

/// A task, as the gateway finds it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TaskId {
    /// Who has it.
    pub backend: String,
    /// Which of its replicas, if it has several.
    #[serde(default)]
    pub replica: Option<String>,
    /// How it was reached, if it is in one place: under another identity it is another server.
    #[serde(default)]
    pub identity: Option<String>,
    /// The backend's own id of it, or the key under which this gateway holds it.
    pub local: String,
    /// Whether this gateway holds it, because its backend has tasks of another form.
    #[serde(default)]
    pub is_held: bool,
}

impl TaskId {
    /// A task that `backend` follows by the extension itself.
    pub(super) fn relayed(backend: &str, replica: Option<String>, local: String) -> Self {
        Self { backend: backend.to_owned(), replica, identity: None, local, is_held: false }
    }

    /// A task of `backend` that this gateway holds.
    pub(super) fn held(backend: &str, key: &str) -> Self {
        Self {
            backend: backend.to_owned(),
            replica: None,
            identity: None,
            local: key.to_owned(),
            is_held: true,
        }
    }

    /// The id that `principal` is given; `None` only if the library refuses.
    pub(super) fn seal(self, sealer: &Sealer, principal: &str) -> Option<String> {
        let (principal, request) = (principal.to_owned(), PURPOSE.to_owned());
        // How long a task lives is up to its backend, which may change its mind and then does not know it any more.
        sealer.seal(&Sealed { principal, request, expires: u64::MAX, content: self })
    }

    /// The task that `text` stands for, if it was given to `principal`.
    ///
    /// # Errors
    /// −32602, the same whether it was made up, altered or given to somebody else.
    pub(super) fn open(sealer: &Sealer, text: &str, principal: &str) -> Result<Self, RpcError> {
        let sealed: Option<Sealed<Self>> = sealer.open(text);
        let own = sealed.filter(|sealed| sealed.principal == principal && sealed.request == PURPOSE);
        own.map(|sealed| sealed.content).ok_or_else(unknown)
    }
}

/// There is no such task, for all that this client may know.
pub(in super::super) fn unknown() -> RpcError {
    RpcError::invalid_params("there is no task with this `taskId`")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn task() -> TaskId {
        TaskId::relayed("crm", None, "786512e2".to_owned())
    }

    #[test]
    fn an_id_leads_its_principal_back_and_nobody_else_anywhere() {
        let sealer = Sealer::new(&[]).unwrap();
        let text = task().seal(&sealer, "ann").unwrap();
        assert!(!text.contains("786512e2"));
        assert_eq!(TaskId::open(&sealer, &text, "ann").unwrap(), task());
        let foreign = TaskId::open(&sealer, &text, "bob").unwrap_err();
        let made_up = TaskId::open(&sealer, "786512e2", "ann").unwrap_err();
        assert_eq!(foreign.to_json(), made_up.to_json());
    }

    #[test]
    fn what_was_sealed_for_a_request_is_no_id() {
        let sealer = Sealer::new(&[]).unwrap();
        let state = Sealed {
            principal: "ann".to_owned(),
            request: "digest".to_owned(),
            expires: u64::MAX,
            content: task(),
        };
        assert!(TaskId::open(&sealer, &sealer.seal(&state).unwrap(), "ann").is_err());
    }
}
