//! Frames and cuts of videos that a model does not take as they are, by the system's `ffmpeg`.

mod ffmpeg;
mod jpegs;
mod layer;
#[cfg(test)]
mod layer_tests;
mod policy;
mod sampling;
#[cfg(test)]
mod tests;

pub use ffmpeg::{Ffmpeg, Trimmed};
pub use layer::FitVideo;
pub use policy::{VideoMode, VideoPolicy};
pub use sampling::Sampling;
