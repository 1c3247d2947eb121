//! The id of a request: kept as it was spelt, and compared by the number it stands for.

use std::fmt;

use super::RawJson;

/// Largest number that every reader of JSON takes for itself and no other: 2^53 − 1.
pub(super) const MAX_SAFE: u64 = (1 << 53) - 1;

/// A request's id, as it was spelt: a string or a number.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Id(RawJson);

impl Id {
    /// An id the gateway gives out itself.
    pub fn number(number: u64) -> Self {
        Self(RawJson::authored(number.to_string().into()))
    }

    /// The id that `raw` spells.
    pub fn new(raw: RawJson) -> Option<Self> {
        let first = *raw.as_bytes().first()?;
        (first == b'"' || first == b'-' || first.is_ascii_digit()).then_some(Self(raw))
    }

    /// The id's text.
    pub fn raw(&self) -> &RawJson {
        &self.0
    }

    /// The number this id is, however a peer spells it. The gateway gives out numbers; `"7"`, `7.0` and `7e0` come
    /// back for 7, and the clients of the official SDKs take them for it.
    pub fn as_number(&self) -> Option<u64> {
        let spelt = self.0.as_str();
        if let Ok(number) = spelt.parse() {
            return Some(number);
        }
        match self.0.string() {
            Some(text) => number_in(text.trim()),
            None => number_in(spelt),
        }
    }

    /// Whether both name one request, although one of them may be a number and the other its text.
    pub fn means(&self, other: &Self) -> bool {
        self == other || self.as_number().is_some_and(|number| other.as_number() == Some(number))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// The whole number that `text` spells by the rules of Python's `int` or JavaScript's `Number`.
fn number_in(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    let radix = |prefix: &str, base| {
        let prefix = digits.get(..2).filter(|found| found.eq_ignore_ascii_case(prefix))?;
        let rest = digits.strip_prefix(prefix)?;
        rest.starts_with(|first: char| first.is_ascii_alphanumeric())
            .then(|| u64::from_str_radix(rest, base).ok())?
    };
    let special = radix("0x", 16).or_else(|| radix("0o", 8)).or_else(|| radix("0b", 2));
    special.or_else(|| grouped(digits)).or_else(|| whole(digits.parse().ok()?))
}

/// Digits, in groups that `_` may separate.
fn grouped(digits: &str) -> Option<u64> {
    let mut groups = digits.split('_');
    let is_number = groups.all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit()));
    is_number.then(|| digits.replace('_', "").parse().ok())?
}

/// The number that a floating-point one is, if it has no fraction and was not rounded.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "only whole numbers up to 2^53 - 1 pass, which both types hold exactly"
)]
pub(super) fn whole(number: f64) -> Option<u64> {
    let is_whole = number.fract() == 0.0 && (0.0..=MAX_SAFE as f64).contains(&number);
    is_whole.then_some(number as u64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(text: &str) -> Id {
        Id::new(RawJson::parse(text.to_owned().into()).unwrap()).unwrap()
    }

    #[test]
    fn a_number_is_known_in_every_spelling_that_an_sdk_takes_for_it() {
        let spellings = [
            "7",
            "7.0",
            "7e0",
            "0.7e1",
            "70E-1",
            "\"7\"",
            "\" 7 \"",
            "\"\\t7\\n\"",
            "\"+7\"",
            "\"007\"",
            "\"7.0\"",
            "\"7e0\"",
            "\"0x7\"",
            "\"0X7\"",
            "\"0o7\"",
            "\"0b111\"",
            "\"\\u0037\"",
        ];
        for spelling in spellings {
            assert_eq!(id(spelling).as_number(), Some(7), "{spelling}");
        }
        assert_eq!(id("\"1_000\"").as_number(), Some(1000));
    }

    #[test]
    fn what_is_no_whole_number_names_no_request_of_the_gateway() {
        for spelling in [
            "-7",
            "7.5",
            "1e99",
            "\"\"",
            "\" \"",
            "\"-7\"",
            "\"x7\"",
            "\"7x\"",
            "\"7 7\"",
            "\"inf\"",
            "\"NaN\"",
            "\"_7\"",
            "\"7_\"",
            "\"0x\"",
            "\"0x+7\"",
            "\"é7\"",
            "\"+\"",
            "9007199254740993.0",
        ] {
            assert_eq!(id(spelling).as_number(), None, "{spelling}");
        }
    }

    #[test]
    fn ids_are_one_where_they_stand_for_one_number() {
        assert!(id("1").means(&id("\"1\"")) && id("\"a\"").means(&id("\"a\"")));
        assert!(!id("1").means(&id("\"2\"")) && !id("\"a\"").means(&id("\"b\"")));
    }

    proptest! {
        #[test]
        fn every_number_comes_back_from_each_spelling(number in 0..=MAX_SAFE) {
            for spelling in [format!("{number}"), format!("{number}.0"), format!("\"{number}\""), format!("\" {number}.00 \"")] {
                prop_assert_eq!(id(&spelling).as_number(), Some(number));
            }
        }
    }
}
