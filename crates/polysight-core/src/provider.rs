//! The contract of everything that can look at a picture.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{Catalog, ChatRequest, ChatResponse, ChatStream, Plan, Result};

/// Who a provider is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ProviderId {
    /// The provider's name in the program's configuration; it stands in responses and errors.
    pub name: String,
    /// The vendor whose wire it speaks: `zhipu`, `qwen-vl`, `ernie`. Vendor extras are found by it.
    pub vendor: String,
}

impl ProviderId {
    /// Names a provider of a vendor.
    #[must_use]
    pub fn new(name: impl Into<String>, vendor: impl Into<String>) -> Self {
        Self { name: name.into(), vendor: vendor.into() }
    }
}

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Something that answers questions about pictures: a vendor, a gateway, a self-hosted server, or a wrapper of one.
///
/// It holds only what every provider must say itself, and no default bodies: a wrapper that forgot a method would
/// be silently wrong. Comfort is in [`VisionProviderExt`](crate::VisionProviderExt).
#[async_trait]
pub trait VisionProvider: Send + Sync + fmt::Debug {
    /// Who this is.
    fn id(&self) -> &ProviderId;

    /// The models it knows, with their limits. Models that are not in it can be asked too.
    fn catalog(&self) -> &Catalog;

    /// Holds a request against the model's limits without sending anything.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) with *every* violation.
    fn plan(&self, request: ChatRequest) -> Result<Plan>;

    /// Asks, and waits for the whole answer.
    ///
    /// # Errors
    /// Everything that [`plan`](Self::plan) finds, and every [`ErrorKind`](crate::ErrorKind) of a call; what had
    /// arrived of an answer is its [`partial`](crate::Error::partial).
    async fn chat(&self, request: ChatRequest) -> Result<ChatResponse>;

    /// Asks, and hands the answer out as it arrives.
    ///
    /// # Errors
    /// As [`chat`](Self::chat), for everything up to the reply's head; later failures are the stream's last item.
    async fn stream(&self, request: ChatRequest) -> Result<ChatStream>;
}

// The trait must work behind `dyn`: roles from a config file are made of it.
const _: fn(&dyn VisionProvider) = |_| {};

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        #[deny(clippy::missing_trait_methods)]
        impl<P: VisionProvider + ?Sized> VisionProvider for $pointer {
            fn id(&self) -> &ProviderId {
                (**self).id()
            }
            fn catalog(&self) -> &Catalog {
                (**self).catalog()
            }
            fn plan(&self, request: ChatRequest) -> Result<Plan> {
                (**self).plan(request)
            }
            // Written out, so that the future that is boxed already is not boxed once more.
            fn chat<'a, 'async_trait>(
                &'a self,
                request: ChatRequest,
            ) -> Pin<Box<dyn Future<Output = Result<ChatResponse>> + Send + 'async_trait>>
            where
                'a: 'async_trait,
                Self: 'async_trait,
            {
                (**self).chat(request)
            }
            fn stream<'a, 'async_trait>(
                &'a self,
                request: ChatRequest,
            ) -> Pin<Box<dyn Future<Output = Result<ChatStream>> + Send + 'async_trait>>
            where
                'a: 'async_trait,
                Self: 'async_trait,
            {
                (**self).stream(request)
            }
        }
    )*};
}

forward!(&P, Box<P>, Arc<P>);
