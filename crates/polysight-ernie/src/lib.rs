#![doc = include_str!("../README.md")]

mod errors;
mod extras;
mod iam;
mod profile;
mod quirks;
mod settings;
mod tokens;

use std::sync::Arc;
use std::time::SystemTime;

pub use extras::{ErnieExtras, VENDOR, WebSearch};
use polysight_core::{ApiKey, Catalog, Error, Result};
use polysight_wire::vendor::Faults;
use polysight_wire::{BaseUrl, Credentials, DialectProvider, ProviderOptions, forward_provider};
pub use profile::ErnieDialect;
pub use settings::{API_KEY_ENV, Auth, ErnieSettings, IAM_ENV, Region};
use settings::{MIGRATION_HINT, RETIRED_ENV, config};

/// Model for requests that name none: current, and able to see.
pub const DEFAULT_MODEL: &str = "ernie-4.5-turbo-vl";

/// Qianfan's chat completions as a provider.
#[derive(Debug)]
pub struct Ernie(DialectProvider<ErnieDialect>);

forward_provider!(impl for Ernie, 0);

/// The vendor's catalogue that comes with this crate.
///
/// # Errors
/// None in practice: a test reads it.
pub fn catalog() -> Result<&'static Catalog> {
    profile::CATALOG.get()
}

impl Ernie {
    /// Makes a provider from options that all vendors share and settings of this one.
    ///
    /// # Errors
    /// [`Config`](polysight_core::ErrorKind::Config) for what [`check`](Self::check) finds, without a key, for keys
    /// of the retired V1 interface (the message says how to move), and when TLS cannot be set up.
    pub fn new(options: ProviderOptions, settings: &ErnieSettings) -> Result<Self> {
        let dialect = Faults::refuse(|faults| profile::dialect(&options, settings, faults))?;
        let credentials = credentials(&options, settings, &dialect)?;
        let provider = DialectProvider::new(dialect, credentials, options.transport()?);
        Ok(Self(provider.with_generated_ids(settings.generate_request_ids.unwrap_or(true))))
    }

    /// Every fault of a configuration, without a key, a connection or TLS: an unknown deployment or one without the base URL
    /// that it needs, base URLs of the retired V1 interface, settings that have no effect or are out of range, malformed models.
    #[must_use]
    pub fn check(options: &ProviderOptions, settings: &ErnieSettings) -> Vec<Error> {
        Faults::find(|faults| profile::dialect(options, settings, faults))
    }

    /// The provider's workings: its dialect, its transport, and a preview of what would be sent.
    #[must_use]
    pub fn inner(&self) -> &DialectProvider<ErnieDialect> {
        &self.0
    }

    /// Makes a provider with a key and defaults for everything else: the mainland's site.
    ///
    /// # Errors
    /// [`Config`](polysight_core::ErrorKind::Config) when the key is of another kind or TLS cannot be set up.
    pub fn with_key(key: ApiKey) -> Result<Self> {
        Self::new(ProviderOptions::new(VENDOR).with_api_key(key), &ErnieSettings::default())
    }

    /// Makes a provider with the key in `QIANFAN_API_KEY` or `QIANFAN_BEARER_TOKEN`, or with short-lived keys for the access
    /// key in `QIANFAN_ACCESS_KEY` and `QIANFAN_SECRET_KEY`.
    ///
    /// # Errors
    /// [`Config`](polysight_core::ErrorKind::Config) when none of them is set, or only those of the retired V1 interface.
    pub fn from_env() -> Result<Self> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        if let Some(key) = API_KEY_ENV.into_iter().find_map(&variable) {
            return Self::with_key(ApiKey::new(key)?);
        }
        if let (Some(access), Some(secret)) = (variable(IAM_ENV[0]), variable(IAM_ENV[1])) {
            let settings = ErnieSettings::new().with_iam(ApiKey::new(access)?, ApiKey::new(secret)?);
            return Self::new(ProviderOptions::new(VENDOR), &settings);
        }
        let wanted =
            format!("none of {} is set, nor {} together", API_KEY_ENV.join(", "), IAM_ENV.join(" and "));
        match RETIRED_ENV.into_iter().find(|name| variable(name).is_some()) {
            Some(retired) => {
                config(format!("{wanted}; {retired} belongs to a retired interface. {MIGRATION_HINT}"))
            }
            None => config(wanted),
        }
    }
}

fn credentials(
    options: &ProviderOptions,
    settings: &ErnieSettings,
    dialect: &ErnieDialect,
) -> Result<Arc<dyn Credentials>> {
    if settings.auth == Auth::Iam {
        let (access, secret) = settings.iam_pair()?;
        let url: BaseUrl = settings.iam_url.as_deref().unwrap_or(iam::IAM_URL).parse()?;
        let seconds = settings.key_seconds()?;
        let iam = iam::IamKey::new(access.clone(), secret.clone(), &url, seconds, SystemTime::now)?;
        return Ok(Arc::new(iam));
    }
    if let Some(key) = &options.api_key {
        settings::check_key(key, dialect.url())?;
    }
    dialect.profile().deployment.credentials(options, API_KEY_ENV[0])
}

#[cfg(test)]
mod tests {
    use polysight_core::{ErrorKind, VisionProvider as _};

    use super::*;

    const KEY: &str = "bce-v3/ALTAK-0123456789/0123456789abcdef";

    fn from(variables: &'static [(&'static str, &'static str)]) -> Result<Ernie> {
        Ernie::from_variables(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn key() -> ApiKey {
        ApiKey::new(KEY).unwrap()
    }

    fn gateway() -> ProviderOptions {
        ProviderOptions::new("platform")
            .with_deployment("gateway")
            .with_base_url("https://gateway.example/v1".parse().unwrap())
            .with_api_key(ApiKey::new("any-form").unwrap())
    }

    #[test]
    fn the_environment_is_read_in_its_order() {
        assert!(from(&[("QIANFAN_API_KEY", KEY)]).is_ok());
        assert!(from(&[("QIANFAN_BEARER_TOKEN", KEY)]).is_ok());
        let iam = from(&[("QIANFAN_ACCESS_KEY", "ALTAK-x"), ("QIANFAN_SECRET_KEY", "s")]).unwrap();
        assert!(format!("{iam:?}").contains("IamKey"));
        assert!(from(&[("QIANFAN_ACCESS_KEY", "ALTAK-x")]).unwrap_err().to_string().contains("together"));
        let retired = from(&[("QIANFAN_AK", "x"), ("QIANFAN_SK", "y")]).unwrap_err().to_string();
        assert!(retired.contains("QIANFAN_AK") && retired.contains("offline since"), "{retired}");
    }

    #[test]
    fn the_vendor_is_the_default_deployment_and_has_the_default_model() {
        let ernie = Ernie::with_key(key()).unwrap();
        assert_eq!(&*ernie.id().vendor, VENDOR);
        assert_eq!(ernie.0.dialect().url().as_str(), "https://qianfan.baidubce.com/v2/chat/completions");
        let card = ernie.catalog().find(DEFAULT_MODEL).unwrap();
        assert!(card.image.is_yes() && card.status == polysight_core::catalog::Status::Live);
    }

    #[test]
    fn a_gateway_takes_keys_of_any_form_and_wants_its_url() {
        let ernie = Ernie::new(gateway(), &ErnieSettings::default()).unwrap();
        assert_eq!(ernie.0.dialect().url().as_str(), "https://gateway.example/v1/chat/completions");
        let mut options = gateway();
        options.base_url = None;
        let error = Ernie::new(options, &ErnieSettings::default()).unwrap_err().to_string();
        assert!(error.contains("needs a base_url"), "{error}");
    }

    #[test]
    fn a_server_of_ones_own_needs_no_key() {
        let options = |deployment: &str| {
            let mut options = gateway().with_deployment(deployment);
            options.api_key = None;
            options
        };
        for deployment in ["fastdeploy", "vllm"] {
            assert!(Ernie::new(options(deployment), &ErnieSettings::default()).is_ok(), "{deployment}");
        }
        let error = Ernie::new(options("gateway"), &ErnieSettings::default()).unwrap_err();
        assert!(error.to_string().contains("QIANFAN_API_KEY"));
    }

    #[test]
    fn a_pair_of_keys_without_iam_is_taken_for_a_mistake() {
        let mut settings = ErnieSettings::new();
        settings.secret_key = Some(ApiKey::new("aBcDeFgHiJkLmNoPqRsTuVwXyZ012345").unwrap());
        let options = ProviderOptions::new("p").with_api_key(key());
        let error = Ernie::new(options, &settings).unwrap_err().to_string();
        assert!(error.contains("auth = \"iam\"") && error.contains("offline since"), "{error}");
        let settings = ErnieSettings::new().with_iam(key(), key()).with_region(Region::International);
        assert!(Ernie::new(ProviderOptions::new("p"), &settings).is_err());
    }

    #[test]
    fn settings_without_effect_are_refused_by_name() {
        let settings = || {
            let new = ErnieSettings::new;
            [
                ("region", new().with_region(Region::Beijing)),
                ("appid", new().with_appid("app-1")),
                ("iam_url", new().with_iam_url("https://iam.example")),
                ("key_seconds", new().with_key_seconds(600)),
            ]
        };
        for deployment in ["gateway", "fastdeploy", "vllm"] {
            for (name, settings) in settings() {
                let error = Ernie::new(gateway().with_deployment(deployment), &settings).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Config);
                let message = error.message();
                assert!(message.contains(name) && message.contains(deployment), "{message}");
            }
        }
        for (name, settings) in settings() {
            let made = Ernie::new(ProviderOptions::new("p").with_api_key(key()), &settings);
            let refused = made.err().map(|error| error.message().to_owned());
            assert_eq!(refused.is_some(), ["iam_url", "key_seconds"].contains(&name), "{refused:?}");
        }
    }

    #[test]
    fn other_sites_list_no_prices() {
        let options = || ProviderOptions::new("p").with_api_key(key());
        let abroad = Ernie::new(options(), &ErnieSettings::new().with_region(Region::International)).unwrap();
        assert!(abroad.catalog().card(DEFAULT_MODEL).prices.is_empty());
        let home = Ernie::new(options(), &ErnieSettings::new().with_region(Region::Beijing)).unwrap();
        assert!(!home.catalog().card(DEFAULT_MODEL).prices.is_empty());
    }

    #[test]
    fn nothing_shows_a_key() {
        let ernie = Ernie::with_key(key()).unwrap();
        assert!(!format!("{ernie:?}").contains("0123456789"));
    }
}
