//! The contract of every provider.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{Catalog, ChatRequest, ChatResponse, ChatStream, Plan, Result};

/// Identifies a provider. Cloning shares the texts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ProviderId {
    /// The provider's name in the program's configuration; it stands in responses and errors.
    pub name: Arc<str>,
    /// The vendor whose wire it speaks: `zhipu`, `qwen-vl`, `ernie`. Vendor extras are found by it.
    pub vendor: Arc<str>,
    /// Where requests go and are counted: the vendor and its site, or the host of a server. Providers of one endpoint and
    /// one key are one account, and share its limits. It holds no key. Default: the name.
    pub endpoint: Arc<str>,
}

impl ProviderId {
    /// Names a provider of a vendor.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, vendor: impl Into<Arc<str>>) -> Self {
        let name = name.into();
        Self { endpoint: Arc::clone(&name), name, vendor: vendor.into() }
    }

    /// Says where requests go and are counted.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: impl Into<Arc<str>>) -> Self {
        self.endpoint = endpoint.into();
        self
    }
}

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Answers questions about pictures and videos: a vendor, a gateway, a self-hosted server, or a wrapper of one.
///
/// A call is a request, a [`Plan`] and a send; what was planned is what is sent. No method has a default body: a wrapper
/// that forgot one would be silently wrong. Comfort is in [`VisionProviderExt`](crate::VisionProviderExt).
#[async_trait]
pub trait VisionProvider: Send + Sync + fmt::Debug {
    /// The provider's identity.
    fn id(&self) -> &ProviderId;

    /// The models it knows, with their limits. Requests for other models are sent too, without limits.
    fn catalog(&self) -> &Catalog;

    /// Checks a request against the model's limits and fixes what will be sent. Pure: it costs nothing and sends nothing.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) with *every* violation.
    fn plan(&self, request: &ChatRequest) -> Result<Plan>;

    /// Sends a plan of this provider, and waits for the whole answer.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) for the plan of another provider, and every
    /// [`ErrorKind`](crate::ErrorKind) of a call; what had arrived of an answer is its
    /// [`partial`](crate::Error::partial).
    async fn send(&self, plan: Plan) -> Result<ChatResponse>;

    /// Sends a plan of this provider, and streams the answer as it arrives.
    ///
    /// # Errors
    /// As [`send`](Self::send), for everything up to the reply's head; later failures are the stream's last item.
    async fn stream(&self, plan: Plan) -> Result<ChatStream>;
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
            fn plan(&self, request: &ChatRequest) -> Result<Plan> {
                (**self).plan(request)
            }
            // Written out, so that the future that is boxed already is not boxed once more.
            fn send<'a, 'async_trait>(
                &'a self,
                plan: Plan,
            ) -> Pin<Box<dyn Future<Output = Result<ChatResponse>> + Send + 'async_trait>>
            where
                'a: 'async_trait,
                Self: 'async_trait,
            {
                (**self).send(plan)
            }
            fn stream<'a, 'async_trait>(
                &'a self,
                plan: Plan,
            ) -> Pin<Box<dyn Future<Output = Result<ChatStream>> + Send + 'async_trait>>
            where
                'a: 'async_trait,
                Self: 'async_trait,
            {
                (**self).stream(plan)
            }
        }
    )*};
}

forward!(&P, Box<P>, Arc<P>);
