//! What is different between two configurations, and which of it has to wait for a restart?

use std::collections::BTreeMap;

use secrecy::ExposeSecret;

use super::{BackendConfig, Config};
use crate::server::LimitSettings;

/// What becomes of one backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is reached or protected in another way: it is begun anew.
    Altered,
    /// Only what clients see of it changes; its connection stays.
    Reexposed,
}

/// Everything that a reload changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// The backends that change, by name.
    pub backends: BTreeMap<String, Change>,
    /// Whether those that stay come in another order, which decides who wins a name.
    pub is_reordered: bool,
    /// Keys outside `backends` that take effect at once.
    pub settings: Vec<&'static str>,
    /// Keys that take effect when the gateway is started again.
    pub needs_restart: Vec<&'static str>,
}

impl Diff {
    /// What `new` changes in `old`.
    pub fn between(old: &Config, new: &Config) -> Self {
        Self {
            backends: backends(&old.backends, &new.backends),
            is_reordered: is_reordered(&old.backends, &new.backends),
            settings: settings(old, new),
            needs_restart: needs_restart(old, new),
        }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What becomes of the backend `name`; `None` if it stays as it is.
    pub fn change_of(&self, name: &str) -> Option<Change> {
        self.backends.get(name).copied()
    }

    /// The backends with this change.
    pub fn names(&self, change: Change) -> impl Iterator<Item = &str> {
        self.backends.iter().filter(move |(_, is)| **is == change).map(|(name, _)| name.as_str())
    }
}

impl Change {
    fn between(old: &BackendConfig, new: &BackendConfig) -> Option<Self> {
        match old {
            _ if old.revision != new.revision => Some(Self::Altered),
            _ if old.exposure != new.exposure => Some(Self::Reexposed),
            _ => None,
        }
    }
}

fn backends(old: &[BackendConfig], new: &[BackendConfig]) -> BTreeMap<String, Change> {
    let find =
        |all: &'_ [BackendConfig], name: &str| all.iter().position(|backend| backend.settings.name == name);
    let gone = old.iter().map(|backend| &backend.settings.name).filter(|name| find(new, name).is_none());
    let mut changes: BTreeMap<String, Change> = gone.map(|name| (name.clone(), Change::Removed)).collect();
    for backend in new {
        let name = &backend.settings.name;
        let before = find(old, name).and_then(|at| old.get(at));
        let change = before.map_or(Some(Change::Added), |before| Change::between(before, backend));
        changes.extend(change.map(|change| (name.clone(), change)));
    }
    changes
}

fn is_reordered(old: &[BackendConfig], new: &[BackendConfig]) -> bool {
    let is_in = |all: &[BackendConfig], one: &BackendConfig| {
        all.iter().any(|other| other.settings.name == one.settings.name)
    };
    let before = old.iter().filter(|one| is_in(new, one)).map(|one| &one.settings.name);
    let after = new.iter().filter(|one| is_in(old, one)).map(|one| &one.settings.name);
    !before.eq(after)
}

fn settings(old: &Config, new: &Config) -> Vec<&'static str> {
    let keys = |config: &Config| -> Vec<String> {
        config.sealing_keys.iter().map(|key| key.expose_secret().to_owned()).collect()
    };
    let mut catalog = old.catalog.clone();
    catalog.refresh = new.catalog.refresh;
    let mut server = old.server.clone();
    server.listen = new.server.listen;
    server.limits = LimitSettings {
        connections: new.server.limits.connections,
        header_timeout: new.server.limits.header_timeout,
        ..server.limits
    };
    named([
        ("server", server != new.server),
        ("clients", old.clients != new.clients),
        ("catalog", catalog != new.catalog),
        ("log.level", old.log.level != new.log.level),
        ("sealing_keys", keys(old) != keys(new)),
    ])
}

fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let (was, is) = (&old.server.limits, &new.server.limits);
    named([
        ("server.listen", old.server.listen != new.server.listen),
        ("server.limits.connections", was.connections != is.connections),
        ("server.limits.header_timeout", was.header_timeout != is.header_timeout),
        ("admin", old.admin != new.admin),
        ("log.format", old.log.format != new.log.format),
        ("catalog.refresh", old.catalog.refresh != new.catalog.refresh),
        ("state_dir", old.state_dir != new.state_dir),
    ])
}

impl Config {
    /// As it can be in force without a restart of the gateway that runs with `running`.
    #[must_use]
    pub fn without_restart(mut self, running: &Self) -> Self {
        self.server.listen = running.server.listen;
        self.server.limits.connections = running.server.limits.connections;
        self.server.limits.header_timeout = running.server.limits.header_timeout;
        self.admin = running.admin.clone();
        self.log.format = running.log.format;
        self.catalog.refresh = running.catalog.refresh;
        self.state_dir.clone_from(&running.state_dir);
        self
    }
}

fn named<const N: usize>(all: [(&'static str, bool); N]) -> Vec<&'static str> {
    all.into_iter().filter(|(_, is_different)| *is_different).map(|(key, _)| key).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parse;

    fn config(text: &str) -> Config {
        parse(Path::new("/etc/gateway.yaml"), text, &|_| None).unwrap()
    }

    fn diff(old: &str, new: &str) -> Diff {
        Diff::between(&config(old), &config(new))
    }

    #[test]
    fn each_backend_is_told_apart_by_what_has_to_be_done_about_it() {
        let old = "backends: { a: { command: x }, b: { command: x }, c: { command: x }, d: { command: x } }";
        let new = "backends: { a: { command: x }, b: { command: y }, c: { command: x, hide: [z] }, e: { command: x } }";
        let expected =
            [("b", Change::Altered), ("c", Change::Reexposed), ("d", Change::Removed), ("e", Change::Added)];
        let diff = diff(old, new);
        assert_eq!(diff.backends, expected.map(|(name, change)| (name.to_owned(), change)).into());
        assert!(!diff.is_reordered);
    }

    #[test]
    fn a_comment_a_default_and_another_free_port_change_nothing() {
        let old = "backends: { a: { command: x, args: [\"${free_port}\"], url: \"http://127.0.0.1:${free_port}/\" } }";
        let new = "# new\nbackends:\n  a: { command: x, args: [\"${free_port}\"], disabled: false, url: \"http://127.0.0.1:${free_port}/\" }";
        assert!(diff(old, new).is_empty());
    }

    #[test]
    fn defaults_are_part_of_every_backend_and_secrets_are_compared() {
        let old = "backends: { a: { command: x, env: { K: \"1\" } } }";
        assert_eq!(diff(old, &old.replace('1', "2")).change_of("a"), Some(Change::Altered));
        let defaults = format!("defaults: {{ timeouts: {{ call: 1s }} }}\n{old}");
        assert_eq!(diff(old, &defaults).change_of("a"), Some(Change::Altered));
    }

    #[test]
    fn the_order_counts_and_so_does_what_only_a_restart_can_change() {
        let old = "backends: { a: { command: x }, b: { command: x } }";
        assert!(diff(old, "backends: { b: { command: x }, a: { command: x } }").is_reordered);
        let moved = diff(old, &format!("server: {{ listen: 127.0.0.1:9, drain: 1s }}\n{old}"));
        assert_eq!((moved.settings, moved.needs_restart), (vec!["server"], vec!["server.listen"]));
        let all = "server: { listen: 127.0.0.1:9, limits: { connections: 1, header_timeout: 1s } }\nadmin: { enabled: false }\nlog: { format: json }\ncatalog: { refresh: 1s }\nstate_dir: x\n";
        let new = config(&format!("{all}{old}"));
        assert_eq!(Diff::between(&config(old), &new).needs_restart.len(), 7);
        assert!(Diff::between(&config(old), &new.without_restart(&config(old))).is_empty());
    }
}
