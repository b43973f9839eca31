//! What can be set for this vendor alone.

use polysight_core::{Error, ErrorKind, Result, redact_name};
use polysight_wire::BaseUrl;
use serde::Deserialize;

/// The environment variables in which keys of this vendor usually are.
pub const API_KEY_ENV: [&str; 1] = ["DASHSCOPE_API_KEY"];

/// Settings of this vendor, beside those that all vendors share.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct QwenVlSettings {
    /// Which of the vendor's regions; default Beijing. A `base_url` overrides it, and keys belong to one region.
    pub region: Region,
    /// Which of the vendor's two protocols; default the compatible one.
    pub protocol: Protocol,
    /// Id of a workspace: its own host is asked, unless there is a `base_url`, and it is named in a header.
    pub workspace: Option<String>,
    /// Whether media that are too large to stand in a request go to the vendor's temporary store (see
    /// [`QwenVl::upload`](crate::QwenVl::upload)). It is the facade that does so, with its feature `media`; default false.
    pub upload: bool,
}

impl QwenVlSettings {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses the region.
    #[must_use]
    pub fn with_region(mut self, region: Region) -> Self {
        self.region = region;
        self
    }

    /// Chooses the protocol.
    #[must_use]
    pub fn with_protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Asks for a workspace.
    #[must_use]
    pub fn with_workspace(mut self, workspace: impl Into<String>) -> Self {
        self.workspace = Some(workspace.into());
        self
    }

    /// Uploads media that are too large to stand in a request.
    #[must_use]
    pub fn with_upload(mut self, upload: bool) -> Self {
        self.upload = upload;
        self
    }

    /// The settings that only the vendor itself has, and whether they are given.
    pub(crate) fn of_vendor(&self) -> [(&'static str, bool); 4] {
        [
            ("protocol", self.protocol == Protocol::Native),
            ("workspace", self.workspace.is_some()),
            ("region", self.region != Region::default()),
            ("upload", self.upload),
        ]
    }

    /// The vendor's base URL for the region or workspace.
    pub(crate) fn base_url(&self) -> Result<BaseUrl> {
        format!("{}{}", self.host()?, self.protocol.prefix()).parse()
    }

    /// The scheme and host of the region or workspace.
    fn host(&self) -> Result<String> {
        match &self.workspace {
            Some(workspace) => {
                check_workspace(workspace)?;
                Ok(format!("https://{workspace}.{}.maas.aliyuncs.com", self.region.id()))
            }
            None => self.region.shared_host().map(str::to_owned),
        }
    }
}

/// The vendor's two protocols: the same models and parameters in other words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Protocol {
    /// Chat completions: `chat/completions` is appended to the base URL.
    #[default]
    Compatible,
    /// The vendor's own, which alone has OCR tasks, frame limits and sizes of resized pictures:
    /// `services/aigc/multimodal-generation/generation` is appended to the base URL.
    Native,
}

impl Protocol {
    /// What follows the host in the vendor's base URLs.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Compatible => "/compatible-mode/v1",
            Self::Native => "/api/v1",
        }
    }

    /// What follows the base URL. Never chosen by what a request holds: a vision model answers on one path only.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Compatible => "chat/completions",
            Self::Native => "services/aigc/multimodal-generation/generation",
        }
    }
}

/// The vendor's regions: separate keys, quotas and prices, one wire.
///
/// Source: the vendor's SDK of October 2026 and its model list page, read 2026-11-21.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Region {
    /// China, Beijing: `dashscope.aliyuncs.com`.
    #[default]
    Beijing,
    /// Singapore, the international site: `dashscope-intl.aliyuncs.com`.
    Singapore,
    /// United States, Virginia: `dashscope-us.aliyuncs.com`.
    Virginia,
    /// Hong Kong: `cn-hongkong.dashscope.aliyuncs.com`.
    HongKong,
    /// Germany, Frankfurt: hosts of workspaces only.
    Frankfurt,
    /// Japan, Tokyo: hosts of workspaces only.
    Tokyo,
}

impl Region {
    const ALL: [Self; 6] =
        [Self::Beijing, Self::Singapore, Self::Virginia, Self::HongKong, Self::Frankfurt, Self::Tokyo];

    /// The currency of the region's price list.
    pub(crate) fn currency(self) -> &'static str {
        if self == Self::Beijing { "CNY" } else { "USD" }
    }

    /// The vendor's id of the region, as it stands in the hosts of workspaces.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Beijing => "cn-beijing",
            Self::Singapore => "ap-southeast-1",
            Self::Virginia => "us-east-1",
            Self::HongKong => "cn-hongkong",
            Self::Frankfurt => "eu-central-1",
            Self::Tokyo => "ap-northeast-1",
        }
    }

    /// The host that all workspaces of the region share.
    fn shared_host(self) -> Result<&'static str> {
        match self {
            Self::Beijing => Ok("https://dashscope.aliyuncs.com"),
            Self::Singapore => Ok("https://dashscope-intl.aliyuncs.com"),
            Self::Virginia => Ok("https://dashscope-us.aliyuncs.com"),
            Self::HongKong => Ok("https://cn-hongkong.dashscope.aliyuncs.com"),
            Self::Frankfurt | Self::Tokyo => {
                let message = format!("region {} has no shared host: set workspace or base_url", self.id());
                Err(Error::new(ErrorKind::Config, message))
            }
        }
    }
}

/// The region of one of the vendor's own hosts.
pub(crate) fn region_of(url: &BaseUrl) -> Option<Region> {
    let host = url.as_url().host_str()?;
    Region::ALL.into_iter().find(|region| {
        let shared = region.shared_host().ok().and_then(|url| url.strip_prefix("https://"));
        let of_workspace = host.strip_suffix(".maas.aliyuncs.com");
        shared == Some(host)
            || of_workspace
                .and_then(|name| name.strip_suffix(region.id()))
                .is_some_and(|name| name.ends_with('.'))
    })
}

/// A workspace's id becomes part of a host name, so nothing else may stand in it.
pub(crate) fn check_workspace(id: &str) -> Result<()> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let starts_well = id.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && id.len() <= 64 && id.chars().all(legal) {
        return Ok(());
    }
    let message = format!(
        "workspace `{}` is no workspace id: 1 to 64 letters, digits, _ and -, the first no sign",
        redact_name(id)
    );
    Err(Error::new(ErrorKind::Config, message))
}

/// Refuses base URLs of surfaces of the vendor that speak another protocol, since their failures say little of that.
pub(crate) fn checked_surface(url: BaseUrl, protocol: Protocol) -> Result<BaseUrl> {
    let path = url.as_url().path().trim_end_matches('/');
    let fail = |problem: String| Err(Error::new(ErrorKind::Config, format!("base_url {url} {problem}")));
    if ["multimodal-generation/generation", "text-generation/generation"]
        .iter()
        .any(|end| path.ends_with(end))
    {
        return fail("is a whole path: leave services/.. off, it is appended".to_owned());
    }
    if path.contains("/apps/anthropic") {
        return fail(format!("speaks another protocol: use ..{}", protocol.prefix()));
    }
    let (other, name) = match protocol {
        Protocol::Compatible => (Protocol::Native, "native"),
        Protocol::Native => (Protocol::Compatible, "compatible"),
    };
    let is_vendor = url.as_url().host_str().is_some_and(|host| host.ends_with(".aliyuncs.com"));
    if is_vendor && path == other.prefix() {
        let wanted = protocol.prefix();
        return fail(format!("speaks the {name} protocol: use ..{wanted}, or set protocol = \"{name}\""));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(region: Region) -> Result<String> {
        QwenVlSettings::new().with_region(region).host()
    }

    #[test]
    fn regions_have_their_hosts() {
        assert_eq!(host(Region::Beijing).unwrap(), "https://dashscope.aliyuncs.com");
        assert_eq!(host(Region::Singapore).unwrap(), "https://dashscope-intl.aliyuncs.com");
        assert_eq!(host(Region::Virginia).unwrap(), "https://dashscope-us.aliyuncs.com");
        assert_eq!(host(Region::HongKong).unwrap(), "https://cn-hongkong.dashscope.aliyuncs.com");
        assert!(host(Region::Frankfurt).unwrap_err().to_string().contains("set workspace"));
        assert!(host(Region::Tokyo).is_err());
    }

    #[test]
    fn a_workspace_has_a_host_in_every_region() {
        let settings = QwenVlSettings::new().with_region(Region::Tokyo).with_workspace("ws-1");
        assert_eq!(settings.host().unwrap(), "https://ws-1.ap-northeast-1.maas.aliyuncs.com");
        for bad in ["", "-a", "a.b", "a/b", "a@evil.example", &"a".repeat(65)] {
            assert!(QwenVlSettings::new().with_workspace(bad).host().is_err(), "{bad}");
        }
    }

    #[test]
    fn base_urls_of_the_other_protocol_are_refused() {
        let check = |text: &str, protocol| checked_surface(text.parse().unwrap(), protocol);
        let native = "https://dashscope.aliyuncs.com/api/v1";
        let compatible = "https://dashscope.aliyuncs.com/compatible-mode/v1/";
        assert!(check(native, Protocol::Native).is_ok());
        assert!(check(compatible, Protocol::Compatible).is_ok());
        let text = check(native, Protocol::Compatible).unwrap_err().to_string();
        assert!(text.contains(r#"set protocol = "native""#), "{text}");
        assert!(check(compatible, Protocol::Native).is_err());
        assert!(check("https://proxy.example/api/v1", Protocol::Compatible).is_ok());
        assert!(check("https://coding.dashscope.aliyuncs.com/v1", Protocol::Compatible).is_ok());
        assert!(check("https://h.example/apps/anthropic/v1", Protocol::Compatible).is_err());
        let whole = "https://h.example/api/v1/services/aigc/multimodal-generation/generation";
        assert!(check(whole, Protocol::Native).unwrap_err().to_string().contains("leave services"));
    }

    #[test]
    fn settings_are_read_by_their_names() {
        let read = |json: &str| serde_json::from_str::<QwenVlSettings>(json);
        let settings = read(r#"{"region":"hong_kong","protocol":"native","workspace":"ws-1"}"#).unwrap();
        assert_eq!((settings.region, settings.protocol), (Region::HongKong, Protocol::Native));
        assert!(read(r#"{"regoin":"tokyo"}"#).is_err());
    }
}
