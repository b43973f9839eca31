#![doc = include_str!("../README.md")]

mod catalog;
mod deployment;
mod dialect;
mod errors;
mod extras;
mod iam;
mod quirks;
mod settings;
mod tokens;

use std::sync::Arc;
use std::time::SystemTime;

pub use catalog::catalog;
use deployment::Deployment;
pub use dialect::ErnieDialect;
pub use extras::{ErnieExtras, VENDOR, WebSearch};
use http::HeaderValue;
use polysight_core::{ApiKey, Catalog, Error, ErrorKind, ProviderId, Result};
use polysight_wire::{
    BaseUrl, BearerKey, Credentials, DialectProvider, NoKey, ProviderOptions, forward_provider,
};
pub use settings::{Auth, ErnieSettings, IAM_VARIABLES, KEY_VARIABLES, Region};
use settings::{MOVE, RETIRED_VARIABLES, config};

/// Model for requests that name none: current, and able to see.
pub const DEFAULT_MODEL: &str = "ernie-4.5-turbo-vl";

/// Qianfan's chat completions as a provider.
#[derive(Debug)]
pub struct Ernie(DialectProvider<ErnieDialect>);

forward_provider!(impl for Ernie, 0);

impl Ernie {
    /// Makes a provider from options that all vendors share and settings of this one.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] without a key, for keys and base URLs of the retired V1 interface (the message says how to
    /// move), an unknown deployment, a deployment without its base URL or with a setting that means nothing to it, and
    /// models that are malformed.
    pub fn new(options: ProviderOptions, settings: &ErnieSettings) -> Result<Self> {
        let deployment = deployment::find(&options)?;
        settings.check(deployment)?;
        let base_url = base_url(&options, settings, deployment)?;
        let credentials = credentials(&options, settings, deployment, &base_url)?;
        let transport = options.transport()?;
        let dialect = ErnieDialect {
            catalog: models(&options, settings, deployment)?,
            model: options.model.clone().or_else(|| deployment.model.map(str::to_owned)),
            url: base_url.join("chat/completions")?,
            appid: appid(settings)?,
            greedy_temperature: settings.greedy_temperature()?,
            id: ProviderId::new(options.name, VENDOR),
            deployment,
            replies: Arc::new(dialect::ErnieReplies),
        };
        let provider = DialectProvider::new(dialect, credentials, transport);
        Ok(Self(match settings.generate_request_ids {
            Some(false) => provider.with_request_ids(None),
            _ => provider,
        }))
    }

    /// The provider's workings: its dialect, its transport, and a preview of what would be sent.
    #[must_use]
    pub fn inner(&self) -> &DialectProvider<ErnieDialect> {
        &self.0
    }

    /// Makes a provider with a key and defaults for everything else: the mainland's site.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the key is of another kind or TLS cannot be set up.
    pub fn with_key(key: ApiKey) -> Result<Self> {
        Self::new(ProviderOptions::new(VENDOR).with_api_key(key), &ErnieSettings::default())
    }

    /// Makes a provider with the key in `QIANFAN_API_KEY` or `QIANFAN_BEARER_TOKEN`, or with short-lived keys for the access
    /// key in `QIANFAN_ACCESS_KEY` and `QIANFAN_SECRET_KEY`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when none of them is set, or only those of the retired V1 interface.
    pub fn from_env() -> Result<Self> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        if let Some(key) = KEY_VARIABLES.into_iter().find_map(&variable) {
            return Self::with_key(ApiKey::new(key)?);
        }
        if let (Some(access), Some(secret)) = (variable(IAM_VARIABLES[0]), variable(IAM_VARIABLES[1])) {
            let settings = ErnieSettings::new().with_iam(ApiKey::new(access)?, ApiKey::new(secret)?);
            return Self::new(ProviderOptions::new(VENDOR), &settings);
        }
        let wanted = format!(
            "none of {} is set, nor {} together",
            KEY_VARIABLES.join(", "),
            IAM_VARIABLES.join(" and ")
        );
        match RETIRED_VARIABLES.into_iter().find(|name| variable(name).is_some()) {
            Some(retired) => config(format!("{wanted}; {retired} belongs to a retired interface. {MOVE}")),
            None => config(wanted),
        }
    }
}

fn base_url(options: &ProviderOptions, settings: &ErnieSettings, deployment: &Deployment) -> Result<BaseUrl> {
    let url = match &options.base_url {
        Some(url) => url.clone(),
        None if deployment.is_vendor => settings.region.base_url()?,
        None => {
            return config(format!(
                "provider `{}`: a {} deployment needs base_url, such as https://host.example/v1",
                options.name, deployment.name
            ));
        }
    };
    settings::checked_url(url)
}

fn credentials(
    options: &ProviderOptions,
    settings: &ErnieSettings,
    deployment: &Deployment,
    base_url: &BaseUrl,
) -> Result<Arc<dyn Credentials>> {
    let has_pair = settings.access_key.is_some() || settings.secret_key.is_some();
    match settings.auth {
        Auth::Iam if !(deployment.is_vendor && settings.region.is_qianfan()) => {
            config("auth = \"iam\": short-lived keys are for the vendor's mainland sites alone")
        }
        Auth::Iam => {
            let (access, secret) = settings.iam_pair()?;
            let url: BaseUrl = settings.iam_url.as_deref().unwrap_or(iam::IAM_URL).parse()?;
            let seconds = settings.key_seconds()?;
            let iam = iam::IamKey::new(access.clone(), secret.clone(), &url, seconds, SystemTime::now)?;
            Ok(Arc::new(iam))
        }
        Auth::Key if has_pair => config(format!(
            "access_key and secret_key are for auth = \"iam\"; if secret_key is that of a V1 application: {MOVE}"
        )),
        Auth::Key if options.api_key.is_none() && !deployment.needs_key => Ok(Arc::new(NoKey)),
        Auth::Key => {
            let key = options.require_key(KEY_VARIABLES[0])?;
            settings::check_key(key, base_url)?;
            Ok(Arc::new(BearerKey::new(key)?))
        }
    }
}

fn models(options: &ProviderOptions, settings: &ErnieSettings, deployment: &Deployment) -> Result<Catalog> {
    let own = (deployment.catalog)()?;
    if deployment.is_vendor && !settings.region.is_qianfan() {
        return options.catalog(&catalog::without_prices(own)?);
    }
    options.catalog(own)
}

fn appid(settings: &ErnieSettings) -> Result<Option<HeaderValue>> {
    settings
        .appid
        .as_deref()
        .map(HeaderValue::from_str)
        .transpose()
        .map_err(|error| Error::new(ErrorKind::Config, "appid cannot stand in a header").with_source(error))
}

#[cfg(test)]
mod tests {
    use polysight_core::VisionProvider as _;

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
        assert_eq!(ernie.0.dialect().url.as_str(), "https://qianfan.baidubce.com/v2/chat/completions");
        let card = ernie.catalog().find(DEFAULT_MODEL).unwrap();
        assert!(card.image.is_yes() && card.status == polysight_core::catalog::Status::Live);
    }

    #[test]
    fn a_gateway_takes_keys_of_any_form_and_wants_its_url() {
        let ernie = Ernie::new(gateway(), &ErnieSettings::default()).unwrap();
        assert_eq!(ernie.0.dialect().url.as_str(), "https://gateway.example/v1/chat/completions");
        let mut options = gateway();
        options.base_url = None;
        let error = Ernie::new(options, &ErnieSettings::default()).unwrap_err().to_string();
        assert!(error.contains("needs base_url"), "{error}");
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
