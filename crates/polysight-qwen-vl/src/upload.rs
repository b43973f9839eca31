//! The vendor's temporary store, for files that are too large to stand inside a request.
//!
//! A ticket is fetched from the vendor, and the file goes as a form to the store that the ticket names; the key never
//! goes there. What comes back is an `oss://` URL that lives for 48 hours, belongs to the account and is bound to the
//! model that the ticket was fetched for. Source: the vendor's page of temporary file URLs, its SDK, and recorded
//! traffic; read 2026-11-21.

use http::HeaderMap;
use polysight_core::{Error, ErrorKind, Image, MediaSource, Result, RetryAdvice, Video};
use polysight_wire::body::FormBody;
use polysight_wire::json;
use polysight_wire::{BaseUrl, Call, Dialect as _, DialectProvider, Transport, WireReply, WireRequest};
use serde::Deserialize;
use url::Url;

use crate::profile::QwenVlDialect;
use crate::settings::Protocol;

/// What the vendor grants: a place in its store, for some minutes.
#[derive(Debug, Deserialize)]
struct Ticket {
    policy: String,
    signature: String,
    upload_dir: String,
    upload_host: String,
    oss_access_key_id: String,
    #[serde(default)]
    max_file_size_mb: Option<u64>,
    #[serde(default)]
    x_oss_object_acl: Option<String>,
    #[serde(default)]
    x_oss_forbid_overwrite: Option<String>,
}

#[derive(Debug, Deserialize)]
struct TicketReply {
    data: Ticket,
}

/// Where tickets are fetched: below the native protocol's base URL, whichever protocol is spoken.
pub(crate) fn tickets(base: &BaseUrl, protocol: Protocol) -> Option<Url> {
    let mut url = match protocol {
        Protocol::Native => base.as_url().clone(),
        Protocol::Compatible => {
            let mut url = base.as_url().clone();
            let before =
                url.path().trim_end_matches('/').strip_suffix(Protocol::Compatible.prefix())?.to_owned();
            url.set_path(&format!("{before}{}/", Protocol::Native.prefix()));
            url
        }
    };
    let path = format!("{}uploads", url.path());
    url.set_path(&path);
    Some(url)
}

/// Uploads a medium and gives its URL.
pub(crate) async fn upload(
    provider: &DialectProvider<QwenVlDialect>,
    call: &mut Call,
    model: &str,
    source: &MediaSource,
) -> Result<Url> {
    let (dialect, transport) = (provider.dialect(), provider.transport());
    let Some(length) = source.byte_len() else {
        let message = "what is behind a URL cannot be uploaded: give the model the URL itself";
        return Err(Error::new(ErrorKind::InvalidRequest, message));
    };
    let mut tickets = dialect.profile().uploads.clone().ok_or_else(|| {
        let message = "there is no temporary store at this base_url: it is the vendor's own";
        Error::new(ErrorKind::Unsupported, message)
    })?;
    tickets.query_pairs_mut().append_pair("action", "getPolicy").append_pair("model", model);
    let ticket = ticket(dialect, transport, call, tickets).await?;
    for secret in [&ticket.policy, &ticket.signature, &ticket.oss_access_key_id] {
        call.keep_secret(secret);
    }
    let limit = ticket.max_file_size_mb.map(|limit| limit.saturating_mul(1 << 20));
    if let Some(limit) = limit.filter(|limit| length > *limit) {
        let message = format!("the file is {length} bytes, and the store takes at most {limit}");
        return Err(Error::new(ErrorKind::InvalidMedia, message));
    }
    let store = store_url(&ticket.upload_host, dialect.profile().uploads.as_ref())?;
    let key = format!("{}/{}", ticket.upload_dir.trim_matches('/'), object_name(source));
    let reply = transport.post_elsewhere(form(&ticket, &key, store, source)?).await?;
    if !reply.head.is_success() {
        return Err(refused(reply).await);
    }
    Url::parse(&format!("oss://{key}"))
        .map_err(|error| Error::new(ErrorKind::Protocol, "the store's place is no URL").with_source(error))
}

async fn ticket(dialect: &QwenVlDialect, transport: &Transport, call: &mut Call, url: Url) -> Result<Ticket> {
    let mut headers = dialect.profile().headers.clone();
    call.authorize(transport, &mut headers).await?;
    let reply = transport.get(url, headers).await?;
    if !reply.head.is_success() {
        let (head, body) = reply.into_error_bytes().await;
        return Err(head.advise(dialect.decode_error(&head, &body)));
    }
    let head = reply.head.clone();
    let body = reply.into_bytes().await?;
    match json::read_owned::<TicketReply>(&body) {
        Ok(reply) => Ok(reply.data),
        Err(error) if body.windows(6).any(|window| window == b"\"code\"") => {
            Err(dialect.decode_error(&head, &body).with_source(error))
        }
        Err(error) => {
            let message = "the reply is no ticket for an upload";
            Err(Error::new(ErrorKind::Protocol, message).with_status(head.status).with_source(error))
        }
    }
}

/// The store's address as the ticket gives it, over TLS unless the vendor itself is asked without.
fn store_url(host: &str, vendor: Option<&Url>) -> Result<Url> {
    let url = Url::parse(host).ok().filter(Url::has_host);
    let plain = vendor.is_some_and(|vendor| vendor.scheme() == "http");
    url.filter(|url| url.scheme() == "https" || (plain && url.scheme() == "http")).ok_or_else(|| {
        let host = polysight_core::redact_name(host);
        Error::new(
            ErrorKind::Protocol,
            format!("the ticket names `{host}` as its store, which is no https URL"),
        )
    })
}

/// The fields in the vendor's order; the file must be the last.
fn form(ticket: &Ticket, key: &str, store: Url, source: &MediaSource) -> Result<WireRequest> {
    let media_type = media_type(source);
    let mut form = FormBody::new();
    form.text("OSSAccessKeyId", &ticket.oss_access_key_id);
    form.text("Signature", &ticket.signature);
    form.text("policy", &ticket.policy);
    form.text("key", key);
    if let Some(acl) = &ticket.x_oss_object_acl {
        form.text("x-oss-object-acl", acl);
    }
    if let Some(forbid) = &ticket.x_oss_forbid_overwrite {
        form.text("x-oss-forbid-overwrite", forbid);
    }
    form.text("success_action_status", "200");
    form.text("x-oss-content-type", media_type);
    form.file("file", object_name(source).as_str(), media_type, source);
    let (content_type, body) = form.finish()?;
    let mut request = WireRequest::new(store, body);
    let mut headers = HeaderMap::new();
    headers.insert(http::header::CONTENT_TYPE, content_type);
    request.headers = headers;
    Ok(request)
}

/// A name that stands in a URL as it is; the ticket's directory makes it unique.
fn object_name(source: &MediaSource) -> String {
    let path = match source {
        MediaSource::File(file) => file.path().file_name().map(|name| name.to_string_lossy().into_owned()),
        _ => None,
    };
    let ending = media_type(source).rsplit('/').next().unwrap_or("bin");
    let name = path.unwrap_or_else(|| format!("media.{ending}"));
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = name.chars().map(|c| if legal(c) { c } else { '_' }).collect();
    if name.trim_matches(['.', '_']).is_empty() { "media".to_owned() } else { name }
}

/// The type by content, as far as a header tells it.
fn media_type(source: &MediaSource) -> &'static str {
    let image = |image: Result<Image>| image.ok()?.info().map(|info| info.format.media_type());
    let video = |video: Result<Video>| video.ok()?.info().map(|info| info.format.media_type());
    let known = match source {
        MediaSource::Bytes(bytes) => {
            image(Image::from_bytes(bytes.clone())).or_else(|| video(Video::from_bytes(bytes.clone())))
        }
        MediaSource::File(file) => {
            image(Image::from_file(file.path())).or_else(|| video(Video::from_file(file.path())))
        }
        MediaSource::Base64(text) => {
            let head = head_of(text);
            image(Image::from_bytes(head.clone())).or_else(|| video(Video::from_bytes(head)))
        }
        _ => None,
    };
    known.unwrap_or("application/octet-stream")
}

/// The first 64 KiB of what base64 text encodes.
fn head_of(text: &polysight_core::media::Base64Text) -> bytes::Bytes {
    use std::io::Read as _;
    let mut head = Vec::new();
    // What cannot be read here fails where it is sent.
    let _ = text.reader().take(64 << 10).read_to_end(&mut head);
    head.into()
}

/// The store answers in XML: `<Error><Code>..</Code><Message>..</Message></Error>`.
async fn refused(reply: WireReply) -> Error {
    let (head, body) = reply.into_error_bytes().await;
    let text = String::from_utf8_lossy(&body);
    let tag = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(inside, _)| inside)
    };
    let (kind, message) = match head.status {
        403 => (ErrorKind::Permission, "the store refuses the upload: its ticket may have expired"),
        400 | 411..=413 => (ErrorKind::InvalidMedia, "the store does not take this file"),
        500.. => (ErrorKind::Server, "the store failed"),
        _ => (ErrorKind::Protocol, "the store's reply is not understood"),
    };
    let mut error = Error::new(kind, message).with_status(head.status);
    if kind == ErrorKind::Permission {
        // A new upload fetches a new ticket.
        error = error.with_retry(RetryAdvice::After(None));
    }
    if let Some(code) = tag("Code") {
        error = error.with_code(code);
    }
    match tag("Message") {
        Some(words) => error.with_vendor_message(words),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tickets_of(base: &str, protocol: Protocol) -> Option<String> {
        tickets(&base.parse().unwrap(), protocol).map(String::from)
    }

    #[test]
    fn tickets_are_fetched_beside_either_protocol() {
        let expected = Some("https://h.example/x/api/v1/uploads".to_owned());
        assert_eq!(tickets_of("https://h.example/x/compatible-mode/v1", Protocol::Compatible), expected);
        assert_eq!(tickets_of("https://h.example/x/api/v1/", Protocol::Native), expected);
        assert_eq!(tickets_of("https://gateway.example/v1", Protocol::Compatible), None);
    }

    #[test]
    fn a_store_without_tls_is_refused_unless_the_vendor_has_none_either() {
        let vendor = |text: &str| Url::parse(text).unwrap();
        assert!(store_url("https://b.example", Some(&vendor("https://h.example"))).is_ok());
        assert!(store_url("http://b.example", Some(&vendor("https://h.example"))).is_err());
        assert!(store_url("http://127.0.0.1:1", Some(&vendor("http://127.0.0.1:1"))).is_ok());
        assert!(store_url("b.example", Some(&vendor("https://h.example"))).is_err());
    }

    #[test]
    fn names_and_types_come_from_the_medium() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\0\0\0\x02\0\x08\x02\0\0\0";
        let bytes = MediaSource::Bytes(bytes::Bytes::from_static(png));
        assert_eq!((object_name(&bytes).as_str(), media_type(&bytes)), ("media.png", "image/png"));
        let unknown = MediaSource::Bytes(bytes::Bytes::from_static(b"?"));
        assert_eq!(media_type(&unknown), "application/octet-stream");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("猫 1\".png");
        std::fs::write(&path, png).unwrap();
        let file = Image::from_file(&path).unwrap();
        assert_eq!(object_name(file.source()), "__1_.png");
    }
}
