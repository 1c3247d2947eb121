//! What do the answers to `server/discover` and to `initialize` show together, whichever comes first?

use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;

use super::Failure;
use super::era_probe::Probe;
use super::handshake::{Agreement, Rejection};

/// Longest wait for the `ping` that shows whether a late answer to `server/discover` comes.
const CONFIRM_LIMIT: Duration = Duration::from_secs(1);

/// What the two questions showed together.
pub(super) enum Settled {
    Modern(Agreement),
    Legacy(Agreement),
    /// It agreed to both. A server on a pipe may hold to what it agreed to last.
    Both {
        modern: Agreement,
        legacy: Agreement,
    },
    Again,
    /// It refused both.
    Refused {
        probe: Probe,
        rejection: Rejection,
    },
}

/// Asks both questions, `initialize` when the probe is answered or has had its head start. A server that is asked both
/// reads the probe first. So one that answers `initialize` first is sent a `ping`: the answer to the probe comes before
/// the answer to that, or it does not come.
pub(super) async fn settle(
    probe: impl Future<Output = Result<Probe, Failure>>,
    (head_start, limit): (Duration, Duration),
    initialize: impl Future<Output = Result<Agreement, Rejection>>,
    ping: impl Future<Output = ()>,
) -> Result<Settled, Failure> {
    let mut probe = pin!(probe);
    let mut initialize = pin!(initialize);
    if let Ok(judged) = timeout(head_start, &mut probe).await {
        return conclude(judged?, initialize).await;
    }
    let agreed = tokio::select! {
        biased;
        judged = &mut probe => return match judged? {
            Probe::Modern(modern) => Ok(match timeout(CONFIRM_LIMIT, initialize).await {
                Ok(Ok(legacy)) => Settled::Both { modern, legacy },
                _ => Settled::Modern(modern),
            }),
            probe => conclude(probe, initialize).await,
        },
        agreed = &mut initialize => agreed,
    };
    match agreed {
        Ok(legacy) => tokio::select! {
            biased;
            judged = &mut probe => Ok(match judged {
                Ok(Probe::Modern(modern)) => Settled::Both { modern, legacy },
                _ => Settled::Legacy(legacy),
            }),
            _ = timeout(CONFIRM_LIMIT, ping) => Ok(Settled::Legacy(legacy)),
        },
        Err(rejection) if rejection.speaks_modern => Ok(Settled::Again),
        Err(rejection) => Ok(match timeout(limit, probe).await.unwrap_or(Ok(Probe::Legacy(None)))? {
            Probe::Modern(agreement) => Settled::Modern(agreement),
            Probe::Again => Settled::Again,
            probe => Settled::Refused { probe, rejection },
        }),
    }
}

async fn conclude(
    probe: Probe,
    initialize: impl Future<Output = Result<Agreement, Rejection>>,
) -> Result<Settled, Failure> {
    match probe {
        Probe::Modern(agreement) => Ok(Settled::Modern(agreement)),
        Probe::Again => Ok(Settled::Again),
        probe => Ok(match initialize.await {
            Ok(agreement) => Settled::Legacy(agreement),
            Err(rejection) if rejection.speaks_modern => Settled::Again,
            Err(rejection) => Settled::Refused { probe, rejection },
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Revision;

    fn modern() -> Result<Probe, Failure> {
        Ok(Probe::Modern(Agreement::assumed()))
    }

    fn legacy() -> Result<Agreement, Rejection> {
        Ok(Agreement { revision: Revision::LATEST_LEGACY, ..Agreement::assumed() })
    }

    /// A server that takes its time, in seconds, to answer the probe, `initialize` and `ping`.
    async fn settled(
        (probe, judged): (u64, Result<Probe, Failure>),
        (initialize, agreed): (u64, Result<Agreement, Rejection>),
        ping: u64,
    ) -> &'static str {
        let after = |seconds| tokio::time::sleep(Duration::from_secs(seconds));
        let probe = async {
            after(probe).await;
            judged
        };
        let initialize = async {
            after(initialize).await;
            agreed
        };
        let patience = (Duration::from_millis(400), Duration::from_secs(100));
        match settle(probe, patience, initialize, async { after(ping).await }).await {
            Ok(Settled::Modern(_)) => "modern",
            Ok(Settled::Legacy(_)) => "legacy",
            Ok(Settled::Both { .. }) => "both",
            Ok(Settled::Again) => "again",
            Ok(Settled::Refused { .. }) => "refused",
            Err(_) => "failed",
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_server_answers_decides_and_not_when() {
        const NEVER: u64 = 1 << 20;
        let no = || Err(Rejection::from(Failure::unavailable("no")));
        assert_eq!(settled((0, modern()), (0, legacy()), 0).await, "modern");
        assert_eq!(settled((0, modern()), (1, legacy()), 0).await, "modern", "it is never asked the other");
        assert_eq!(settled((5, modern()), (5, legacy()), 1).await, "both", "slow, and of both eras");
        assert_eq!(settled((5, modern()), (NEVER, legacy()), 1).await, "modern", "ignores `initialize`");
        assert_eq!(settled((60, modern()), (5, no()), 0).await, "modern", "slow, and modern only");
        assert_eq!(settled((NEVER, modern()), (5, legacy()), 0).await, "legacy", "ignores the probe");
        assert_eq!(settled((NEVER, modern()), (5, legacy()), NEVER).await, "legacy", "and ping");
        assert_eq!(settled((0, Ok(Probe::Legacy(None))), (5, legacy()), 0).await, "legacy");
        assert_eq!(settled((5, Ok(Probe::Legacy(None))), (9, legacy()), 0).await, "legacy");
        assert_eq!(settled((0, Ok(Probe::Legacy(None))), (0, no()), 0).await, "refused");
        let speaks_modern = || Err(Rejection { failure: Failure::unavailable("no"), speaks_modern: true });
        assert_eq!(settled((NEVER, modern()), (5, no()), 0).await, "refused", "and says why");
        assert_eq!(settled((NEVER, modern()), (5, speaks_modern()), 0).await, "again");
        let down = || Err(Failure::unavailable("refused"));
        assert_eq!(settled((0, down()), (0, legacy()), 0).await, "failed");
    }
}
