//! Malformed replies and streams, in each vendor's own form.

mod replies;
mod streams;
