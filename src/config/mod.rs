//! What can an operator set? Reads `gateway.yaml`, reports everything wrong with it at once, each
//! problem with its place, and gives the rooms their settings.
//!
//! Text → tree with places (`yaml`) → references replaced (`references`) → shape checked against
//! the JSON Schema (`schema`) → meaning checked (`check`) → settings (`resolve`).

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

mod ca;
mod check;
mod diff;
mod excerpt;
mod file;
mod normalise;
mod pasted;
mod place;
mod problem;
mod references;
mod resolve;
mod rule;
mod schema;
mod secrets;
mod tree;
mod unresolved;
mod watch;
mod wording;
mod yaml;

pub use diff::{Change, Diff};
pub use problem::{Excerpt, Problem, Problems};
pub use schema::json_schema;
pub use watch::Watch;

use excerpt::Text;
use problem::Finding;
use references::Sources;
use tree::Node;

use secrecy::SecretString;

use crate::backend::BackendSettings;
use crate::catalog::{CatalogSettings, ExposureSettings};
use crate::server::{AdminSettings, ClientSettings, ServerSettings};
use crate::telemetry::LogSettings;

/// Largest configuration file, in bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Everything an operator set, checked, with defaults applied and references replaced.
#[derive(Debug, Clone)]
pub struct Config {
    /// The endpoint for clients.
    pub server: ServerSettings,
    /// The endpoint for operators.
    pub admin: AdminSettings,
    /// Logs.
    pub log: LogSettings,
    /// The catalog as a whole.
    pub catalog: CatalogSettings,
    /// Who may call, by name; empty for whoever reaches the gateway.
    pub clients: BTreeMap<String, ClientSettings>,
    /// The backends in the order of the file, without those `disabled`.
    pub backends: Vec<BackendConfig>,
    /// Seal what clients keep for the gateway; the first seals, all open.
    pub sealing_keys: Vec<SecretString>,
    /// Where the gateway keeps its files; absolute.
    pub state_dir: PathBuf,
    /// Whether the file names it.
    pub names_state_dir: bool,
    /// The file this was read from, as it was named.
    pub path: PathBuf,
    /// Every other file that was read for it, as `${file:…}` named them; absolute.
    pub files: Vec<PathBuf>,
    /// What the file's author should know although nothing is wrong.
    pub notes: Vec<Problem>,
    /// The file's text.
    pub text: SecretString,
    free_ports: BTreeMap<String, u16>,
}

impl Config {
    /// Every default and no backend, as if read from `path`.
    pub fn empty(path: &Path) -> Self {
        Self {
            server: ServerSettings::default(),
            admin: AdminSettings::default(),
            log: LogSettings::default(),
            catalog: CatalogSettings::default(),
            clients: BTreeMap::new(),
            backends: Vec::new(),
            sealing_keys: Vec::new(),
            state_dir: PathBuf::new(),
            names_state_dir: false,
            path: path.to_owned(),
            files: Vec::new(),
            notes: Vec::new(),
            text: SecretString::from(""),
            free_ports: BTreeMap::new(),
        }
    }
}

impl Config {
    /// The state directory of `file` where the default one belongs to another file beside it.
    pub fn own_state_dir(file: &Path) -> PathBuf {
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(".d");
        resolve::directory(file).join(resolve::STATE_DIR).join(name)
    }
}

/// One entry of `backends:`.
#[derive(Debug, Clone)]
pub struct BackendConfig {
    /// How the backend is reached and protected.
    pub settings: BackendSettings,
    /// How its entries appear in the catalog.
    pub exposure: ExposureSettings,
    /// Digest of how the server is reached, the same in every run: what was kept of another server
    /// under this name is not shown as this one's.
    pub identity: String,
    /// Digest of everything but the exposure, defaults and what references stand for included, the same in
    /// every run. It is made of secrets too: it belongs into no log and no answer.
    pub revision: String,
}

/// Reads the configuration file at `path`, taking references from the process's environment.
///
/// # Errors
/// Everything wrong with the file.
pub fn load(path: &Path) -> Result<Config, Problems> {
    let text = read_text(path).map_err(|error| Problems::unreadable(path, &error))?;
    read(path, &text, &variable, BTreeMap::new())
}

/// Reads the file of `previous` again. A backend that has a free port keeps it, unless the backend changed:
/// what is launched anew listens beside what it replaces.
///
/// # Errors
/// Everything wrong with the file; `previous` stays as good as it was.
pub fn reload(previous: &Config) -> Result<Config, Problems> {
    let path = &previous.path;
    let text = read_text(path).map_err(|error| Problems::unreadable(path, &error))?;
    let config = read(path, &text, &variable, previous.free_ports.clone())?;
    let mut ports = config.free_ports.clone();
    let diff = Diff::between(previous, &config);
    ports.retain(|name, _| diff.change_of(name) != Some(Change::Altered));
    if ports.len() == config.free_ports.len() {
        return Ok(config);
    }
    read(path, &text, &variable, ports)
}

/// Reads `text` as if it were the file at `path`, with `env` for the environment.
///
/// # Errors
/// Everything wrong with the text.
pub fn parse(path: &Path, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Problems> {
    read(path, text, env, BTreeMap::new())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn read_text(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(std::io::Error::other("larger than 4 MiB"));
    }
    Ok(text)
}

fn read(
    path: &Path,
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
    ports: BTreeMap<String, u16>,
) -> Result<Config, Problems> {
    let mut notes = Vec::new();
    let root = match yaml::parse(text) {
        Ok(root) if !pasted::has_comments(&root) => root,
        Ok(root) => pasted::relaxed(text, &mut notes).unwrap_or(root),
        Err(finding) => pasted::relaxed(text, &mut notes)
            .ok_or_else(|| Problems::new(path, &Text::unread(text), vec![finding]))?,
    };
    let shown = Text::new(text, &root);
    let directory = resolve::directory(path);
    let mut sources = Sources { env, directory: &directory, ports, listeners: Vec::new(), files: Vec::new() };
    let mut findings = Vec::new();
    let root = checked(root, &mut sources, &mut findings, &mut notes);
    if !findings.is_empty() {
        let (files, wants_json_log) = (sources.files, wants_json_log(&root));
        return Err(Problems { files, wants_json_log, ..Problems::new(path, &shown, findings) });
    }
    resolve::config(&root, path, sources)
        .map(|config| Config { text: text.into(), notes: shown.problems(notes), ..config })
        .map_err(|message| Problems::new(path, &shown, vec![Finding::new(root.span, message)]))
}

/// Whether a file that is wrong elsewhere asks for a log in JSON.
fn wants_json_log(root: &Node) -> bool {
    root.get("log").and_then(|log| log.get("format")).and_then(Node::text) == Some("json")
}

/// Applies references and defaults to `root`, collecting everything wrong or worth a note on the way.
fn checked(
    mut root: Node,
    sources: &mut Sources<'_>,
    findings: &mut Vec<Finding>,
    notes: &mut Vec<Finding>,
) -> Node {
    normalise::repeated_keys(&root, findings);
    pasted::sections(&mut root, notes);
    normalise::sections(&mut root, findings);
    pasted::backends(&mut root, findings, notes);
    normalise::disabled(&mut root);
    references::resolve(&mut root, sources, findings);
    normalise::disabled(&mut root);
    normalise::texts(&mut root);
    ca::read(&mut root, sources, findings);
    schema::check(&root, findings);
    normalise::apply_defaults(&mut root);
    check::all(&root, findings);
    check::notes(&root, notes);
    root
}

#[cfg(test)]
mod fixtures;
