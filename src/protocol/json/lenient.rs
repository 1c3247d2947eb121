//! JSON that some readers take and others refuse, made into what all of them read alike.

use super::{Object, RawJson};

/// Most members of an object whose repeated keys are resolved: each key is compared with all before it.
const MAX_MEMBERS: usize = 256;

/// The members of an object; of a key that stands twice the last one, which is what most readers take. `None` if
/// `value` is no object, or has repeated keys among too many.
pub fn lenient_object(value: &RawJson) -> Option<Object> {
    if let Some(object) = Object::parse(value) {
        return Some(object);
    }
    if !value.is_object() || value.members().take(MAX_MEMBERS + 1).count() > MAX_MEMBERS {
        return None;
    }
    let mut object = Object::new();
    for (key, member) in value.members() {
        object.set(&key, member);
    }
    Some(object)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn raw(text: &str) -> RawJson {
        RawJson::parse(text.to_owned().into()).unwrap()
    }

    #[test]
    fn of_a_repeated_key_the_last_value_counts() {
        let object = lenient_object(&raw(r#"{"a":1,"b":2,"\u0061":3.0}"#)).unwrap();
        assert_eq!(object.to_json().as_str(), r#"{"a":3.0,"b":2}"#);
        assert!(lenient_object(&raw("[]")).is_none());
        let many: Vec<String> = (0..400).map(|at| format!("\"{}\":1", at % 300)).collect();
        assert!(lenient_object(&raw(&format!("{{{}}}", many.join(",")))).is_none());
    }
}
