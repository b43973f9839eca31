//! From the bytes of a request body to a small JSON tree and a list of media.
//!
//! Base64 strings are decoded and measured while the JSON is read and never enter the tree, so that a body of
//! hundreds of megabytes is held once and its pictures once more, decoded, and only one at a time.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::http::form::Form;
use crate::json::Json;
use crate::media::{DecodeBudget, Medium, Origin};

/// Keys whose strings may be inline media.
const MEDIA_KEYS: [&str; 6] = ["url", "image_url", "video_url", "file_data", "image", "video"];
/// How numbers arrive where another crate has switched on serde_json's `arbitrary_precision`.
const NUMBER_KEY: &str = "$serde_json::private::Number";
/// How much is kept of a string that should have been media but cannot be decoded.
const KEPT_OF_BROKEN: usize = 64;

/// A request body that was read.
#[derive(Debug)]
pub(crate) struct RequestBody {
    /// `None` where the body is not JSON.
    pub(crate) json: Option<Json>,
    pub(crate) media: Vec<Medium>,
    /// The fields of a body that is a form; its file is the first of the media.
    pub(crate) form: Option<Form>,
}

/// Reads a body of this type.
pub(crate) fn parse(content_type: &str, body: &[u8]) -> RequestBody {
    let form = content_type.trim_start().to_ascii_lowercase().starts_with("multipart/");
    if form { parse_form(content_type, body) } else { parse_json(body) }
}

/// Reads a form and measures its file.
fn parse_form(content_type: &str, body: &[u8]) -> RequestBody {
    let Some((form, file)) = Form::parse(content_type, body) else {
        return RequestBody { json: None, media: Vec::new(), form: None };
    };
    let media = file
        .map(|bytes| Medium::measure(bytes, Origin::Upload, &mut DecodeBudget::default()))
        .into_iter()
        .collect();
    RequestBody { json: None, media, form: Some(form) }
}

/// Reads a JSON body and measures its media.
pub(crate) fn parse_json(body: &[u8]) -> RequestBody {
    let budget = DecodeBudget::finding_rectangles(asks_for_places(body));
    let mut media = Media { list: Vec::new(), budget };
    let mut reader = serde_json::Deserializer::from_slice(body);
    let json = Seed { media: &mut media, may_be_media: false }
        .deserialize(&mut reader)
        .and_then(|json| reader.end().map(|()| json))
        .ok();
    RequestBody { json, media: media.list, form: None }
}

/// Whether the fields are named in which models say where something is.
fn asks_for_places(body: &[u8]) -> bool {
    ["bbox_2d", "point_2d"].iter().any(|field| memchr::memmem::find(body, field.as_bytes()).is_some())
}

/// Media that were found, and what may still be decoded.
struct Media {
    list: Vec<Medium>,
    budget: DecodeBudget,
}

struct Seed<'m> {
    media: &'m mut Media,
    may_be_media: bool,
}

impl Seed<'_> {
    fn string(self, text: &str) -> Json {
        if !self.may_be_media {
            return Json::from(text);
        }
        match decode(text) {
            Inline::Decoded(bytes, origin) => {
                self.media.list.push(Medium::measure(&bytes, origin, &mut self.media.budget));
                Json::Media(self.media.list.len() - 1)
            }
            Inline::Broken if text.len() > 2 * KEPT_OF_BROKEN => {
                let start: String = text.chars().take(KEPT_OF_BROKEN).collect();
                Json::Text(format!("{start}... ({} bytes, not base64)", text.len()))
            }
            Inline::Broken | Inline::Link => Json::from(text),
        }
    }
}

enum Inline {
    Decoded(Vec<u8>, Origin),
    Broken,
    Link,
}

fn decode(text: &str) -> Inline {
    let (encoded, origin) = match text.strip_prefix("data:") {
        Some(uri) => match uri.split_once(";base64,") {
            Some((mime, encoded)) => {
                (encoded, Origin::DataUri { mime: mime.to_ascii_lowercase(), length: text.len() })
            }
            None => return Inline::Broken,
        },
        None if text.contains("://") || text.is_empty() || looks_like_a_path(text) => return Inline::Link,
        None => (text, Origin::Base64),
    };
    match base64_simd::STANDARD.decode_to_vec(encoded) {
        Ok(bytes) if !bytes.is_empty() => Inline::Decoded(bytes, origin),
        _ => Inline::Broken,
    }
}

/// A link without a scheme, such as `host.example/picture.jpg`: base64 has no dot.
fn looks_like_a_path(text: &str) -> bool {
    text.len() < 2048 && text.contains('.')
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json, E> {
        Ok(self.string(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) =
            items.next_element_seed(Seed { media: &mut *self.media, may_be_media: self.may_be_media })?
        {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        while let Some(key) = entries.next_key::<String>()? {
            if key == NUMBER_KEY {
                let digits = entries.next_value::<String>()?;
                return digits.parse().map(Json::Number).map_err(A::Error::custom);
            }
            let may_be_media = MEDIA_KEYS.contains(&key.as_str());
            let value = entries.next_value_seed(Seed { media: &mut *self.media, may_be_media })?;
            object.push((key, value));
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_base64_out_of_the_tree() {
        let body = br#"{"a":[{"url":"data:image/png;base64,AAAA"},{"url":"AA\/+"},{"text":"AAAA"}]}"#;
        let body = parse_json(body);
        assert_eq!(body.media.len(), 2);
        assert_eq!(body.media.iter().map(|medium| medium.bytes).collect::<Vec<_>>(), [3, 3]);
        let value = body.json.unwrap().to_value(&body.media);
        assert_eq!(value["a"][0]["url"], body.media[0].summary());
        assert_eq!(value["a"][2]["text"], "AAAA");
    }

    #[test]
    fn leaves_links_alone_and_shortens_broken_base64() {
        let broken = "!".repeat(5000);
        let body = format!(r#"{{"url":"host.example/a.jpg","image_url":"https://h/x","image":"{broken}"}}"#);
        let body = parse_json(body.as_bytes());
        assert!(body.media.is_empty());
        let json = body.json.unwrap();
        assert_eq!(json.get("url").unwrap().text(), Some("host.example/a.jpg"));
        assert!(json.get("image").unwrap().text().unwrap().ends_with("(5000 bytes, not base64)"));
    }

    #[test]
    fn anything_after_the_body_makes_it_no_json() {
        assert!(parse_json(b"{} {}").json.is_none());
        assert!(parse_json(b"").json.is_none());
        assert!(parse_json("[".repeat(5000).as_bytes()).json.is_none());
    }
}
