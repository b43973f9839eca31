#![doc = include_str!("../README.md")]

mod errors;
mod extras;
mod native;
mod profile;
mod quirks;
mod settings;
#[cfg(feature = "tokenizer")]
mod text_tokens;
mod tokens;
mod upload;

pub use extras::{DataInspection, OcrTask, QwenVlExtras, VENDOR};
pub use native::{image_sizes, ocr_result};
use polysight_core::{ApiKey, Catalog, Error, ErrorKind, MediaSource, Result};
use polysight_wire::vendor::Faults;
use polysight_wire::{DialectProvider, ProviderOptions, forward_provider};
pub use profile::QwenVlDialect;
pub use settings::{API_KEY_ENV, Protocol, QwenVlSettings, Region};
pub use tokens::{Look, Resized, TokenFormula, VideoBudget, resized};
use url::Url;

/// Model for requests that name none, at the vendor itself: current, sees pictures and videos, reasons only when asked.
pub const DEFAULT_MODEL: &str = "qwen3-vl-plus";

/// Qwen-VL as a provider: at the vendor itself, behind a gateway, or on a server of one's own.
#[derive(Debug)]
pub struct QwenVl(DialectProvider<QwenVlDialect>);

forward_provider!(impl for QwenVl, 0);

/// The catalogue that comes with this crate: the models as the vendor itself serves them.
///
/// # Errors
/// None in practice: a test reads it.
pub fn catalog() -> Result<&'static Catalog> {
    profile::CATALOG.get()
}

impl QwenVl {
    /// Makes a provider from options that all vendors share and settings of this one.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for what [`check`](Self::check) finds, without a key where the deployment needs one, and when TLS
    /// cannot be set up.
    pub fn new(options: ProviderOptions, settings: &QwenVlSettings) -> Result<Self> {
        let dialect = Faults::refuse(|faults| profile::dialect(&options, settings, faults))?;
        let credentials = dialect.profile().deployment.credentials(&options, API_KEY_ENV[0])?;
        // The vendor takes no ids of requests, so that none are made.
        Ok(Self(DialectProvider::new(dialect, credentials, options.transport()?)))
    }

    /// Every fault of a configuration, without a key, a connection or TLS: an unknown deployment or one without the base URL
    /// that it needs, a region that has no shared host, a base URL of a surface that speaks another protocol, settings that have
    /// no effect, malformed models.
    #[must_use]
    pub fn check(options: &ProviderOptions, settings: &QwenVlSettings) -> Vec<Error> {
        Faults::find(|faults| profile::dialect(options, settings, faults))
    }

    /// Makes a provider with a key and defaults for everything else: the vendor itself, Beijing, the compatible protocol.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the key cannot be sent or TLS cannot be set up.
    pub fn with_key(key: ApiKey) -> Result<Self> {
        Self::new(ProviderOptions::new(VENDOR).with_api_key(key), &QwenVlSettings::default())
    }

    /// Makes a provider with the key in `DASHSCOPE_API_KEY`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when it is not set.
    pub fn from_env() -> Result<Self> {
        let variable = API_KEY_ENV[0];
        match std::env::var(variable) {
            Ok(key) => Self::with_key(ApiKey::new(key)?),
            Err(_) => Err(Error::new(ErrorKind::Config, format!("{variable} is not set"))),
        }
    }

    /// The provider's workings: its dialect, its transport, and a preview of what would be sent.
    #[must_use]
    pub fn inner(&self) -> &DialectProvider<QwenVlDialect> {
        &self.0
    }

    /// Uploads a medium to the vendor's temporary store and gives the `oss://` URL by which requests to `model` can name
    /// it for 48 hours; nothing is ever uploaded by itself.
    ///
    /// The file streams from where it is and is never held whole. The vendor limits it to 1 GB, documents the store for
    /// Beijing only, and does not recommend it for production.
    ///
    /// ```no_run
    /// use polysight_core::{Video, VisionProviderExt, media::VideoSource};
    /// use polysight_qwen_vl::QwenVl;
    ///
    /// # async fn run() -> polysight_core::Result<()> {
    /// let qwen = QwenVl::from_env()?;
    /// let video = Video::from_file("street.mp4")?;
    /// if let VideoSource::Whole(source) = video.source() {
    ///     let url = qwen.upload("qwen3-vl-plus", source).await?;
    ///     let answer = qwen.ask("What happens?", [Video::from_url(url.as_str())?]).await?;
    ///     println!("{}", answer.text);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where there is no such store; [`ErrorKind::InvalidRequest`] for a URL;
    /// [`ErrorKind::InvalidMedia`] for a file that is too large or cannot be read; otherwise as any call.
    pub async fn upload(&self, model: &str, source: &MediaSource) -> Result<Url> {
        let mut call = self.0.call();
        upload::upload(&self.0, &mut call, model, source).await.map_err(|error| call.finish(error))
    }
}
