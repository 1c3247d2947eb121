//! What does a checked file mean: paths made absolute, combinations turned into types.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use url::Url;

use super::file::{BackendSection, File, TransportKind};
use super::references::Sources;
use super::tree::Node;
use super::{BackendConfig, Config};
use crate::backend::{BackendSettings, ProcessSettings, RemoteSettings, TransportSettings};
use crate::catalog::ExposureSettings;

/// Where the gateway keeps its files unless the file says otherwise, in the file's directory.
pub(crate) const STATE_DIR: &str = ".switchyard";

/// The default, or what was made beneath it because that belongs to another file.
fn default_state_dir(path: &Path) -> PathBuf {
    let own = Config::own_state_dir(path);
    if own.is_dir() { own } else { PathBuf::from(STATE_DIR) }
}

/// The directory of `path`, absolute.
pub(crate) fn directory(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.parent().map_or_else(PathBuf::new, Path::to_owned)
}

/// Turns a tree in which no problem was found into the configuration; the error is one the
/// checks should have found.
pub(crate) fn config(root: &Node, path: &Path, sources: Sources<'_>) -> Result<Config, String> {
    let free_ports = sources.ports;
    let directory = directory(path);
    let mut file: File = serde_json::from_value(root.to_value()).map_err(|error| error.to_string())?;
    let mut backends = Vec::new();
    for entry in root.get("backends").map(Node::entries).unwrap_or_default() {
        if let Some(section) = file.backends.remove(&entry.key) {
            let free_port = free_ports.get(&entry.key).copied();
            backends.push(backend(&entry.key, section, &directory, free_port)?);
        }
    }
    let names_state_dir = file.state_dir.is_some();
    let state_dir = file.state_dir.unwrap_or_else(|| default_state_dir(path));
    Ok(Config {
        server: file.server,
        admin: file.admin,
        log: file.log,
        catalog: file.catalog,
        clients: file.clients,
        backends,
        sealing_keys: file.sealing_keys.into_iter().map(SecretString::from).collect(),
        state_dir: directory.join(state_dir),
        names_state_dir,
        path: path.to_owned(),
        files: sources.files,
        notes: Vec::new(),
        text: SecretString::from(""),
        free_ports,
    })
}

/// The keys of a backend that say how it is shown, not how it is reached and protected.
const EXPOSURE: [&str; 6] = ["prefix", "expose", "hide", "rename", "description", "validate_arguments"];

/// Of what the entry means, so that a default that is spelled out changes nothing.
fn revision(section: &BackendSection, free_port: Option<u16>) -> String {
    let meant = serde_json::to_value(section).unwrap_or_default();
    let members = meant.as_object().into_iter().flatten();
    let members = members.filter(|(key, _)| !EXPOSURE.contains(&key.as_str()));
    digest(members.map(|(key, value)| format!("{key}={value}\n")).collect(), free_port)
}

/// A digest that is the same in every run: of the text without the port that was free that time.
fn digest(mut text: String, free_port: Option<u16>) -> String {
    if let Some(port) = free_port {
        text = text.replace(&port.to_string(), "${free_port}");
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn backend(
    name: &str,
    section: BackendSection,
    directory: &Path,
    free_port: Option<u16>,
) -> Result<BackendConfig, String> {
    let (identity, revision) = (identity(&section, free_port), revision(&section, free_port));
    let transport =
        transport(&section, directory).ok_or_else(|| format!("backend `{name}` has no usable transport"))?;
    let replicas = replicas(&section).ok_or_else(|| format!("backend `{name}` has a URL that is none"))?;
    let tools = section.tools.keys().cloned().collect();
    Ok(BackendConfig {
        settings: BackendSettings {
            name: name.to_owned(),
            transport,
            replicas,
            timeouts: section.timeouts,
            breaker: section.breaker,
            concurrency: section.concurrency,
            restart: section.restart,
            connections: section.connections,
            retries: section.retries,
            tools: section.tools,
        },
        exposure: ExposureSettings {
            backend: name.to_owned(),
            prefix: section.prefix.unwrap_or_else(|| name.to_owned()),
            expose: section.expose,
            hide: section.hide,
            rename: section.rename,
            description: section.description,
            validate_arguments: section.validate_arguments,
            tools,
        },
        revision,
        identity,
    })
}

/// What makes this the same server as in an earlier run: how it is reached, without the secrets it
/// is given and without the port that was free that time.
fn identity(section: &BackendSection, free_port: Option<u16>) -> String {
    let url = first_url(section).map(|url| url.split(['?', '#']).next().unwrap_or_default());
    let parts = [section.command.as_deref(), section.cwd.as_deref().and_then(Path::to_str), url];
    digest(format!("{parts:?} {:?}", section.args), free_port)
}

fn transport(section: &BackendSection, directory: &Path) -> Option<TransportSettings> {
    let process = process(section, directory);
    let Some(url) = first_url(section) else {
        return process.map(TransportSettings::Stdio);
    };
    // Whoever configured what to send is not asked to connect.
    let is_fixed = section.headers.keys().any(|name| name.eq_ignore_ascii_case("authorization"));
    let auth = (!is_fixed).then(|| section.auth.clone());
    let remote = RemoteSettings {
        url: Url::parse(url).ok()?,
        headers: secrets(&section.headers),
        auth,
        tls: section.tls.clone(),
    };
    Some(match section.kind {
        Some(TransportKind::Sse) => TransportSettings::Sse { remote, process },
        _ => TransportSettings::Http { remote, process },
    })
}

/// Where a server is reached; replicas serve the same, so any says which server it is.
fn first_url(section: &BackendSection) -> Option<&str> {
    section.url.as_deref().or_else(|| section.urls.first().map(String::as_str))
}

/// One place needs no choice.
fn replicas(section: &BackendSection) -> Option<Vec<Url>> {
    let urls = if section.urls.len() > 1 { section.urls.as_slice() } else { &[] };
    urls.iter().map(|url| Url::parse(url).ok()).collect()
}

fn process(section: &BackendSection, directory: &Path) -> Option<ProcessSettings> {
    let command = section.command.clone()?;
    let cwd = section.cwd.as_deref().unwrap_or(Path::new(""));
    let cwd = directory.join(cwd).components().collect::<PathBuf>();
    Some(ProcessSettings {
        command: located(command, &cwd),
        args: section.args.clone(),
        env: secrets(&section.env),
        cwd,
    })
}

/// A command with a `/` in it is a path relative to the directory it is launched in; whether the
/// operating system would agree is unspecified.
fn located(command: String, cwd: &Path) -> String {
    if !command.contains('/') {
        return command;
    }
    let path = cwd.join(&command).components().collect::<PathBuf>();
    path.into_os_string().into_string().unwrap_or(command)
}

fn secrets(texts: &BTreeMap<String, String>) -> BTreeMap<String, SecretString> {
    texts.iter().map(|(name, text)| (name.clone(), SecretString::from(text.as_str()))).collect()
}
