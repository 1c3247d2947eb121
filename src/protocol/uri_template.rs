//! RFC 6570 templates, read backwards: which template could have made this URI?

use super::uri_normal::{normal_octets, normal_uri};

/// Stands for an expression while a template is brought into normal form: every URL type leaves it alone.
const STAND_IN: &str = "q7expression7q";

/// A template as the literals around its expressions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UriTemplate {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Expression {
        /// May hold reserved characters (`{+x}`, `{#x}`, `{/x}`, `{?x}`, `{&x}`, `{x*}`).
        wide: bool,
        /// The character that its values begin with, if the operator names one.
        lead: Option<char>,
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
            let lead = expression.chars().next().filter(|first| "#/?&;.".contains(*first));
            let wide = lead.is_some() || expression.starts_with('+') || expression.contains(['*', ',']);
            parts.push(Part::Expression { wide, lead });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Self { parts }
    }

    /// Whether some values of the variables make this template into `uri`.
    pub fn matches(&self, uri: &str) -> bool {
        values(&self.parts, uri, |_| ())
    }

    /// What this template makes of the values with which one of its [normal forms](Self::normal_forms) makes `uri`.
    pub fn made_with_values_of(&self, normal_form: &Self, uri: &str) -> Option<String> {
        let mut found = Vec::new();
        if !values(&normal_form.parts, uri, |value| found.push(value)) {
            return None;
        }
        let (mut made, mut found, mut is_open) = (String::new(), found.into_iter(), false);
        for part in &self.parts {
            match part {
                Part::Literal(text) => made.push_str(text),
                // Expressions without a literal between them have one value.
                Part::Expression { .. } if is_open => {}
                Part::Expression { .. } => made.push_str(found.next()?),
            }
            is_open = matches!(part, Part::Expression { .. });
        }
        found.next().is_none().then_some(made)
    }

    /// The templates of the normal forms of what this one makes: one where values stand in a path, one where the
    /// first value may be the authority as a whole.
    pub fn normal_forms(&self) -> Vec<Self> {
        let literal = |part: &Part| match part {
            Part::Literal(text) => Part::Literal(normal_octets(text)),
            expression => expression.clone(),
        };
        let mut by_literal = Self { parts: self.parts.iter().map(literal).collect() };
        if let Some(Part::Literal(first)) = by_literal.parts.first_mut()
            && let Some(end) = first.find(':')
        {
            first[..end].make_ascii_lowercase();
        }
        let mut forms: Vec<Self> = self.normal_form().into_iter().collect();
        if !forms.contains(&by_literal) {
            forms.push(by_literal);
        }
        forms
    }

    /// The template whose text is normalised as a whole.
    fn normal_form(&self) -> Option<Self> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Expression { lead, .. } => {
                    text.extend(*lead);
                    text.push_str(STAND_IN);
                }
            }
        }
        let normal = normal_uri(&text);
        let mut literals = normal.split(STAND_IN);
        let mut parts = Vec::new();
        let mut literal = literals.next()?;
        for part in self.parts.iter().filter(|part| matches!(part, Part::Expression { .. })) {
            let Part::Expression { lead, .. } = part else { continue };
            literal = lead.map_or(Some(literal), |lead| literal.strip_suffix(lead))?;
            parts.extend((!literal.is_empty()).then(|| Part::Literal(literal.to_owned())));
            parts.push(part.clone());
            literal = literals.next()?;
        }
        parts.extend((!literal.is_empty()).then(|| Part::Literal(literal.to_owned())));
        literals.next().is_none().then_some(Self { parts })
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

/// Whether the parts make `uri`, and with which values. Greedy from the left: each expression ends where the next
/// literal first fits. Linear, because a hostile template must not cost more than its length.
fn values<'a>(parts: &[Part], mut uri: &'a str, mut value: impl FnMut(&'a str)) -> bool {
    let mut open: Option<bool> = None;
    for (position, part) in parts.iter().enumerate() {
        let Part::Literal(literal) = part else {
            let Part::Expression { wide, .. } = part else { continue };
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
        if let Some(wide) = open.take() {
            if !fits(&uri[..at], wide) {
                return false;
            }
            value(&uri[..at]);
        }
        uri = &uri[at + literal.len()..];
    }
    match open {
        Some(wide) => {
            value(uri);
            fits(uri, wide)
        }
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
    fn a_normalised_uri_is_made_by_the_template_in_its_own_spelling() {
        let made = |template: &str, uri: &str| {
            let (template, uri) = (UriTemplate::parse(template), normal_uri(uri));
            template.normal_forms().iter().find_map(|form| template.made_with_values_of(form, &uri))
        };
        for (template, asked, own) in [
            ("docs://straße/{name}", "docs://stra%C3%9Fe/a", "docs://straße/a"),
            ("file:///my docs/{+path}", "file:///my%20docs/a/b%20c", "file:///my docs/a/b%20c"),
            ("HTTP://Example.com/{id}", "http://example.com/7", "HTTP://Example.com/7"),
            ("http://example.com:80/{id}", "http://example.com/7", "http://example.com:80/7"),
            ("http://example.com{/path}", "http://EXAMPLE.com/7", "http://example.com/7"),
            ("http://example.com{?q}", "http://example.com/?q=1", "http://example.com?q=1"),
            ("notes://{id}", "notes://abc/", "notes://abc"),
            ("file://{+path}", "file:///a%20b/c", "file:///a%20b/c"),
            ("x://a b/{x}{y}/z", "x://a%20b/1/z", "x://a b/1/z"),
            ("Docs:{name}", "docs:a", "Docs:a"),
        ] {
            let found = made(template, asked);
            // A host with a blank is no URL: such a template is compared literal by literal.
            assert_eq!(found.as_deref(), Some(own), "{template}");
        }
        assert_eq!(made("docs://straße/{name}", "docs://stra%C3%9Fe/a/b"), None);
        assert_eq!(made("docs://straße/{name}", "docs://strasse/a"), None);
    }

    #[test]
    fn more_fixed_characters_are_more_specific() {
        let of = |template: &str| UriTemplate::parse(template).specificity();
        assert!(of("a://users/{id}") > of("a://{table}/{id}"));
    }
}
