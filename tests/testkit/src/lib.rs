//! What the tests share: a scripted server, the vendors' wires with a provider for each, pictures made by code, and a vendor
//! that does not exist.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what cannot be made must stop the test, and indexing a JSON value gives null where there is nothing"
)]

pub mod acme;
pub mod calls;
mod emulated;
mod media;
pub mod pictures;
mod reply;
mod server;
mod wire;

pub use calls::shown;
pub use emulated::{zhipu_config, zhipu_role};
pub use media::{base64, bulky_png, example_file, noise, picture, sha256};
pub use reply::Reply;
pub use server::{MockServer, ReceivedRequest, Step};
pub use wire::{ANSWER, CANARY, Client, Codes, Framing, HALF, PIECES, Wire};
