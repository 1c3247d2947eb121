//! How does a changed file come into force?
//!
//! Read and checked as a whole; then what is new or altered is begun beside what serves; then the fleet and
//! the catalog are swapped in one step; then what was replaced ends, each backend after its last call.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::config::{self, Change, Config, Diff, Problems, Watch};
use crate::router::{Fleet, Member, Router};
use crate::server::Server;
use crate::telemetry;

use super::crew::{Crew, Running};
use super::news::News;
use super::service::ServiceManager;
use super::{Keep, applied, keys};

/// How long new backends get to be ready before they serve; later ones come into the catalog when they are.
const WARM_UP: Duration = Duration::from_secs(10);

/// Applies the file again and again.
pub(super) struct Reloader {
    /// In force.
    pub(super) config: Config,
    pub(super) router: Arc<Router>,
    pub(super) server: Arc<Server>,
    pub(super) crew: Crew,
    pub(super) news: Arc<News>,
    pub(super) manager: ServiceManager,
    pub(super) keep: Keep,
}

/// What a reload makes of the fleet.
#[derive(Default)]
struct Plan {
    members: Vec<Member>,
    /// Begun already, to be waited for.
    begun: Vec<Member>,
    /// To be begun once the one before has ended.
    in_turn: Vec<Member>,
    replaced: Vec<Running>,
}

impl Reloader {
    /// Reloads when the files change and whenever `asked` is notified. Does not end.
    pub(super) async fn run(mut self, asked: &Notify) {
        let mut watch = Watch::new(self.files(&Ok(self.config.clone())));
        // It may have been changed between the start and the first watch.
        match self.read(&mut watch) {
            Ok(new) if Diff::between(&self.config, &new).is_empty() => {}
            read => {
                self.take(read).await;
                self.manager.ready(&self.news.summary());
            }
        }
        loop {
            tokio::select! {
                () = watch.changed() => {}
                () = asked.notified() => {}
            }
            self.manager.reloading();
            // Whoever reloads may have mended what kept crashing.
            self.router.backends().iter().for_each(|backend| backend.release());
            let read = self.read(&mut watch);
            self.take(read).await;
            self.manager.ready(&self.news.summary());
        }
    }

    /// Reads the file, and has it watched with all that it refers to now.
    fn read(&self, watch: &mut Watch) -> Result<Config, Problems> {
        let read = watch.steady(|| config::reload(&self.config));
        match watch.follow(self.files(&read)) {
            // Something may have happened to what was not watched yet.
            true => watch.steady(|| config::reload(&self.config)),
            false => read,
        }
    }

    /// Of a file that is refused, what is in force counts too.
    fn files(&self, read: &Result<Config, Problems>) -> BTreeSet<PathBuf> {
        let files: Vec<&PathBuf> = match read {
            Ok(config) => config.files.iter().collect(),
            Err(problems) => self.config.files.iter().chain(&problems.files).collect(),
        };
        files.into_iter().chain([&self.config.path]).cloned().collect()
    }

    async fn take(&mut self, read: Result<Config, Problems>) {
        match read {
            Ok(new) => self.apply(new).await,
            Err(problems) => self.news.refused(&problems),
        }
    }

    async fn apply(&mut self, new: Config) {
        let needs_restart = Diff::between(&self.config, &new).needs_restart;
        // What waits for a restart is compared with what is in force by the next reload too.
        let new = new.without_restart(&self.config);
        let diff = Diff::between(&self.config, &new);
        if diff.is_empty() {
            self.config = new;
            return self.news.unchanged(needs_restart);
        }
        self.swap(&diff, &new).await;
        self.set(&diff, &new);
        self.config = new;
        if self.keep == Keep::Catalog {
            applied::note(&self.config, &self.config.state_dir);
        }
        self.news.applied(&self.config, &diff, needs_restart);
    }

    /// Replaces the fleet and the catalog.
    async fn swap(&mut self, diff: &Diff, new: &Config) {
        let plan = self.plan(diff, new);
        let ready = async {
            for member in &plan.begun {
                member.backend.first_attempt().await;
            }
        };
        let _ = timeout(WARM_UP, ready).await;
        self.router.replace(Fleet::new(plan.members), new.catalog.clone());
        for member in &plan.in_turn {
            self.crew.begin_in_turn(member);
        }
        for old in plan.replaced {
            self.crew.end(old);
        }
        for name in diff.names(Change::Removed) {
            self.crew.remove(name);
        }
    }

    fn plan(&mut self, diff: &Diff, new: &Config) -> Plan {
        let (fleet, mut plan) = (self.router.fleet(), Plan::default());
        for config in &new.backends {
            let name = &config.settings.name;
            let before = fleet.member(name);
            let member = match (diff.change_of(name), before) {
                (None | Some(Change::Reexposed), Some(before)) => {
                    Member { exposure: config.exposure.clone(), ..before.clone() }
                }
                _ => self.replacement(&mut plan, self.crew.member(config, before.and_then(Member::to_keep))),
            };
            plan.members.push(member);
        }
        plan
    }

    fn replacement(&mut self, plan: &mut Plan, member: Member) -> Member {
        self.router.prepare(&member);
        if self.crew.must_wait(&member) {
            plan.in_turn.push(member.clone());
        } else {
            plan.replaced.extend(self.crew.begin(&member));
            plan.begun.push(member.clone());
        }
        member
    }

    /// Everything that is no backend.
    fn set(&self, diff: &Diff, new: &Config) {
        self.server.reconfigure(&new.server, &new.clients);
        telemetry::set_level(new.log.level);
        if diff.settings.contains(&"sealing_keys") {
            self.crew.vault().rotate(&new.sealing_keys);
            match keys::sealer(new, self.keep) {
                Ok(sealer) => self.router.seal_with(sealer),
                Err(error) => tracing::warn!(%error, "the sealing keys stay as they were"),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::net::UnixDatagram;
    use tokio_util::sync::CancellationToken;

    use super::super::Gateway;
    use super::*;

    #[tokio::test]
    async fn a_file_that_was_changed_before_it_was_watched_is_told_to_the_service_manager() {
        let directory = tempfile::tempdir().unwrap();
        let (file, socket) = (directory.path().join("gateway.yaml"), directory.path().join("notify"));
        std::fs::write(&file, "backends: { a: { url: \"http://127.0.0.1:9/mcp\" } }\n").unwrap();
        let config = config::load(&file).unwrap();
        let server_settings = config.server.clone();
        let mut gateway = Gateway::start(config, Keep::Nothing).unwrap().reload_on(Arc::default());
        let draining = CancellationToken::new();
        let router = Arc::clone(gateway.router());
        let server = Server::new(router, &server_settings, &Default::default(), draining.clone());
        std::fs::write(&file, "backends: { a: { comand: x } }\n").unwrap();
        let manager = UnixDatagram::bind(&socket).unwrap();
        gateway.begin_reloading(&server, &ServiceManager::named(socket.as_os_str()));
        let mut words = [0; 1024];
        let length = timeout(WARM_UP, manager.recv(&mut words)).await.unwrap().unwrap();
        let told = String::from_utf8_lossy(&words[..length]);
        assert!(told.starts_with("READY=1\nSTATUS=configuration refused"), "{told}");
        draining.cancel();
        gateway.stop().await;
    }
}
