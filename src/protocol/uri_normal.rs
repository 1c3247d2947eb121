//! The normal form of a URI: what equivalent spellings have in common.
//!
//! Clients that keep URIs in a URL type ask for `file:///a%20b` after they listed `file:///a b`. The normal form is
//! for comparing only; what is sent is always a spelling of the client or of the backend.

use url::{Position, Url};

/// `uri` as WHATWG's URL standard serialises it, with the host in lower case for every scheme, no empty path behind
/// an authority, and each octet percent-encoded in one way. Text that is no URL only has its octets normalised.
pub fn normal_uri(uri: &str) -> String {
    match Url::parse(uri) {
        Ok(url) => normal_octets(&normal_authority(&url)),
        Err(_) => normal_octets(&lower_scheme(uri)),
    }
}

/// Every spelling of `uri` that a rule about URIs may have been written for, octets encoded in some and decoded in
/// others.
pub fn uri_variants(uri: &str) -> [String; 4] {
    let parsed = Url::parse(uri).map_or_else(|_| uri.to_owned(), String::from);
    let normal = normal_uri(uri);
    [decoded(&parsed), decoded(&normal), parsed, normal]
}

/// Whether a server that takes a part of `uri` for a path may find itself elsewhere than `uri` seems to say.
pub fn has_dot_segments(uri: &str) -> bool {
    decoded(uri).split(['/', '\\', '?', '#']).any(|segment| matches!(segment, "." | ".."))
}

/// The scheme in lower case; `None` if there is none.
pub fn uri_scheme(uri: &str) -> Option<String> {
    let (scheme, _) = uri.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    is_scheme.then(|| scheme.to_ascii_lowercase())
}

/// Whether every client with a URL type can hold `uri`.
pub fn is_url(uri: &str) -> bool {
    Url::parse(uri).is_ok()
}

fn normal_authority(url: &Url) -> String {
    if !url.has_authority() {
        return url.as_str().to_owned();
    }
    let (host, path) = (&url[Position::BeforeHost..Position::AfterHost], url.path());
    let mut text = url[..Position::BeforeHost].to_owned();
    text.push_str(&host.to_ascii_lowercase());
    text.push_str(&url[Position::AfterHost..Position::BeforePath]);
    text.push_str(if path.is_empty() { "/" } else { path });
    text.push_str(&url[Position::AfterPath..]);
    text
}

fn lower_scheme(uri: &str) -> String {
    match (uri_scheme(uri), uri.split_once(':')) {
        (Some(scheme), Some((_, rest))) => format!("{scheme}:{rest}"),
        _ => uri.to_owned(),
    }
}

/// Octets that mean the same whether they are encoded or not stand for themselves, all others are encoded.
pub(super) fn normal_octets(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        let encoded = if byte == b'%' { encoded_octet(&bytes[at + 1..]) } else { None };
        at += if encoded.is_some() { 3 } else { 1 };
        match encoded {
            Some(octet) if is_plain(octet) => normal.push(char::from(octet)),
            Some(octet) => push_encoded(&mut normal, octet),
            None if is_plain(byte) || is_delimiter(byte) => normal.push(char::from(byte)),
            None => push_encoded(&mut normal, byte),
        }
    }
    normal
}

fn decoded(text: &str) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        let encoded = if byte == b'%' { encoded_octet(&bytes[at + 1..]) } else { None };
        at += if encoded.is_some() { 3 } else { 1 };
        octets.push(encoded.unwrap_or(byte));
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// The octet that the two hexadecimal digits at the start of `bytes` stand for.
fn encoded_octet(bytes: &[u8]) -> Option<u8> {
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

fn push_encoded(text: &mut String, octet: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 15)]);
    text.extend(['%', digit(octet >> 4), digit(octet)]);
}

fn is_plain(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-._~!$'()*,".contains(&octet)
}

fn is_delimiter(octet: u8) -> bool {
    b":/?#[]@&=+;".contains(&octet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_that_url_types_make_of_one_uri_have_one_normal_form() {
        for (listed, asked) in [
            ("file:///my docs/a b.txt", "file:///my%20docs/a%20b.txt"),
            ("notes://café/ü", "notes://caf%c3%a9/%C3%BC"),
            ("http://example.com", "http://example.com/"),
            ("notes://all", "notes://all/"),
            ("HTTPS://Example.com:443/x", "https://example.com/x"),
            ("http://example.com:80/y?a b", "http://EXAMPLE.com/y?a%20b"),
            ("http://straße.example/x", "http://xn--strae-oqa.example/x"),
            ("http://a.example/x/../y/./z", "http://a.example/y/z"),
            ("notes://A/x", "notes://a/x"),
            ("x://h/%7euser/%41", "x://h/~user/A"),
            ("x://h/a|b\"c", "x://h/a%7Cb%22c"),
            ("file://localhost/x", "file:///x"),
            ("urn:isbn:%c3%a9", "URN:isbn:%C3%A9"),
        ] {
            assert_eq!(normal_uri(listed), normal_uri(asked), "{listed}");
        }
    }

    #[test]
    fn what_means_something_else_has_another_normal_form() {
        for (one, other) in [
            ("x://h/a/b", "x://h/a%2Fb"),
            ("x://h/a?b", "x://h/a%3Fb"),
            ("x://h/a", "x://h/A"),
            ("x://h/a", "x://h/a/"),
            ("x://h/100%25", "x://h/100%2525"),
            ("x://h:1/a", "x://h:2/a"),
            ("http://h/a?x+y", "http://h/a?x%2By"),
        ] {
            assert_ne!(normal_uri(one), normal_uri(other), "{one}");
        }
    }

    #[test]
    fn dot_segments_are_found_however_they_are_spelt() {
        for uri in
            ["x://h/a/../b", "x://h/./b", "x://h/%2e%2E/b", "x://h/a%2F..%2fb", "x://h/..", "x:a\\..\\b"]
        {
            assert!(has_dot_segments(uri), "{uri}");
        }
        for uri in ["x://h/a..b/.c", "x://h/...", "x:"] {
            assert!(!has_dot_segments(uri), "{uri}");
        }
    }

    #[test]
    fn any_text_has_a_normal_form_that_is_its_own() {
        for text in ["", "%", "%zz", "no scheme at all", "://", "http://", "é%", "x:%2", "\u{0}"] {
            let normal = normal_uri(text);
            assert_eq!(normal_uri(&normal), normal, "{text}");
        }
        assert_eq!(uri_scheme("Notes://x").as_deref(), Some("notes"));
        assert_eq!(uri_scheme("1a://x").or(uri_scheme("no scheme")), None);
    }
}
