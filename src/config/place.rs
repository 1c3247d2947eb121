//! How is a place in the file called in a message? `timeouts.call` of backend `crm`.

/// Names the value at `path`.
pub(crate) fn name(path: &[String]) -> String {
    match path {
        [] => "the file".to_owned(),
        [section, entry] if kind(section).is_some() => owner(section, entry),
        [section, entry, rest @ ..] if kind(section).is_some() => {
            format!("`{}` of {}", dotted(rest), owner(section, entry))
        }
        _ => format!("`{}`", dotted(path)),
    }
}

/// Names the map at `path` as the place of a key, with a preposition; empty at the top level.
pub(crate) fn inside(path: &[String]) -> String {
    match path {
        [] => " at the top level".to_owned(),
        _ => format!(" in {}", name(path)),
    }
}

fn kind(section: &str) -> Option<&'static str> {
    match section {
        "backends" | "mcpServers" => Some("backend"),
        "clients" => Some("client"),
        _ => None,
    }
}

fn owner(section: &str, entry: &str) -> String {
    format!("{} `{entry}`", kind(section).unwrap_or("entry"))
}

fn dotted(path: &[String]) -> String {
    let mut out = String::new();
    for step in path {
        if step.parse::<usize>().is_ok() {
            out.push_str(&format!("[{step}]"));
        } else {
            let dot = if out.is_empty() { "" } else { "." };
            out.push_str(&format!("{dot}{step}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(dotted: &str) -> Vec<String> {
        dotted.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn places_are_named_in_the_words_of_the_file() {
        assert_eq!(name(&path("backends.crm")), "backend `crm`");
        assert_eq!(name(&path("backends.crm.args.2")), "`args[2]` of backend `crm`");
        assert_eq!(name(&path("clients.ann.token_sha256")), "`token_sha256` of client `ann`");
        assert_eq!(name(&path("server.limits.sessions")), "`server.limits.sessions`");
        assert_eq!(inside(&[]), " at the top level");
    }
}
