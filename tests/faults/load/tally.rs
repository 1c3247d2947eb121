//! Counts and quantiles.

use std::time::Duration;

use super::{Sample, Verdict};

/// How many calls ended how.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) sent: usize,
    pub(crate) ok: usize,
    pub(crate) refused: usize,
    pub(crate) failed: usize,
    pub(crate) lost: usize,
    pub(crate) twice: usize,
    pub(crate) crossed: usize,
}

impl Tally {
    pub(crate) fn of<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Self {
        let mut tally = Self::default();
        for sample in samples {
            tally.add(sample.verdict);
        }
        tally
    }

    pub(crate) fn add(&mut self, verdict: Verdict) {
        self.sent += 1;
        *match verdict {
            Verdict::Ok => &mut self.ok,
            Verdict::Refused { .. } => &mut self.refused,
            Verdict::Failed => &mut self.failed,
            Verdict::Lost => &mut self.lost,
            Verdict::Twice => &mut self.twice,
            Verdict::Crossed => &mut self.crossed,
        } += 1;
    }

    /// Answered once, by the backend or with what went wrong.
    pub(crate) fn answered(&self) -> usize {
        self.ok + self.refused + self.failed
    }

    /// Whether every call was answered once, with its own answer.
    pub(crate) fn is_clean(&self) -> bool {
        self.answered() == self.sent
    }
}

/// The smallest value that a share of `q` does not exceed.
pub(crate) fn quantile(mut values: Vec<Duration>, q: f64) -> Option<Duration> {
    values.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let index = (values.len() as f64 * q).ceil() as usize;
    values.get(index.saturating_sub(1)).copied()
}

/// In milliseconds, for tables.
pub(crate) fn millis(duration: Option<Duration>) -> String {
    duration.map_or_else(|| "–".to_owned(), |duration| format!("{:.2}", duration.as_secs_f64() * 1e3))
}
