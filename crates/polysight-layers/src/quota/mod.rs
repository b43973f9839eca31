//! Quotas: no more requests, tokens and calls at once than the vendor allows.

mod store;

pub use store::{Grant, Lease, QuotaKey, QuotaStore};
