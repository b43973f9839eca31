//! What can be set for this vendor alone.

use polysight_core::{Error, ErrorKind, Result};
use polysight_wire::BaseUrl;
use serde::Deserialize;

/// The environment variables in which keys of this vendor usually are: the old SDK's and the new one's.
pub const API_KEY_ENV: [&str; 2] = ["ZHIPUAI_API_KEY", "ZAI_API_KEY"];

/// Settings of this vendor, beside those that all vendors share.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ZhipuSettings {
    /// Which of the vendor's two sites; default the mainland's. A `base_url` overrides it.
    pub region: Region,
    /// How requests show the key; default as it is.
    pub auth: Auth,
    /// Language of error texts as in `Accept-Language`, such as `en-US,en`. Default: none on the mainland (Chinese),
    /// English on the international site.
    pub language: Option<String>,
    /// Whether requests without an id get a random one. Default true.
    pub generate_request_ids: Option<bool>,
    /// Whether the markers `<|begin_of_box|>` and `<|end_of_box|>`, which GLM's vision models write around the answer proper,
    /// are left out of the text. Default false: they show where the answer stands.
    pub strip_box_markers: bool,
}

impl ZhipuSettings {
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

    /// Chooses how requests show the key.
    #[must_use]
    pub fn with_auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Chooses the language of error texts.
    #[must_use]
    pub fn with_language(mut self, language: impl Into<String>) -> Self {
        self.language = Some(language.into());
        self
    }

    /// Says whether requests without an id get a random one.
    #[must_use]
    pub fn with_generate_request_ids(mut self, generate: bool) -> Self {
        self.generate_request_ids = Some(generate);
        self
    }

    /// Says whether the markers around the answer proper are left out of the text.
    #[must_use]
    pub fn with_strip_box_markers(mut self, strip: bool) -> Self {
        self.strip_box_markers = strip;
        self
    }

    /// The settings that only the vendor itself has, and whether they are given.
    pub(crate) fn of_vendor(&self) -> [(&'static str, bool); 3] {
        [
            ("region", self.region != Region::Mainland),
            ("auth", self.auth != Auth::Key),
            ("language", self.language.is_some()),
        ]
    }

    pub(crate) fn accept_language(&self) -> Option<&str> {
        self.language.as_deref().or(match self.region {
            Region::Mainland => None,
            Region::International => Some("en-US,en"),
        })
    }
}

/// The vendor's two sites: separate accounts, keys and currencies, one wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Region {
    /// `https://open.bigmodel.cn/api/paas/v4`.
    #[default]
    Mainland,
    /// `https://api.z.ai/api/paas/v4`.
    International,
}

impl Region {
    /// The currency of the site's price list.
    pub(crate) fn currency(self) -> &'static str {
        match self {
            Self::Mainland => "CNY",
            Self::International => "USD",
        }
    }

    /// The site's base URL.
    ///
    /// # Errors
    /// None in practice: a test parses both.
    pub fn base_url(self) -> Result<BaseUrl> {
        match self {
            Self::Mainland => "https://open.bigmodel.cn/api/paas/v4",
            Self::International => "https://api.z.ai/api/paas/v4",
        }
        .parse()
    }
}

/// How requests show the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Auth {
    /// The key itself as bearer, the vendor's default since April 2024.
    #[default]
    Key,
    /// A token signed with the key, valid for 210 s.
    Jwt,
}

/// Whether this is one of the vendor's own sites, and not a proxy or gateway.
pub(crate) fn is_official_host(url: &BaseUrl) -> bool {
    matches!(url.as_url().host_str(), Some("open.bigmodel.cn" | "api.z.ai"))
}

/// Refuses base URLs of the vendor's surfaces that speak another wire, since their failures say nothing of that.
pub(crate) fn checked_surface(url: BaseUrl) -> Result<BaseUrl> {
    let path = url.as_url().path();
    let other = ["/api/anthropic", "/api/v1/", "/paas/v3/"].into_iter().find(|part| path.contains(part));
    if other.is_some() && is_official_host(&url) {
        let message =
            format!("base_url {url} is a surface that speaks another protocol: use .../api/paas/v4");
        return Err(Error::new(ErrorKind::Config, message));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sites_have_a_base_url() {
        assert_eq!(Region::Mainland.base_url().unwrap().to_string(), "https://open.bigmodel.cn/api/paas/v4");
        assert_eq!(Region::International.base_url().unwrap().to_string(), "https://api.z.ai/api/paas/v4");
    }

    #[test]
    fn surfaces_of_other_protocols_are_refused() {
        let check = |text: &str| checked_surface(text.parse().unwrap());
        assert!(check("https://open.bigmodel.cn/api/anthropic/v1").is_err());
        assert!(check("https://open.bigmodel.cn/api/v1/responses").is_err());
        assert!(check("https://open.bigmodel.cn/api/coding/paas/v4").is_ok());
        assert!(check("https://proxy.example/api/v1/").is_ok());
    }

    #[test]
    fn errors_are_english_on_the_international_site() {
        assert_eq!(ZhipuSettings::new().accept_language(), None);
        assert_eq!(
            ZhipuSettings::new().with_region(Region::International).accept_language(),
            Some("en-US,en")
        );
    }
}
