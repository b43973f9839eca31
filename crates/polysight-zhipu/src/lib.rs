#![doc = include_str!("../README.md")]

mod catalog;
mod deployment;
mod dialect;
mod errors;
mod extras;
mod jwt;
mod quirks;
mod settings;

use std::sync::Arc;
use std::time::SystemTime;

pub use catalog::catalog;
pub use dialect::ZhipuDialect;
pub use extras::{VENDOR, ZhipuExtras};
use polysight_core::{ApiKey, Error, ErrorKind, ProviderId, Result};
use polysight_wire::{BearerKey, Credentials, DialectProvider, NoKey, ProviderOptions, forward_provider};
pub use settings::{Auth, KEY_VARIABLES, Region, ZhipuSettings};

/// Model for requests that name none: free, current, and able to see.
pub const DEFAULT_MODEL: &str = "glm-4.6v-flash";

/// Zhipu's chat completions as a provider.
#[derive(Debug)]
pub struct Zhipu(DialectProvider<ZhipuDialect>);

forward_provider!(impl for Zhipu, 0);

impl Zhipu {
    /// Makes a provider from options that all vendors share and settings of this one.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] without a key where one is needed, for a base URL of a surface that speaks another protocol,
    /// an unknown deployment or one without the base URL that it needs, and models that are malformed.
    pub fn new(options: ProviderOptions, settings: &ZhipuSettings) -> Result<Self> {
        let deployment = deployment::find(&options)?;
        settings::check_deployment(settings, deployment)?;
        let base_url = match (&options.base_url, deployment.base_url) {
            (Some(url), _) => url.clone(),
            (None, Some(url)) => url.parse()?,
            (None, None) if deployment.is_vendor => settings.region.base_url()?,
            (None, None) => {
                let message =
                    format!("provider `{}`: deployment `{}` needs a base_url", options.name, deployment.name);
                return Err(Error::new(ErrorKind::Config, message));
            }
        };
        settings::check_surface(&base_url)?;
        let credentials = credentials(&options, settings, deployment.needs_key)?;
        let transport = options.transport()?;
        let dialect = ZhipuDialect {
            catalog: options.catalog(&match (deployment.is_vendor, settings.region) {
                (true, region) => deployment.catalog()?.in_currency(region.currency()),
                (false, _) => deployment.catalog()?,
            })?,
            model: options.model.clone().or_else(|| deployment.model.map(str::to_owned)),
            url: base_url.join("chat/completions")?,
            asks_for_usage: quirks::asks_for_usage(&base_url),
            language: dialect::language(settings.accept_language().filter(|_| deployment.is_vendor))?,
            deployment,
            id: ProviderId::new(options.name, VENDOR),
            replies: Arc::new(dialect::ZhipuReplies),
        };
        let provider = DialectProvider::new(dialect, credentials, transport);
        Ok(Self(match settings.generate_request_ids {
            Some(false) => provider.with_request_ids(None),
            _ => provider,
        }))
    }

    /// The provider's workings: its dialect, its transport, and a preview of what would be sent.
    #[must_use]
    pub fn inner(&self) -> &DialectProvider<ZhipuDialect> {
        &self.0
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
        for (variable, region) in KEY_VARIABLES.into_iter().zip(regions) {
            if let Ok(key) = std::env::var(variable) {
                let options = ProviderOptions::new(VENDOR).with_api_key(ApiKey::new(key)?);
                return Self::new(options, &ZhipuSettings::new().with_region(region));
            }
        }
        Err(Error::new(ErrorKind::Config, format!("neither {} is set", KEY_VARIABLES.join(" nor "))))
    }
}

fn credentials(
    options: &ProviderOptions,
    settings: &ZhipuSettings,
    needs_key: bool,
) -> Result<Arc<dyn Credentials>> {
    if options.api_key.is_none() && !needs_key {
        return Ok(Arc::new(NoKey));
    }
    let key = options.require_key(KEY_VARIABLES[0])?;
    Ok(match settings.auth {
        Auth::Key => Arc::new(BearerKey::new(key)?),
        Auth::Jwt => Arc::new(jwt::JwtKey::new(key.clone(), SystemTime::now)?),
    })
}
