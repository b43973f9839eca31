//! A chat request, or another, while it is being served.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use crate::chat::completion::{Completion, Stamp, complete};
use crate::chat::prepared_answer::PreparedAnswer;
use crate::chat::request::ChatRequest;
use crate::faults::{Fault, argument_of, completion};
use crate::http::Head;
use crate::models::Quota;
use crate::route::Route;
use crate::state::concurrency::InFlight;
use crate::state::quota::{Admission, Exceeded, Left};
use crate::state::{State, lock};
use crate::surface::Surface;

/// A request that will be served.
pub(crate) struct ServedRequest {
    pub(crate) head: Head,
    pub(crate) route: Route,
    pub(crate) faults: Vec<Fault>,
    /// The answer that its own headers give.
    answer: Option<PreparedAnswer>,
    /// Counted among the requests in flight, until the answer's last bytes go out.
    in_flight: Mutex<Option<InFlight>>,
    over_limit: bool,
    /// Counted under the quota of its model, once it is known.
    admission: OnceLock<Admission>,
    pub(crate) state: Arc<State>,
}

impl ServedRequest {
    /// Counts a chat request among those in flight.
    pub(crate) fn new(
        head: Head,
        route: Route,
        faults: Vec<Fault>,
        answer: Option<PreparedAnswer>,
        state: &Arc<State>,
    ) -> Self {
        let in_flight = route.action.is_chat().then(|| {
            let faulty = faults.iter().any(|fault| !matches!(fault, Fault::DelayDeltas(_)));
            state.concurrency.arrive(&state.settings.allowed, faulty, Instant::now())
        });
        Self {
            head,
            route,
            faults,
            answer,
            over_limit: in_flight.as_ref().is_some_and(|request| request.over_limit),
            in_flight: Mutex::new(in_flight),
            admission: OnceLock::new(),
            state: Arc::clone(state),
        }
    }

    /// Lets the request in under the quota of its model, if quotas are in force.
    pub(crate) fn admit(
        &self,
        account: &str,
        model: &str,
        quota: Quota,
        prompt: u64,
    ) -> Result<Option<Left>, Exceeded> {
        if !self.state.settings.quotas {
            return Ok(None);
        }
        let name = format!("{} {model} {account}", self.route.surface.map_or("", Surface::name));
        let (admission, left) = self.state.quota_usage.admit(&name, quota, prompt, Instant::now())?;
        let _ = self.admission.set(admission);
        Ok(Some(left))
    }

    /// Answers a request that passed all checks: as its headers say, as the next of the queue says, or with the facts of
    /// what arrived. Charges the tokens to the quota.
    pub(crate) fn complete(&self, request: &ChatRequest<'_>, stamp: Stamp) -> Completion {
        let answer = self.answer.clone().or_else(|| self.state.answers.take());
        let broken = argument_of!(&self.faults, BrokenJson);
        let completion = complete(request, answer, broken, stamp);
        let usage = completion.usage;
        self.state.concurrency.answer(usage.prompt.total(), usage.completion);
        if let Some(admission) = self.admission.get() {
            admission.charge(completion.usage.completion);
        }
        completion
    }

    /// Changes a completion as the faults say.
    pub(crate) fn damage(&self, completion: &mut Completion) {
        completion::of_completion(completion, &self.faults);
    }

    pub(crate) fn has(&self, fault: &Fault) -> bool {
        self.faults.contains(fault)
    }

    /// A header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)
    }

    /// A field of the query.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        self.head.query_field(name)
    }

    /// Whether more requests are in flight, or came within the window, than are allowed.
    pub(crate) fn is_over_limit(&self) -> bool {
        self.over_limit
    }

    /// Leaves the requests in flight. A client that has read the end of its answer may ask again at once, so this comes
    /// before the last bytes are written.
    pub(crate) fn leave(&self) {
        drop(lock(&self.in_flight).take());
    }
}
