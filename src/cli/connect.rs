//! `switchyard connect`

use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::process::Command;
use tokio::time::timeout;

use crate::backend::{Authorizer, Backend, OAuthError, State};
use crate::config::Config;
use crate::printable::line;
use crate::router::Principal;

use super::callback::Listener;
use super::output::{print, say};
use super::reach;

/// Longest wait for the backend to say what it needs.
const REACH: Duration = Duration::from_secs(60);
/// Longest wait for the person.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The backend's name
    name: String,
    /// Print the page's address only, and open no browser
    #[arg(long)]
    no_browser: bool,
    /// Ask again though the backend lets the gateway in
    #[arg(long)]
    again: bool,
    /// For one entry of `clients:` alone, where each has a grant of its own (`auth.granted_to`); always asks
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,
}

pub(super) async fn run(mut config: Config, options: &Options) -> anyhow::Result<ExitCode> {
    let names: Vec<String> = config.backends.iter().map(|backend| backend.settings.name.clone()).collect();
    config.backends.retain(|backend| backend.settings.name == options.name);
    if config.backends.is_empty() {
        bail!("no backend `{}`; there are: {}", options.name, names.join(", "));
    }
    if let Some(principal) = &options.principal {
        is_known(&config, principal)?;
    }
    let gateway = reach::start(config, REACH, "asking the backend what it needs …").await?;
    let needed = match gateway.router().backends().first() {
        Some(backend) => needed(backend, options).await,
        None => Ok(None),
    };
    gateway.stop().await;
    match needed? {
        Some(authorizer) => connect(&authorizer, options).await?,
        None => say(&format!("{} is connected; --again asks anew", options.name)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether anybody calls by this name.
fn is_known(config: &Config, principal: &str) -> anyhow::Result<()> {
    if config.clients.contains_key(principal) || principal == Principal::anonymous().name() {
        return Ok(());
    }
    let names: Vec<&str> = config.clients.keys().map(String::as_str).collect();
    bail!("no client `{principal}`; there are: {}", names.join(", "));
}

/// Who asks for leave; `None` if there is leave already.
async fn needed(backend: &Backend, options: &Options) -> anyhow::Result<Option<Arc<Authorizer>>> {
    let name = backend.name();
    let Some(authorizer) = backend.authorizer() else {
        bail!("{name} has nothing to connect to: it has no `url`, or its `headers` hold an `Authorization`");
    };
    if !authorizer.is_person() {
        bail!("{name} has credentials of its own (`auth.grant: client_credentials`)");
    }
    if let State::Down { reason, .. } = backend.state()
        && !authorizer.waits_for_a_person()
        && !options.again
    {
        bail!("{name} does not ask for a connection: {}", line(&reason));
    }
    if let Some(principal) = &options.principal {
        let personal = backend.authorizer_of(principal).await;
        return personal.map(Some).with_context(|| {
            format!("{name} has one grant for all (`auth.granted_to`); leave out --principal")
        });
    }
    let is_let_in = matches!(backend.state(), State::Ready(_)) && !authorizer.wants_scopes();
    Ok((!is_let_in || options.again).then(|| Arc::clone(authorizer)))
}

async fn connect(authorizer: &Authorizer, options: &Options) -> anyhow::Result<()> {
    let name = &match &options.principal {
        Some(principal) => format!("{} for {principal}", options.name),
        None => options.name.clone(),
    };
    let listener = Listener::bind(authorizer.callback_port()).await?;
    let pending =
        authorizer.begin(&listener.url()).await.map_err(|error| not_begun(error, name, &options.name))?;
    say(&format!("To let Switchyard use {name}, open this page of {}:\n", line(pending.issuer())));
    print(&format!("{}\n", pending.url()))?;
    if !options.no_browser {
        open(pending.url());
    }
    say("\nwaiting for the browser to come back …");
    let callback = timeout(PATIENCE, listener.callback(&pending)).await;
    let callback = callback.context("nobody came back from the page; run it again")??;
    authorizer.finish(pending, callback).await.with_context(|| format!("{name} is not connected"))?;
    say(&format!("{name} is connected; a running gateway notices by itself"));
    Ok(())
}

/// Most servers without an authorization server take a key.
fn not_begun(error: OAuthError, whom: &str, backend: &str) -> anyhow::Error {
    let has_none = matches!(error, OAuthError::Unusable(_));
    let error = anyhow::Error::new(error);
    match has_none {
        true => error.context(format!(
            "cannot connect {whom} (if it takes an API key, write it under `headers` of backend `{backend}` instead, \
             such as `Authorization: Bearer ${{API_KEY}}`)"
        )),
        false => error.context(format!("cannot connect {whom}")),
    }
}

/// Shows the page in the person's browser, if there is one. Its address was checked to be one of the web.
fn open(url: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(program);
    let _ = command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
}
