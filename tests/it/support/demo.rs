//! The three demo backends, each over another transport, as processes of their own.

use super::gateway::binary;

/// `crm` over stdio, `api` over Streamable HTTP, `search` over HTTP+SSE.
pub(crate) fn backends() -> String {
    let (program, port) = (binary(), "${free_port}");
    let at = "http://127.0.0.1:${free_port}";
    format!(
        r#"backends:
  crm: {{ command: "{program}", args: [demo, crm, --db, crm.sqlite] }}
  api: {{ command: "{program}", args: [demo, api, --port, "{port}"], url: "{at}/mcp" }}
  search: {{ command: "{program}", args: [demo, search, --port, "{port}"], url: "{at}/sse", type: sse }}
"#
    )
}
