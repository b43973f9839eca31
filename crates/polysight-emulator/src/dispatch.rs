//! From a request to a reply: finds the vendor, takes the faults, records what came.

use std::sync::Arc;

use crate::chat::prepared_answer::PreparedAnswer;
use crate::control;
use crate::faults::{Fault, replacement};
use crate::http::{BodyLength, Head, Reply};
use crate::request_body::{self, RequestBody};
use crate::route::{self, Action, NoRoute, Route};
use crate::served_request::ServedRequest;
use crate::state::State;
use crate::state::record::RecordedRequest;
use crate::surface::Surface;
use crate::vendors::{dashscope, gateway, qianfan, zhipu};

/// Header in which a client may name faults.
const FAULT_HEADER: &str = "x-polysight-fault";

/// A request that is turned away by its head.
pub(crate) struct Declined {
    pub(crate) head: Head,
    pub(crate) reply: Reply,
}

/// Looks at the head alone.
pub(crate) fn accept(head: Head, state: &Arc<State>) -> Result<ServedRequest, Box<Declined>> {
    match by_head(&head, state) {
        Ok((route, faults, answer)) => Ok(ServedRequest::new(head, route, faults, answer, state)),
        Err(reply) => {
            record(&head, &[], state);
            Err(Box::new(Declined { head, reply }))
        }
    }
}

fn by_head(head: &Head, state: &State) -> Result<(Route, Vec<Fault>, Option<PreparedAnswer>), Reply> {
    let route = route::find(&head.method, &head.path).map_err(turn_away)?;
    if let BodyLength::Exact(length) = head.body
        && length > route.action.max_body()
    {
        return Err(Reply::too_large(length, route.action.max_body()));
    }
    if !route.action.is_chat() {
        return Ok((route, Vec::new(), None));
    }
    let answer = PreparedAnswer::of_headers(&head.headers)
        .map_err(|error| Reply::plain(400, &format!("{error}\n")))?;
    Ok((route, faults(head, state)?, answer))
}

fn turn_away(reason: NoRoute) -> Reply {
    match reason {
        NoRoute::UnknownPath => Reply::plain(404, "404 page not found\n"),
        NoRoute::OnlyFor(Some(Surface::Qianfan), method) => {
            qianfan::wrong_method().with_header("allow", method)
        }
        NoRoute::OnlyFor(_, method) => {
            Reply::plain(405, "405 method not allowed\n").with_header("allow", method)
        }
    }
}

/// The faults of the header, else the next of the script; and the delay between deltas that is set for all.
fn faults(head: &Head, state: &State) -> Result<Vec<Fault>, Reply> {
    let named: Result<Vec<Fault>, _> = head.headers.all(FAULT_HEADER).map(str::parse).collect();
    let mut faults = named.map_err(|error| Reply::plain(400, &format!("{FAULT_HEADER}: {error}\n")))?;
    if faults.is_empty() {
        faults = state.next_faults();
    }
    faults.extend(state.settings.delta_delay.map(Fault::DelayDeltas));
    Ok(faults)
}

/// Serves a request. Media are measured on a thread for blocking work, a few at a time.
pub(crate) async fn serve(served: &Arc<ServedRequest>, body: Vec<u8>) -> Reply {
    let Ok(_permit) = served.state.workers.acquire().await else {
        return Reply::plain(503, "shutting down\n");
    };
    let work = Arc::clone(served);
    let reply = tokio::task::spawn_blocking(move || {
        if work.route.action == Action::Answers {
            return control::answers(&work, &body);
        }
        let parsed = record(&work.head, &body, &work.state);
        drop(body);
        answer(&work, parsed)
    });
    reply.await.unwrap_or_else(|_| Reply::plain(500, "the emulator failed; please report it\n"))
}

fn answer(served: &ServedRequest, body: RequestBody) -> Reply {
    let mut reply = match served.route.surface {
        Some(Surface::Zhipu) => zhipu::answer(served, &body),
        Some(Surface::Gateway) => gateway::answer(served, &body),
        Some(Surface::DashScopeCompatible | Surface::DashScopeNative) => dashscope::answer(served, body),
        Some(Surface::Qianfan) => qianfan::answer(served, &body),
        Some(Surface::QianfanIam) => qianfan::iam::answer(served),
        None => Reply::plain(404, "404 page not found\n"),
    };
    replacement::damage(&mut reply, &served.faults);
    reply
}

/// Records a request, with as much of its body as there is.
pub(crate) fn record(head: &Head, body: &[u8], state: &State) -> RequestBody {
    let content_type = head.headers.get("content-type").unwrap_or_default();
    let body_bytes = body.len();
    let body = request_body::parse(content_type, body);
    state.record(RecordedRequest::new(head, body_bytes, &body));
    body
}
