//! What to write in place of a key that other clients have and the gateway has not.

use serde_json::Value;

use super::super::tree::{Entry, Kind, Node, Origin};

/// What to write instead of `entry`, a key unknown at `path`, if other clients know it.
pub(in super::super) fn advice(path: &[String], entry: &Entry) -> Option<String> {
    let key = entry.key.as_str();
    let told = match path {
        [] => return of_file(key).map(str::to_owned),
        [section, ..] if section != "backends" && section != "defaults" => return None,
        [_, _, auth] if auth == "auth" => of_auth(key)?,
        [_, _, _, ..] => return None,
        _ => match key {
            "timeout" | "requestTimeout" | "toolTimeout" => return Some(timeout(&entry.value)),
            "oauth" => return Some(oauth(&entry.value)),
            "bearer_token_env_var" | "bearerTokenEnvVar" => return Some(bearer(&entry.value)),
            "initTimeout" | "startup_timeout_ms" | "connectionTimeout" => {
                return Some(with_unit(&entry.value, "start", "ms"));
            }
            "startup_timeout_sec" => return Some(with_unit(&entry.value, "start", "s")),
            "tool_timeout_sec" => return Some(with_unit(&entry.value, "call", "s")),
            key => of_backend(key)?,
        },
    };
    Some(told.to_owned())
}

fn of_file(key: &str) -> Option<&'static str> {
    Some(match key {
        "servers" | "mcp_servers" | "context_servers" => "move its entries to `backends`",
        "mcp" => "write what is under its `servers` under `backends:`",
        "command" | "args" | "url" | "type" | "env" | "headers" => {
            "a backend needs a name: write `backends: { name: { … } }`"
        }
        _ => return None,
    })
}

fn of_auth(key: &str) -> Option<&'static str> {
    Some(match key {
        "CLIENT_ID" | "clientId" => "write `client_id`",
        "CLIENT_SECRET" | "clientSecret" => "write `client_secret: ${NAME}`",
        "callbackPort" | "redirectPort" => "write `callback_port`",
        _ => return None,
    })
}

fn of_backend(key: &str) -> Option<&'static str> {
    Some(match key {
        "envFile" | "env_file" => {
            "list its variables under `env`, such as `TOKEN: ${TOKEN}` or `TOKEN: ${file:/path}`"
        }
        "env_vars" => "list the variables under `env`, such as `TOKEN: ${TOKEN}`",
        "headersHelper" => {
            "no program is run for headers: write `headers: { Authorization: Bearer ${TOKEN} }` or `${file:/path}`"
        }
        "env_http_headers" => "write `headers: { X-Name: ${VARIABLE} }`",
        "requestInit" | "requestOptions" | "eventSourceInit" => {
            "write what is under its `headers` under `headers:` here"
        }
        "apiKey" | "api_key" | "authToken" | "bearerToken" => {
            "write `headers: { Authorization: Bearer ${TOKEN} }`, or the header that the server's documentation names"
        }
        "authProviderType" | "authorization" => {
            "write `auth:` (docs/oauth.md), or `headers: { Authorization: … }`"
        }
        "sandbox" | "sandboxEnabled" => "the gateway runs programs without a sandbox: put one into `command`",
        "enabled" => "write `disabled: true` to leave the backend out",
        "ca" | "caFile" | "caCert" | "ca_cert" => "write `tls: { ca: /path/to/ca.pem }`",
        _ => return None,
    })
}

/// The number, if it is written in the file and may be shown.
fn number(node: &Node) -> Option<String> {
    match &node.kind {
        Kind::Scalar(Value::Number(number), _) if node.origin == Origin::Literal => Some(number.to_string()),
        _ => None,
    }
}

fn timeout(node: &Node) -> String {
    let number = number(node).unwrap_or_else(|| "60".to_owned());
    format!(
        "write `timeouts: {{ call: {number}s }}` if it is meant in seconds (Cline, Roo Code), \
         `timeouts: {{ call: {number}ms }}` if in milliseconds (Claude Code, Gemini CLI)"
    )
}

fn with_unit(node: &Node, key: &str, unit: &str) -> String {
    let number = number(node).unwrap_or_else(|| "60".to_owned());
    format!("write `timeouts: {{ {key}: {number}{unit} }}`")
}

fn bearer(node: &Node) -> String {
    let variable = node.text().filter(|_| node.origin == Origin::Literal).unwrap_or("TOKEN");
    format!("write `headers: {{ Authorization: \"Bearer ${{{variable}}}\" }}`")
}

/// What other clients set about OAuth, in the keys of `auth`; values that may be secret are left to the author.
fn oauth(node: &Node) -> String {
    let known = |key: &str| match key {
        "clientId" | "client_id" => Some("client_id: …"),
        "clientSecret" | "client_secret" => Some("client_secret: ${NAME}"),
        "callbackPort" | "redirectPort" => Some("callback_port: …"),
        "scopes" | "scope" => Some("scopes: […]"),
        _ => None,
    };
    let keys: Vec<&str> = node.entries().iter().filter_map(|entry| known(&entry.key)).collect();
    match keys.is_empty() {
        true => "leave it out: `switchyard connect` lets the gateway in (docs/oauth.md)".to_owned(),
        false => format!("write `auth: {{ {} }}` (docs/oauth.md)", keys.join(", ")),
    }
}
