//! Which methods belong to no specification, so that the gateway passes them on without knowing what they mean?

/// Longest name that is passed on.
const MAX_LENGTH: usize = 128;

/// First words of the requests that MCP and JSON-RPC keep for themselves, those of extensions that the gateway speaks
/// included.
const RESERVED: [&str; 16] = [
    "completion",
    "elicitation",
    "initialize",
    "logging",
    "notifications",
    "ping",
    "prompts",
    "resources",
    "roots",
    "rpc",
    "sampling",
    "server",
    "skills",
    "subscriptions",
    "tasks",
    "tools",
];

/// What MCP's own notifications are about: the word after `notifications/`.
const NOTIFIED: [&str; 11] = [
    "cancelled",
    "elicitation",
    "initialized",
    "message",
    "progress",
    "prompts",
    "resources",
    "roots",
    "subscriptions",
    "tasks",
    "tools",
];

/// Whether `method` is a vendor's request.
pub fn is_vendor_request(method: &str) -> bool {
    is_plain(method) && !RESERVED.contains(&first_word(method))
}

/// Whether `method` is a vendor's notification. Many vendors name theirs below `notifications/` too.
pub fn is_vendor_notification(method: &str) -> bool {
    match method.strip_prefix("notifications/") {
        Some(rest) => is_plain(rest) && !NOTIFIED.contains(&first_word(rest)),
        None => is_vendor_request(method),
    }
}

fn first_word(method: &str) -> &str {
    method.split(['/', '.']).next().unwrap_or_default()
}

/// Short, and fit for a header.
fn is_plain(method: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/:$".contains(&byte);
    !method.is_empty() && method.len() <= MAX_LENGTH && method.bytes().all(is_fit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_specification_names_is_no_vendors() {
        for method in ["acme/search", "com.example/x", "search", "$/open"] {
            assert!(is_vendor_request(method), "{method}");
        }
        let long = "a".repeat(MAX_LENGTH + 1);
        for method in
            ["tools/call", "tools/new", "ping", "rpc.discover", "notifications/x", "", "a b", "ä/b", &long]
        {
            assert!(!is_vendor_request(method), "{method}");
        }
    }

    #[test]
    fn a_vendor_may_name_its_notifications_below_those_of_mcp() {
        assert!(is_vendor_notification("notifications/acme/moved"));
        assert!(is_vendor_notification("acme/moved"));
        for method in ["notifications/progress", "notifications/tools/other", "notifications/", "tools/x"] {
            assert!(!is_vendor_notification(method), "{method}");
        }
    }
}
