//! What was there before the gateway restarted?
//!
//! One file with what every backend last offered. It holds what any client may list, and never how a
//! backend is reached. The caller runs this off the event loop: it blocks.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::listing::Listing;
use crate::files;

/// Written first; a file of another version is not read.
const VERSION: u32 = 1;

/// Largest file that is read, in bytes.
const MAX_SIZE: u64 = 512 << 20;

/// What one backend last offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptListing {
    /// Digest of how the backend is reached: under another identity this is another server's listing.
    pub identity: String,
    /// Whether it speaks the legacy era: some old servers do not survive being asked.
    #[serde(default)]
    pub is_legacy: bool,
    /// When it was fetched, in seconds since 1970.
    pub fetched_at: u64,
    /// What it offered.
    pub listing: Listing,
}

#[derive(Serialize)]
struct Outgoing<'a> {
    switchyard_catalog: u32,
    backends: &'a BTreeMap<String, KeptListing>,
}

#[derive(Deserialize)]
struct Incoming {
    backends: BTreeMap<String, KeptListing>,
}

#[derive(Deserialize)]
struct Header {
    switchyard_catalog: u32,
}

/// Replaces the file at `path` as a whole: a crash leaves the old one or the new one.
///
/// # Errors
/// What the file system refused; the old file is then still there.
pub fn save(path: &Path, backends: &BTreeMap<String, KeptListing>) -> io::Result<()> {
    let outgoing = Outgoing { switchyard_catalog: VERSION, backends };
    files::replace(path, |file| Ok(serde_json::to_writer(file, &outgoing)?))
}

/// Reads what [`save`] wrote; `None` when there is no file.
///
/// # Errors
/// A file that cannot be read, is no catalog, is of another version or is too large.
pub fn load(path: &Path) -> io::Result<Option<BTreeMap<String, KeptListing>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    file.take(MAX_SIZE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_SIZE {
        return Err(unusable("it is too large"));
    }
    let header: Header = serde_json::from_str(&text).map_err(|error| unusable(&error.to_string()))?;
    if header.switchyard_catalog != VERSION {
        return Err(unusable("it was written by another version"));
    }
    let incoming: Incoming = serde_json::from_str(&text).map_err(|error| unusable(&error.to_string()))?;
    Ok(Some(incoming.backends))
}

fn unusable(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not a kept catalog: {why}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use bytes::Bytes;

    use super::*;
    use crate::protocol::RawJson;

    fn kept(tool: &str) -> BTreeMap<String, KeptListing> {
        let tool = RawJson::parse(Bytes::copy_from_slice(tool.as_bytes())).unwrap();
        let listing =
            Listing { tools: vec![tool], instructions: Some("Hi".to_owned()), ..Listing::default() };
        let kept =
            KeptListing { identity: "abc".to_owned(), is_legacy: true, fetched_at: 1_700_000_000, listing };
        BTreeMap::from([("crm".to_owned(), kept)])
    }

    #[test]
    fn what_was_saved_is_loaded_byte_for_byte() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("catalog.json");
        assert!(load(&path).unwrap().is_none());
        let first = kept(r#"{"name" : "a\u0062", "n":1.50e+2}"#);
        save(&path, &first).unwrap();
        assert_eq!(load(&path).unwrap().unwrap(), first);
        let second = kept("{}");
        save(&path, &second).unwrap();
        assert_eq!(load(&path).unwrap().unwrap(), second);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn a_file_that_is_damaged_or_of_another_version_is_an_error_and_no_panic() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("catalog.json");
        save(&path, &kept("{}")).unwrap();
        let whole = fs::read(&path).unwrap();
        let half = whole[..whole.len() / 2].to_vec();
        let newer = br#"{"switchyard_catalog":2,"backends":[]}"#.to_vec();
        for damaged in [half, newer, b"\xff\xfe".to_vec(), Vec::new(), b"[]".to_vec()] {
            fs::write(&path, &damaged).unwrap();
            assert_eq!(load(&path).unwrap_err().kind(), io::ErrorKind::InvalidData, "{damaged:?}");
        }
    }

    #[test]
    fn a_failed_save_leaves_the_old_file_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("taken");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), "x").unwrap();
        assert!(save(&path, &kept("{}")).is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_the_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("catalog.json");
        save(&path, &kept("{}")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
