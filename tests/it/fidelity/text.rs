//! Arbitrary JSON, as text: every spelling that is legal, the odd ones more often than not.

use proptest::collection::vec;
use proptest::prelude::*;

/// Any JSON value whose outermost brackets hold fewer than 58 more; with line breaks between tokens if
/// `lines`.
pub(super) fn value(lines: bool) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        2 => number(),
        2 => string(),
        1 => Just(r#""\ud800 alone""#.to_owned()),
        1 => prop::sample::select(vec!["null", "true", "false", "{}", "[]", "[ ]"]).prop_map(str::to_owned),
    ];
    let tree = leaf.prop_recursive(6, 48, 6, move |inner| {
        prop_oneof![array(inner.clone(), lines), object_of(inner, lines)]
    });
    (tree, 0..50_usize).prop_map(|(tree, depth)| wrapped(tree, depth)).boxed()
}

/// Any JSON object.
pub(super) fn object(lines: bool) -> BoxedStrategy<String> {
    object_of(value(lines), lines)
}

fn array(inner: BoxedStrategy<String>, lines: bool) -> BoxedStrategy<String> {
    vec((blank(lines), inner, blank(lines)), 0..5)
        .prop_map(|items| {
            let items: Vec<String> =
                items.into_iter().map(|(a, value, b)| format!("{a}{value}{b}")).collect();
            format!("[{}]", items.join(","))
        })
        .boxed()
}

fn object_of(inner: BoxedStrategy<String>, lines: bool) -> BoxedStrategy<String> {
    vec((blank(lines), key(), blank(lines), inner, blank(lines)), 0..5)
        .prop_map(|members| {
            let members: Vec<String> =
                members.into_iter().map(|(a, key, b, value, c)| format!("{a}{key}{b}:{value}{c}")).collect();
            format!("{{{}}}", members.join(","))
        })
        .boxed()
}

/// Two members with one key, spelt alike or not, are legal JSON inside of what is relayed.
fn key() -> impl Strategy<Value = String> {
    let odd =
        [r#""a""#, r#""\u0061""#, r#""""#, r#""name""#, r#""jsonrpc""#, r#""id""#, r#""_meta""#, r#""a\/b""#];
    prop_oneof![prop::sample::select(odd.to_vec()).prop_map(str::to_owned), string()]
}

fn number() -> impl Strategy<Value = String> {
    let odd = [
        "1.0",
        "1e400",
        "-0",
        "-0.0",
        "1E+2",
        "0.10",
        "18446744073709551616",
        "1e-400",
        "123456789012345678901234567890",
    ];
    prop_oneof![
        prop::sample::select(odd.to_vec()).prop_map(str::to_owned),
        "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
    ]
}

fn string() -> impl Strategy<Value = String> {
    let escapes = [
        r#"\""#,
        r"\\",
        r"\/",
        r"\b",
        r"\n",
        r"\r",
        r"\u0000",
        r"\u00e9",
        r"\ud83d\ude00",
        r"\uD83D\uDE00",
        r"\u2028",
    ];
    let piece = prop_oneof![
        prop::sample::select(escapes.to_vec()).prop_map(str::to_owned),
        "[a-z0-9 {}\\[\\]:,]{0,6}",
        "[^\"\\\\\\x00-\\x1f]{0,4}",
    ];
    vec(piece, 0..6).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn blank(lines: bool) -> impl Strategy<Value = &'static str> {
    let blanks = ["", "", "", " ", "\t", "  "];
    let breaks = ["\n", "\r\n", "\r"];
    let all: Vec<_> = blanks.into_iter().chain(breaks.into_iter().filter(|_| lines)).collect();
    prop::sample::select(all)
}

/// `depth` arrays and objects around `inner`, in turn.
fn wrapped(inner: String, depth: usize) -> String {
    (0..depth).fold(inner, |inner, level| match level % 2 {
        0 => format!("[{inner}]"),
        _ => format!("{{\"a\":{inner}}}"),
    })
}
