//! `_meta`: what a modern client must say with each request, and what may pass to the next hop.

use std::sync::{Arc, LazyLock};

use super::json::{Writer, text_of, unescaped};
use super::trace::{self, TraceContext};
use super::{LogLevel, RawJson, Revision};

/// Keys of `_meta` (MCP 2026-07-28, basic/index, `_meta`).
#[allow(missing_docs)]
pub mod key {
    pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
    pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
    pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
    pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
    pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
    pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
    pub const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";
    pub const PROGRESS_TOKEN: &str = "progressToken";
}

/// Most bytes that are passed on of what a client says about itself.
const MAX_INFO: usize = 4096;

/// The gateway's name and version, as a server towards clients and as a client towards backends.
pub fn gateway_info() -> RawJson {
    static INFO: LazyLock<RawJson> = LazyLock::new(|| {
        RawJson::of(&serde_json::json!({
            "name": "switchyard", "title": "Switchyard", "version": env!("CARGO_PKG_VERSION"),
        }))
    });
    INFO.clone()
}

/// `info` if a typed peer can read it as a client's name and version.
pub fn readable_info(info: RawJson) -> Option<RawJson> {
    if info.len() > MAX_INFO {
        return None;
    }
    // One pass, because every call of a modern client comes here: the text is valid JSON, so a quote begins a string.
    let (mut has_name, mut has_version) = (false, false);
    for (key, value) in info.spelt_members() {
        let is_text = value.first() == Some(&b'"');
        match key {
            b"\"name\"" => has_name = is_text,
            b"\"version\"" => has_version = is_text,
            _ => {}
        }
    }
    (has_name && has_version).then_some(info)
}

/// What a client's request carries in `_meta`, as far as the gateway looks.
#[derive(Debug, Clone, Default)]
pub struct RequestMeta {
    /// The protocol version, as written; its presence makes a request modern.
    pub protocol_version: Option<String>,
    /// Declared with this request.
    pub client_capabilities: Option<RawJson>,
    /// The client's name and version, as written; see [`readable_info`].
    pub client_info: Option<RawJson>,
    /// Least level of log notifications wanted.
    pub log_level: Option<String>,
    /// Echoed on progress notifications.
    pub progress_token: Option<RawJson>,
    /// The trace it belongs to, as far as that is well formed.
    pub trace: Option<Arc<TraceContext>>,
}

impl RequestMeta {
    /// Reads the `_meta` of `params`.
    pub fn of(params: Option<&RawJson>) -> Self {
        let Some(meta) = params.and_then(|params| params.get("_meta")) else {
            return Self::default();
        };
        let text = |value| text_of(value).map(String::from);
        let (mut read, mut trace) = (Self::default(), None::<TraceContext>);
        for (name, value) in meta.spelt_members() {
            let Some(name) = text_of(name) else { continue };
            match &*name {
                key::PROTOCOL_VERSION => read.protocol_version = text(value),
                key::CLIENT_CAPABILITIES => read.client_capabilities = Some(meta.sharing(value)),
                key::CLIENT_INFO => read.client_info = Some(meta.sharing(value)),
                key::LOG_LEVEL => read.log_level = text(value),
                key::PROGRESS_TOKEN => read.progress_token = Some(meta.sharing(value)),
                trace::PARENT | trace::STATE | trace::BAGGAGE => {
                    trace.get_or_insert_default().put(&name, meta.sharing(value));
                }
                _ => {}
            }
        }
        read.trace = trace.and_then(TraceContext::checked);
        read
    }

    /// The same, of a request that came with headers which name a trace; `_meta` goes before them, because it is what
    /// the client itself says.
    #[must_use]
    pub fn traced_by(mut self, headers: Option<Arc<TraceContext>>) -> Self {
        self.trace = match (self.trace.take(), headers) {
            (Some(own), Some(headers)) if !own.has_parent() => Some(own.or(&headers)),
            (own, headers) => own.or(headers),
        };
        self
    }
}

/// What the gateway says about itself on the hop to a backend.
#[derive(Debug, Clone, Default)]
pub struct HopMeta {
    /// Set for a modern backend: its version.
    pub revision: Option<Revision>,
    /// For a modern backend: what the client can do.
    pub client_capabilities: Option<RawJson>,
    /// For a modern backend: the client's name and version, or the gateway's own.
    pub client_info: Option<RawJson>,
    /// For a modern backend: least level of log notifications wanted.
    pub log_level: Option<LogLevel>,
    /// The token of this hop, if progress is wanted.
    pub progress_token: Option<RawJson>,
    /// The trace that the request belongs to.
    pub trace: Option<Arc<TraceContext>>,
}

/// Rewrites a client's `_meta` for the next hop: keys that belong to one hop are replaced, those of the trace are
/// there as far as they were well formed, all others (vendors' own) pass as they are. `None` if nothing is left to
/// say.
pub fn rewrite(meta: Option<&RawJson>, hop: &HopMeta) -> Option<RawJson> {
    let mut written = Writer::new(meta.map_or(0, RawJson::len) + ROOM);
    for (key, value) in meta.into_iter().flat_map(RawJson::spelt_members) {
        if !is_written_anew(key) {
            written.spelt(key, value);
        }
    }
    for (key, value) in hop.trace.iter().flat_map(|trace| trace.members()) {
        written.member(key, value);
    }
    if let Some(token) = &hop.progress_token {
        written.member(key::PROGRESS_TOKEN, token);
    }
    if let Some(revision) = hop.revision {
        let none = RawJson::empty_object();
        written.member(key::PROTOCOL_VERSION, &RawJson::of_text(revision.as_str()));
        written.member(key::CLIENT_CAPABILITIES, hop.client_capabilities.as_ref().unwrap_or(&none));
        if let Some(info) = &hop.client_info {
            written.member(key::CLIENT_INFO, info);
        }
        if let Some(level) = &hop.log_level {
            written.member(key::LOG_LEVEL, &RawJson::of_text(level.as_str()));
        }
    }
    (!written.is_empty()).then(|| written.finish())
}

/// What the gateway's own members take, in bytes, more or less.
const ROOM: usize = 256;

/// Whether what stands at `key`, spelt, means nothing behind this hop or was read and judged.
fn is_written_anew(key: &[u8]) -> bool {
    const KEYS: [&str; 9] = [
        key::PROTOCOL_VERSION,
        key::CLIENT_CAPABILITIES,
        key::CLIENT_INFO,
        key::LOG_LEVEL,
        key::RELATED_TASK,
        key::PROGRESS_TOKEN,
        trace::PARENT,
        trace::STATE,
        trace::BAGGAGE,
    ];
    unescaped(key).is_some_and(|key| KEYS.iter().any(|known| known.as_bytes() == &*key))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn raw(text: &'static str) -> RawJson {
        RawJson::parse(Bytes::from_static(text.as_bytes())).unwrap()
    }

    #[test]
    fn hop_keys_are_replaced_and_foreign_keys_pass() {
        let meta = raw(
            r#"{"com.x/trace":"00-a","progressToken":"mine","io.modelcontextprotocol/logLevel":"debug","com.x/y":[1.0]}"#,
        );
        let legacy = HopMeta { progress_token: Some(raw("9")), ..HopMeta::default() };
        assert_eq!(
            rewrite(Some(&meta), &legacy).unwrap().as_str(),
            r#"{"com.x/trace":"00-a","com.x/y":[1.0],"progressToken":9}"#
        );
        let modern = HopMeta { revision: Some(Revision::LATEST), ..HopMeta::default() };
        assert_eq!(
            rewrite(None, &modern).unwrap().as_str(),
            r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#
        );
    }

    #[test]
    fn a_foreign_key_that_stands_twice_passes_as_it_came_and_a_hop_key_never_does() {
        let meta = raw(r#"{"x":1,"progressToken":1,"x":2,"progress\u0054oken":2}"#);
        assert_eq!(rewrite(Some(&meta), &HopMeta::default()).unwrap().as_str(), r#"{"x":1,"x":2}"#);
    }

    #[test]
    fn nothing_to_say_is_no_meta_at_all() {
        assert!(rewrite(Some(&raw(r#"{"progressToken":1}"#)), &HopMeta::default()).is_none());
    }
}
