#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

/// A layer shows itself in one line, around what is inside: `Retry(RateLimit(..))`.
macro_rules! show_as_wrapper {
    ($layer:ident) => {
        impl std::fmt::Debug for $layer {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({:?})", stringify!($layer), self.inner)
            }
        }
    };
}

/// A layer plans as the provider inside does, and has one function for plain calls and streams.
///
/// `impl_layer!(Retry, inner, run)` is the whole of [`VisionProvider`](polysight_core::VisionProvider);
/// `impl_layer!(plans with inner)` is all of it but `send` and `stream`.
macro_rules! impl_layer {
    ($layer:ident, $inner:ident, $run:ident) => {
        #[async_trait::async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl polysight_core::VisionProvider for $layer {
            impl_layer!(plans with $inner);

            async fn send(&self, plan: polysight_core::Plan) -> polysight_core::Result<polysight_core::ChatResponse> {
                self.$run(plan).await
            }

            async fn stream(&self, plan: polysight_core::Plan) -> polysight_core::Result<polysight_core::ChatStream> {
                self.$run(plan).await
            }
        }
    };
    (plans with $inner:ident) => {
        fn id(&self) -> &polysight_core::ProviderId {
            self.$inner.id()
        }

        fn catalog(&self) -> &polysight_core::Catalog {
            self.$inner.catalog()
        }

        fn plan(&self, request: &polysight_core::ChatRequest) -> polysight_core::Result<polysight_core::Plan> {
            self.$inner.plan(request)
        }
    };
}

pub mod budget;
#[cfg(feature = "cache")]
pub mod cache;
mod call;
pub mod config;
mod deadline;
mod names;
mod observe;
pub mod rate_limit;
mod retry;
pub mod router;
mod runtime;
mod stack;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(feature = "trace")]
pub mod trace;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use budget::{Budget, BudgetPolicy, Ledger};
#[cfg(feature = "cache")]
pub use cache::{Cache, CachePolicy};
pub use deadline::{Deadline, DeadlinePolicy};
pub use observe::Observe;
pub use rate_limit::{RateLimit, RateLimitPolicy};
pub use retry::{Jitter, Retry, RetryBudget, RetryPolicy, RetrySetting};
pub use router::{BreakerPolicy, KeyPool, KeyPoolPolicy, Router, RouterPolicy, Strategy, Target};
pub use stack::Stack;
#[cfg(feature = "trace")]
pub use trace::{Trace, TracePolicy};

/// Locks a mutex, also one whose holder panicked: nothing here is left half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
