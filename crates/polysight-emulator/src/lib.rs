//! A local server that speaks the wire of the vendors of vision-language models, for tests, examples and offline work.
//!
//! It listens on a real socket of 127.0.0.1, checks keys, parameters and media as the vendor documents them, refuses in
//! the vendor's words and codes, streams in the vendor's framing, and can be told to misbehave in some sixty ways. It needs no
//! key and costs nothing. It does not run a model: an answer lists what arrived (format, size, mean colour and SHA-256 of each
//! picture) and repeats the question.
//!
//! - [`Emulator`] is the server, [`Surface`] the interfaces it serves.
//! - [`Fault`] is what can go wrong, by [`Emulator::script`] or by the request header `x-polysight-fault`.
//! - [`Emulator::requests`] shows what arrived, as [`RecordedRequest`].
//! - [`models`] holds the limits that requests are checked against.
//!
//! The binary of the same name is the same server for programs in other languages. The README says what is not modelled.

mod answer;
mod chance;
mod chat;
mod clock;
mod dashscope;
mod desk;
mod emulator;
mod faults;
mod form;
mod gateway;
mod intake;
mod json;
mod keys;
mod load;
mod media;
pub mod models;
mod pixels;
mod qianfan;
mod query;
mod quota;
mod record;
mod route;
mod server;
mod state;
mod tokens;
mod zhipu;

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use emulator::{Emulator, EmulatorBuilder, Surface};
pub use faults::{ErrorForm, Fault, FaultEntry, UnknownFault};
pub use load::Load;
pub use record::{RecordedMedia, RecordedRequest};
