//! How is a message put together as it arrives?

use bytes::{Bytes, BytesMut};

/// A chunk of so many bytes is worth more than the buffer it lies in, which its reader can then not use again.
const WORTH_KEEPING: usize = 2 * 1024;

/// A message as it arrives: one that comes in one chunk stays where it was read to, more chunks are joined.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    whole: Bytes,
    joined: BytesMut,
}

impl Gathered {
    pub(crate) fn len(&self) -> usize {
        self.whole.len() + self.joined.len()
    }

    /// Adds what arrived of a message that is `announced` to be so long. Memory that was announced and never written
    /// to costs nothing.
    pub(crate) fn push(&mut self, chunk: Bytes, announced: Option<usize>) {
        if self.len() == 0 && chunk.len() >= WORTH_KEEPING {
            self.whole = chunk;
            return;
        }
        let missing = announced.unwrap_or(0).saturating_sub(self.joined.len());
        self.joined.reserve(missing.max(self.whole.len() + chunk.len()));
        self.joined.extend_from_slice(&std::mem::take(&mut self.whole));
        self.joined.extend_from_slice(&chunk);
    }

    pub(crate) fn finish(self) -> Bytes {
        if self.joined.is_empty() { self.whole } else { self.joined.freeze() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_gathered_in_order_whatever_the_chunks_are() {
        let text: Vec<u8> = (0..9000u32).map(|at| at as u8).collect();
        for size in [1, 100, 2047, 2048, 5000, 8999, 9000] {
            for announced in [None, Some(9000), Some(10)] {
                let mut gathered = Gathered::default();
                for chunk in text.chunks(size) {
                    gathered.push(Bytes::copy_from_slice(chunk), announced);
                }
                assert_eq!(gathered.len(), text.len());
                assert_eq!(gathered.finish(), text, "chunks of {size}");
            }
        }
        assert!(Gathered::default().finish().is_empty());
    }
}
