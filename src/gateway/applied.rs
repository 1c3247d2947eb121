//! Which configuration is in force? A copy beside the gateway's other files, for `switchyard plan`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret as _;

use crate::config::Config;
use crate::files;

fn copy_in(state_dir: &Path) -> PathBuf {
    state_dir.join("applied.yaml")
}

/// The text of the configuration that is, or was last, in force with this `state_dir`.
///
/// # Errors
/// There is one, and it cannot be read.
pub fn applied(state_dir: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(copy_in(state_dir)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Notes that `config` is in force. The copy is readable by nobody else: the file may hold secrets.
pub(super) fn note(config: &Config, state_dir: &Path) {
    let text = config.text.expose_secret().as_bytes();
    if let Err(error) = files::replace(&copy_in(state_dir), |file| file.write_all(text)) {
        tracing::warn!(%error, "`switchyard plan` will not know what is in force; is `state_dir` writable?");
    }
}
