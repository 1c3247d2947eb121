//! What does a client get of content its revision does not know?
//!
//! | what | since | before that |
//! |---|---|---|
//! | `audio` | 2025-03-26 | an embedded resource |
//! | `resource_link` | 2025-06-18 | a text that names it |
//! | `structuredContent` | 2025-06-18 | a text block with its JSON |
//! | `structuredContent` that is no object | 2026-07-28 | the same, and the member is taken out |

use serde_json::{Value, json};

use crate::protocol::{Era, Object, RawJson, Revision, Routed};

use super::{each_block, text_of};

/// `result` as a client of `revision` can read it.
pub(super) fn readable(routed: Routed, revision: Revision, result: RawJson) -> RawJson {
    if revision.era() == Era::Modern {
        return result;
    }
    let result = match revision < Revision::V2025_06_18 {
        true => each_block(routed, result, |at, block| readable_block(revision, at, block)),
        false => result,
    };
    match routed {
        Routed::CallTool => with_structure_as_text(revision, result),
        _ => result,
    }
}

fn readable_block(revision: Revision, at: usize, block: &RawJson) -> Option<RawJson> {
    match &*block.get("type")?.string()? {
        "audio" if revision < Revision::V2025_03_26 => audio_as_resource(at, block),
        "resource_link" => link_as_text(block),
        _ => None,
    }
}

/// Nothing is lost; only the URI is made up, because a resource must have one.
fn audio_as_resource(at: usize, audio: &RawJson) -> Option<RawJson> {
    let mut block = Object::parse(audio)?;
    let mut resource = Object::new();
    resource.set("uri", RawJson::of(&format!("switchyard://audio/{}", at + 1)));
    if let Some(kind) = block.remove("mimeType") {
        resource.set("mimeType", kind);
    }
    resource.set("blob", block.remove("data")?);
    block.set("type", RawJson::of("resource")).set("resource", resource.to_json());
    Some(block.to_json())
}

fn link_as_text(link: &RawJson) -> Option<RawJson> {
    let mut text = text_of(link, "uri")?;
    if let Some(name) = text_of(link, "name") {
        text = format!("{name} – {text}");
    }
    if let Some(kind) = text_of(link, "mimeType") {
        text = format!("{text} ({kind})");
    }
    let mut block = Object::new();
    block.set("type", RawJson::of("text")).set("text", RawJson::of(&text));
    if let Some(annotations) = link.get("annotations") {
        block.set("annotations", annotations);
    }
    Some(block.to_json())
}

/// A result whose structure this client cannot read holds it as text. `null` counts as none.
fn with_structure_as_text(revision: Revision, result: RawJson) -> RawJson {
    let Some(structure) = result.get("structuredContent") else { return result };
    if structure.is_object() && revision >= Revision::V2025_06_18 {
        return result;
    }
    let mut blocks = result.get("content").map(|content| content.elements()).unwrap_or_default();
    let is_told = structure.is_null() || blocks.iter().any(|block| tells(block, &structure));
    if is_told && structure.is_object() {
        return result;
    }
    let Some(mut object) = Object::parse(&result) else { return result };
    if !structure.is_object() {
        object.remove("structuredContent");
    }
    if !is_told {
        blocks.push(RawJson::of(&json!({ "type": "text", "text": structure.as_str() })));
        object.set("content", RawJson::of(&blocks));
    }
    object.to_json()
}

/// Whether `block` is a text with the same JSON, however it is spelt.
fn tells(block: &RawJson, structure: &RawJson) -> bool {
    let is_text = text_of(block, "type").is_some_and(|kind| kind == "text");
    let Some(text) = text_of(block, "text").filter(|_| is_text) else { return false };
    let read = || serde_json::from_str::<Value>(&text).ok();
    text == structure.as_str() || read().is_some_and(|told| structure.to() == Some(told))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(text: &str) -> RawJson {
        RawJson::parse(text.to_owned().into()).unwrap()
    }

    fn told(revision: Revision, text: &str) -> String {
        readable(Routed::CallTool, revision, raw(text)).as_str().to_owned()
    }

    #[test]
    fn audio_becomes_a_resource_with_all_it_held_for_the_one_revision_without_it() {
        let text = r#"{"content":[{"type":"text","text":"a"},{"type":"audio","data":"UklG","mimeType":"audio/wav","annotations":{"priority":0.50}}],"x":1.0}"#;
        assert_eq!(
            told(Revision::V2024_11_05, text),
            r#"{"content":[{"type":"text","text":"a"},{"type":"resource","annotations":{"priority":0.50},"resource":{"uri":"switchyard://audio/2","mimeType":"audio/wav","blob":"UklG"}}],"x":1.0}"#
        );
        assert_eq!(told(Revision::V2025_03_26, text), text);
        let without_data = r#"{"content":[{"type":"audio"}]}"#;
        assert_eq!(told(Revision::V2024_11_05, without_data), without_data);
    }

    #[test]
    fn a_link_becomes_a_text_that_names_it_in_prompts_too() {
        let link = r#"{"type":"resource_link","name":"Notes","uri":"file:///n","mimeType":"text/plain"}"#;
        let text = r#"{"type":"text","text":"Notes – file:///n (text/plain)"}"#;
        let tool = |block: &str| format!(r#"{{"content":[{block}]}}"#);
        let prompt = |block: &str| format!(r#"{{"messages":[{{"role":"user","content":{block}}}]}}"#);
        for (routed, of) in
            [(Routed::CallTool, &tool as &dyn Fn(&str) -> String), (Routed::GetPrompt, &prompt)]
        {
            let shown = |revision| readable(routed, revision, raw(&of(link)));
            assert_eq!(shown(Revision::V2025_03_26).as_str(), of(text));
            assert_eq!(shown(Revision::V2025_06_18).as_str(), of(link));
        }
    }

    #[test]
    fn structure_is_told_once_to_clients_that_read_only_text() {
        let untold = r#"{"structuredContent":{"n":1.50},"content":[{"type":"text","text":"1.5"}]}"#;
        let text = r#"{"structuredContent":{"n":1.50},"content":[{"type":"text","text":"1.5"},{"type":"text","text":"{\"n\":1.50}"}]}"#;
        assert_eq!(told(Revision::V2025_03_26, untold), text);
        assert_eq!(told(Revision::V2025_03_26, text), text);
        assert_eq!(told(Revision::V2025_06_18, untold), untold);
        let spelt = r#"{"content":[{"type":"text","text":"{ \"b\": 2, \"a\": 1 }"}],"structuredContent":{"a":1,"b":2}}"#;
        assert_eq!(told(Revision::V2024_11_05, spelt), spelt);
        assert_eq!(
            told(Revision::V2024_11_05, r#"{"structuredContent":{}}"#),
            r#"{"structuredContent":{},"content":[{"type":"text","text":"{}"}]}"#
        );
    }

    #[test]
    fn structure_that_is_no_object_is_only_text_before_the_modern_era() {
        let list = r#"{"content":[],"structuredContent":[1.0]}"#;
        let text = r#"{"content":[{"type":"text","text":"[1.0]"}]}"#;
        for revision in [Revision::V2024_11_05, Revision::V2025_11_25] {
            assert_eq!(told(revision, list), text);
            assert_eq!(told(revision, r#"{"content":[],"structuredContent":null}"#), r#"{"content":[]}"#);
        }
        assert_eq!(told(Revision::LATEST, list), list);
        let told_already = r#"{"content":[{"type":"text","text":"7"}],"structuredContent":7}"#;
        assert_eq!(told(Revision::V2025_11_25, told_already), r#"{"content":[{"type":"text","text":"7"}]}"#);
    }

    fn block() -> impl Strategy<Value = (Revision, Value)> {
        let any = Revision::V2024_11_05;
        prop_oneof![
            ".*".prop_map(move |text| (any, json!({"type": "text", "text": text}))),
            ".*".prop_map(move |data| (any, json!({"type": "image", "data": data, "mimeType": "image/png"}))),
            ".*".prop_map(move |uri| (
                any,
                json!({"type": "resource", "resource": {"uri": uri, "text": ""}})
            )),
            ".*".prop_map(move |kind| (
                any,
                json!({"type": format!("x-{kind}"), "audio": {"type": "audio"}})
            )),
            ".*".prop_map(|data| (Revision::V2025_03_26, json!({"type": "audio", "data": data}))),
            ".*".prop_map(|uri| (Revision::V2025_06_18, json!({"type": "resource_link", "uri": uri}))),
        ]
    }

    proptest! {
        #[test]
        fn a_result_a_client_can_read_keeps_every_byte(
            blocks in prop::collection::vec(block(), 0..6),
            structure in prop::option::of(prop::collection::hash_map(".*", any::<f64>(), 0..4)),
            revision in prop::sample::select(&Revision::ALL[..]),
            routed in prop::sample::select(&Routed::ALL[..]),
            is_pretty in any::<bool>(),
        ) {
            let known = blocks.iter().filter(|(since, _)| *since <= revision).map(|(_, block)| block);
            let known: Vec<_> = known.collect();
            let messages: Vec<_> = known.iter().map(|block| json!({"role": "user", "content": block})).collect();
            let mut value = json!({"content": known, "messages": messages, "isError": false});
            if let Some(structure) = structure.filter(|_| revision >= Revision::V2025_06_18) {
                value["structuredContent"] = json!(structure);
            }
            let text = if is_pretty { format!("{value:#}") } else { value.to_string() };
            let shown = readable(routed, revision, raw(&text));
            prop_assert_eq!(shown.as_str(), text);
        }
    }
}
