//! Which formats do the demo's schemas have? Only those that JSON Schema defines: clients warn of `uint32`, which the
//! schemas of Rust's numbers have.

use std::sync::Arc;

use rmcp::handler::server::router::tool::ToolRouter;
use serde_json::{Map, Value};

/// The same tools with schemas that every client knows.
pub(super) fn portable<S>(mut router: ToolRouter<S>) -> ToolRouter<S> {
    for route in router.map.values_mut() {
        strip(Arc::make_mut(&mut route.attr.input_schema));
        if let Some(schema) = &mut route.attr.output_schema {
            strip(Arc::make_mut(schema));
        }
    }
    router
}

/// Takes out the formats of numbers.
fn strip(schema: &mut Map<String, Value>) {
    let is_of_number = schema.get("format").and_then(Value::as_str).is_some_and(|format| {
        let format = format.trim_start_matches('u');
        format.starts_with("int") || matches!(format, "float" | "double")
    });
    if is_of_number {
        schema.remove("format");
    }
    for value in schema.values_mut() {
        match value {
            Value::Object(inner) => strip(inner),
            Value::Array(items) => items.iter_mut().filter_map(Value::as_object_mut).for_each(strip),
            _ => {}
        }
    }
}
