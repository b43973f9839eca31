//! From a request to a reply: finds the vendor, takes the faults, records what came.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use crate::emulator::Surface;
use crate::faults::{Fault, replies};
use crate::intake::{Intake, take_in, take_in_form};
use crate::load::Seat;
use crate::models::Quota;
use crate::quota::{Exceeded, Left, Place};
use crate::record::RecordedRequest;
use crate::route::{self, NoRoute, Route};
use crate::server::{Head, Reply};
use crate::state::State;
use crate::{dashscope, gateway, qianfan, zhipu};

/// Header in which a client may name faults.
const FAULT_HEADER: &str = "x-polysight-fault";

/// A request that will be served.
pub(crate) struct Order {
    pub(crate) head: Head,
    pub(crate) route: Route,
    pub(crate) faults: Vec<Fault>,
    /// The place among the requests in flight, until the answer's last bytes go out.
    seat: Mutex<Option<Seat>>,
    crowded: bool,
    /// The place under the quota of its model, once it has one.
    place: OnceLock<Place>,
    pub(crate) state: Arc<State>,
}

impl Order {
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
        let name = format!("{} {model} {account}", self.route.surface.name());
        let (place, left) = self.state.meters.admit(&name, quota, prompt, Instant::now())?;
        let _ = self.place.set(place);
        Ok(Some(left))
    }

    /// Charges the tokens of the answer.
    pub(crate) fn charge(&self, tokens: u64) {
        if let Some(place) = self.place.get() {
            place.charge(tokens);
        }
    }

    pub(crate) fn has(&self, fault: &Fault) -> bool {
        self.faults.contains(fault)
    }

    /// Whether more requests are in flight, or came within the window, than are allowed.
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded
    }

    /// Leaves the requests in flight. A client that has read the end of its answer may ask again at once, so this comes
    /// before the last bytes are written.
    pub(crate) fn leave(&self) {
        drop(self.seat.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// A request that is turned away by its head.
pub(crate) struct Declined {
    pub(crate) head: Head,
    pub(crate) reply: Reply,
}

/// Looks at the head alone.
pub(crate) fn order(head: Head, state: &Arc<State>) -> Result<Order, Box<Declined>> {
    let outcome = route::find(&head.method, &head.path)
        .map_err(turn_away)
        .and_then(|route| faults(&head, &route, state).map(|faults| (route, faults)));
    match outcome {
        Ok((route, faults)) => {
            let seat = route.action.is_chat().then(|| {
                let faulty = faults.iter().any(|fault| !matches!(fault, Fault::Pace(_)));
                state.gauge.arrive(&state.settings.allowed, faulty, Instant::now())
            });
            let crowded = seat.as_ref().is_some_and(|seat| seat.crowded);
            let (seat, place, state) = (Mutex::new(seat), OnceLock::new(), Arc::clone(state));
            Ok(Order { head, route, faults, seat, crowded, place, state })
        }
        Err(reply) => {
            note(&head, &[], state);
            Err(Box::new(Declined { head, reply }))
        }
    }
}

fn turn_away(reason: NoRoute) -> Reply {
    match reason {
        NoRoute::UnknownPath => Reply::plain(404, "404 page not found\n"),
        NoRoute::OnlyFor(Surface::Qianfan, method) => qianfan::wrong_method().with_header("allow", method),
        NoRoute::OnlyFor(_, method) => {
            Reply::plain(405, "405 method not allowed\n").with_header("allow", method)
        }
    }
}

/// The faults of the header, else the next of the script; and the pace that is set for all.
fn faults(head: &Head, route: &Route, state: &State) -> Result<Vec<Fault>, Reply> {
    if !route.action.is_chat() {
        return Ok(Vec::new());
    }
    let named: Result<Vec<Fault>, _> = head.headers.all(FAULT_HEADER).map(str::parse).collect();
    let mut faults = named.map_err(|error| Reply::plain(400, &format!("{FAULT_HEADER}: {error}\n")))?;
    if faults.is_empty() {
        faults = state.next_faults();
    }
    faults.extend(state.settings.pace.map(Fault::Pace));
    Ok(faults)
}

/// Serves a request. Media are measured on a thread for blocking work, a few at a time.
pub(crate) async fn serve(order: &Arc<Order>, body: Vec<u8>) -> Reply {
    let order = Arc::clone(order);
    let Ok(_permit) = order.state.workers.acquire().await else {
        return Reply::plain(503, "shutting down\n");
    };
    let work = Arc::clone(&order);
    let reply = tokio::task::spawn_blocking(move || {
        let intake = note(&work.head, &body, &work.state);
        drop(body);
        answer(&work, intake)
    });
    reply.await.unwrap_or_else(|_| Reply::plain(500, "the emulator failed; please report it\n"))
}

fn answer(order: &Order, intake: Intake) -> Reply {
    let mut reply = match order.route.surface {
        Surface::Zhipu => zhipu::answer(order, &intake),
        Surface::Gateway => gateway::answer(order, &intake),
        Surface::DashScopeCompatible | Surface::DashScopeNative => dashscope::answer(order, intake),
        Surface::Qianfan => qianfan::answer(order, &intake),
        Surface::QianfanIam => qianfan::iam::answer(order),
    };
    replies::damage(&mut reply, &order.faults);
    reply
}

/// Records a request, with as much of its body as there is.
pub(crate) fn note(head: &Head, body: &[u8], state: &State) -> Intake {
    let content_type = head.headers.get("content-type").unwrap_or_default();
    let form = content_type.trim_start().to_ascii_lowercase().starts_with("multipart/");
    let intake = if form { take_in_form(content_type, body) } else { take_in(body) };
    state.record(RecordedRequest::new(head, body.len(), &intake));
    intake
}
