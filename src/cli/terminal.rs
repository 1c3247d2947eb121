//! How wide is the terminal, and how does a text fit into it?

use std::io::{self, IsTerminal};

/// Columns of standard output's terminal; `None` if it is not one.
pub(super) fn width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let asked = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let is_wide = |columns: &usize| *columns > 0;
    asked.filter(is_wide).or_else(own_width).filter(is_wide)
}

#[cfg(unix)]
fn own_width() -> Option<usize> {
    rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col))
}

#[cfg(not(unix))]
fn own_width() -> Option<usize> {
    None
}

/// `text` cut at the last word that fits into `width` characters, `…` behind it.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let fits: String = text.chars().take(width.saturating_sub(1)).collect();
    let is_whole = text.chars().nth(fits.chars().count()).is_some_and(char::is_whitespace);
    let words = match fits.rfind(char::is_whitespace) {
        Some(at) if !is_whole => &fits[..at],
        _ => &fits,
    };
    format!("{}…", words.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_words() {
        assert_eq!(cut("find one customer", 17), "find one customer");
        assert_eq!(cut("find one customer", 16), "find one…");
        assert_eq!(cut("find one customer", 9), "find one…");
        assert_eq!(cut("find one customer", 8), "find…");
        assert_eq!(cut("customer", 4), "cus…");
        assert_eq!(cut("äöü äöü", 5), "äöü…");
    }
}
