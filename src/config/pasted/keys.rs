//! Which keys of other clients mean the same as one here, and which mean nothing to a gateway?

/// Another spelling and the key it means.
pub(super) const ALIASES: &[(&str, &str)] = &[
    ("serverUrl", "url"),
    ("server_url", "url"),
    ("httpUrl", "url"),
    ("http_url", "url"),
    ("uri", "url"),
    ("cmd", "command"),
    ("environment", "env"),
    ("envs", "env"),
    ("workingDirectory", "cwd"),
    ("working_directory", "cwd"),
    ("workdir", "cwd"),
    ("http_headers", "headers"),
    ("transport", "type"),
    ("transportType", "type"),
];

/// Lists of names that a client shows or leaves out, and the list of globs they are here.
pub(super) const LISTS: &[(&str, &str)] = &[
    ("disabledTools", "hide"),
    ("disabled_tools", "hide"),
    ("excludeTools", "hide"),
    ("exclude_tools", "hide"),
    ("includeTools", "expose"),
    ("include_tools", "expose"),
    ("enabledTools", "expose"),
    ("enabled_tools", "expose"),
    ("allowedTools", "expose"),
    ("tools", "expose"),
];

const APPROVAL: &str = "each client decides which calls need approval";
const DISPLAY: &str = "only a client's own window shows it";
const LAUNCH: &str = "the gateway launches every backend and watches it";

/// Keys that are a client's own business, and why they have no effect here.
pub(super) const CLIENT_ONLY: &[(&str, &str)] = &[
    ("alwaysAllow", APPROVAL),
    ("autoApprove", APPROVAL),
    ("autoapprove", APPROVAL),
    ("trust", APPROVAL),
    ("trusted", APPROVAL),
    ("gallery", DISPLAY),
    ("version", DISPLAY),
    ("icon", DISPLAY),
    ("iconPath", DISPLAY),
    ("displayName", DISPLAY),
    ("chatMenu", DISPLAY),
    ("name", "the entry's key is its name"),
    ("source", "a client's own way to tell its entries apart"),
    ("dev", "only the editor debugs a server"),
    ("watchPaths", LAUNCH),
    ("autoStart", LAUNCH),
    ("start_on_launch", LAUNCH),
    ("alwaysLoad", "each client decides which tools a model sees"),
];

/// The transport that another spelling of it means.
pub(super) fn transport(spelled: &str) -> Option<&'static str> {
    let letters: String = spelled.chars().filter(char::is_ascii_alphanumeric).collect();
    Some(match letters.to_ascii_lowercase().as_str() {
        "http" | "https" | "streamable" | "streamablehttp" | "httpstream" | "httpstreamable" | "remote" => {
            "http"
        }
        "sse" | "httpsse" | "serversentevents" => "sse",
        "stdio" | "local" | "command" | "process" => "stdio",
        _ => return None,
    })
}
