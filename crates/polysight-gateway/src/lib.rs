#![doc = include_str!("../README.md")]

mod answer;
mod gateway;
mod json;
mod models;
mod refusal;
mod request;
mod server;
mod settings;

pub use gateway::Gateway;
pub use settings::{KeySettings, Settings, UnknownFields};
