//! HTTP as data: requests before they are read into JSON, replies before they become bytes on a socket.

pub(crate) mod form;
mod head;
pub(crate) mod query;
mod reply;
mod transcript;

pub(crate) use head::{BodyLength, Head, Headers};
pub(crate) use reply::{Body, Piece, PieceKind, Reply};
pub(crate) use transcript::{Ending, Step, Transcript};
