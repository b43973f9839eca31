#![doc = include_str!("../README.md")]

mod errors;
mod profile;
mod settings;

use polysight_core::{ApiKey, Error, ErrorKind, Result, SecretFilter};
pub use polysight_wire::chat::ThinkingParam;
use polysight_wire::vendor::Faults;
use polysight_wire::{DialectProvider, ProviderOptions, forward_provider};
pub use profile::{OpenAiDialect, VENDOR};
pub use settings::{API_KEY_ENV, BASE_URL_ENV, OpenAiSettings};

/// A server of the chat-completions shape as a provider.
#[derive(Debug)]
pub struct OpenAi(DialectProvider<OpenAiDialect>);

forward_provider!(impl for OpenAi, 0);

impl OpenAi {
    /// Makes a provider from options that all vendors share and settings of this one. A key is sent as bearer where there is
    /// one.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for what [`check`](Self::check) finds, and when TLS cannot be set up.
    pub fn new(options: ProviderOptions, settings: &OpenAiSettings) -> Result<Self> {
        let dialect = Faults::refuse(|faults| profile::dialect(&options, settings, faults))?;
        let credentials = options.bearer_or_none()?;
        Ok(Self(DialectProvider::new(dialect, credentials, options.transport()?)))
    }

    /// Every fault of a configuration, without a key, a connection or TLS: no base URL, a deployment, malformed models.
    #[must_use]
    pub fn check(options: &ProviderOptions, settings: &OpenAiSettings) -> Vec<Error> {
        Faults::find(|faults| profile::dialect(options, settings, faults))
    }

    /// The provider's workings: its dialect, its transport, and a preview of what would be sent.
    #[must_use]
    pub fn inner(&self) -> &DialectProvider<OpenAiDialect> {
        &self.0
    }

    /// Makes a provider with the key in `OPENAI_API_KEY`, at the server in `OPENAI_BASE_URL` or else at OpenAI itself.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when neither is set, or one is malformed.
    pub fn from_env() -> Result<Self> {
        let (key, url) = (std::env::var(API_KEY_ENV), std::env::var(BASE_URL_ENV));
        if key.is_err() && url.is_err() {
            return Err(Error::new(ErrorKind::Config, format!("{API_KEY_ENV} is not set")));
        }
        let url = url.unwrap_or_else(|_| "https://api.openai.com/v1".to_owned());
        let base_url = url.parse().map_err(|error: Error| {
            // A key may have been put there.
            let mut filter = SecretFilter::new();
            filter.add(url.trim());
            Error::new(ErrorKind::Config, format!("{BASE_URL_ENV}: {}", filter.hide(error.message())))
        })?;
        let mut options = ProviderOptions::new(VENDOR).with_base_url(base_url);
        options.api_key = key.ok().map(ApiKey::new).transpose()?;
        Self::new(options, &OpenAiSettings::new())
    }
}
