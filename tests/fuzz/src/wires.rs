//! Replies on the four wires, without a socket.

use std::sync::OnceLock;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use polysight_core::{ApiKey, ChatRequest, Error, Message, Plan, ResponseMeta, Result};
use polysight_testkit::{Client, Wire};
use polysight_wire::sse::SseReader;
use polysight_wire::{Dialect, Events, Progress, ProviderOptions, ReplyHead, Transport};

use crate::display::CANARY;

/// The provider at the vendor's own site, made once: nothing is ever sent.
fn own(wire: Wire) -> &'static Client {
    static OWN: OnceLock<[Client; 4]> = OnceLock::new();
    &OWN.get_or_init(|| Wire::ALL.map(|wire| wire.client(options(transport()))))[wire as usize]
}

pub(crate) fn dialect(wire: Wire) -> &'static dyn Dialect {
    own(wire).dialect()
}

/// The plan of a question: with or without a token limit and the vendor's raw JSON.
pub(crate) fn plan(wire: Wire, limited: bool, raw: bool) -> &'static Plan {
    static PLANS: OnceLock<[[Plan; 4]; 4]> = OnceLock::new();
    let flags = [(false, false), (false, true), (true, false), (true, true)];
    let plans = PLANS.get_or_init(|| Wire::ALL.map(|wire| flags.map(|flags| planned(wire, flags))));
    &plans[wire as usize][usize::from(limited) * 2 + usize::from(raw)]
}

fn planned(wire: Wire, (limited, raw): (bool, bool)) -> Plan {
    let mut request = ChatRequest::new([Message::user("What is this?")]);
    request.max_tokens = limited.then_some(100);
    request.keep_raw = raw;
    own(wire).as_provider().plan(&request).expect("a plain question")
}

/// Options with a key, which is the canary.
pub(crate) fn options(transport: Transport) -> ProviderOptions {
    let key = ApiKey::new(CANARY).expect("a key");
    ProviderOptions::new("fuzzed").with_api_key(key).with_transport(transport)
}

/// One transport for all, since each takes its time to make.
pub(crate) fn transport() -> Transport {
    static TRANSPORT: OnceLock<Transport> = OnceLock::new();
    TRANSPORT.get_or_init(|| Transport::builder().build().expect("a transport")).clone()
}

/// A reply as a seed writes it: `HTTP/1.1 429`, header lines, a blank line and the body; or the body of a 200 alone.
pub(crate) fn reply(data: &[u8]) -> (ReplyHead, Bytes) {
    let whole = || (ReplyHead::new(200, HeaderMap::new()), Bytes::copy_from_slice(data));
    let Some(rest) = data.strip_prefix(b"HTTP/1.1 ") else { return whole() };
    let Some(end) = rest.windows(2).position(|pair| pair == b"\n\n") else { return whole() };
    let text = String::from_utf8_lossy(&rest[..end]);
    let mut lines = text.lines();
    let status = lines.next().and_then(|line| line.get(..3)?.parse().ok()).filter(|status| *status >= 100);
    let Some(status) = status else { return whole() };
    let mut headers = HeaderMap::new();
    for line in lines {
        if let Some((name, value)) = line.split_once(':')
            && let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value.trim()))
        {
            headers.append(name, value);
        }
    }
    (ReplyHead::new(status, headers), Bytes::copy_from_slice(&rest[end + 2..]))
}

/// Reads a stream in these pieces: its events, and its end.
pub(crate) fn read_stream(
    wire: Wire,
    plan: &Plan,
    head: &ReplyHead,
    pieces: &[&[u8]],
    limit: usize,
) -> (Events, Result<ResponseMeta>) {
    let mut decoder = dialect(wire).decoder(plan, head);
    let mut reader = SseReader::new(limit);
    let mut events = Events::new();
    let oversized = |error: polysight_wire::sse::SseError| {
        Error::new(polysight_core::ErrorKind::Protocol, error.to_string())
    };
    let mut pieces = pieces.iter();
    let mut finished = false;
    loop {
        loop {
            match reader.next_item() {
                Err(error) => return (events, Err(oversized(error))),
                Ok(None) => break,
                Ok(Some(item)) => match decoder.read(item, &mut events) {
                    Err(error) => return (events, Err(error)),
                    Ok(Progress::Done) => {
                        let end = decoder.finish(&mut events);
                        return (events, end);
                    }
                    Ok(Progress::Event | Progress::Empty | Progress::None) => {}
                },
            }
        }
        match pieces.next() {
            Some(piece) => reader.push(Bytes::copy_from_slice(piece)),
            None if finished => break,
            None => {
                finished = true;
                reader.finish();
            }
        }
    }
    let end = decoder.finish(&mut events);
    (events, end)
}
