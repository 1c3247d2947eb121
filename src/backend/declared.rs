//! What does a server say that it can do?

use crate::protocol::{Object, RawJson};

/// The capabilities whose members are flags.
const WITH_FLAGS: [&str; 3] = ["tools", "prompts", "resources"];

/// The capabilities in the result of a handshake, as the rest of the gateway reads them. One that is `null` or `false`
/// is none; one that is anything but an object says no more than that it is there. Flags are `true` or not.
pub(super) fn capabilities(result: &RawJson) -> RawJson {
    let declared = result.get("capabilities").filter(RawJson::is_object);
    let Some(declared) = declared else { return RawJson::empty_object() };
    let mut read = Object::new();
    for (name, value) in declared.members() {
        read.remove(&name);
        if is_none(&value) {
            continue;
        }
        let value = if value.is_object() { value } else { RawJson::empty_object() };
        read.set(&name, if WITH_FLAGS.contains(&&*name) { with_flags(&value) } else { value });
    }
    read.to_json()
}

fn is_none(value: &RawJson) -> bool {
    matches!(value.as_str(), "null" | "false")
}

fn with_flags(capability: &RawJson) -> RawJson {
    let mut read = Object::new();
    for (name, value) in capability.members() {
        let value = if is_set(&value) { RawJson::of(&true) } else { value };
        read.set(&name, value);
    }
    read.to_json()
}

/// Whether a flag is set, in the spellings that the Python SDK takes.
fn is_set(flag: &RawJson) -> bool {
    let text = flag.string().map(|text| text.to_ascii_lowercase());
    match text.as_deref() {
        Some(text) => matches!(text, "true" | "1" | "yes" | "on" | "y" | "t"),
        None => matches!(flag.as_str(), "true" | "1" | "1.0"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(declared: &str) -> String {
        let result = format!(r#"{{"capabilities":{declared}}}"#);
        capabilities(&RawJson::parse(result.into()).unwrap()).as_str().to_owned()
    }

    #[test]
    fn what_is_null_or_false_is_not_declared_and_what_is_no_object_has_no_details() {
        let table = [
            (r#"{"tools":null,"prompts":false,"resources":{}}"#, r#"{"resources":{}}"#),
            (
                r#"{"tools":true,"prompts":[],"logging":1,"completions":""}"#,
                r#"{"tools":{},"prompts":{},"logging":{},"completions":{}}"#,
            ),
            (r#"{"tools":{},"tools":null}"#, "{}"),
            (r#"{"x":{"a":1.0}}"#, r#"{"x":{"a":1.0}}"#),
            ("null", "{}"),
            ("[]", "{}"),
            ("7", "{}"),
        ];
        for (declared, expected) in table {
            assert_eq!(read(declared), expected, "{declared}");
        }
        assert_eq!(capabilities(&RawJson::empty_object()).as_str(), "{}");
    }

    #[test]
    fn flags_are_read_as_the_python_sdk_reads_them() {
        for set in ["true", "1", "1.0", "\"true\"", "\"True\"", "\"1\"", "\"yes\"", "\"on\""] {
            let declared = format!(r#"{{"tools":{{"listChanged":{set}}}}}"#);
            assert_eq!(read(&declared), r#"{"tools":{"listChanged":true}}"#);
        }
        for unset in ["null", "false", "0", "\"no\"", "{}"] {
            let declared = format!(r#"{{"resources":{{"subscribe":{unset}}}}}"#);
            assert_eq!(read(&declared), declared);
        }
    }
}
