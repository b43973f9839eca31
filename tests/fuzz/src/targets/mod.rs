//! The targets, a file for each kind.

pub(crate) mod almost_json;
pub(crate) mod base64;
pub(crate) mod client;
pub(crate) mod config;
pub(crate) mod ernie_signature;
pub(crate) mod interval;
pub(crate) mod pieces;
pub(crate) mod plan;
pub(crate) mod probes;
pub(crate) mod redact;
pub(crate) mod replies;
pub(crate) mod sse;
pub(crate) mod streams;
pub(crate) mod structures;
pub(crate) mod zhipu_token;
