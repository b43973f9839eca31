//! Providers that are another one under a name of their own.

#[doc(hidden)]
pub use polysight_core as core;

/// Makes a type that wraps a provider a [`VisionProvider`](polysight_core::VisionProvider) itself, by forwarding every method
/// to a field.
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_wire as wire; }
/// use polysight::VisionProvider;
///
/// #[derive(Debug)]
/// struct Named<P>(P);
/// polysight_wire::forward_provider!(impl<P: VisionProvider> for Named<P>, 0);
///
/// #[derive(Debug)]
/// struct Shared {
///     inner: std::sync::Arc<dyn VisionProvider>,
/// }
/// polysight_wire::forward_provider!(impl for Shared, inner);
/// ```
#[macro_export]
macro_rules! forward_provider {
    (impl $(<$($parameter:ident: $bound:path),+>)? for $provider:ty, $field:tt) => {
        #[deny(clippy::missing_trait_methods)]
        impl $(<$($parameter: $bound),+>)? $crate::forward::core::VisionProvider for $provider {
            fn id(&self) -> &$crate::forward::core::ProviderId {
                $crate::forward::core::VisionProvider::id(&self.$field)
            }
            fn catalog(&self) -> &$crate::forward::core::Catalog {
                $crate::forward::core::VisionProvider::catalog(&self.$field)
            }
            fn plan(
                &self,
                request: &$crate::forward::core::ChatRequest,
            ) -> $crate::forward::core::Result<$crate::forward::core::Plan> {
                $crate::forward::core::VisionProvider::plan(&self.$field, request)
            }
            // Written out, so that the future that is boxed already is not boxed once more.
            fn send<'a, 'async_trait>(
                &'a self,
                plan: $crate::forward::core::Plan,
            ) -> $crate::forward::Boxed<'async_trait, $crate::forward::core::ChatResponse>
            where
                'a: 'async_trait,
                Self: 'async_trait,
            {
                $crate::forward::core::VisionProvider::send(&self.$field, plan)
            }
            fn stream<'a, 'async_trait>(
                &'a self,
                plan: $crate::forward::core::Plan,
            ) -> $crate::forward::Boxed<'async_trait, $crate::forward::core::ChatStream>
            where
                'a: 'async_trait,
                Self: 'async_trait,
            {
                $crate::forward::core::VisionProvider::stream(&self.$field, plan)
            }
        }
    };
}

/// What the trait's two calls give.
#[doc(hidden)]
pub type Boxed<'a, T> = std::pin::Pin<Box<dyn Future<Output = polysight_core::Result<T>> + Send + 'a>>;
