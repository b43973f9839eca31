//! A local server that speaks the wire of the vendors of vision-language models, for tests, examples and offline work.
//!
//! It listens on a real socket of 127.0.0.1, checks keys, parameters and media as the vendor documents them, refuses in
//! the vendor's words and codes, streams in the vendor's framing, and misbehaves on demand in some sixty ways. It needs no
//! key and costs nothing. It does not run a model: an answer lists what arrived (format, size, mean colour and SHA-256 of each
//! picture) and repeats the question, or is what the test has prepared.
//!
//! - [`Emulator`] is the server, [`Surface`] the interfaces it serves.
//! - [`Emulator::answer`], [`answer_json`](Emulator::answer_json) and [`answer_call`](Emulator::answer_call) say what the next
//!   chat requests are answered with.
//! - [`Fault`] is what can go wrong, by [`Emulator::script`] or by the request header `x-polysight-fault`.
//! - [`Emulator::requests`] shows what arrived, as [`RecordedRequest`].
//! - [`models`] holds the limits that requests are checked against.
//!
//! The binary of the same name is the same server for programs in other languages. The README says what is not modelled.

mod auth;
mod chat;
mod clock;
mod codes;
mod control;
mod dispatch;
mod emulator;
mod faults;
mod http;
mod json;
mod media;
pub mod models;
mod refusal;
mod request_body;
mod route;
mod served_request;
mod server;
mod state;
mod surface;
mod tokens;
mod vendors;

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use chat::prepared_answer::InvalidAnswer;
pub use emulator::{Emulator, EmulatorBuilder};
pub use faults::{ErrorForm, Fault, FaultEntry, JsonBreak, UnknownFault};
pub use state::concurrency::Load;
pub use state::record::{RecordedMedia, RecordedRequest};
pub use surface::Surface;
