//! What goes wrong around a reply: connections that are not made, break, or fall silent.

use std::time::Duration;

use ErrorKind::{Network, Protocol};
use polysight::ErrorKind;
use polysight_emulator::Fault;
use polysight_testkit::Step;

use super::{
    CONNECT, EVENTS, FAIR, FIRST_BYTE, IDLE, JSON, SHORT, TOTAL, kept_plain, kept_stream, server, write,
};
use crate::table::row::{
    Advice, Ask, Cause, Row, Text, answer, broken_off, fault, faults, lost, refused, row, unsent,
};
use crate::table::target::Target;

const TICK: Duration = Duration::from_millis(20);

/// A fatal alert, `handshake_failure`.
const TLS_ALERT: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 40];

pub(super) fn broken(target: &Target) -> Vec<Row> {
    let not_reached = || unsent(Network, Advice::Later);
    let lost = || lost(Network, Advice::Later);
    let second = |name, steps: [Step; 1]| {
        let after = |first: Vec<u8>| {
            [&[Step::ReadRequest, Step::Send(first), Step::ReadRequest], &steps[..]].concat()
        };
        let (plain, streamed) = (after(kept_plain(target)), after(kept_stream(target)));
        row(name, Cause::SecondRequest { plain, streamed }).both(lost())
    };
    let kept = |first: Vec<u8>| vec![Step::ReadRequest, Step::Send(first)];
    let (plain, streamed) = (kept(kept_plain(target)), kept(kept_stream(target)));
    vec![
        row("refused connection", Cause::Refused).both(not_reached()),
        // Without a name server, a lookup takes until the limit.
        row("no such host", Cause::NoSuchHost)
            .within(|limits| limits.connect = SHORT)
            .both(not_reached().or(CONNECT)),
        row("no TLS on the other side", Cause::NoTls(vec![Step::Send(b"HTTP/1.1 400 Bad\r\n\r\n".to_vec())]))
            .both(not_reached()),
        row("TLS refused by an alert", Cause::NoTls(vec![Step::Send(TLS_ALERT.to_vec())]))
            .both(not_reached()),
        row("closed in the TLS handshake", Cause::NoTls(Vec::new())).both(not_reached()),
        row("silent in the TLS handshake", Cause::NoTls(vec![Step::Hang]))
            .within(|limits| limits.connect = SHORT)
            .both(unsent(CONNECT, Advice::Later)),
        row("no connection within the limit", Cause::QueueFull)
            .within(|limits| limits.connect = SHORT)
            .both(unsent(CONNECT, Advice::Later)),
        server("reset before the request is read", [Step::Reset]).both(lost()),
        fault(Fault::CloseBeforeHead).both(lost()),
        fault(Fault::ResetBeforeHead).both(lost()),
        fault(Fault::ResetInHead).both(lost()),
        fault(Fault::ResetAfterHead).both(broken_off(Network, Advice::Later)),
        fault(Fault::ResetDuringUpload(20_000)).asking(Ask::Picture).both(lost()),
        second("kept connection closed under a request", [Step::Send(Vec::new())]),
        second("kept connection reset under a request", [Step::Reset]),
        row("kept connection closed between requests", Cause::SecondRequest { plain, streamed })
            .both(answer(Text::Exactly("onetwo"))),
        row("redirect", Cause::Redirect).both(refused(Protocol, Advice::Never)),
    ]
}

pub(super) fn silent(target: &Target) -> Vec<Row> {
    let too_late = |kind| broken_off(kind, Advice::Never);
    let trickle = |head: &str, before: &str, line: &str| {
        vec![Step::ReadRequest, write(head, before.as_bytes()), Step::Repeat(line.into(), TICK)]
    };
    let comments = |name, before: &str| {
        let (plain, streamed) = (trickle(JSON, "", "\n"), trickle(EVENTS, before, ": keep-alive\n\n"));
        row(name, Cause::Server { plain, streamed })
            .within(|limits| (limits.first_byte, limits.idle, limits.total) = (FAIR, FAIR, 2.0 * FAIR))
            .plain(too_late(FIRST_BYTE))
    };
    let one = target.deltas(&["one"]);
    let done = [one.clone(), vec![target.wire.finish_alone()]].concat();
    vec![
        server("accepted and silent", [Step::Hang])
            .within(|limits| limits.first_byte = SHORT)
            .both(too_late(FIRST_BYTE)),
        fault(Fault::StallBeforeHead).within(|limits| limits.first_byte = SHORT).both(too_late(FIRST_BYTE)),
        faults("stall-before-head, the whole call limited", [Fault::StallBeforeHead])
            .within(|limits| limits.total = SHORT)
            .both(too_late(TOTAL)),
        faults("slow headers within the limit", [Fault::SlowHeaders(TICK)]),
        faults("slow headers beyond the limit", [Fault::SlowHeaders(10 * TICK)])
            .within(|limits| limits.first_byte = SHORT)
            .both(too_late(FIRST_BYTE)),
        faults("stall before the first delta", [Fault::StallBeforeFirstDelta])
            .within(|limits| (limits.first_byte, limits.idle) = (FAIR, FAIR))
            .both(too_late(FIRST_BYTE)),
        faults("stall between deltas", [Fault::StallBetweenDeltas(2)])
            .within(|limits| limits.idle = FAIR)
            .streamed(too_late(IDLE).after(Text::Deltas(2))),
        faults("stall after the last delta", [Fault::StallAfterLast]).within(|limits| limits.idle = FAIR),
        faults("slower than the whole call may be", [Fault::DelayDeltas(12 * TICK), Fault::Delay(TICK)])
            .within(|limits| limits.total = FAIR)
            .streamed(too_late(TOTAL).after(Text::Beginning)),
        comments("comments before the first delta", "").streamed(too_late(FIRST_BYTE)),
        comments("comments after a delta", &target.frames(&one))
            .streamed(too_late(IDLE).after(Text::Exactly("one"))),
        comments("comments after the last delta", &target.frames(&done))
            .streamed(answer(Text::Exactly("one"))),
    ]
}
