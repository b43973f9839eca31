//! The targets of a route or the keys of a pool, and the walk over them.

use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use polysight_core::{ChatRequest, Error, ErrorKind, Result, VisionProvider};

use super::breaker::{Breaker, BreakerState, Closed, Permit};
use super::breaker_policy::{BreakerPolicy, SKIPPED, Verdict};
use super::log::Log;
use super::order::{self, Order, Pace, Rank};
use super::{Target, TargetState};
use crate::Env;
use crate::reply::{Reply, Visit};
use crate::sync::lock;

/// What a failure means here.
pub(super) trait Rule: Send + Sync + Debug + 'static {
    /// Whether the next one is asked.
    fn moves_on(&self, error: &Error) -> bool;

    /// What it says of the one that failed.
    fn judge(&self, error: &Error) -> Verdict;

    /// Whether each is asked for its plan first, since they differ in what they take.
    fn plans(&self) -> bool;
}

/// How the walk goes.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    pub(super) order: Order,
    pub(super) breaker: Option<BreakerPolicy>,
    pub(super) half_life: Duration,
    pub(super) failure_pace: Duration,
}

#[derive(Debug)]
pub(super) struct Pool {
    members: Vec<Arc<Member>>,
    manner: Arc<Manner>,
    rule: Arc<dyn Rule>,
    env: Env,
    turn: AtomicUsize,
}

impl Pool {
    pub(super) fn new(
        targets: impl IntoIterator<Item = Target>,
        manner: Manner,
        rule: Arc<dyn Rule>,
    ) -> Self {
        let env = Env::default();
        let members =
            targets.into_iter().enumerate().map(|(place, target)| Member::new(place, target, &manner, &env));
        Self { members: members.collect(), manner: Arc::new(manner), rule, env, turn: AtomicUsize::new(0) }
    }

    pub(super) fn with_env(mut self, env: Env) -> Self {
        let anew =
            |member: &Arc<Member>| Member::new(member.place, member.target.clone(), &self.manner, &env);
        self.members = self.members.iter().map(anew).collect();
        Self { env, ..self }
    }

    pub(super) fn members(&self) -> &[Arc<Member>] {
        &self.members
    }

    pub(super) fn states(&self) -> Vec<TargetState> {
        self.members.iter().map(|member| member.state()).collect()
    }

    /// The members in the order in which they would be asked now. Only a real call draws and takes its turn.
    pub(super) fn ordered(
        &self,
        members: Vec<Arc<Member>>,
        request: &ChatRequest,
        real: bool,
    ) -> Vec<Arc<Member>> {
        match self.manner.order {
            Order::Given => members,
            Order::Weighted => order::by_weight(members, real.then(|| self.env.random.unit())),
            Order::Cheapest => order::by_cost(members, request),
            Order::Fastest => order::by_pace(members, self.env.now(), self.manner.half_life),
            Order::RoundRobin => self.in_turn(members, real),
            Order::LeastBusy => {
                let mut members = self.in_turn(members, real);
                members.sort_by_key(|member| member.busy());
                members
            }
        }
    }

    fn in_turn(&self, mut members: Vec<Arc<Member>>, real: bool) -> Vec<Arc<Member>> {
        let turn = self.turn.fetch_add(usize::from(real), Ordering::Relaxed);
        let shift = turn.checked_rem(members.len()).unwrap_or(0);
        members.rotate_left(shift);
        members
    }

    /// Asks one after the other until one answers.
    pub(super) async fn ask<R: Reply>(&self, request: ChatRequest, members: Vec<Arc<Member>>) -> Result<R> {
        let mut walk = Walk { pool: self, request: &request, log: Log::default(), skipped: Vec::new() };
        for member in self.ordered(members, &request, true) {
            let Some(permit) = walk.admitted(&member) else { continue };
            if let Some(reply) = walk.visit(member, permit).await? {
                return Ok(reply);
            }
        }
        if let Some(member) = walk.last_resort() {
            let permit = member.breaker.as_ref().map(Breaker::force);
            if let Some(reply) = walk.visit(member, permit).await? {
                return Ok(reply);
            }
        }
        Err(walk.log.into_error().unwrap_or_else(|| Error::new(ErrorKind::Config, "there is nobody to ask")))
    }
}

/// One request on its way over the members.
struct Walk<'a> {
    pool: &'a Pool,
    request: &'a ChatRequest,
    log: Log,
    skipped: Vec<(Duration, Arc<Member>)>,
}

impl Walk<'_> {
    /// Whether the member takes the request and its breaker lets it through; `Some(None)`: it has no breaker.
    fn admitted(&mut self, member: &Arc<Member>) -> Option<Option<Permit>> {
        if self.pool.rule.plans()
            && let Err(refusal) = member.provider().plan(self.request.clone())
        {
            self.log.refused(member.place, refusal);
            return None;
        }
        match member.breaker.as_ref().map(Breaker::enter).transpose() {
            Ok(permit) => Some(permit),
            Err(closed) => {
                self.log.skipped(member.place, member.skipped(closed));
                self.skipped.push((closed.left, Arc::clone(member)));
                None
            }
        }
    }

    /// Asks a member; `None` when the next one is to be asked.
    async fn visit<R: Reply>(&mut self, member: Arc<Member>, permit: Option<Permit>) -> Result<Option<R>> {
        let mut call = Call::new(self.pool, Arc::clone(&member), permit);
        let error = match R::ask(member.provider(), self.request.clone()).await {
            Ok(reply) => return Ok(Some(reply.kept(call, std::mem::take(&mut self.log).into_attempts()))),
            Err(error) => error,
        };
        call.failed(&error);
        if self.pool.rule.moves_on(&error) {
            self.log.failed(member.place, error, call.took());
            return Ok(None);
        }
        Err(error.with_earlier_attempts(std::mem::take(&mut self.log).into_attempts()))
    }

    /// When nobody was asked since all are left alone: the one that is left alone for the shortest time.
    fn last_resort(&mut self) -> Option<Arc<Member>> {
        if !self.log.nobody_asked() {
            return None;
        }
        let (_, member) = self.skipped.iter().min_by_key(|(left, _)| *left)?;
        self.log.unskip(member.place);
        Some(Arc::clone(member))
    }
}

/// A target with what is known of it.
#[derive(Debug)]
pub(super) struct Member {
    place: usize,
    target: Target,
    breaker: Option<Breaker>,
    busy: AtomicUsize,
    pace: Mutex<Pace>,
}

impl Member {
    fn new(place: usize, target: Target, manner: &Manner, env: &Env) -> Arc<Self> {
        let breaker = manner.breaker.clone().map(|policy| Breaker::new(policy, env.clone()));
        Arc::new(Self { place, target, breaker, busy: AtomicUsize::new(0), pace: Mutex::default() })
    }

    pub(super) fn provider(&self) -> &dyn VisionProvider {
        &*self.target.provider
    }

    /// Where it is listed.
    pub(super) fn place(&self) -> usize {
        self.place
    }

    pub(super) fn weight(&self) -> f64 {
        self.target.weight
    }

    pub(super) fn busy(&self) -> usize {
        self.busy.load(Ordering::Relaxed)
    }

    pub(super) fn rank(&self, now: Instant, half_life: Duration) -> Rank {
        match (self.pace().score(now, half_life), self.busy()) {
            (Some(seconds), _) => Rank::Seen(seconds),
            (None, 0) => Rank::Unseen,
            (None, busy) => Rank::Awaited(busy),
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        lock(&self.pace)
    }

    fn state(&self) -> TargetState {
        TargetState {
            name: self.target.name.clone(),
            breaker: self.breaker.as_ref().map_or(BreakerState::Closed, Breaker::state),
            in_flight: self.busy(),
            typical: self.pace().typical().map(Duration::from_secs_f64),
        }
    }

    /// The note of having been skipped, under the kind of what opened the breaker.
    fn skipped(&self, closed: Closed) -> Error {
        let message = match closed.left {
            Duration::ZERO => "skipped while another call tries whether it is well again".to_owned(),
            left => format!("skipped after earlier failures for another {left:.1?}"),
        };
        Error::new(closed.cause, message).with_code(SKIPPED).with_provider(&self.target.name)
    }
}

/// A call to a member: it counts as busy until the answer has ended or was dropped.
#[derive(Debug)]
struct Call {
    member: Arc<Member>,
    rule: Arc<dyn Rule>,
    manner: Arc<Manner>,
    env: Env,
    permit: Option<Permit>,
    _busy: Busy,
    started: Instant,
}

impl Call {
    fn new(pool: &Pool, member: Arc<Member>, permit: Option<Permit>) -> Self {
        let started = pool.env.now();
        member.pace().asked(started);
        Self {
            _busy: Busy::new(&member),
            member,
            rule: Arc::clone(&pool.rule),
            manner: Arc::clone(&pool.manner),
            env: pool.env.clone(),
            permit,
            started,
        }
    }

    fn took(&self) -> Duration {
        self.env.now().saturating_duration_since(self.started)
    }

    fn heard(&self, took: Duration) {
        self.member.pace().heard(took, self.env.now(), self.manner.half_life);
    }
}

impl Visit for Call {
    fn began(&mut self) {
        self.heard(self.took());
        if let Some(permit) = &mut self.permit {
            permit.began();
        }
    }

    fn ended(&mut self) {
        if let Some(permit) = self.permit.take() {
            permit.succeeded();
        }
    }

    fn failed(&mut self, error: &Error) {
        let verdict = self.rule.judge(error);
        if verdict != Verdict::Blameless || self.rule.moves_on(error) {
            self.heard(self.took().max(self.manner.failure_pace));
        }
        if let Some(permit) = self.permit.take() {
            permit.failed(verdict, error.kind());
        }
    }
}

#[derive(Debug)]
struct Busy(Arc<Member>);

impl Busy {
    fn new(member: &Arc<Member>) -> Self {
        member.busy.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(member))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}
