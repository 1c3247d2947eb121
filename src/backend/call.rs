//! One call at a backend: sent once, bounded in time, settled once.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::{CancellationToken, ReusableBoxFuture};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::protocol::{Id, RawJson, frame, method};
use crate::resilience::{Permit, Place, Verdict};

use super::http::Aside;
use super::lease::Lease;
use super::refused::Refused;
use super::task::{AsTask, CANCEL, Next};
use super::tools::Limits;
use super::verdict::{self, Again};
use super::wire::{Outgoing, Reply, WireEvent};
use super::{Admission, Backend, Failure, FailureKind, Sent, TransportSettings, now};

/// Why a call ended that waited for its client.
const GAVE_WAY: &str = "the call gave way: it waited for its client's answer longer than others";

/// What happens during a call.
#[derive(Debug)]
pub enum CallEvent {
    /// Progress or a log message, as the backend sent it.
    Notification {
        /// `notifications/progress`, `notifications/message` or one this gateway does not know.
        method: String,
        /// As sent.
        params: Option<RawJson>,
    },
    /// The backend asks the client something before it can answer; see [`Call::respond`].
    Question {
        /// To be given back with the answer.
        id: Id,
        /// `elicitation/create`, `sampling/createMessage`, `roots/list` or one this gateway does not know.
        method: String,
        /// As sent.
        params: Option<RawJson>,
    },
    /// The backend runs the call as a task, which stands like this; see [`Admission::call_as_task`].
    Task(RawJson),
    /// The backend's answer: its `result` or its `error`. The call is over.
    Answer(Result<RawJson, RawJson>),
    /// There is no answer. The call is over.
    Failed(Failure),
}

/// A request on its way.
type Starting = ReusableBoxFuture<'static, Result<Reply, Failure>>;

/// A call in flight. Dropping it before it is over cancels it at the backend.
pub struct Call {
    pub(super) backend: Arc<Backend>,
    pub(super) lease: Lease,
    pub(super) outgoing: Outgoing,
    /// When it is sent, if not at once.
    not_before: Option<Instant>,
    reply: Option<Reply>,
    /// What is said about it beside its reply, where something can be.
    aside: Option<Aside>,
    /// It is being sent, and heard beside.
    starting: Option<Starting>,
    task: AsTask,
    /// Taken when the call is settled; dropped unsettled, it says nothing about the backend.
    permit: Option<Permit>,
    /// Given back early by a call that takes long, or that waits for its client: the backend has no work with it.
    place: Option<Place>,
    /// Counts it until it is over and, if it was given up, its backend was told.
    counted: TaskTrackerToken,
    limits: Limits,
    /// Whether another call was made before that this one repeats.
    pub(super) is_retry: bool,
    /// What its refusal calls for, if the server did not even read it.
    pub(super) refused: Option<Refused>,
    first_made: Instant,
    /// Moves with each progress notification, never past `last`.
    deadline: Instant,
    last: Instant,
}

impl Call {
    pub(super) fn new(admission: Admission, outgoing: Outgoing) -> Self {
        let Admission { backend, lease, place, permit, limits, first_made } = admission;
        let (now, counted) = (Instant::now(), backend.calls.token());
        let last = first_made.unwrap_or(now) + limits.total;
        Self {
            deadline: last.min(now + limits.call),
            last,
            limits,
            is_retry: first_made.is_some(),
            refused: None,
            first_made: first_made.unwrap_or(now),
            backend,
            lease,
            outgoing,
            not_before: None,
            reply: None,
            aside: None,
            starting: None,
            task: AsTask::No,
            permit: Some(permit),
            place: Some(place),
            counted,
        }
    }

    /// The next event. Must be awaited to its end, or the call dropped: the request is sent within.
    pub async fn next(&mut self) -> CallEvent {
        loop {
            let deadline = self.deadline;
            let stepped = match self.gives_way() {
                None => timeout_at(deadline, self.step()).await,
                // In a box: few calls wait for their clients.
                Some(gives_way) => {
                    match Box::pin(gives_way.run_until_cancelled(timeout_at(deadline, self.step()))).await {
                        Some(stepped) => stepped,
                        None => return self.fail(Failure::new(FailureKind::Busy, Sent::Maybe, GAVE_WAY)),
                    }
                }
            };
            if let Ok(event) = stepped {
                return self.take(event);
            }
            if !self.looks_again() {
                let failure = Failure::timeout(self.give_up(), self.limit());
                return self.fail(failure);
            }
        }
    }

    fn take(&mut self, event: WireEvent) -> CallEvent {
        match event {
            WireEvent::Notification { method, params } => {
                self.extend(&method);
                CallEvent::Notification { method, params }
            }
            WireEvent::Question { id, method, params } => {
                // A person may have to answer: only the hard limit holds while they think.
                self.deadline = self.last;
                CallEvent::Question { id, method, params: self.task.untied(params) }
            }
            WireEvent::Answer(Ok(result)) if !result.is_object() => {
                self.fail(Failure::malformed("the backend's result is no object"))
            }
            WireEvent::Answer(outcome) => self.answered(outcome),
            WireEvent::Failed(failure) => self.fail(failure),
        }
    }

    /// Asks how its task stands once more, where that tells whether it goes on.
    fn looks_again(&mut self) -> bool {
        let is_last = self.deadline >= self.last;
        let Some((method, params)) = self.task.look_again().filter(|_| !is_last) else { return false };
        self.reply = None;
        self.outgoing = Outgoing::new(self.backend.ids.next(), method, Some(params));
        self.not_before = None;
        self.extend(method::PROGRESS);
        true
    }

    fn answered(&mut self, outcome: Result<RawJson, RawJson>) -> CallEvent {
        match self.task.take(outcome) {
            Next::Over(outcome) => {
                self.lease.finish();
                self.backend.watched.freshness.called();
                self.examine(&outcome);
                self.settle(verdict::of_answer(&outcome));
                CallEvent::Answer(outcome)
            }
            Next::Gone(failure) => self.fail(failure),
            Next::Ask { standing, method, params, after } => {
                self.settle(Verdict::Success);
                // Whoever works says so: that is progress.
                self.extend(method::PROGRESS);
                self.outgoing = Outgoing::new(self.backend.ids.next(), method, Some(params));
                let after = after.min(self.limits.call / 2);
                self.not_before = Some(Instant::now() + after);
                CallEvent::Task(standing)
            }
            Next::Questions { standing } => {
                self.settle(Verdict::Success);
                CallEvent::Task(standing)
            }
        }
    }

    /// Lets the call take up to `limit` from now, and no place of another call meanwhile.
    pub fn outlive(&mut self, limit: Duration) {
        self.last = Instant::now() + limit;
        self.place = None;
    }

    /// Gives its place to another call, because it waits for its client. It may have to give way altogether.
    pub fn step_aside(&mut self) {
        self.place = None;
        self.lease.wait();
    }

    /// Cancelled when the call has to give way to others; none for one that never waited for its client.
    pub fn gives_way(&self) -> Option<CancellationToken> {
        self.lease.waiting().map(|waiting| waiting.gives_way().clone())
    }

    /// Whether it has taken as long as it may, whatever its client does.
    pub fn is_late(&self) -> bool {
        Instant::now() >= self.last
    }

    /// What is sent asks for a task, or allows one.
    pub(super) fn runs_as(&mut self, task: AsTask) {
        self.task = task;
    }

    /// Answers a question; the backend's deadline starts anew.
    pub fn respond(&mut self, id: &Id, outcome: &Result<RawJson, RawJson>) {
        if let Some(waiting) = self.lease.waiting() {
            waiting.works();
        }
        if let Some(reply) = &self.reply {
            reply.respond(id, &self.task.tied(outcome));
        } else if self.starting.is_some() {
            self.lease.connection().answer(frame::outcome(id, &self.task.tied(outcome)));
        } else if let Some((method, params)) = self.task.answer(id, outcome) {
            self.outgoing = Outgoing::new(self.backend.ids.next(), method, Some(params));
            self.not_before = None;
        }
        self.extend(method::PROGRESS);
    }

    /// Tells the backend something about a question of its own.
    pub fn tell(&self, name: &str, params: &RawJson) {
        self.lease.connection().tell(name, params);
    }

    /// Whether to make the call once more after it failed like this: nothing was written, or the operator says that
    /// it may run twice, and the budget has room. A yes takes from the budget.
    pub fn may_repeat(&self, failure: &Failure) -> bool {
        let may = match verdict::again(failure) {
            Again::Unsent => true,
            Again::MayHaveRun => self.limits.may_repeat,
            Again::Never => false,
        };
        may && !self.is_retry && self.backend.take_retry()
    }

    /// The replica at which it was made, if there are several.
    pub fn replica(&self) -> Option<&str> {
        self.backend.replica()
    }

    /// When it was first made, for the call that repeats it.
    pub fn first_made(&self) -> Instant {
        self.first_made
    }

    async fn step(&mut self) -> WireEvent {
        if let Some(reply) = &mut self.reply {
            return next_of(reply, &mut self.aside).await;
        }
        if self.starting.is_some() {
            return self.start_heard().await;
        }
        if let Some(event) = self.task.next_question() {
            return event;
        }
        if self.task.is_asking() {
            return std::future::pending().await;
        }
        if let Some(time) = self.not_before {
            sleep_until(time).await;
        }
        if self.aside.is_none() {
            self.aside = self.lease.connection().hear_beside(&self.outgoing);
        }
        if self.aside.is_some() {
            let connection = Arc::clone(self.lease.connection());
            // It is sent once: what was framed is needed no more, and may be large.
            let params = self.outgoing.params.take();
            let outgoing = Outgoing { params, ..self.outgoing.clone() };
            self.starting = Some(ReusableBoxFuture::new(async move { connection.start(&outgoing).await }));
            return self.start_heard().await;
        }
        match self.lease.connection().start(&self.outgoing).await {
            Ok(reply) => {
                self.outgoing.params = None;
                self.reply.insert(reply).next().await
            }
            Err(failure) => WireEvent::Failed(failure),
        }
    }

    /// Sends the request and hears what is said of it before its response has begun: some servers begin it with the
    /// answer. What was begun goes on where it was.
    async fn start_heard(&mut self) -> WireEvent {
        let (Some(starting), Some(aside)) = (&mut self.starting, &mut self.aside) else {
            return std::future::pending().await;
        };
        let started = tokio::select! {
            biased;
            event = aside.next() => return event,
            started = starting => started,
        };
        self.starting = None;
        match started {
            Ok(reply) => next_of(self.reply.insert(reply), &mut self.aside).await,
            Err(failure) => WireEvent::Failed(failure),
        }
    }

    /// The status of the answer, where there is one.
    pub(super) fn status(&self) -> Option<StatusCode> {
        match &self.reply {
            Some(Reply::Http(reply)) => Some(reply.status()),
            Some(Reply::Pipe(_)) | None => None,
        }
    }

    fn extend(&mut self, name: &str) {
        if name == method::PROGRESS {
            self.deadline = (Instant::now() + self.limits.call).min(self.last);
        }
    }

    fn fail(&mut self, failure: Failure) -> CallEvent {
        self.backend.watched.freshness.called();
        let could_not_connect = failure.kind == FailureKind::Unavailable
            && failure.sent == Sent::No
            && failure.http_status.is_none();
        if could_not_connect || self.is_of_a_dead_stream(&failure) {
            self.lease.connection().signals().lose(failure.message.clone());
        }
        self.settle(verdict::of_failure(&failure));
        CallEvent::Failed(failure)
    }

    /// A stream that carries all answers may be dead and not end; only a call that waits in vain tells. It is
    /// given up when even the probe of an open circuit had to, and nobody else waits for an answer on it.
    fn is_of_a_dead_stream(&self, failure: &Failure) -> bool {
        let transport = &self.backend.settings().transport;
        matches!(transport, TransportSettings::Sse { process: None, .. })
            && failure.kind == FailureKind::Timeout
            && self.permit.as_ref().is_some_and(Permit::is_probe)
            && self.backend.in_flight() <= usize::from(self.place.is_some())
    }

    fn settle(&mut self, verdict: Verdict) {
        if let Some(permit) = self.permit.take() {
            if let Some(peers) = &self.backend.peers {
                peers.judged(verdict, self.backend.name());
            }
            self.backend.breaker_moved(permit.settle(verdict, now()));
        }
        // Tells the backend that nobody waits any more, if it still works on the call.
        self.reply = None;
        self.starting = None;
    }

    fn give_up(&self) -> Sent {
        match &self.reply {
            Some(Reply::Pipe(reply)) => reply.give_up(),
            Some(Reply::Http(_)) | None => Sent::Maybe,
        }
    }

    /// The deadline that passed, as configured.
    fn limit(&self) -> Duration {
        if self.deadline >= self.last { self.limits.total } else { self.limits.call }
    }
}

/// What comes first of a reply and what is said beside it. Cancel-safe.
async fn next_of(reply: &mut Reply, aside: &mut Option<Aside>) -> WireEvent {
    let Some(aside) = aside else { return reply.next().await };
    tokio::select! {
        biased;
        event = aside.next() => event,
        event = reply.next() => event,
    }
}

impl Drop for Call {
    /// A task goes on without anybody waiting for it, unless it is told not to.
    fn drop(&mut self) {
        let Some(params) = self.task.abandon() else { return };
        self.reply = None;
        let connection = Arc::clone(self.lease.connection());
        let lease = std::mem::replace(&mut self.lease, Lease::shared(Arc::clone(&connection)));
        let (limit, counted) = (self.backend.settings().timeouts.connect, self.counted.clone());
        Arc::clone(&connection).signals().say(async move {
            let _ = connection.ask(CANCEL, params, limit).await;
            drop((lease, counted));
        });
    }
}
