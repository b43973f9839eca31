#![doc = include_str!("../README.md")]

mod counter;
mod errors;
mod extras;
mod jwt;
mod profile;
mod quirks;
mod settings;
mod tokens;

use std::sync::Arc;
use std::time::SystemTime;

pub use counter::TokenCount;
pub use extras::{VENDOR, ZhipuExtras};
use polysight_core::{ApiKey, Catalog, ChatRequest, Error, ErrorKind, Result};
use polysight_wire::vendor::Faults;
use polysight_wire::{Credentials, DialectProvider, ProviderOptions, forward_provider};
pub use profile::ZhipuDialect;
pub use settings::{API_KEY_ENV, Auth, Region, ZhipuSettings};

/// Model for requests that name none: free, current, and able to see.
pub const DEFAULT_MODEL: &str = "glm-4.6v-flash";

/// Zhipu's chat completions as a provider.
#[derive(Debug)]
pub struct Zhipu(DialectProvider<ZhipuDialect>);

forward_provider!(impl for Zhipu, 0);

/// The catalogue that comes with this crate.
///
/// # Errors
/// None in practice: a test reads it.
pub fn catalog() -> Result<&'static Catalog> {
    profile::CATALOG.get()
}

impl Zhipu {
    /// Makes a provider from options that all vendors share and settings of this one.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for what [`check`](Self::check) finds, without a key where one is needed, and when TLS cannot be
    /// set up.
    pub fn new(options: ProviderOptions, settings: &ZhipuSettings) -> Result<Self> {
        let dialect = Faults::refuse(|faults| profile::dialect(&options, settings, faults))?;
        let credentials = credentials(&options, settings, &dialect)?;
        let provider = DialectProvider::new(dialect, credentials, options.transport()?);
        Ok(Self(provider.with_generated_ids(settings.generate_request_ids.unwrap_or(true))))
    }

    /// Every fault of a configuration, without a key, a connection or TLS: an unknown deployment or one without the base URL
    /// that it needs, a base URL of a surface that speaks another protocol, settings that have no effect, malformed models.
    #[must_use]
    pub fn check(options: &ProviderOptions, settings: &ZhipuSettings) -> Vec<Error> {
        Faults::find(|faults| profile::dialect(options, settings, faults))
    }

    /// The provider's workings: its dialect, its transport, and a preview of what would be sent.
    #[must_use]
    pub fn inner(&self) -> &DialectProvider<ZhipuDialect> {
        &self.0
    }

    /// Asks the vendor's counter how many tokens a request takes. Its pages name glm-4.6v, glm-4.6 and glm-4.5; whether a question
    /// costs money is not published. A plan's estimate needs no question, and gives bounds.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] with every violation, as for a chat; [`ErrorKind::Unsupported`] where another than the vendor
    /// serves the models; what the vendor refuses; [`ErrorKind::Protocol`] for a reply without a count.
    pub async fn count_tokens(&self, request: &ChatRequest) -> Result<TokenCount> {
        counter::count(&self.0, request).await
    }

    /// Makes a provider with a key and defaults for everything else: the mainland's site, the key as it is.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the key cannot be sent or TLS cannot be set up.
    pub fn with_key(key: ApiKey) -> Result<Self> {
        Self::new(ProviderOptions::new(VENDOR).with_api_key(key), &ZhipuSettings::default())
    }

    /// Makes a provider with the key in `ZHIPUAI_API_KEY` or `ZAI_API_KEY`; the latter belongs to the international
    /// site.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when neither is set.
    pub fn from_env() -> Result<Self> {
        let regions = [Region::Mainland, Region::International];
        for (variable, region) in API_KEY_ENV.into_iter().zip(regions) {
            if let Ok(key) = std::env::var(variable) {
                let options = ProviderOptions::new(VENDOR).with_api_key(ApiKey::new(key)?);
                return Self::new(options, &ZhipuSettings::new().with_region(region));
            }
        }
        Err(Error::new(ErrorKind::Config, format!("neither {} is set", API_KEY_ENV.join(" nor "))))
    }
}

fn credentials(
    options: &ProviderOptions,
    settings: &ZhipuSettings,
    dialect: &ZhipuDialect,
) -> Result<Arc<dyn Credentials>> {
    let deployment = dialect.profile().deployment;
    if settings.auth == Auth::Jwt {
        let key = options.require_key(API_KEY_ENV[0])?;
        return Ok(Arc::new(jwt::JwtKey::new(key.clone(), SystemTime::now)?));
    }
    deployment.credentials(options, API_KEY_ENV[0])
}
