//! Is it the same? SHA-256 of what was said, whole or as eight hexadecimal digits.

use std::fmt::Write as _;

use aws_lc_rs::digest::{Context, SHA256};

/// SHA-256 of a sequence of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    /// Each part is preceded by its length, so that two sequences never run into the same bytes.
    pub(super) fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        Self(bytes)
    }

    /// The first bytes, for what must be recognised and not proven.
    pub(super) fn head<const N: usize>(&self) -> [u8; N] {
        let mut head = [0; N];
        head.iter_mut().zip(self.0).for_each(|(to, from)| *to = from);
        head
    }
}

/// Eight hexadecimal digits that stand for `parts`: the suffix of names that had to be changed.
pub(super) fn suffix(parts: &[&str]) -> String {
    let head: [u8; 4] = Digest::of(parts.iter().map(|part| part.as_bytes())).head();
    head.iter().fold(String::with_capacity(8), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_a_character_to_the_next_part_changes_the_suffix() {
        assert_ne!(suffix(&["ab", "c"]), suffix(&["a", "bc"]));
        assert_eq!(suffix(&["ab", "c"]).len(), 8);
    }

    #[test]
    fn the_suffix_of_a_name_is_the_same_in_every_release() {
        assert_eq!(suffix(&["crm", "find"]), "bcdf82d7");
    }
}
