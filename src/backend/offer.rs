//! What a backend offers: everything it lists.
//!
//! A list that the backend refuses, or of which a page fails, does not take the others with it: what was known of it
//! before stays, and it is asked again soon.

use std::time::Duration;

use crate::protocol::{Era, ListKind, RawJson, skills};

use super::connection::Connection;
use super::listing::{Listed, Reader, Unlisted};
use super::{Failure, FailureKind};

/// Longest wait for a list that the backend does not say it has.
const UNDECLARED: Duration = Duration::from_secs(2);

/// How long what a backend listed may be kept, and whether it may be shown to everybody (MCP 2026-07-28,
/// server/utilities/caching).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheHint {
    /// In milliseconds from when it was fetched.
    pub ttl_ms: u64,
    /// Whether it depends on nobody's authorization.
    pub is_public: bool,
}

impl CacheHint {
    /// What is not said means not at all.
    pub const NONE: Self = Self { ttl_ms: 0, is_public: false };

    /// What is left of it so long after it was said.
    #[must_use]
    pub fn after(self, age: Duration) -> Self {
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Self { ttl_ms: self.ttl_ms.saturating_sub(age), ..self }
    }

    /// What holds for something made of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let (ttl_ms, is_public) = (self.ttl_ms.min(other.ttl_ms), self.is_public && other.is_public);
        Self { ttl_ms, is_public }
    }
}

/// Everything a backend showed, as it showed it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Offer {
    /// Entries of `tools/list`.
    pub tools: Vec<RawJson>,
    /// Entries of `prompts/list`.
    pub prompts: Vec<RawJson>,
    /// Entries of `resources/list`.
    pub resources: Vec<RawJson>,
    /// Entries of `resources/templates/list`.
    pub resource_templates: Vec<RawJson>,
    /// Entries of `skills/list`.
    pub skills: Vec<RawJson>,
    /// For the model.
    pub instructions: Option<String>,
    /// As the backend declared them.
    pub capabilities: Option<RawJson>,
    /// Lists that are not whole, and why.
    pub cut: Vec<String>,
    /// What the backend says of keeping each list that it has.
    pub caching: Vec<(ListKind, CacheHint)>,
    /// Whether a list is missing, or a part of one, that the backend may have later.
    pub is_partial: bool,
}

impl Offer {
    /// The entries of one list.
    pub fn entries(&self, kind: ListKind) -> &[RawJson] {
        match kind {
            ListKind::Tools => &self.tools,
            ListKind::Prompts => &self.prompts,
            ListKind::Resources => &self.resources,
            ListKind::ResourceTemplates => &self.resource_templates,
            ListKind::Skills => &self.skills,
        }
    }

    fn set(&mut self, kind: ListKind, entries: Vec<RawJson>) {
        match kind {
            ListKind::Tools => self.tools = entries,
            ListKind::Prompts => self.prompts = entries,
            ListKind::Resources => self.resources = entries,
            ListKind::ResourceTemplates => self.resource_templates = entries,
            ListKind::Skills => self.skills = entries,
        }
    }

    /// What the backend says of keeping a list; `None` if it has no such list.
    pub fn caching_of(&self, kind: ListKind) -> Option<CacheHint> {
        self.caching.iter().find(|(listed, _)| *listed == kind).map(|(_, hint)| *hint)
    }

    fn is_empty(&self) -> bool {
        ListKind::ALL.into_iter().all(|kind| self.entries(kind).is_empty())
    }
}

/// Fetches everything the backend says it has; `limit` is for each page. What it does not list this time is taken from
/// `before`.
pub(super) async fn fetch(
    connection: &Connection,
    limit: Duration,
    before: Option<&Offer>,
) -> Result<Offer, Failure> {
    let agreement = connection.agreement();
    let offer = Offer {
        instructions: agreement.instructions.clone(),
        capabilities: Some(agreement.capabilities.clone()),
        ..Offer::default()
    };
    let mut fetching = Fetching { connection, limit, before, offer, tools_refused: None };
    let declared = declared(connection);
    for kind in &declared {
        fetching.take(*kind).await?;
    }
    if declared.is_empty() {
        fetching.take_undeclared().await?;
    }
    fetching.finish()
}

/// The lists that the backend says it has.
fn declared(connection: &Connection) -> Vec<ListKind> {
    let agreement = connection.agreement();
    let is_declared = |kind: &ListKind| match kind {
        ListKind::Tools => agreement.offers("tools"),
        ListKind::Prompts => agreement.offers("prompts"),
        ListKind::Resources | ListKind::ResourceTemplates => agreement.offers("resources"),
        // The extension came with the modern era.
        ListKind::Skills => {
            agreement.revision.era() == Era::Modern && skills::declared(&agreement.capabilities).is_some()
        }
    };
    ListKind::ALL.into_iter().filter(is_declared).collect()
}

struct Fetching<'a> {
    connection: &'a Connection,
    limit: Duration,
    before: Option<&'a Offer>,
    offer: Offer,
    /// Why the tools are missing, if they are.
    tools_refused: Option<Failure>,
}

impl Fetching<'_> {
    async fn take(&mut self, kind: ListKind) -> Result<(), Failure> {
        let method = kind.method();
        let reader = Reader { connection: self.connection, limit: self.limit };
        match reader.all(kind).await {
            Ok(listed) => self.keep(kind, listed),
            // It says that it has the list, and means that the list would be empty.
            Err(Unlisted::Unknown) => {}
            Err(Unlisted::Refused(failure)) => {
                self.offer.cut.push(format!("`{method}` is missing: {}", failure.message));
                self.offer.is_partial = true;
                let known = self.before.map(|before| before.entries(kind).to_vec());
                self.offer.set(kind, known.unwrap_or_default());
                self.offer.caching.push((kind, CacheHint::NONE));
                if kind == ListKind::Tools {
                    self.tools_refused = Some(failure);
                }
            }
            Err(Unlisted::Failed(failure)) => return Err(failure),
        }
        Ok(())
    }

    /// Clients of the official SDKs ask for any list, whatever a server says it has.
    async fn take_undeclared(&mut self) -> Result<(), Failure> {
        let reader = Reader { connection: self.connection, limit: self.limit.min(UNDECLARED) };
        for kind in [ListKind::Tools, ListKind::Prompts, ListKind::Resources, ListKind::ResourceTemplates] {
            match reader.all(kind).await {
                Ok(listed) => self.keep(kind, listed),
                Err(Unlisted::Refused(failure)) if failure.kind == FailureKind::Timeout => break,
                Err(Unlisted::Unknown | Unlisted::Refused(_)) => {}
                Err(Unlisted::Failed(failure)) if self.connection.signals().is_lost() => return Err(failure),
                Err(Unlisted::Failed(_)) => break,
            }
        }
        Ok(())
    }

    fn keep(&mut self, kind: ListKind, listed: Listed) {
        if let Some(reason) = listed.cut {
            let entries = listed.entries.len();
            self.offer.cut.push(format!("`{}` is cut at {entries} entries: {reason}", kind.method()));
        }
        self.offer.is_partial |= listed.is_partial;
        self.offer.caching.push((kind, listed.caching));
        self.offer.set(kind, listed.entries);
    }

    /// A backend that refuses to list its tools and has nothing else is not ready.
    fn finish(self) -> Result<Offer, Failure> {
        match self.tools_refused {
            Some(failure) if self.offer.is_empty() => Err(failure),
            _ => Ok(self.offer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_hints_the_shorter_time_and_the_smaller_circle_hold() {
        let hint = |ttl_ms, is_public| CacheHint { ttl_ms, is_public };
        assert_eq!(hint(5, true).and(hint(7, true)), hint(5, true));
        assert_eq!(hint(5, true).and(hint(3, false)), hint(3, false));
        assert_eq!(hint(5, true).and(CacheHint::NONE), CacheHint::NONE);
        assert_eq!(hint(5, true).after(Duration::from_millis(3)), hint(2, true));
        assert_eq!(hint(5, true).after(Duration::MAX), hint(0, true));
    }
}
