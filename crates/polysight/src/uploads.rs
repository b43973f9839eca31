//! Qwen-VL with its temporary store: the key `upload` of its providers.

use std::sync::Arc;

use polysight_core::{Error, Result, VisionProvider};
use polysight_qwen_vl::{QwenVl, QwenVlSettings};
use polysight_wire::ProviderOptions;

/// Every fault of a provider's options and settings.
pub(crate) fn check(options: &ProviderOptions, settings: &QwenVlSettings) -> Vec<Error> {
    #[allow(unused_mut, reason = "with the feature `media` there is nothing to add")]
    let mut faults = QwenVl::check(options, settings);
    #[cfg(not(feature = "media"))]
    if settings.upload {
        let message = "`upload` is not compiled in: enable the cargo feature `media` of polysight";
        faults.push(Error::new(polysight_core::ErrorKind::Config, message));
    }
    faults
}

/// Makes a provider. Its store belongs to the account of its key, so that uploads are made inside of everything that chooses
/// among keys.
pub(crate) fn build(options: ProviderOptions, settings: QwenVlSettings) -> Result<Arc<dyn VisionProvider>> {
    let provider = Arc::new(QwenVl::new(options, &settings)?);
    #[cfg(feature = "media")]
    if settings.upload {
        let store = Arc::new(store::QwenStore(Arc::clone(&provider)));
        return Ok(Arc::new(polysight_media::fetch::Upload::new(provider, store)));
    }
    Ok(provider)
}

#[cfg(feature = "media")]
mod store {
    use std::sync::Arc;

    use async_trait::async_trait;
    use polysight_core::{MediaSource, Result};
    use polysight_media::fetch::Uploader;
    use polysight_qwen_vl::QwenVl;
    use url::Url;

    #[derive(Debug)]
    pub(super) struct QwenStore(pub(super) Arc<QwenVl>);

    #[async_trait]
    impl Uploader for QwenStore {
        async fn upload(&self, model: &str, source: &MediaSource) -> Result<Url> {
            self.0.upload(model, source).await
        }
    }
}
