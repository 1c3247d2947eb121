//! What did the operator not expect to happen to an entry?

use std::fmt;

use crate::protocol::ListKind;

/// Most warnings one merge keeps: a backend with a million broken entries says so a few times only.
pub const MAX_WARNINGS: usize = 200;

/// Longest part of an entry's name that is repeated, in characters.
const MAX_SHOWN: usize = 80;

/// Something about one entry of one backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The backend's name.
    pub backend: String,
    /// The list the entry is in.
    pub kind: ListKind,
    /// The entry's local name or URI, cut; its position when it has neither.
    pub entry: String,
    /// What happened.
    pub problem: Problem,
}

/// What happened to an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// Dropped: not an object.
    NotAnObject,
    /// Dropped: a member clients rely on is missing or of another type.
    Malformed(&'static str),
    /// Dropped: clients with a URL type cannot hold its URI.
    NotAUrl,
    /// Shown with these changes, without which typed clients would refuse the whole list.
    Repaired(String),
    /// What it says about headers that repeat arguments cannot be followed.
    ParamHeaders {
        /// Why.
        reason: String,
        /// Whether it is shown, without what it says; dropped otherwise.
        is_shown: bool,
    },
    /// This setting names the entry, which the backend does not offer.
    Unmatched(&'static str),
    /// Dropped: the backend has an earlier entry of the same name or URI.
    Duplicate,
    /// Shown under another name or URI: the wanted one belongs to another entry.
    Taken {
        /// The backend that has it.
        owner: String,
        /// What is shown instead.
        shown: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { backend, kind, entry, problem } = self;
        if let Problem::Unmatched(setting) = problem {
            return write!(
                f,
                "backend {backend}: `{setting}` has {entry:?}, which fits nothing the backend offers"
            );
        }
        write!(f, "backend {backend}, {}: {entry:?} ", kind.method())?;
        match problem {
            Problem::NotAnObject => write!(f, "is left out: it is no object"),
            Problem::NotAUrl => {
                write!(f, "is left out: its `uri` is no URL, and clients that parse it refuse the list")
            }
            Problem::Repaired(changes) => write!(f, "is repaired for typed clients: {changes}"),
            Problem::Malformed(member) => {
                write!(f, "is left out: its `{member}` is missing or of the wrong type")
            }
            Problem::ParamHeaders { reason, is_shown: false } => write!(f, "is left out: {reason}"),
            Problem::ParamHeaders { reason, is_shown: true } => {
                write!(f, "is shown without its `x-mcp-header` annotations: {reason}")
            }
            Problem::Unmatched(_) => Ok(()),
            Problem::Duplicate => write!(f, "is left out: this backend has listed it before"),
            Problem::Taken { owner, shown } => {
                write!(
                    f,
                    "is shown as {shown:?}: backend {owner} already has that name; set `prefix` or `rename`"
                )
            }
        }
    }
}

/// Collects warnings up to [`MAX_WARNINGS`].
#[derive(Debug, Default)]
pub(super) struct Warnings(Vec<Warning>);

impl Warnings {
    pub(super) fn add(&mut self, backend: &str, kind: ListKind, entry: &str, problem: Problem) {
        if self.0.len() < MAX_WARNINGS {
            let entry = entry.chars().take(MAX_SHOWN).collect();
            self.0.push(Warning { backend: backend.to_owned(), kind, entry, problem });
        }
    }

    pub(super) fn into_vec(self) -> Vec<Warning> {
        self.0
    }
}
