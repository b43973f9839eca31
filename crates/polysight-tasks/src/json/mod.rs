//! JSON in a model's answer, whatever stands around it.

mod fields;
mod guard;
mod reader;

pub use fields::FieldReader;
pub use guard::{StreamGuard, Verdict};
pub(crate) use reader::MAX_BYTES;
pub use reader::{FoundJson, JsonRepair, Unreadable, find_json};
