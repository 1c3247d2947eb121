//! RFC 6570 templates, read backwards: which template could have made this URI?

/// A template as the literals around its expressions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UriTemplate {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// An expression; `wide` ones (`{+x}`, `{#x}`, `{/x}`, `{?x}`, `{&x}`, `{x*}`) may hold reserved characters.
    Expression {
        wide: bool,
    },
}

impl UriTemplate {
    /// Reads a template; text after an unclosed brace counts as a literal.
    pub fn parse(template: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some((literal, tail)) = rest.split_once('{') {
            let Some((expression, after)) = tail.split_once('}') else { break };
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            let wide = expression.starts_with(['+', '#', '/', '?', '&', ';', '.'])
                || expression.contains(['*', ',']);
            parts.push(Part::Expression { wide });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Self { parts }
    }

    /// Whether some values of the variables make this template into `uri`.
    pub fn matches(&self, uri: &str) -> bool {
        matches(&self.parts, uri)
    }

    /// Characters that are fixed: of two matching templates the one with more is more specific.
    pub fn specificity(&self) -> usize {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Literal(text) => text.len(),
                Part::Expression { .. } => 0,
            })
            .sum()
    }
}

/// Greedy from the left: each expression ends where the next literal first fits. Linear, because a
/// hostile template must not cost more than its length.
fn matches(parts: &[Part], mut uri: &str) -> bool {
    let mut open: Option<bool> = None;
    for (position, part) in parts.iter().enumerate() {
        let Part::Literal(literal) = part else {
            let Part::Expression { wide } = part else { continue };
            open = Some(open.unwrap_or(false) || *wide);
            continue;
        };
        let is_last = position + 1 == parts.len();
        let at = match open {
            None if uri.starts_with(literal.as_str()) => 0,
            None => return false,
            Some(_) if is_last => match uri.strip_suffix(literal.as_str()) {
                Some(value) => value.len(),
                None => return false,
            },
            Some(_) => match uri.find(literal.as_str()) {
                Some(at) => at,
                None => return false,
            },
        };
        if open.take().is_some_and(|wide| !fits(&uri[..at], wide)) {
            return false;
        }
        uri = &uri[at + literal.len()..];
    }
    match open {
        Some(wide) => fits(uri, wide),
        None => uri.is_empty(),
    }
}

fn fits(value: &str, wide: bool) -> bool {
    wide || (!value.is_empty() && !value.contains(['/', '?', '#']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_match_what_they_could_have_made() {
        let matches = |template: &str, uri: &str| UriTemplate::parse(template).matches(uri);
        assert!(matches("test://template/{id}/data", "test://template/7/data"));
        assert!(!matches("test://template/{id}/data", "test://template/7/8/data"));
        assert!(!matches("test://template/{id}/data", "test://template//data"));
        assert!(!matches("test://template/{id}/data", "test://template/7/data/more"));
        assert!(matches("file:///{+path}", "file:///a/b/c"));
        assert!(matches("db://{table}{?limit,page}", "db://users?limit=3"));
        assert!(matches("a://{x}-{y}", "a://1-2"));
        assert!(matches("plain://x", "plain://x"));
        assert!(!matches("plain://x", "plain://xy"));
        assert!(matches("odd://{unclosed", "odd://{unclosed"));
    }

    #[test]
    fn more_fixed_characters_are_more_specific() {
        let of = |template: &str| UriTemplate::parse(template).specificity();
        assert!(of("a://users/{id}") > of("a://{table}/{id}"));
    }
}
