//! What can be set for this vendor alone.

use polysight_core::{ApiKey, Error, ErrorKind, Result};
use polysight_wire::BaseUrl;
use polysight_wire::vendor::Deployment;
use serde::{Deserialize, Deserializer};
use url::Url;

use crate::profile::Wire;

/// The environment variables in which keys of this vendor usually are: the common name, and the vendor's SDK's.
pub const API_KEY_ENV: [&str; 2] = ["QIANFAN_API_KEY", "QIANFAN_BEARER_TOKEN"];

/// The environment variables of an IAM access key and its secret, as in the vendor's SDK.
pub const IAM_ENV: [&str; 2] = ["QIANFAN_ACCESS_KEY", "QIANFAN_SECRET_KEY"];

/// The environment variables of the retired surface.
pub(crate) const RETIRED_ENV: [&str; 2] = ["QIANFAN_AK", "QIANFAN_SK"];

/// Seconds for which the IAM makes a short-lived key.
const KEY_SECONDS: std::ops::RangeInclusive<u32> = 300..=2_592_000;

/// Settings of this vendor, beside those that all vendors share.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ErnieSettings {
    /// Which of the vendor's sites; default the mainland's. A `base_url` overrides it.
    pub region: Region,
    /// How requests show who sends them; default a long-lived key.
    pub auth: Auth,
    /// IAM access key (`ALTAK...`), for [`Auth::Iam`].
    #[serde(deserialize_with = "secret")]
    pub access_key: Option<ApiKey>,
    /// Secret of the access key, for [`Auth::Iam`].
    #[serde(deserialize_with = "secret")]
    pub secret_key: Option<ApiKey>,
    /// Base URL of the IAM; default `https://iam.bj.baidubce.com`.
    pub iam_url: Option<String>,
    /// How long a short-lived key lives, in seconds: 300 to 2,592,000, default 1,800. It is made anew a minute before its
    /// end.
    pub key_seconds: Option<u32>,
    /// Application (`app-...`) that requests are counted for; needed with keys that are bound to one.
    pub appid: Option<String>,
    /// Temperature that greedy sampling is sent as; default 0. Back ends that follow documents from before 2026 want a
    /// little more, such as 0.01.
    pub greedy_temperature: Option<f64>,
    /// Whether requests without an id get a random one. Default true.
    pub generate_request_ids: Option<bool>,
    #[serde(
        rename = "access_token",
        alias = "client_id",
        alias = "client_secret",
        alias = "api_secret",
        alias = "endpoint",
        alias = "ak",
        alias = "sk"
    )]
    retired: RetiredKey,
}

impl ErnieSettings {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses the site.
    #[must_use]
    pub fn with_region(mut self, region: Region) -> Self {
        self.region = region;
        self
    }

    /// Uses short-lived keys that the IAM makes for an access key and its secret.
    #[must_use]
    pub fn with_iam(mut self, access_key: ApiKey, secret_key: ApiKey) -> Self {
        self.auth = Auth::Iam;
        (self.access_key, self.secret_key) = (Some(access_key), Some(secret_key));
        self
    }

    /// Sets the IAM's base URL.
    #[must_use]
    pub fn with_iam_url(mut self, url: impl Into<String>) -> Self {
        self.iam_url = Some(url.into());
        self
    }

    /// Sets how long a short-lived key lives, in seconds.
    #[must_use]
    pub fn with_key_seconds(mut self, seconds: u32) -> Self {
        self.key_seconds = Some(seconds);
        self
    }

    /// Names the application that requests are counted for.
    #[must_use]
    pub fn with_appid(mut self, appid: impl Into<String>) -> Self {
        self.appid = Some(appid.into());
        self
    }

    /// Sets the temperature that greedy sampling is sent as.
    #[must_use]
    pub fn with_greedy_temperature(mut self, temperature: f64) -> Self {
        self.greedy_temperature = Some(temperature);
        self
    }

    /// Says whether requests without an id get a random one.
    #[must_use]
    pub fn with_generate_request_ids(mut self, generate: bool) -> Self {
        self.generate_request_ids = Some(generate);
        self
    }

    /// Refuses settings that would have no effect or do not go together.
    pub(crate) fn check(&self, deployment: &Deployment<Wire>) -> Result<()> {
        let (iam_url, key_seconds) = (self.iam_url.is_some(), self.key_seconds.is_some());
        deployment.refuse_settings(&[
            ("region", self.region != Region::Mainland),
            ("appid", self.appid.is_some()),
            ("iam_url", iam_url),
            ("key_seconds", key_seconds),
        ])?;
        let has_pair = self.access_key.is_some() || self.secret_key.is_some();
        match self.auth {
            Auth::Iam if !(deployment.is_vendor && self.region.is_qianfan()) => {
                config("auth = \"iam\": short-lived keys are for the vendor's mainland sites alone")
            }
            Auth::Iam => {
                self.key_seconds()?;
                self.iam_url.as_deref().map(str::parse::<BaseUrl>).transpose()?;
                self.iam_pair().map(drop)
            }
            Auth::Key if iam_url || key_seconds => {
                let name = if iam_url { "iam_url" } else { "key_seconds" };
                config(format!("`{name}` is for auth = \"iam\" alone: leave it out"))
            }
            Auth::Key if has_pair => config(format!(
                "access_key and secret_key are for auth = \"iam\"; if secret_key is that of a V1 application: {MIGRATION_HINT}"
            )),
            Auth::Key => Ok(()),
        }
    }

    /// The access key and its secret, of the forms that the IAM has.
    pub(crate) fn iam_pair(&self) -> Result<(&ApiKey, &ApiKey)> {
        let (Some(access), Some(secret)) = (&self.access_key, &self.secret_key) else {
            return config("auth = \"iam\" needs access_key and secret_key");
        };
        match KeyForm::of(access.expose()) {
            KeyForm::Bearer => {
                config("access_key holds an API key (bce-v3/...): put that into api_key, with auth = \"key\"")
            }
            KeyForm::RetiredApp => config(format!(
                "access_key holds the API key of a V1 application, which the IAM does not know. {MIGRATION_HINT}"
            )),
            _ => Ok((access, secret)),
        }
    }

    pub(crate) fn key_seconds(&self) -> Result<u32> {
        match self.key_seconds.unwrap_or(1_800) {
            seconds if KEY_SECONDS.contains(&seconds) => Ok(seconds),
            seconds => config(format!(
                "key_seconds is {seconds}; the IAM makes keys for {} to {} s",
                KEY_SECONDS.start(),
                KEY_SECONDS.end()
            )),
        }
    }

    pub(crate) fn greedy_temperature(&self) -> Result<f64> {
        match self.greedy_temperature.unwrap_or(0.0) {
            number if (0.0..=1.0).contains(&number) => Ok(number),
            number => config(format!("greedy_temperature is {number}; it must be 0, or a little more")),
        }
    }
}

/// The vendor's sites: separate accounts and keys but for the first two, one wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Region {
    /// `https://qianfan.baidubce.com/v2`.
    #[default]
    Mainland,
    /// `https://qianfan.bj.baidubce.com/v2`: the same by a regional name.
    Beijing,
    /// `https://api.baiduqianfan.ai/v1`: accounts, models and prices of its own; none of its prices are known here.
    International,
    /// `https://aistudio.baidu.com/llm/lmapi/v3`: AI Studio's access tokens and free quota.
    AiStudio,
}

impl Region {
    /// The site's base URL.
    ///
    /// # Errors
    /// None in practice: a test parses all.
    pub fn base_url(self) -> Result<BaseUrl> {
        match self {
            Self::Mainland => "https://qianfan.baidubce.com/v2",
            Self::Beijing => "https://qianfan.bj.baidubce.com/v2",
            Self::International => "https://api.baiduqianfan.ai/v1",
            Self::AiStudio => "https://aistudio.baidu.com/llm/lmapi/v3",
        }
        .parse()
    }

    /// Whether keys and prices are those of the mainland's Qianfan.
    pub(crate) fn is_qianfan(self) -> bool {
        matches!(self, Self::Mainland | Self::Beijing)
    }
}

/// How requests show who sends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Auth {
    /// `api_key` itself as bearer.
    #[default]
    Key,
    /// A short-lived key that the IAM makes for `access_key` and `secret_key`.
    Iam,
}

/// What takes the place of what: the end of every refusal of the retired surface.
pub(crate) const MIGRATION_HINT: &str = "Qianfan V1 is offline since 2026-08-31. On V2 the base URL is \
     https://qianfan.baidubce.com/v2; api_key is a key of the form bce-v3/ALTAK-.../..., made in the console and sent as \
     bearer (or auth = \"iam\" with access_key and secret_key of an IAM user), in place of access_token, client_id and \
     client_secret; the model is named by its id in lower case, in place of an endpoint of the URL; own V1 services must \
     be deployed anew";

/// A setting of the retired surface: reading one is an error.
#[derive(Debug, Clone, Default)]
struct RetiredKey;

impl<'de> Deserialize<'de> for RetiredKey {
    fn deserialize<D: Deserializer<'de>>(_: D) -> std::result::Result<Self, D::Error> {
        Err(serde::de::Error::custom(format!(
            "access_token, client_id, client_secret, api_secret, ak, sk and endpoint belong to a retired interface. {MIGRATION_HINT}"
        )))
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<ApiKey>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    ApiKey::new(text).map(Some).map_err(serde::de::Error::custom)
}

/// What a key is, by its form alone. The vendor has had several that look alike, and its servers' answers to the wrong one
/// do not say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyForm {
    /// A key of V2, long-lived or short-lived.
    Bearer,
    /// An access token of V1: `24.`, hexadecimal digits, and three more parts with dots between.
    RetiredToken,
    /// API key or secret key of a V1 application: 24 or 32 letters and digits of both cases.
    RetiredApp,
    /// An IAM access key without its secret.
    AccessKey,
    /// Key and application in one, as some gateways write them.
    Joined,
    /// None of these.
    Other,
}

impl KeyForm {
    fn of(key: &str) -> Self {
        let is_app = matches!(key.len(), 24 | 32)
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && key.bytes().any(|byte| byte.is_ascii_uppercase())
            && key.bytes().any(|byte| byte.is_ascii_lowercase());
        match key {
            _ if key.contains('|') => Self::Joined,
            _ if key.starts_with("bce-v3/") => Self::Bearer,
            _ if key.starts_with("24.") && key.matches('.').count() >= 4 => Self::RetiredToken,
            _ if key.starts_with("ALTAK") => Self::AccessKey,
            _ if is_app => Self::RetiredApp,
            _ => Self::Other,
        }
    }
}

/// Refuses keys that Qianfan V2 is known not to take. Other hosts may have keys of any form but a V1 token's.
pub(crate) fn check_key(key: &ApiKey, url: &Url) -> Result<()> {
    match KeyForm::of(key.expose()) {
        form if form != KeyForm::RetiredToken && !is_qianfan_host(url) => Ok(()),
        KeyForm::Bearer | KeyForm::Other => Ok(()),
        KeyForm::RetiredToken => config(format!("api_key holds an access token of V1. {MIGRATION_HINT}")),
        KeyForm::RetiredApp => {
            config(format!("api_key has the form of a V1 application's key. {MIGRATION_HINT}"))
        }
        KeyForm::AccessKey => config(
            "api_key holds an IAM access key: give it as access_key, with secret_key and auth = \"iam\", or make a key of \
             the form bce-v3/ALTAK-.../... in the console",
        ),
        KeyForm::Joined => config("api_key holds a key and an application: give the latter as appid"),
    }
}

/// Brings a base URL at the vendor into its one good form, and refuses surfaces that are gone or not this.
pub(crate) fn checked_url(url: BaseUrl) -> Result<BaseUrl> {
    let path = url.as_url().path();
    let host = url.as_url().host_str().unwrap_or_default();
    let is_retired = ["/rpc/2.0/", "/wenxinworkshop", "/oauth/2.0/"].iter().any(|part| path.contains(part));
    if is_retired || host == "aip.baidubce.com" {
        return config(format!("base_url {url} belongs to a retired interface. {MIGRATION_HINT}"));
    }
    if !is_qianfan_host(url.as_url()) {
        return Ok(url);
    }
    match path {
        "/" => format!("{url}/v2").parse(),
        path if path.starts_with("/v1/") => config(format!("base_url {url}: Qianfan's path is /v2, not /v1")),
        _ => Ok(url),
    }
}

/// The site that an account is counted at: one for both of its names.
pub(crate) fn site(url: &BaseUrl) -> BaseUrl {
    let mainland = Region::Mainland.base_url().ok().filter(|_| is_qianfan_host(url.as_url()));
    mainland.unwrap_or_else(|| url.clone())
}

fn is_qianfan_host(url: &Url) -> bool {
    matches!(url.host_str(), Some("qianfan.baidubce.com" | "qianfan.bj.baidubce.com"))
}

pub(crate) fn config<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::new(ErrorKind::Config, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> std::result::Result<ErnieSettings, serde_json::Error> {
        serde_json::from_str(json)
    }

    fn key(text: &str) -> ApiKey {
        ApiKey::new(text).unwrap()
    }

    #[test]
    fn every_site_has_a_base_url() {
        for region in [Region::Mainland, Region::Beijing, Region::International, Region::AiStudio] {
            assert!(checked_url(region.base_url().unwrap()).is_ok());
        }
    }

    #[test]
    fn reads_every_setting() {
        let settings = read(
            r#"{"region": "ai_studio", "auth": "iam", "access_key": "ALTAK-x", "secret_key": "s", "iam_url": "http://h/",
                "key_seconds": 600, "appid": "app-1", "greedy_temperature": 0.01, "generate_request_ids": false}"#,
        )
        .unwrap();
        assert_eq!((settings.region, settings.auth), (Region::AiStudio, Auth::Iam));
        assert_eq!(settings.key_seconds().unwrap(), 600);
        let shown = format!("{settings:?}");
        assert!(!shown.contains("ALTAK-x"), "{shown}");
        assert!(read(r#"{"acces_key": "x"}"#).unwrap_err().to_string().contains("unknown field"));
        assert!(ErnieSettings::new().with_key_seconds(60).key_seconds().is_err());
        assert!(ErnieSettings::new().with_greedy_temperature(-0.1).greedy_temperature().is_err());
    }

    #[test]
    fn settings_of_the_retired_surface_say_how_to_move() {
        for name in ["access_token", "client_id", "client_secret", "api_secret", "endpoint", "ak", "sk"] {
            let error = read(&format!(r#"{{"{name}": "canary"}}"#)).unwrap_err().to_string();
            assert!(error.contains("offline since 2026-08-31") && error.contains("bce-v3/"), "{error}");
            assert!(!error.contains("canary"));
        }
    }

    #[test]
    fn base_urls_of_the_retired_surface_say_how_to_move() {
        for text in [
            "https://aip.baidubce.com",
            "https://aip.baidubce.com/rpc/2.0/ai_custom/v1/wenxinworkshop/chat",
            "https://proxy.example/rpc/2.0/ai_custom/v1",
        ] {
            let error = checked_url(text.parse().unwrap()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("offline since 2026-08-31"), "{error}");
        }
    }

    #[test]
    fn a_base_url_at_the_vendor_is_brought_into_form() {
        let checked = |text: &str| checked_url(text.parse().unwrap()).map(|url| url.to_string());
        assert_eq!(checked("https://qianfan.baidubce.com").unwrap(), "https://qianfan.baidubce.com/v2");
        assert_eq!(
            checked("https://qianfan.bj.baidubce.com/v2/").unwrap(),
            "https://qianfan.bj.baidubce.com/v2"
        );
        assert!(checked("https://qianfan.baidubce.com/v1").unwrap_err().to_string().contains("/v2, not /v1"));
        assert_eq!(checked("https://proxy.example/v1").unwrap(), "https://proxy.example/v1");
    }

    #[test]
    fn keys_of_other_kinds_are_told_apart_at_the_vendor_only() {
        let vendor = Region::Mainland.base_url().unwrap().as_url().clone();
        let problem = |text: &str| check_key(&key(text), &vendor).unwrap_err().to_string();
        assert!(problem("24.0123456789abcdef0123456789abcdef.2592000.1700000000.282335-1").contains("V1"));
        assert!(problem("aBcDeFgHiJkLmNoPqRsTuVwX").contains("V1 application"));
        assert!(problem("ALTAK-0123").contains("auth = \"iam\""));
        assert!(problem("bce-v3/ALTAK-a/b|app-1").contains("appid"));
        assert!(!problem("ALTAK-0123").contains("0123"));
        assert!(check_key(&key("bce-v3/ALTAK-a/0123"), &vendor).is_ok());
        assert!(check_key(&key("sk-of-a-new-kind"), &vendor).is_ok());
        let proxy = "https://proxy.example/v1".parse().unwrap();
        assert!(check_key(&key("ALTAK-0123"), &proxy).is_ok());
        assert!(check_key(&key("24.abc"), &proxy).is_ok());
        assert!(check_key(&key("24.0123456789abcdef.2592000.1700000000.282335-1"), &proxy).is_err());
    }

    #[test]
    fn the_pair_for_the_iam_must_be_complete_and_of_the_iam() {
        let pair = |access: &str| {
            ErnieSettings::new()
                .with_iam(key(access), key("s"))
                .iam_pair()
                .map(|_| ())
                .map_err(|e| e.to_string())
        };
        assert_eq!(pair("ALTAK-0123"), Ok(()));
        assert_eq!(pair("0123456789abcdef0123456789abcdef"), Ok(()));
        assert!(pair("bce-v3/ALTAK-a/b").unwrap_err().contains("api_key"));
        assert!(pair("aBcDeFgHiJkLmNoPqRsTuVwX").unwrap_err().contains("V1 application"));
        assert!(ErnieSettings::new().iam_pair().is_err());
    }
}
