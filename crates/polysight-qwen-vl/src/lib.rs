#![doc = include_str!("../README.md")]

mod catalog;
mod deployment;
mod dialect;
mod errors;
mod extras;
mod native;
mod quirks;
mod settings;
mod tokens;
mod upload;

use std::sync::Arc;

pub use catalog::catalog;
use deployment::Deployment;
pub use dialect::QwenVlDialect;
use errors::Speaker;
pub use extras::{DataInspection, OcrTask, QwenVlExtras, VENDOR};
use http::{HeaderMap, HeaderValue};
pub use native::{image_sizes, ocr_result};
use polysight_core::{ApiKey, Error, ErrorKind, MediaSource, ProviderId, Result};
use polysight_wire::{
    BaseUrl, BearerKey, Credentials, DialectProvider, NoKey, ProviderOptions, forward_provider,
};
pub use settings::{KEY_VARIABLES, Protocol, QwenVlSettings, Region};
pub use tokens::{Look, Resized, TokenFormula, VideoBudget, resized};
use url::Url;

/// Model for requests that name none, at the vendor itself: current, sees pictures and videos, reasons only when asked.
pub const DEFAULT_MODEL: &str = "qwen3-vl-plus";

/// Qwen-VL as a provider: at the vendor itself, behind a gateway, or on a server of one's own.
#[derive(Debug)]
pub struct QwenVl(DialectProvider<QwenVlDialect>);

forward_provider!(impl for QwenVl, 0);

impl QwenVl {
    /// Makes a provider from options that all vendors share and settings of this one.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for an unknown deployment, without a key or base URL where the deployment needs one, for a
    /// region that has no shared host, settings that belong to the vendor itself at another deployment, a base URL of a
    /// surface that speaks another protocol, and models that are malformed.
    pub fn new(options: ProviderOptions, settings: &QwenVlSettings) -> Result<Self> {
        let deployment = deployment::of_options(&options.name, options.deployment.as_deref())?;
        check_settings(deployment, settings)?;
        let base_url = base_url(&options, deployment, settings)?;
        settings::check_surface(&base_url, settings.protocol)?;
        let credentials = credentials(&options, deployment)?;
        let transport = options.transport()?;
        let catalog = catalog::of_deployment(deployment, settings.protocol)?;
        let catalog =
            if deployment.is_vendor { catalog.in_currency(settings.region.currency()) } else { catalog };
        let default = deployment.is_vendor.then(|| DEFAULT_MODEL.to_owned());
        let uploads = upload::tickets(&base_url, settings.protocol).filter(|_| deployment.is_vendor);
        let dialect = QwenVlDialect {
            catalog: options.catalog(&catalog)?,
            model: options.model.clone().or(default),
            url: base_url.join(settings.protocol.path())?,
            uploads,
            protocol: settings.protocol,
            deployment,
            headers: headers(settings)?,
            replies: Arc::new(dialect::QwenReplies { speaker: speaker(deployment, &options, settings) }),
            id: ProviderId::new(options.name, VENDOR),
        };
        // The vendor takes no ids of requests, so that none are made.
        Ok(Self(DialectProvider::new(dialect, credentials, transport)))
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
        let variable = KEY_VARIABLES[0];
        match std::env::var(variable) {
            Ok(key) => Self::with_key(ApiKey::new(key)?),
            Err(_) => Err(Error::new(ErrorKind::Config, format!("{variable} is not set"))),
        }
    }

    /// The wire as pure functions: what would be sent, and what a reply means, without a socket.
    #[must_use]
    pub fn dialect(&self) -> &QwenVlDialect {
        self.0.dialect()
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

/// Refuses settings that would have no effect.
fn check_settings(deployment: &Deployment, settings: &QwenVlSettings) -> Result<()> {
    if deployment.is_vendor {
        return Ok(());
    }
    let own = [
        ("protocol = \"native\"", settings.protocol == Protocol::Native),
        ("workspace", settings.workspace.is_some()),
        ("region", settings.region != Region::default()),
    ];
    match own.into_iter().find(|(_, is_set)| *is_set) {
        None => Ok(()),
        Some((name, _)) => {
            let message =
                format!("{name} is of the vendor's own service, not of deployment `{}`", deployment.name);
            Err(Error::new(ErrorKind::Config, message))
        }
    }
}

fn base_url(
    options: &ProviderOptions,
    deployment: &Deployment,
    settings: &QwenVlSettings,
) -> Result<BaseUrl> {
    if let Some(url) = &options.base_url {
        return Ok(url.clone());
    }
    match deployment.base_url {
        Some(url) => url.parse(),
        None if deployment.is_vendor => format!("{}{}", settings.host()?, settings.protocol.prefix()).parse(),
        None => {
            let message =
                format!("provider `{}`: deployment `{}` needs a base_url", options.name, deployment.name);
            Err(Error::new(ErrorKind::Config, message))
        }
    }
}

fn credentials(options: &ProviderOptions, deployment: &Deployment) -> Result<Arc<dyn Credentials>> {
    match &options.api_key {
        Some(key) => Ok(Arc::new(BearerKey::new(key)?)),
        None if deployment.needs_key => Ok(Arc::new(BearerKey::new(options.require_key(KEY_VARIABLES[0])?)?)),
        None => Ok(Arc::new(NoKey)),
    }
}

fn headers(settings: &QwenVlSettings) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    if let Some(workspace) = &settings.workspace {
        settings::check_workspace(workspace)?;
        let value = HeaderValue::try_from(workspace).map_err(|error| {
            Error::new(ErrorKind::Config, "workspace is no value of a header").with_source(error)
        })?;
        headers.insert("x-dashscope-workspace", value);
    }
    Ok(headers)
}

fn speaker(deployment: &Deployment, options: &ProviderOptions, settings: &QwenVlSettings) -> Speaker {
    if !deployment.is_vendor {
        return Speaker::Other;
    }
    let asked = match &options.base_url {
        Some(url) => url.to_string(),
        None => settings.region.id().to_owned(),
    };
    let key_hint =
        format!("a key belongs to one region, and this provider asks {asked}: check region and base_url");
    Speaker::Vendor { key_hint }
}
