//! Who is measured.

mod facade;
mod limit;
mod naive;

use std::path::{Path, PathBuf};

use bytes::Bytes;
pub use facade::{Facade, Http2};
pub use limit::Limit;
pub use naive::Naive;

use crate::Result;

/// A question, with pictures that are read anew for each request.
#[derive(Clone)]
pub struct Question {
    pub text: String,
    pub pictures: Vec<Picture>,
}

/// Where a picture is.
#[derive(Clone)]
pub enum Picture {
    File(PathBuf),
    Shared(Bytes),
}

/// Where a streaming client puts each piece of text as soon as it has it.
pub trait Sink: Send {
    fn push(&mut self, text: &str);
}

/// The model that every client names.
pub const MODEL: &str = "bench-vl";

/// A client of `chat/completions`.
pub trait Client: Sized + Send + Sync + 'static {
    const NAME: &'static str;

    /// `base` is everything before `/chat/completions`; `ca` a file with the authority to trust.
    fn new(base: &str, ca: Option<&Path>) -> Result<Self>;

    /// The whole text of an answer.
    fn ask(&self, question: &Question) -> impl Future<Output = Result<String>> + Send;

    /// The text of an answer, piece by piece.
    fn stream(&self, question: &Question, sink: &mut impl Sink) -> impl Future<Output = Result<()>> + Send;
}
