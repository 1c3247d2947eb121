//! Which keys seal what clients keep for the gateway: ids of sessions, states of requests?

use std::fs;
use std::io;
use std::path::Path;

use secrecy::SecretString;

use crate::config::Config;
use crate::files;
use crate::router::Sealer;
use crate::server::new_token;

use super::Keep;

/// The configured keys; without any, one of the gateway's own that is kept beside its other files, so that
/// clients can go on after a restart.
///
/// # Errors
/// When the system has no entropy to give.
pub(super) fn sealer(config: &Config, keep: Keep) -> io::Result<Sealer> {
    if !config.sealing_keys.is_empty() || keep == Keep::Nothing {
        return Sealer::new(&config.sealing_keys);
    }
    match own(&config.state_dir.join("sealing.key")) {
        Ok(key) => Sealer::new(&[key]),
        Err(error) => {
            tracing::warn!(%error, "no key can be kept in `state_dir`: sessions end with this process");
            Sealer::new(&[])
        }
    }
}

/// The key in `file`, made and written on first use, readable by nobody else.
fn own(file: &Path) -> io::Result<SecretString> {
    if !file.exists() {
        let (key, _) = new_token()?;
        files::make(file, key.as_bytes())?;
    }
    let key = fs::read_to_string(file)?;
    if key.len() < 32 {
        return Err(io::Error::other(format!("{} holds no key; delete it", file.display())));
    }
    Ok(key.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn the_own_key_is_made_once_and_read_by_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("state").join("sealing.key");
        let key = own(&file).unwrap();
        assert_eq!(own(&file).unwrap().expose_secret(), key.expose_secret());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&file, "cut").unwrap();
        assert!(own(&file).is_err());
    }
}
