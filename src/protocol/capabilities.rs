//! What a client can be asked while it waits for an answer, and what of that can cross a gateway.

use serde_json::{Map, Value, json};

use super::{RawJson, Revision};

/// The questions a server may ask: elicitation, sampling, roots.
#[allow(missing_docs)]
pub mod question {
    pub const ELICIT: &str = "elicitation/create";
    pub const SAMPLE: &str = "sampling/createMessage";
    pub const LIST_ROOTS: &str = "roots/list";
}

/// Client capabilities that can be bridged between the eras.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ClientCapabilities {
    elicitation_form: bool,
    elicitation_url: bool,
    sampling: bool,
    sampling_tools: bool,
    sampling_context: bool,
    roots: bool,
    /// The client will tell when its roots change. Never read from a declaration: only a connection that is
    /// one session's can promise it.
    roots_change: bool,
}

impl ClientCapabilities {
    /// What `declared` means in `revision`: nothing that revision did not have yet.
    pub fn read(declared: &RawJson, revision: Revision) -> Self {
        let elicitation = declared.get("elicitation").filter(|_| revision >= Revision::V2025_06_18);
        let sampling = declared.get("sampling");
        let has = |object: &Option<RawJson>, key: &str| {
            object.as_ref().is_some_and(|object| object.get(key).is_some())
        };
        // `{}` has always meant forms (MCP 2025-11-25, client/elicitation, capabilities).
        let only_url = has(&elicitation, "url") && !has(&elicitation, "form");
        let is_new = revision >= Revision::V2025_11_25;
        Self {
            elicitation_form: elicitation.is_some() && !only_url,
            elicitation_url: is_new && has(&elicitation, "url"),
            sampling: sampling.is_some(),
            sampling_tools: is_new && has(&sampling, "tools"),
            sampling_context: is_new && has(&sampling, "context"),
            roots: declared.get("roots").is_some(),
            roots_change: false,
        }
    }

    /// Whether a client that declared this will tell when its roots change.
    pub fn tells_of_roots(declared: &RawJson) -> bool {
        let flag = declared.get("roots").and_then(|roots| roots.get("listChanged"));
        flag.is_some_and(|flag| flag.as_str() == "true")
    }

    /// The same, with the promise to tell when roots change, if the client has any.
    #[must_use]
    pub fn telling_of_roots(self, tells: bool) -> Self {
        Self { roots_change: tells && self.roots, ..self }
    }

    /// Whether the client can be asked nothing.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Whether the client can be asked this.
    pub fn allow(self, method: &str, params: Option<&RawJson>) -> bool {
        let is = |key: &str, wanted: &str| {
            let value = params.and_then(|params| params.get(key));
            value.is_some_and(|value| value.string().is_some_and(|text| text == wanted))
        };
        let has = |key: &str| params.is_some_and(|params| params.get(key).is_some());
        match method {
            question::ELICIT if is("mode", "url") => self.elicitation_url,
            question::ELICIT => self.elicitation_form,
            question::SAMPLE if has("tools") => self.sampling_tools,
            question::SAMPLE => self.sampling,
            question::LIST_ROOTS => self.roots,
            _ => false,
        }
    }

    /// As a client declares them.
    pub fn to_json(self) -> RawJson {
        let mut declared = Map::new();
        let mut add = |key: &str, is_set: bool, parts: &[(&str, bool)]| {
            if is_set {
                let parts = parts.iter().filter(|(_, is_set)| *is_set);
                let parts: Map<String, Value> =
                    parts.map(|(part, _)| ((*part).to_owned(), json!({}))).collect();
                declared.insert(key.to_owned(), Value::Object(parts));
            }
        };
        let elicitation = self.elicitation_form || self.elicitation_url;
        // Forms alone are spelt `{}`, which every revision reads.
        let form = self.elicitation_form && self.elicitation_url;
        add("elicitation", elicitation, &[("form", form), ("url", self.elicitation_url)]);
        add("sampling", self.sampling, &[("tools", self.sampling_tools), ("context", self.sampling_context)]);
        add("roots", self.roots, &[]);
        if self.roots_change {
            declared.insert("roots".to_owned(), json!({ "listChanged": true }));
        }
        RawJson::of(&Value::Object(declared))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(declared: Value, revision: Revision) -> ClientCapabilities {
        ClientCapabilities::read(&RawJson::of(&declared), revision)
    }

    #[test]
    fn a_capability_counts_only_where_its_revision_has_it() {
        let declared = json!({"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {"listChanged": true}});
        let old = read(declared.clone(), Revision::V2025_03_26);
        assert_eq!(old.to_json().as_str(), r#"{"sampling":{},"roots":{}}"#);
        let middle = read(declared.clone(), Revision::V2025_06_18);
        assert_eq!(middle.to_json().as_str(), r#"{"elicitation":{},"sampling":{},"roots":{}}"#);
        let new = read(declared, Revision::V2026_07_28);
        assert_eq!(
            new.to_json().as_str(),
            r#"{"elicitation":{"form":{},"url":{}},"sampling":{"tools":{}},"roots":{}}"#
        );
    }

    #[test]
    fn a_question_is_allowed_only_in_the_form_that_was_declared() {
        let forms = read(json!({"elicitation": {}}), Revision::V2025_11_25);
        let url = RawJson::of(&json!({"mode": "url"}));
        assert!(forms.allow(question::ELICIT, Some(&RawJson::of(&json!({})))));
        assert!(!forms.allow(question::ELICIT, Some(&url)));
        assert!(!forms.allow(question::SAMPLE, None) && !forms.allow("tools/list", None));
        assert!(read(json!({}), Revision::LATEST).is_empty());
    }
}
