//! How is an object written that nobody will edit?

use bytes::{BufMut, BytesMut};

use super::RawJson;

/// An object's text, member after member, without white space.
pub(in crate::protocol) struct Writer {
    text: BytesMut,
}

impl Writer {
    /// `size` is what the text will probably have, in bytes.
    pub(in crate::protocol) fn new(size: usize) -> Self {
        let mut text = BytesMut::with_capacity(size);
        text.put_u8(b'{');
        Self { text }
    }

    /// Adds a member; `key` has its quotes and escapes already.
    pub(in crate::protocol) fn spelt(&mut self, key: &[u8], value: &[u8]) {
        self.separate();
        self.text.put_slice(key);
        self.text.put_u8(b':');
        self.text.put_slice(value);
    }

    /// Adds a member; `key` is one that needs no escapes.
    pub(in crate::protocol) fn member(&mut self, key: &str, value: &RawJson) {
        self.separate();
        self.text.put_u8(b'"');
        self.text.put_slice(key.as_bytes());
        self.text.put_slice(b"\":");
        self.text.put_slice(value.as_bytes());
    }

    pub(in crate::protocol) fn is_empty(&self) -> bool {
        self.text.len() == 1
    }

    pub(in crate::protocol) fn finish(mut self) -> RawJson {
        self.text.put_u8(b'}');
        RawJson::authored(self.text.freeze())
    }

    fn separate(&mut self) {
        if !self.is_empty() {
            self.text.put_u8(b',');
        }
    }
}

/// Writes the string `text`.
pub(in crate::protocol) fn put_text(out: &mut BytesMut, text: &str) {
    if text.bytes().any(|byte| matches!(byte, b'"' | b'\\' | ..b' ')) {
        return out.put_slice(RawJson::of(text).as_bytes());
    }
    out.put_u8(b'"');
    out.put_slice(text.as_bytes());
    out.put_u8(b'"');
}
