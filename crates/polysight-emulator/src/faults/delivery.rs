//! From a reply to the steps on the socket, and the faults that happen on the way.

use std::time::Duration;

use super::{Fault, argument_of};
use crate::http::{Body, Ending, Piece, PieceKind, Reply, Step, Transcript};

const BLOCK: usize = 64 * 1024;
/// About a gigabyte in lines of a kilobyte: no sane client gets there.
const ENDLESS: u64 = 1 << 20;

/// Plans how a reply is delivered.
pub(crate) fn compose(reply: &Reply, faults: &[Fault], head_only: bool, keep_alive: bool) -> Transcript {
    let mut planner = Planner { faults, steps: Vec::new(), keep_alive };
    let ending = planner.plan(reply, head_only);
    let steps = match argument_of!(faults, SplitEvery) {
        Some(length) => split(planner.steps, length),
        None => planner.steps,
    };
    Transcript { steps, ending }
}

struct Planner<'f> {
    faults: &'f [Fault],
    steps: Vec<Step>,
    keep_alive: bool,
}

impl Planner<'_> {
    fn plan(&mut self, reply: &Reply, head_only: bool) -> Ending {
        if let Some(delay) = argument_of!(self.faults, Delay) {
            self.steps.push(Step::Pause(delay));
        }
        if let Some(ending) = self.before_head() {
            return ending;
        }
        let (head, chunked, honest) = self.head(reply);
        if let Some(ending) = self.write_head(head) {
            return ending;
        }
        let natural = if self.keep_alive && honest { Ending::KeepAlive } else { Ending::Close };
        if head_only {
            return natural;
        }
        if let Some(ending) = self.after_head() {
            return ending;
        }
        match &reply.body {
            Body::Whole(bytes) => {
                let piece = Piece { kind: PieceKind::Other, bytes: bytes.clone() };
                self.body(&[piece], chunked, natural)
            }
            Body::Stream(pieces) => self.body(pieces, chunked, natural),
        }
    }

    fn has(&self, fault: &Fault) -> bool {
        self.faults.contains(fault)
    }

    fn before_head(&mut self) -> Option<Ending> {
        if self.has(&Fault::StallBeforeHead) {
            self.steps.push(Step::Stall);
            return Some(Ending::Close);
        }
        if self.has(&Fault::ResetBeforeHead) {
            return Some(Ending::Reset);
        }
        self.has(&Fault::CloseBeforeHead).then_some(Ending::Close)
    }

    /// The head, whether the body goes in chunks, and whether its length is right.
    fn head(&self, reply: &Reply) -> (String, bool, bool) {
        let length = body_length(&reply.body) as u64 + self.padding(reply);
        let wrong = argument_of!(self.faults, WrongContentLength);
        let streamed = matches!(reply.body, Body::Stream(_)) || self.has(&Fault::ChunkedCut);
        let chunked = streamed && wrong.is_none();
        let mut framing = vec![if chunked {
            ("transfer-encoding", "chunked".to_owned())
        } else {
            ("content-length", length.saturating_add_signed(wrong.unwrap_or(0)).to_string())
        }];
        if self.has(&Fault::GzipPromised) {
            framing.push(("content-encoding", "gzip".to_owned()));
        }
        if !self.keep_alive {
            framing.push(("connection", "close".to_owned()));
        }
        (reply.head(&framing), chunked, wrong.is_none())
    }

    /// Bytes that make a body as long as it was asked to be.
    fn padding(&self, reply: &Reply) -> u64 {
        let wanted = argument_of!(self.faults, HugeBody).unwrap_or(0);
        wanted.saturating_sub(body_length(&reply.body) as u64)
    }

    fn write_head(&mut self, head: String) -> Option<Ending> {
        if self.has(&Fault::ResetInHead) {
            self.steps.push(Step::Write(head.as_bytes().iter().copied().take(head.len() / 2).collect()));
            return Some(Ending::Reset);
        }
        if self.has(&Fault::EndlessHeaders) {
            self.steps.push(Step::Write(head.trim_end().as_bytes().to_vec()));
            let unit = format!("\r\nx-more: {}", "m".repeat(1014)).into_bytes();
            self.steps.push(Step::Repeat { unit, times: ENDLESS });
            return Some(Ending::Close);
        }
        match argument_of!(self.faults, SlowHeaders) {
            Some(pause) => {
                for line in head.split_inclusive('\n') {
                    self.steps.extend([Step::Write(line.as_bytes().to_vec()), Step::Pause(pause)]);
                }
            }
            None => self.steps.push(Step::Write(head.into_bytes())),
        }
        None
    }

    fn after_head(&mut self) -> Option<Ending> {
        if self.has(&Fault::StallBeforeFirstDelta) {
            self.steps.push(Step::Stall);
            return Some(Ending::Close);
        }
        self.has(&Fault::ResetAfterHead).then_some(Ending::Reset)
    }

    fn body(&mut self, pieces: &[Piece], chunked: bool, natural: Ending) -> Ending {
        let cut = self.cut(pieces);
        let mut left = cut.map_or(usize::MAX, |(at, _)| at);
        self.pad(pieces, chunked);
        let mut deltas = 0;
        for piece in pieces {
            if self.pause_or_stall(piece.kind, &mut deltas) {
                return Ending::Close;
            }
            if self.has(&Fault::ChunkedCut) {
                self.steps.push(Step::Write(half_chunk(&piece.bytes)));
                return Ending::Close;
            }
            if piece.bytes.len() >= left {
                self.write(piece.bytes.iter().copied().take(left).collect(), chunked);
                return cut.map_or(Ending::Close, |(_, ending)| ending);
            }
            left -= piece.bytes.len();
            self.write(piece.bytes.clone(), chunked);
        }
        if self.has(&Fault::StallAfterLast) && is_stream(pieces) {
            self.steps.push(Step::Stall);
        }
        if chunked {
            self.push(b"0\r\n\r\n".to_vec());
        }
        natural
    }

    /// Where the body is cut off, and how.
    fn cut(&self, pieces: &[Piece]) -> Option<(usize, Ending)> {
        if let Some(at) = argument_of!(self.faults, TruncateAfter) {
            return Some((at, Ending::Close));
        }
        if let Some(at) = argument_of!(self.faults, ResetInBody) {
            return Some((at, Ending::Reset));
        }
        let inside = || pieces.iter().flat_map(|piece| &piece.bytes).position(|byte| !byte.is_ascii());
        self.has(&Fault::EofInCharacter).then(inside)?.map(|at| (at + 1, Ending::Close))
    }

    /// White space before JSON, comments before events.
    fn pad(&mut self, pieces: &[Piece], chunked: bool) {
        let Some(wanted) = argument_of!(self.faults, HugeBody) else { return };
        let length: usize = pieces.iter().map(|piece| piece.bytes.len()).sum();
        let padding = wanted.saturating_sub(length as u64);
        let rest = usize::try_from(padding % BLOCK as u64).unwrap_or(0);
        let streamed = is_stream(pieces);
        for (size, times) in [(BLOCK, padding / BLOCK as u64), (rest, 1)] {
            let unit = if streamed { comment(size) } else { vec![b' '; size] };
            let unit = if chunked { chunk(&unit) } else { unit };
            if size > 0 && times > 0 {
                self.steps.push(Step::Repeat { unit, times });
            }
        }
    }

    /// What happens before a piece; says whether nothing follows.
    fn pause_or_stall(&mut self, kind: PieceKind, deltas: &mut usize) -> bool {
        let done = kind == PieceKind::Done && self.has(&Fault::StallAfterLast);
        let between = argument_of!(self.faults, StallBetweenDeltas)
            .is_some_and(|count| matches!(kind, PieceKind::Delta | PieceKind::Finish) && *deltas >= count);
        if done || between {
            self.steps.push(Step::Stall);
            return true;
        }
        if kind == PieceKind::Delta {
            *deltas += 1;
            self.pause();
        }
        false
    }

    fn pause(&mut self) {
        if let Some(delay) =
            argument_of!(self.faults, DelayDeltas).filter(|delay: &Duration| !delay.is_zero())
        {
            self.steps.push(Step::Pause(delay));
        }
    }

    fn write(&mut self, bytes: Vec<u8>, chunked: bool) {
        if bytes.is_empty() {
            return;
        }
        if chunked {
            self.steps.push(Step::Write(chunk(&bytes)));
        } else {
            self.push(bytes);
        }
    }

    /// Joins what needs no segment of its own to the write before it.
    fn push(&mut self, bytes: Vec<u8>) {
        match self.steps.last_mut() {
            Some(Step::Write(before)) => before.extend(bytes),
            _ => self.steps.push(Step::Write(bytes)),
        }
    }
}

/// A plain body is one piece.
fn is_stream(pieces: &[Piece]) -> bool {
    pieces.len() != 1
}

fn body_length(body: &Body) -> usize {
    match body {
        Body::Whole(bytes) => bytes.len(),
        Body::Stream(pieces) => pieces.iter().map(|piece| piece.bytes.len()).sum(),
    }
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// The size of a chunk and half of what it promises.
fn half_chunk(bytes: &[u8]) -> Vec<u8> {
    let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
    [format!("{:x}\r\n", bytes.len()).as_bytes(), half].concat()
}

/// A comment line of this length.
fn comment(size: usize) -> Vec<u8> {
    let mut line = vec![b':'; size.saturating_sub(1)];
    line.push(b'\n');
    line
}

/// Cuts writes to a length.
fn split(steps: Vec<Step>, length: usize) -> Vec<Step> {
    let split = |step| match step {
        Step::Write(bytes) => Step::WriteSplit { bytes, length },
        other => other,
    };
    steps.into_iter().map(split).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces() -> Reply {
        let piece = |kind, text: &str| Piece { kind, bytes: text.as_bytes().to_vec() };
        Reply::stream(vec![
            piece(PieceKind::Delta, "one"),
            piece(PieceKind::Delta, "two"),
            piece(PieceKind::Finish, "end"),
            piece(PieceKind::Done, "done"),
        ])
    }

    /// The writes after the head, and how it ends.
    fn body(reply: &Reply, faults: &[Fault], keep_alive: bool) -> (Vec<String>, Ending) {
        let transcript = compose(reply, faults, false, keep_alive);
        let writes = transcript.steps.iter().skip(1).map(|step| match step {
            Step::Write(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            other => format!("{other:?}"),
        });
        (writes.collect(), transcript.ending)
    }

    #[test]
    fn a_plain_reply_is_one_write() {
        let transcript = compose(&Reply::plain(200, "hello"), &[], false, true);
        assert_eq!((transcript.steps.len(), transcript.ending), (1, Ending::KeepAlive));
        let only_head = compose(&Reply::plain(200, "hello"), &[], true, true);
        assert!(matches!(only_head.steps.as_slice(), [Step::Write(bytes)] if bytes.ends_with(b"5\r\n\r\n")));
    }

    #[test]
    fn a_stream_is_one_write_a_piece() {
        let (writes, ending) = body(&pieces(), &[], true);
        assert_eq!(writes, ["3\r\none\r\n", "3\r\ntwo\r\n", "3\r\nend\r\n", "4\r\ndone\r\n0\r\n\r\n"]);
        assert_eq!(ending, Ending::KeepAlive);
        assert_eq!(body(&pieces(), &[], false).1, Ending::Close);
    }

    #[test]
    fn a_plain_reply_does_not_stall_after_its_end() {
        let faults = [Fault::StallAfterLast];
        let plain = compose(&Reply::plain(200, "hello"), &faults, false, true);
        assert!(!plain.steps.contains(&Step::Stall) && plain.ending == Ending::KeepAlive);
        assert!(compose(&pieces(), &faults, false, true).steps.contains(&Step::Stall));
    }

    #[test]
    fn cuts_inside_a_piece_and_at_its_end() {
        let cut = |bytes| body(&pieces(), &[Fault::TruncateAfter(bytes)], true);
        assert_eq!(cut(4), (vec!["3\r\none\r\n".into(), "1\r\nt\r\n".into()], Ending::Close));
        assert_eq!(cut(3), (vec!["3\r\none\r\n".into()], Ending::Close));
        assert_eq!(cut(0), (vec![], Ending::Close));
        assert_eq!(cut(1000).0.len(), 4);
    }

    #[test]
    fn no_write_is_longer_than_the_split() {
        let transcript = compose(&pieces(), &[Fault::SplitEvery(5)], false, true);
        let all: Vec<u8> = transcript
            .steps
            .iter()
            .flat_map(|step| match step {
                Step::WriteSplit { bytes, length: 5 } => bytes.clone(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(all.ends_with(b"4\r\ndone\r\n0\r\n\r\n") && all.len() > 100);
    }
}
