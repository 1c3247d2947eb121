//! Which name did the model mean?

use strsim::normalized_levenshtein;

/// Longest part of an unknown name that is looked at, in characters.
const MAX_LOOKED_AT: usize = 128;

/// Most names compared letter by letter: a hostile name must not cost more than this.
const MAX_COMPARED: usize = 1000;

/// Names less alike than this are no suggestion.
const LEAST_ALIKE: f64 = 0.6;

/// Up to `max` of `names` (qualified, local) that look like `unknown`, the likeliest first: a name
/// with or without some prefix before a misspelt one.
pub(super) fn nearest<'a>(
    unknown: &str,
    names: impl Iterator<Item = (&'a str, &'a str)>,
    max: usize,
) -> Vec<&'a str> {
    let unknown: String = unknown.chars().take(MAX_LOOKED_AT).collect::<String>().to_ascii_lowercase();
    if unknown.is_empty() {
        return Vec::new();
    }
    let scored = names.enumerate().filter_map(|(position, (qualified, local))| {
        let score = score(&unknown, qualified, local, position < MAX_COMPARED);
        (score >= LEAST_ALIKE).then_some((score, qualified))
    });
    let mut found: Vec<(f64, &str)> = scored.collect();
    found.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    found.into_iter().take(max).map(|(_, qualified)| qualified).collect()
}

/// 3 for the same name, 2 for one inside a prefix, else how alike the letters are.
fn score(unknown: &str, qualified: &str, local: &str, compare: bool) -> f64 {
    if qualified.eq_ignore_ascii_case(unknown) || local.eq_ignore_ascii_case(unknown) {
        return 3.0;
    }
    if ends_with_word(unknown, qualified)
        || ends_with_word(unknown, local)
        || ends_with_word(qualified, unknown)
    {
        return 2.0;
    }
    if !compare {
        return 0.0;
    }
    let alike = |name: &str| {
        let name: String = name.chars().take(MAX_LOOKED_AT).collect();
        normalized_levenshtein(unknown, &name.to_ascii_lowercase())
    };
    alike(qualified).max(alike(local))
}

/// Whether `text` is something and then `word`, with a character between that separates words.
fn ends_with_word(text: &str, word: &str) -> bool {
    let Some(start) = text.len().checked_sub(word.len()).filter(|start| *start > 0) else { return false };
    let (Some(before), Some(end)) = (text.get(..start), text.get(start..)) else { return false };
    end.eq_ignore_ascii_case(word) && before.ends_with(|c: char| !c.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [(&str, &str); 4] = [
        ("crm__get_customer", "get_customer"),
        ("crm__find_customer", "find_customer"),
        ("api__find", "find"),
        ("search__query", "query"),
    ];

    fn nearest_to(unknown: &str) -> Vec<&'static str> {
        nearest(unknown, NAMES.into_iter(), 3)
    }

    #[test]
    fn a_name_without_prefix_or_with_another_one_finds_the_tool_first() {
        assert_eq!(nearest_to("find_customer").first(), Some(&"crm__find_customer"));
        assert_eq!(nearest_to("crm.find_customer").first(), Some(&"crm__find_customer"));
        assert_eq!(nearest_to("mcp__switchyard__crm__find_customer").first(), Some(&"crm__find_customer"));
        assert_eq!(nearest_to("CRM__FIND_CUSTOMER").first(), Some(&"crm__find_customer"));
    }

    #[test]
    fn a_misspelt_name_finds_its_neighbours_and_nonsense_finds_nothing() {
        assert_eq!(nearest_to("crm__find_custmer"), ["crm__find_customer", "crm__get_customer"]);
        assert!(nearest_to("zzzzzz").is_empty());
        assert!(nearest_to("").is_empty());
    }

    #[test]
    fn a_hostile_name_costs_no_more_than_a_long_one() {
        let hostile = "é".repeat(4 << 20);
        assert!(nearest(&hostile, std::iter::repeat_n(NAMES[0], 100_000), 3).is_empty());
    }
}
