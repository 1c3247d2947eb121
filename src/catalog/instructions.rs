//! What is a model told about all backends together?

/// Longest text, in bytes: it stands in the context of every conversation.
pub const MAX_INSTRUCTIONS: usize = 16 * 1024;

const CUT: &str = "\n[cut by the gateway]";

/// What one backend says, and how its names begin.
#[derive(Debug, Clone)]
pub(super) struct Instructions<'a> {
    pub(super) backend: &'a str,
    pub(super) prefix: &'a str,
    pub(super) text: &'a str,
}

/// The texts under one heading per backend; `None` when no backend says anything. When they are too
/// long together the longest are cut, so that no backend silences another.
///
/// The only backend that says anything needs no heading where its names have no prefix: no name of the model's refers to it.
pub(super) fn merge(all: &[Instructions<'_>]) -> Option<String> {
    let spoken: Vec<&Instructions<'_>> = all.iter().filter(|one| !one.text.trim().is_empty()).collect();
    let is_verbatim = matches!(spoken.as_slice(), [one] if one.prefix.is_empty());
    let heading = |one: &Instructions<'_>| if is_verbatim { String::new() } else { heading(one) };
    let said: Vec<(String, &str)> = spoken.iter().map(|one| (heading(one), one.text.trim())).collect();
    let headings: usize = said.iter().map(|(heading, _)| heading.len() + CUT.len() + 2).sum();
    let lengths = said.iter().map(|(_, text)| text.len()).collect();
    let share = fair_share(lengths, MAX_INSTRUCTIONS.saturating_sub(headings));
    let sections: Vec<String> =
        said.iter().map(|(heading, text)| format!("{heading}{}", cut(text, share))).collect();
    let mut merged = sections.join("\n\n");
    merged.truncate(merged.floor_char_boundary(MAX_INSTRUCTIONS));
    (!merged.is_empty()).then_some(merged)
}

fn heading(one: &Instructions<'_>) -> String {
    match one.prefix {
        "" => format!("# {}\n\n", one.backend),
        prefix => format!("# {} (names begin with `{prefix}__`)\n\n", one.backend),
    }
}

fn cut(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    format!("{}{CUT}", &text[..text.floor_char_boundary(longest)])
}

/// The length to which texts are cut so that all fit: what short ones leave goes to the long ones.
fn fair_share(mut lengths: Vec<usize>, mut budget: usize) -> usize {
    lengths.sort_unstable();
    let count = lengths.len();
    for (position, length) in lengths.into_iter().enumerate() {
        let share = budget / (count - position);
        if length > share {
            return share;
        }
        budget -= length;
    }
    usize::MAX
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of<'a>(backend: &'a str, text: &'a str) -> Instructions<'a> {
        Instructions { backend, prefix: backend, text }
    }

    #[test]
    fn each_backend_speaks_under_its_own_heading_and_silent_ones_not_at_all() {
        let merged = merge(&[of("crm", "Ask for an id.\n"), of("api", " "), of("search", "Be brief.")]);
        assert_eq!(
            merged.unwrap(),
            "# crm (names begin with `crm__`)\n\nAsk for an id.\n\n# search (names begin with `search__`)\n\nBe brief."
        );
        assert_eq!(merge(&[of("api", "")]), None);
    }

    #[test]
    fn a_single_voice_without_a_prefix_needs_no_heading() {
        let plain = |backend, text| Instructions { prefix: "", ..of(backend, text) };
        assert_eq!(merge(&[plain("crm", "Ask."), of("api", "")]).unwrap(), "Ask.");
        assert_eq!(
            merge(&[plain("crm", "Ask."), plain("api", "Tell.")]).unwrap(),
            "# crm\n\nAsk.\n\n# api\n\nTell."
        );
    }

    #[test]
    fn a_backend_that_says_too_much_is_cut_and_the_others_are_not() {
        let flood = "é".repeat(1 << 20);
        let merged = merge(&[of("flood", &flood), of("crm", "Ask for an id.")]).unwrap();
        assert!(merged.len() <= MAX_INSTRUCTIONS);
        assert!(merged.len() > MAX_INSTRUCTIONS - 200, "{}", merged.len());
        assert!(merged.ends_with("Ask for an id."));
        assert!(merged.contains("[cut by the gateway]"));
    }

    #[test]
    fn thousands_of_backends_stay_within_the_bound() {
        let names: Vec<String> = (0..5000).map(|n| format!("backend{n}")).collect();
        let all: Vec<_> = names.iter().map(|name| of(name, "hello")).collect();
        assert!(merge(&all).unwrap().len() <= MAX_INSTRUCTIONS);
    }
}
