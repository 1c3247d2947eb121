//! Which trace does a call belong to, and what of that may go on (W3C Trace Context; W3C Baggage)?
//!
//! The gateway opens no span of its own, so what is well formed goes on as it came: a parent that nobody reports
//! would tear the trace apart. What is malformed is dropped, and the call goes on without it.

use std::sync::Arc;

use super::RawJson;

/// Names in `_meta` (MCP 2026-07-28, basic/index, `_meta`), and of HTTP headers.
pub const PARENT: &str = "traceparent";
/// See [`PARENT`].
pub const STATE: &str = "tracestate";
/// See [`PARENT`].
pub const BAGGAGE: &str = "baggage";

/// Version, trace, parent and flags in hexadecimal digits, with their dashes.
const PARENT_LENGTH: usize = 55;
/// Most members of a state, and the longest value of one, in bytes.
const STATES: usize = 32;
const LONGEST_STATE: usize = 256;
/// Longest parent and longest state that go on, in bytes: both become headers, and a server may take no more than
/// 16 KiB of all headers together.
const LONGEST_PARENT: usize = 512;
const LONGEST_STATES: usize = 4096;
/// Longest baggage, in bytes.
const LONGEST_BAGGAGE: usize = 8192;

/// The trace that a request belongs to, and what travels with it; each is a string that was checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceContext {
    parent: Option<RawJson>,
    state: Option<RawJson>,
    baggage: Option<RawJson>,
}

impl TraceContext {
    /// What two HTTP headers say; nothing if the parent is malformed.
    pub fn of_headers(parent: &str, state: &str) -> Option<Arc<Self>> {
        let state = (!state.is_empty()).then(|| RawJson::of_text(state));
        Self { parent: Some(RawJson::of_text(parent)), state, baggage: None }.checked()
    }

    /// Takes a member of `_meta` in, whatever it holds.
    pub(super) fn put(&mut self, name: &str, value: RawJson) {
        match name {
            PARENT => self.parent = Some(value),
            STATE => self.state = Some(value),
            _ => self.baggage = Some(value),
        }
    }

    /// What is left without what is malformed. A state says nothing without its parent; baggage does.
    pub(super) fn checked(mut self) -> Option<Arc<Self>> {
        let fits = |value: &RawJson, check: fn(&str) -> bool| value.string().is_some_and(|text| check(&text));
        self.parent = self.parent.filter(|value| fits(value, is_parent));
        self.state = self.state.filter(|value| self.parent.is_some() && fits(value, is_state));
        self.baggage = self.baggage.filter(|value| fits(value, is_baggage));
        (self != Self::default()).then(|| Arc::new(self))
    }

    /// The same within the trace that `other` names, unless it names one itself.
    pub(super) fn or(&self, other: &Self) -> Arc<Self> {
        let named = if self.parent.is_some() { self } else { other };
        Arc::new(Self {
            parent: named.parent.clone(),
            state: named.state.clone(),
            baggage: self.baggage.clone(),
        })
    }

    /// Names a trace.
    pub(super) fn has_parent(&self) -> bool {
        self.parent.is_some()
    }

    /// The members of `_meta` to be sent on.
    pub(super) fn members(&self) -> impl Iterator<Item = (&'static str, &RawJson)> {
        let all = [(PARENT, &self.parent), (STATE, &self.state), (BAGGAGE, &self.baggage)];
        all.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)))
    }

    /// The headers to be sent on. Baggage is for whoever reads the body: headers are seen by all that lie between.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let headers = self.members().filter(|(name, _)| *name != BAGGAGE);
        headers.filter_map(|(name, value)| Some((name, value.string()?.into_owned())))
    }

    /// The trace's id, for logs.
    pub fn trace_id(&self) -> Option<String> {
        let parent = self.parent.as_ref()?.string()?;
        parent.split('-').nth(1).map(str::to_owned)
    }
}

/// `00-<trace>-<parent>-<flags>`; a later version may have more behind it (W3C Trace Context, section 3.2).
fn is_parent(text: &str) -> bool {
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_zero = |text: &str| text.bytes().all(|byte| byte == b'0');
    let Some((known, rest)) = text.split_at_checked(PARENT_LENGTH) else { return false };
    let fields: Vec<&str> = known.split('-').collect();
    let &[version, trace, parent, flags] = fields.as_slice() else { return false };
    text.len() <= LONGEST_PARENT
        && [version.len(), trace.len(), parent.len(), flags.len()] == [2, 32, 16, 2]
        && fields.iter().all(|field| is_hex(field))
        && !is_zero(trace)
        && !is_zero(parent)
        && version != "ff"
        && (rest.is_empty() || (version != "00" && rest.starts_with('-') && is_printable(rest)))
}

/// A list of `key=value` (W3C Trace Context, section 3.3.1).
fn is_state(text: &str) -> bool {
    let is_key = |key: &str| {
        let is_legal = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
        !key.is_empty() && key.len() <= LONGEST_STATE && key.bytes().all(is_legal)
    };
    let is_value = |value: &str| {
        !value.is_empty() && value.len() <= LONGEST_STATE && !value.contains('=') && is_printable(value)
    };
    let is_member = |member: &str| {
        member.is_empty() || member.split_once('=').is_some_and(|(key, value)| is_key(key) && is_value(value))
    };
    text.len() <= LONGEST_STATES && text.split(',').count() <= STATES && members(text, ',').all(is_member)
}

/// A list of `key=value`, each perhaps with properties behind it (W3C Baggage, section 3.1).
fn is_baggage(text: &str) -> bool {
    let is_token = |key: &str| {
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !key.is_empty() && key.bytes().all(is_legal)
    };
    let is_value =
        |value: &str| value.bytes().all(|byte| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte));
    let is_pair = |pair: &str| {
        pair.split_once('=').is_some_and(|(k, v)| is_token(k.trim_end()) && is_value(v.trim_start()))
    };
    let is_member = |member: &str| {
        let mut parts = members(member, ';');
        parts.next().is_some_and(is_pair) && parts.all(|property| is_token(property) || is_pair(property))
    };
    text.len() <= LONGEST_BAGGAGE && members(text, ',').all(is_member)
}

fn members(text: &str, separator: char) -> impl Iterator<Item = &str> {
    text.split(separator).map(|member| member.trim_matches([' ', '\t']))
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::protocol::{HopMeta, RequestMeta, rewrite_meta};

    const PARENT_00: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn raw(text: String) -> RawJson {
        RawJson::parse(text.into()).unwrap()
    }

    /// What goes on of a `_meta`.
    fn onward(meta: &str) -> String {
        let params = raw(format!(r#"{{"_meta":{meta}}}"#));
        let hop = HopMeta { trace: RequestMeta::of(Some(&params)).trace, ..HopMeta::default() };
        rewrite_meta(params.get("_meta").as_ref(), &hop)
            .map_or_else(String::new, |meta| meta.as_str().to_owned())
    }

    #[test]
    fn only_parents_as_the_recommendation_spells_them_go_on() {
        let (trace, parent) = (&PARENT_00[3..35], &PARENT_00[36..52]);
        let zeros = "0".repeat(32);
        let table = [
            (PARENT_00.to_owned(), true),
            (format!("00-{trace}-{parent}-00"), true),
            (format!("cc-{trace}-{parent}-01"), true),
            (format!("cc-{trace}-{parent}-01-what.the-future-holds"), true),
            (format!("cc-{trace}-{parent}-01-{}", "x".repeat(LONGEST_PARENT - PARENT_LENGTH - 1)), true),
            (format!("cc-{trace}-{parent}-01-{}", "x".repeat(LONGEST_PARENT - PARENT_LENGTH)), false),
            (format!("cc-{trace}-{parent}-01.what"), false),
            (format!("00-{trace}-{parent}-01-more"), false),
            (format!("ff-{trace}-{parent}-01"), false),
            (format!("00-{zeros}-{parent}-01"), false),
            (format!("00-{trace}-{}-01", &zeros[..16]), false),
            (PARENT_00.to_ascii_uppercase(), false),
            (format!("00-{trace}-{parent}-1"), false),
            (format!("00-{trace}{parent}--01"), false),
            (format!(" {PARENT_00}"), false),
            (PARENT_00.replace('7', "é"), false),
            (String::new(), false),
        ];
        for (parent, goes_on) in table {
            let meta = format!(r#"{{"traceparent":"{parent}","tracestate":"a=1"}}"#);
            let expected = if goes_on { meta.clone() } else { String::new() };
            assert_eq!(onward(&meta), expected);
        }
        assert_eq!(onward(r#"{"x":1,"traceparent":7,"tracestate":"a=1"}"#), r#"{"x":1}"#);
    }

    #[test]
    fn a_state_needs_a_parent_and_a_form_and_the_trace_goes_on_without_it() {
        let many = vec!["a=1"; STATES + 1].join(",");
        let spaced = |length: usize| format!("a=1{}", " ".repeat(length - "a=1".len()));
        let (longest, too_long) = (spaced(LONGEST_STATES), spaced(LONGEST_STATES + 1));
        let legal_members = vec![format!("a={}", "v".repeat(LONGEST_STATE)); STATES / 2].join(",");
        let table = [
            ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", true),
            ("t@v=a b , ,b=2", true),
            ("A=1", false),
            ("a", false),
            ("a=", false),
            ("a=b=c", false),
            ("a=\u{e9}", false),
            (&many, false),
            (&longest, true),
            (&too_long, false),
            (&legal_members, false),
        ];
        for (state, goes_on) in table {
            let (kept, parent) =
                (format!(r#","tracestate":"{state}""#), format!(r#"{{"traceparent":"{PARENT_00}""#));
            let expected = format!("{parent}{}}}", if goes_on { &kept } else { "" });
            assert_eq!(onward(&format!("{parent}{kept}}}")), expected);
        }
        assert_eq!(onward(r#"{"tracestate":"a=1","baggage":"k=v"}"#), r#"{"baggage":"k=v"}"#);
    }

    #[test]
    fn baggage_goes_on_if_it_is_a_list_of_pairs() {
        let long = format!("k={}", "v".repeat(LONGEST_BAGGAGE));
        let table = [
            ("userId=alice,serverNode=DF%2028,isProduction=false", true),
            ("k = v ; p ; q=1, l=", true),
            ("k", false),
            ("=v", false),
            ("k=v,", false),
            ("k=a b", false),
            ("k=\u{e9}", false),
            (&long, false),
        ];
        for (baggage, goes_on) in table {
            let meta = format!(r#"{{"baggage":"{baggage}"}}"#);
            assert_eq!(onward(&meta), if goes_on { meta.clone() } else { String::new() });
        }
    }

    #[test]
    fn headers_speak_where_the_body_names_no_trace() {
        let header = TraceContext::of_headers(PARENT_00, "a=1").unwrap();
        assert_eq!(header.trace_id().as_deref(), Some(&PARENT_00[3..35]));
        assert!(TraceContext::of_headers("00-x", "a=1").is_none());
        let headers: Vec<_> = header.headers().collect();
        assert_eq!(headers, [(PARENT, PARENT_00.to_owned()), (STATE, "a=1".to_owned())]);
        let traced = |meta: &str| {
            let params = raw(format!(r#"{{"_meta":{meta}}}"#));
            let meta = RequestMeta::of(Some(&params)).traced_by(Some(Arc::clone(&header)));
            let hop = HopMeta { trace: meta.trace, ..HopMeta::default() };
            rewrite_meta(params.get("_meta").as_ref(), &hop).unwrap().as_str().to_owned()
        };
        let other = PARENT_00.replace('7', "8");
        let own = format!(r#"{{"traceparent":"{other}"}}"#);
        assert_eq!(traced(&own), own);
        let both = format!(r#""traceparent":"{PARENT_00}","tracestate":"a=1""#);
        assert_eq!(traced("{}"), format!("{{{both}}}"));
        assert_eq!(
            traced(r#"{"traceparent":"no","tracestate":"b=2","baggage":"k=v"}"#),
            format!(r#"{{{both},"baggage":"k=v"}}"#)
        );
    }
}
