//! What does a tool's definition cost in a model's context?

use crate::protocol::RawJson;

/// Tokens of a tool's definition, estimated as a quarter of the bytes a model is shown: name,
/// description and input schema. Good to about a third for English text and JSON; the ranking of
/// tools is what it is for.
pub fn of_tool(tool: &RawJson) -> usize {
    let shown = ["name", "description", "inputSchema"];
    let bytes: usize = shown.iter().filter_map(|member| tool.get(member)).map(|value| value.len()).sum();
    bytes.div_ceil(4)
}
