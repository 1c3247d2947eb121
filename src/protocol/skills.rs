//! Skills: directories of instructions and files that a server has beside its tools.
//!
//! An extension of the modern era: every file is a resource, and a skill is known by the URI of its `SKILL.md`.

use super::RawJson;

/// The extension's name, in the capabilities of servers.
pub const EXTENSION: &str = "io.modelcontextprotocol/skills";

/// What every skill begins with.
const MAIN: &str = "/SKILL.md";

/// What a server that declared `capabilities` says of its skills; `None` if it has none.
pub fn declared(capabilities: &RawJson) -> Option<RawJson> {
    capabilities.get("extensions")?.get(EXTENSION)
}

/// Whether `declared` says that directories can be read, too.
pub fn reads_directories(declared: &RawJson) -> bool {
    declared.get("directoryRead").is_some_and(|flag| flag.as_str() == "true")
}

/// The directory that is the skill whose `SKILL.md` has this URI.
pub fn root(uri: &str) -> Option<&str> {
    uri.strip_suffix(MAIN).filter(|root| !root.is_empty())
}
