//! A text that is sent as it lies in memory: what the gateway writes, and between it what it relays.

use std::io::IoSlice;

use bytes::{Buf, BufMut as _, Bytes, BytesMut};

use super::RawJson;

/// A text in three parts, any of which may be empty. What is relayed is not copied to stand beside what is written
/// around it.
#[derive(Debug, Clone, Default)]
pub struct Pieces([Bytes; 3]);

impl Pieces {
    /// `value` between `head` and `tail`.
    pub fn around(head: Bytes, value: &RawJson, tail: Bytes) -> Self {
        Self([head, value.clone().into_bytes(), tail])
    }

    /// The object `value` with `head` in the place of its opening brace.
    pub fn reopened(head: Bytes, value: &RawJson) -> Self {
        Self([head, value.clone().into_bytes().slice(1..), Bytes::new()])
    }

    /// The same between `head` and `tail`, which are short.
    pub(super) fn within(self, head: &[u8], tail: &'static [u8]) -> Self {
        let [start, value, end] = self.0;
        if value.is_empty() && end.is_empty() {
            return Self([Bytes::copy_from_slice(head), start, Bytes::from_static(tail)]);
        }
        let end = if end.is_empty() { Bytes::from_static(tail) } else { [&end[..], tail].concat().into() };
        Self([[head, &start[..]].concat().into(), value, end])
    }

    /// The text in one piece.
    pub fn join(self) -> Bytes {
        let [head, value, tail] = &self.0;
        if value.is_empty() && tail.is_empty() {
            return head.clone();
        }
        let mut text = BytesMut::with_capacity(self.remaining());
        self.0.iter().for_each(|part| text.put_slice(part));
        text.freeze()
    }
}

impl From<Bytes> for Pieces {
    fn from(text: Bytes) -> Self {
        Self([text, Bytes::new(), Bytes::new()])
    }
}

impl From<RawJson> for Pieces {
    fn from(value: RawJson) -> Self {
        value.into_bytes().into()
    }
}

impl From<&RawJson> for Pieces {
    fn from(value: &RawJson) -> Self {
        value.clone().into()
    }
}

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.0.iter().find(|part| !part.is_empty()).map_or(&[], |part| part)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let parts = self.0.iter().filter(|part| !part.is_empty());
        slices.iter_mut().zip(parts).map(|(slice, part)| *slice = IoSlice::new(part)).count()
    }

    fn advance(&mut self, mut count: usize) {
        for part in &mut self.0 {
            let step = count.min(part.len());
            part.advance(step);
            count -= step;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_pieces_is_read_like_one_however_it_is_taken() {
        let value = RawJson::parse("[1,2]".into()).unwrap();
        let inner = Pieces::around("{\"a\":".into(), &value, ",\"b\":0}".into());
        for (pieces, whole) in [
            (inner.within(b"<", b">"), "<{\"a\":[1,2],\"b\":0}>"),
            (Pieces::from(&value).within(b"<", b">"), "<[1,2]>"),
            (Pieces::from(&value), "[1,2]"),
        ] {
            assert_eq!(pieces.clone().join(), whole);
            for step in 1..=whole.len() {
                let (mut left, mut read) = (pieces.clone(), Vec::new());
                while left.has_remaining() {
                    let mut slices = [IoSlice::new(&[]); 4];
                    let shown = left.chunks_vectored(&mut slices);
                    let shown: usize = slices[..shown].iter().map(|slice| slice.len()).sum();
                    assert_eq!(shown, left.remaining());
                    let taken = step.min(left.chunk().len());
                    read.extend_from_slice(&left.chunk()[..taken]);
                    left.advance(taken);
                }
                assert_eq!(read, whole.as_bytes());
            }
        }
    }
}
