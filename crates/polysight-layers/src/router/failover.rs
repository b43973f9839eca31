//! The targets of a router or the keys of a pool, and a call's way from one to the next.

use std::fmt::{self, Debug};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use polysight_core::{
    Attempt, AttemptLog, CallEvent, Error, ErrorKind, Plan, ResponseMeta, Result, VisionProvider,
};
use tokio::time::Instant;

use super::breaker::{BREAKER_OPEN, Breaker, BreakerPolicy, BreakerState, Permit, Rejected, Signal};
use super::policy::{Strategy, by_weight};
use super::{Target, TargetState};
use crate::call::{CallObserver, Reply, attempts_of, begin, named};
use crate::lock;

/// What a failure means here.
pub(super) trait FailurePolicy: Send + Sync + Debug + 'static {
    /// Whether the next target is tried.
    fn should_failover(&self, error: &Error) -> bool;

    /// What the failure says of the target that gave it.
    fn signal(&self, error: &Error) -> Signal;
}

pub(super) struct Targets {
    members: Vec<Arc<Member>>,
    policy: Arc<dyn FailurePolicy>,
    turn: AtomicUsize,
    random: Mutex<fastrand::Rng>,
}

impl Debug for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.members.iter().map(|member| member.provider())).finish()
    }
}

impl Targets {
    pub(super) fn new(
        targets: impl IntoIterator<Item = Target>,
        breaker: Option<&BreakerPolicy>,
        policy: Arc<dyn FailurePolicy>,
    ) -> Self {
        let member = |target| {
            let breaker = breaker.cloned().map(Breaker::new);
            Arc::new(Member { target, breaker, in_flight: AtomicUsize::new(0) })
        };
        let members = targets.into_iter().map(member).collect();
        Self { members, policy, turn: AtomicUsize::new(0), random: Mutex::new(fastrand::Rng::new()) }
    }

    pub(super) fn seed(&mut self, seed: u64) {
        self.random = Mutex::new(fastrand::Rng::with_seed(seed));
    }

    pub(super) fn members(&self) -> &[Arc<Member>] {
        &self.members
    }

    pub(super) fn states(&self) -> Vec<TargetState> {
        self.members.iter().map(|member| member.state()).collect()
    }

    /// These places in the order in which they are tried. It draws and takes its turn.
    pub(super) fn order(&self, strategy: Strategy, places: Vec<usize>) -> Vec<usize> {
        match strategy {
            // What is cheapest is only known from the plans.
            Strategy::Priority | Strategy::Cheapest => places,
            Strategy::Weighted => {
                let weighted =
                    places.into_iter().map(|place| (self.of(place, Member::weight), place)).collect();
                by_weight(weighted, lock(&self.random).f64())
            }
            Strategy::RoundRobin => self.in_turn(places),
            Strategy::LeastConnections => {
                let mut places = self.in_turn(places);
                places.sort_by_cached_key(|place| self.of(*place, Member::in_flight));
                places
            }
        }
    }

    fn in_turn(&self, mut places: Vec<usize>) -> Vec<usize> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let shift = turn.checked_rem(places.len()).unwrap_or(0);
        places.rotate_left(shift);
        places
    }

    fn of<T: Default>(&self, place: usize, fact: impl FnOnce(&Member) -> T) -> T {
        self.members.get(place).map(|member| fact(member)).unwrap_or_default()
    }

    /// Tries one target after the other until one answers. `earlier` are those that were passed over before.
    pub(super) async fn call<R: Reply>(
        &self,
        order: impl IntoIterator<Item = usize, IntoIter: Send>,
        earlier: Vec<Attempt>,
        log: Option<AttemptLog>,
        mut plan_for: impl FnMut(usize, &dyn VisionProvider) -> Result<Plan> + Send,
    ) -> Result<R> {
        let log_start = log.as_ref().map_or(0, AttemptLog::len);
        let mut failover = Failover { targets: self, notes: Notes::new(earlier), log, log_start };
        let mut rejected: Vec<(Duration, usize)> = Vec::new();
        for place in order {
            let Some(member) = self.members.get(place) else { continue };
            let permit = match member.try_acquire() {
                Ok(permit) => permit,
                Err(rejection) => {
                    rejected.push((rejection.left, place));
                    failover.notes.skipped(place, member.skipped(rejection));
                    continue;
                }
            };
            let plan = plan_for(place, member.provider());
            if let Some(reply) = failover.attempt(place, member, permit, plan).await? {
                return Ok(reply);
            }
        }
        // Where no target was tried since all are skipped, the one whose time is up first is tried all the same.
        let last_resort = rejected.into_iter().min().filter(|_| failover.notes.none_tried());
        if let Some((place, member)) =
            last_resort.and_then(|(_, place)| Some((place, self.members.get(place)?)))
        {
            failover.notes.unskip(place);
            let permit = member.breaker.as_ref().map(Breaker::force);
            let plan = plan_for(place, member.provider());
            if let Some(reply) = failover.attempt(place, member, permit, plan).await? {
                return Ok(reply);
            }
        }
        Err(failover.notes.into_error())
    }
}

/// One call on its way over the targets.
struct Failover<'a> {
    targets: &'a Targets,
    notes: Notes,
    log: Option<AttemptLog>,
    log_start: usize,
}

impl Failover<'_> {
    /// Sends a plan to its target; `None` when the next target is to be tried.
    async fn attempt<R: Reply>(
        &mut self,
        place: usize,
        member: &Arc<Member>,
        permit: Option<Permit>,
        plan: Result<Plan>,
    ) -> Result<Option<R>> {
        let plan = match plan {
            Ok(plan) => plan.with_attempt_log(self.log.clone()),
            Err(refusal) => {
                self.notes.refused(place, named(refusal, member.provider()));
                return Ok(None);
            }
        };
        self.write_log();
        let observers = plan.request.observers.clone();
        let mut call = TargetCall::new(Arc::clone(member), Arc::clone(&self.targets.policy), permit);
        let error = match begin::<R>(member.provider(), plan).await {
            Ok(reply) => {
                call.began();
                call.earlier = std::mem::take(&mut self.notes).into_attempts();
                return Ok(Some(reply.observed(call)));
            }
            Err(error) => error,
        };
        let duration = call.started.elapsed();
        let error = call.on_error(error);
        if !self.targets.policy.should_failover(&error) {
            return Err(error.with_earlier_attempts(std::mem::take(&mut self.notes).into_attempts()));
        }
        if !observers.is_empty() {
            let attempt = &Attempt::of(&error, duration);
            observers.emit(&CallEvent::AttemptFailed { attempt, next_in: Duration::ZERO });
        }
        self.notes.failed(place, error, duration);
        self.write_log();
        Ok(None)
    }

    fn write_log(&self) {
        if let Some(log) = &self.log {
            log.replace_from(self.log_start, self.notes.clone().into_attempts());
        }
    }
}

/// The targets that gave no answer to one call, in the order in which they were come to.
#[derive(Debug, Clone, Default)]
pub(super) struct Notes {
    earlier: Vec<Attempt>,
    notes: Vec<Note>,
}

#[derive(Debug, Clone)]
struct Note {
    place: usize,
    outcome: Outcome,
    error: Error,
    duration: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Refused,
    Skipped,
    Failed,
}

impl Notes {
    pub(super) fn new(earlier: Vec<Attempt>) -> Self {
        Self { earlier, notes: Vec::new() }
    }

    /// The target's plan refuses the request.
    pub(super) fn refused(&mut self, place: usize, error: Error) {
        self.notes.push(Note { place, outcome: Outcome::Refused, error, duration: Duration::ZERO });
    }

    /// The target was not tried since its breaker is open.
    pub(super) fn skipped(&mut self, place: usize, error: Error) {
        self.notes.push(Note { place, outcome: Outcome::Skipped, error, duration: Duration::ZERO });
    }

    fn failed(&mut self, place: usize, error: Error, duration: Duration) {
        self.notes.push(Note { place, outcome: Outcome::Failed, error, duration });
    }

    fn none_tried(&self) -> bool {
        self.notes.iter().all(|note| note.outcome != Outcome::Failed)
    }

    /// Takes back that a target was skipped.
    pub(super) fn unskip(&mut self, place: usize) {
        self.notes.retain(|note| note.place != place);
    }

    pub(super) fn into_attempts(mut self) -> Vec<Attempt> {
        self.earlier.extend(self.notes.into_iter().flat_map(|note| attempts_of(note.error, note.duration)));
        self.earlier
    }

    /// The last real failure, or the refusal of the target that is listed first if none was tried; the others are attempts
    /// before it.
    pub(super) fn into_error(mut self) -> Error {
        let index = match self.notes.iter().rposition(|note| note.outcome == Outcome::Failed) {
            Some(last) => last,
            None => {
                self.notes.sort_by_key(|note| (note.outcome != Outcome::Refused, note.place));
                0
            }
        };
        if index >= self.notes.len() {
            return Error::new(ErrorKind::Config, "there is no target to try");
        }
        let note = self.notes.remove(index);
        note.error.with_earlier_attempts(self.into_attempts())
    }
}

/// A target with what is known of it.
#[derive(Debug)]
pub(super) struct Member {
    target: Target,
    breaker: Option<Breaker>,
    in_flight: AtomicUsize,
}

impl Member {
    pub(super) fn provider(&self) -> &dyn VisionProvider {
        &*self.target.provider
    }

    fn weight(&self) -> f64 {
        self.target.weight
    }

    fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    fn state(&self) -> TargetState {
        TargetState {
            name: Arc::clone(&self.target.name),
            breaker: self.breaker.as_ref().map_or(BreakerState::Closed, Breaker::state),
            in_flight: self.in_flight(),
        }
    }

    /// Fails if the breaker would reject a call now.
    pub(super) fn would_admit(&self) -> Result<(), Rejected> {
        self.breaker.as_ref().map_or(Ok(()), Breaker::would_admit)
    }

    fn try_acquire(&self) -> Result<Option<Permit>, Rejected> {
        self.breaker.as_ref().map(Breaker::try_acquire).transpose()
    }

    /// The note of having been skipped, under the kind of what opened the breaker.
    pub(super) fn skipped(&self, rejected: Rejected) -> Error {
        let message = match rejected.left {
            Duration::ZERO => "skipped while another call tests whether it works again".to_owned(),
            left => format!("skipped after earlier failures for another {left:.1?}"),
        };
        Error::new(rejected.cause, message)
            .with_code(BREAKER_OPEN)
            .with_local()
            .with_provider(&*self.target.name)
    }
}

/// A call to a target: it counts as in flight until the answer has ended or was dropped.
#[derive(Debug)]
struct TargetCall {
    member: Arc<Member>,
    policy: Arc<dyn FailurePolicy>,
    permit: Option<Permit>,
    started: Instant,
    earlier: Vec<Attempt>,
}

impl TargetCall {
    fn new(member: Arc<Member>, policy: Arc<dyn FailurePolicy>, permit: Option<Permit>) -> Self {
        member.in_flight.fetch_add(1, Ordering::Relaxed);
        Self { member, policy, permit, started: Instant::now(), earlier: Vec::new() }
    }

    fn began(&mut self) {
        if let Some(permit) = &mut self.permit {
            permit.began();
        }
    }
}

impl CallObserver for TargetCall {
    fn on_end(&mut self, meta: &mut ResponseMeta) {
        if let Some(permit) = self.permit.take() {
            permit.succeeded();
        }
        meta.attempts.splice(..0, std::mem::take(&mut self.earlier));
    }

    fn on_error(&mut self, error: Error) -> Error {
        if let Some(permit) = self.permit.take() {
            permit.failed(self.policy.signal(&error), error.kind());
        }
        error.with_earlier_attempts(std::mem::take(&mut self.earlier))
    }
}

impl Drop for TargetCall {
    fn drop(&mut self) {
        self.member.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
