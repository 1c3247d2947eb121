//! What a configuration file holds, with the place of every key and value: [`Node`].

use serde_json::Value;

/// Where a key or a value is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    /// From 1; 0 means the file as a whole.
    pub(crate) line: usize,
    /// From 1, in characters.
    pub(crate) column: usize,
    /// First byte in the file's text.
    pub(crate) start: usize,
    /// Byte after the last in the file's text.
    pub(crate) end: usize,
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
    pub(crate) origin: Origin,
}

/// The shapes of a value.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// Entries as written, repeated keys included; lookups see the first.
    Map(Vec<Entry>),
    List(Vec<Node>),
    /// A string, number, boolean or null, and how it is spelled.
    Scalar(Value, String),
}

/// One `key: value`.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) span: Span,
    pub(crate) value: Node,
}

/// Where a value came from, which decides what a message may say about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Written in the file.
    Literal,
    /// Put in place of a reference: never shown.
    Referenced,
    /// A reference that could not be replaced, reported already.
    Unresolved,
}

impl Node {
    /// The entries, or none when this is not a map.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items, or none when this is not a list.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// The first entry under `key`.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The value under `key`, unless null.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        let value = &self.entry(key)?.value;
        (!value.is_null()).then_some(value)
    }

    /// The value under `key`, if it is a map.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        let Kind::Map(entries) = &mut self.kind else {
            return None;
        };
        let entry = entries.iter_mut().find(|entry| entry.key == key)?;
        Some(&mut entry.value)
    }

    /// The string, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(Value::String(text), _) => Some(text),
            _ => None,
        }
    }

    /// Whether this is the boolean `true`.
    pub(crate) fn is_true(&self) -> bool {
        matches!(self.kind, Kind::Scalar(Value::Bool(true), _))
    }

    /// Whether this is the boolean `false`.
    pub(crate) fn is_false(&self) -> bool {
        matches!(self.kind, Kind::Scalar(Value::Bool(false), _))
    }

    /// Whether this is a map.
    pub(crate) fn is_map(&self) -> bool {
        matches!(self.kind, Kind::Map(_))
    }

    /// Whether this is a map or a list without anything in it.
    pub(crate) fn is_hollow(&self) -> bool {
        match &self.kind {
            Kind::Map(entries) => entries.is_empty(),
            Kind::List(items) => items.is_empty(),
            Kind::Scalar(..) => false,
        }
    }

    /// Whether nothing is written.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Scalar(Value::Null, _))
    }

    /// The node at `path`, and the span to point at: the value's, or the key's when the value is
    /// a collection.
    pub(crate) fn at(&self, path: &[String]) -> (&Node, Span) {
        let mut place = (self, self.span);
        for step in path {
            place = match place.0.step(step) {
                Some(next) => next,
                None => return place,
            };
        }
        place
    }

    fn step(&self, step: &str) -> Option<(&Node, Span)> {
        match &self.kind {
            Kind::Map(_) => {
                let entry = self.entry(step)?;
                let scalar = matches!(entry.value.kind, Kind::Scalar(..)) && !entry.value.is_null();
                let span = if scalar { entry.value.span } else { entry.span };
                Some((&entry.value, span))
            }
            Kind::List(items) => {
                let item = items.get(step.parse::<usize>().ok()?)?;
                Some((item, item.span))
            }
            Kind::Scalar(..) => None,
        }
    }

    /// The same as JSON, places forgotten.
    pub(crate) fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Scalar(value, _) => value.clone(),
            Kind::List(items) => items.iter().map(Node::to_value).collect(),
            Kind::Map(entries) => {
                let mut map = serde_json::Map::new();
                for entry in entries {
                    map.entry(entry.key.clone()).or_insert_with(|| entry.value.to_value());
                }
                Value::Object(map)
            }
        }
    }

    /// Adds what `defaults` has and this lacks, map by map.
    pub(crate) fn merge_under(&mut self, defaults: &Node) {
        for default in defaults.entries() {
            match self.get_mut(&default.key) {
                Some(own) => own.merge_under(&default.value),
                None => {
                    if let Kind::Map(entries) = &mut self.kind {
                        entries.push(default.clone());
                    }
                }
            }
        }
    }
}
