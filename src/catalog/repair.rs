//! What must a part of an entry be, and how is it repaired where its meaning is plain?
//!
//! Typed clients refuse a whole list for one member of the wrong type. A value that can be read in one way only
//! becomes what it means: one string where a list of strings belongs, `"true"` for `true`, the empty array by which
//! PHP spells an empty object. An optional member that cannot be read is left out.

use super::timestamp::is_timestamp;
use crate::protocol::{Object, RawJson, lenient_object};

/// Most changes that one entry's warning names.
const MAX_NAMED: usize = 5;

/// What a value has to be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// A string.
    Text,
    /// One of these strings.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A number from 0 to 1.
    Share,
    /// A whole number.
    Count,
    /// A date with time and time zone (RFC 3339).
    Timestamp,
    /// An object in which nothing is looked at.
    Map,
    /// An object with these members, and any others.
    Object(&'static [Field]),
    /// An array of these.
    List(&'static Shape),
}

/// A member of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    /// Without it the object means nothing.
    pub(super) is_required: bool,
}

impl Field {
    pub(super) const fn optional(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, is_required: false }
    }

    pub(super) const fn required(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, is_required: true }
    }
}

/// What became of a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Repaired {
    /// It is what it has to be.
    Sound,
    /// This is what it means.
    Means(RawJson),
    /// Nobody can say what it means.
    Unreadable,
}

/// What was changed in one entry, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Changes {
    named: Vec<String>,
    unnamed: usize,
}

impl Changes {
    pub(super) fn note(&mut self, path: &str, what: &str) {
        if self.named.len() < MAX_NAMED {
            self.named.push(format!("`{path}` {what}"));
        } else {
            self.unnamed += 1;
        }
    }

    /// What to say of the changes, if there are any.
    pub(super) fn summary(&self) -> Option<String> {
        let more = match self.unnamed {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        (!self.named.is_empty()).then(|| format!("{}{more}", self.named.join(", ")))
    }
}

impl Shape {
    /// Compares `value`, which stands at `path`, with the shape.
    pub(super) fn repair(self, value: &RawJson, path: &str, changes: &mut Changes) -> Repaired {
        let is_sound = |is_sound: bool| if is_sound { Repaired::Sound } else { Repaired::Unreadable };
        match self {
            Self::Text => text(value),
            Self::Word(words) => is_sound(value.string().is_some_and(|word| words.contains(&&*word))),
            Self::Flag => flag(value),
            Self::Share => number(value, |number| (0.0..=1.0).contains(&number)),
            Self::Count => number(value, |number| number.fract() == 0.0),
            Self::Timestamp => is_sound(value.string().is_some_and(|text| is_timestamp(&text))),
            Self::Map => map(value),
            Self::Object(fields) => object(value, fields, path, changes),
            Self::List(shape) => list(value, *shape, path, changes),
        }
    }
}

/// Repairs the members of `object` that `fields` name; `Err` with the first that it cannot be without.
pub(super) fn fields(
    object: &mut Object,
    fields: &[Field],
    path: &str,
    changes: &mut Changes,
) -> Result<(), &'static str> {
    for field in fields {
        let at = if path.is_empty() { field.name.to_owned() } else { format!("{path}.{}", field.name) };
        // `null` for "none" is common, and refused by clients that know no other "none" than absence.
        let value = object.get(field.name).filter(|value| !value.is_null());
        match value.map(|value| field.shape.repair(value, &at, changes)) {
            Some(Repaired::Sound) => {}
            Some(Repaired::Means(value)) => {
                object.set(field.name, value);
                changes.note(&at, "is spelt otherwise");
            }
            None | Some(Repaired::Unreadable) if field.is_required => return Err(field.name),
            Some(Repaired::Unreadable) => {
                object.remove(field.name);
                changes.note(&at, "is left out");
            }
            None => _ = object.remove(field.name),
        }
    }
    Ok(())
}

fn object(value: &RawJson, of: &[Field], path: &str, changes: &mut Changes) -> Repaired {
    let read = if is_empty_array(value) { Some(Object::new()) } else { lenient_object(value) };
    let Some(mut object) = read else { return Repaired::Unreadable };
    if fields(&mut object, of, path, changes).is_err() {
        return Repaired::Unreadable;
    }
    let is_same = Object::parse(value).is_some_and(|before| before.to_json() == object.to_json());
    if is_same { Repaired::Sound } else { Repaired::Means(object.to_json()) }
}

fn list(value: &RawJson, shape: Shape, path: &str, changes: &mut Changes) -> Repaired {
    if !value.is_array() {
        let is_empty = lenient_object(value).is_some_and(|object| object.is_empty());
        return match shape.repair(value, path, changes) {
            _ if is_empty => Repaired::Means(RawJson::authored("[]".into())),
            Repaired::Sound => Repaired::Means(RawJson::of(&[value])),
            Repaired::Means(one) => Repaired::Means(RawJson::of(&[one])),
            Repaired::Unreadable => Repaired::Unreadable,
        };
    }
    let (mut is_changed, mut kept) = (false, Vec::new());
    for element in value.elements() {
        match shape.repair(&element, path, changes) {
            Repaired::Sound => kept.push(element),
            Repaired::Means(element) => {
                is_changed = true;
                kept.push(element);
            }
            Repaired::Unreadable => is_changed = true,
        }
    }
    if is_changed { Repaired::Means(RawJson::of(&kept)) } else { Repaired::Sound }
}

fn map(value: &RawJson) -> Repaired {
    match value.is_object() {
        true => Repaired::Sound,
        false if is_empty_array(value) => Repaired::Means(RawJson::empty_object()),
        false => Repaired::Unreadable,
    }
}

fn text(value: &RawJson) -> Repaired {
    let is_scalar = !(value.is_object() || value.is_array() || value.is_null());
    match value.string() {
        Some(_) => Repaired::Sound,
        None if is_scalar && !value.as_str().starts_with('"') => Repaired::Means(RawJson::of(value.as_str())),
        None => Repaired::Unreadable,
    }
}

fn flag(value: &RawJson) -> Repaired {
    let word = value.string().map(|text| text.to_ascii_lowercase());
    match word.as_deref().unwrap_or(value.as_str()) {
        "true" | "false" if word.is_none() => Repaired::Sound,
        "true" | "1" => Repaired::Means(RawJson::of(&true)),
        "false" | "0" => Repaired::Means(RawJson::of(&false)),
        _ => Repaired::Unreadable,
    }
}

fn number(value: &RawJson, is_right: impl Fn(f64) -> bool) -> Repaired {
    let finite = |number: f64| number.is_finite() && is_right(number);
    if value.to::<f64>().is_some_and(finite) {
        return Repaired::Sound;
    }
    let spelt = value.string().and_then(|text| RawJson::parse(text.trim().to_owned().into()).ok());
    match spelt.filter(|spelt| spelt.to::<f64>().is_some_and(finite)) {
        Some(number) => Repaired::Means(number),
        None => Repaired::Unreadable,
    }
}

fn is_empty_array(value: &RawJson) -> bool {
    value.is_array() && value.elements().is_empty()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ICON: Shape = Shape::Object(&[
        Field::required("src", Shape::Text),
        Field::optional("sizes", Shape::List(&Shape::Text)),
        Field::optional("theme", Shape::Word(&["light", "dark"])),
    ]);

    fn raw(text: &str) -> RawJson {
        RawJson::parse(text.to_owned().into()).unwrap()
    }

    /// The text of what a value means; "sound" and "unreadable" for the other two.
    fn means(shape: Shape, text: &str) -> String {
        match shape.repair(&raw(text), "", &mut Changes::default()) {
            Repaired::Sound => "sound".to_owned(),
            Repaired::Means(value) => value.as_str().to_owned(),
            Repaired::Unreadable => "unreadable".to_owned(),
        }
    }

    #[test]
    fn a_value_with_one_meaning_becomes_what_it_means() {
        for (shape, text, expected) in [
            (Shape::Text, "5", "\"5\""),
            (Shape::Text, "true", "\"true\""),
            (Shape::Text, "[]", "unreadable"),
            (Shape::Flag, "\"True\"", "true"),
            (Shape::Flag, "0", "false"),
            (Shape::Flag, "\"yes\"", "unreadable"),
            (Shape::Share, "\"0.5\"", "0.5"),
            (Shape::Share, "5", "unreadable"),
            (Shape::Share, "1.0", "sound"),
            (Shape::Share, "\"high\"", "unreadable"),
            (Shape::Count, "\"12\"", "12"),
            (Shape::Count, "12.5", "unreadable"),
            (Shape::Count, "1e400", "unreadable"),
            (Shape::Map, "[]", "{}"),
            (Shape::Map, "[1]", "unreadable"),
            (Shape::List(&Shape::Text), "\"a\"", "[\"a\"]"),
            (Shape::List(&Shape::Text), "{}", "[]"),
            (Shape::List(&Shape::Text), "[\"a\",null,[]]", "[\"a\"]"),
            (Shape::List(&Shape::Text), "{\"a\":1}", "unreadable"),
            (Shape::List(&ICON), r#"{"src":"a"}"#, r#"[{"src":"a"}]"#),
            (
                Shape::List(&ICON),
                r#"[{"src":"a","sizes":"48x48"},{"sizes":[]},7]"#,
                r#"[{"src":"a","sizes":["48x48"]}]"#,
            ),
            (ICON, r#"{"src":"a","theme":"blue","x":null}"#, r#"{"src":"a","x":null}"#),
            (ICON, r#"{"src":"a","src":"b"}"#, r#"{"src":"b"}"#),
            (ICON, "[]", "unreadable"),
            (Shape::Object(&[]), "[]", "{}"),
            (ICON, "7", "unreadable"),
        ] {
            assert_eq!(means(shape, text), expected, "{shape:?} {text}");
        }
        assert_eq!(means(ICON, r#"{ "src" : "a", "x" : 1.0 }"#), "sound");
    }

    #[test]
    fn a_warning_names_a_few_changes_and_counts_the_others() {
        let mut changes = Changes::default();
        assert_eq!(changes.summary(), None);
        (0..7).for_each(|at| changes.note(&format!("m{at}"), "is left out"));
        let summary = changes.summary().unwrap();
        assert!(summary.starts_with("`m0` is left out, ") && summary.ends_with("and 2 more"), "{summary}");
    }
}
