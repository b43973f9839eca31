//! Temporary uploads: a ticket, a form posted to an object store, and `oss://` links that stand for the file.

use std::time::Instant;

use super::checks::credential;
use super::error_body::parameter;
use super::parsed_request::authentication;
use crate::clock;
use crate::http::Reply;
use crate::http::form::Form;
use crate::json::Json;
use crate::media::{Medium, hex_digest};
use crate::models::qwen_model;
use crate::refusal::Refusal;
use crate::request_body::{RequestBody, parse_json};
use crate::route::UPLOAD_PATH;
use crate::served_request::ServedRequest;
use crate::state::{State, Upload};

const ACCESS_KEY_ID: &str = "LTAI-polysight-emulator";
const MAX_FILE: u64 = 1024 * 1024 * 1024;
const MAX_FILE_MB: u64 = 1024;

/// Answers with a ticket.
pub(super) fn policy(served: &ServedRequest) -> Result<Json, Refusal> {
    let authentication = authentication(served);
    let account = credential(&authentication)?;
    if served.query("action").as_deref() != Some("getPolicy") {
        return Err(parameter("action should be getPolicy"));
    }
    let model = served.query("model").filter(|model| !model.is_empty());
    let model = model.ok_or_else(|| Refusal::plain("BadRequest.EmptyModel"))?;
    if qwen_model(&model).is_none() {
        return Err(Refusal::with_message("ModelNotFound", "Model not exist."));
    }
    Ok(ticket(served, account, &model))
}

fn ticket(served: &ServedRequest, account: &str, model: &str) -> Json {
    let state = &served.state;
    let (life, _) = state.settings.upload_life;
    let expires = clock::since_epoch() + life;
    let date = clock::utc(expires.as_secs());
    let day = date.get(..10).unwrap_or_default();
    let directory = format!("{}/{day}/{}", owner_directory(account, model), state.uuid());
    let policy = Json::object([
        // Milliseconds are kept for tickets that live shorter than a second.
        ("expiration", date.replace('Z', &format!(".{:03}Z", expires.subsec_millis())).into()),
        ("conditions", conditions(&directory)),
    ]);
    let policy = base64_simd::STANDARD.encode_to_string(policy.to_text());
    let host = served.header("host").map(str::to_owned);
    let host = host.unwrap_or_else(|| state.address.to_string());
    let data = Json::object([
        ("policy", policy.as_str().into()),
        ("signature", state.seal(&policy).into()),
        ("upload_dir", directory.into()),
        ("upload_host", format!("http://{host}{UPLOAD_PATH}").into()),
        ("expire_in_seconds", life.as_secs().into()),
        ("max_file_size_mb", MAX_FILE_MB.into()),
        ("capacity_limit_mb", 999_999_999_u64.into()),
        ("oss_access_key_id", ACCESS_KEY_ID.into()),
        ("x_oss_object_acl", "private".into()),
        ("x_oss_forbid_overwrite", "true".into()),
    ]);
    Json::object([("request_id", state.uuid().into()), ("data", data)])
}

fn conditions(directory: &str) -> Json {
    let words = |words: [&str; 3]| Json::List(words.map(Json::from).into());
    Json::List(vec![
        Json::List(vec!["content-length-range".into(), 0_u64.into(), MAX_FILE.into()]),
        words(["starts-with", "$key", directory]),
        Json::object([("bucket", "dashscope-file".into())]),
        Json::object([("x-oss-object-acl", "private".into())]),
        Json::object([("x-oss-forbid-overwrite", "true".into())]),
    ])
}

/// Files are bound to the account and the model that their ticket was for.
fn owner_directory(account: &str, model: &str) -> String {
    let digest = hex_digest(format!("{account} {model}").as_bytes());
    format!("dashscope-instant/{}", digest.get(..32).unwrap_or_default())
}

/// What the object store answers, in its XML.
struct StoreError(u16, &'static str, String);

impl StoreError {
    fn of(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self(status, code, message.into())
    }

    fn reply(&self, id: &str) -> Reply {
        let Self(status, code, message) = self;
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>\n  <Code>{code}</Code>\n  <Message>{message}</Message>\n  \
             <RequestId>{id}</RequestId>\n</Error>\n"
        );
        Reply::whole(*status, "application/xml", xml)
    }
}

/// Takes a file.
pub(super) fn store(served: &ServedRequest, body: &RequestBody) -> Reply {
    match accept(served, body) {
        Ok(status) => Reply::plain(status, ""),
        Err(error) => error.reply(&served.state.uuid()),
    }
}

fn accept(served: &ServedRequest, body: &RequestBody) -> Result<u16, StoreError> {
    let state = &served.state;
    let malformed = |message: &str| StoreError::of(400, "MalformedPOSTRequest", message);
    let form = body.form.as_ref().ok_or_else(|| malformed("The body is no multipart/form-data."))?;
    let [medium] = body.media.as_slice() else {
        return Err(StoreError::of(400, "IncorrectNumberOfFilesInPOSTRequest", "There must be one file."));
    };
    if !form.file_is_last {
        return Err(malformed("The file must be the last field."));
    }
    let key = required(form, "key")?;
    check_ticket(form, key, medium, state)?;
    let (_, life) = state.settings.upload_life;
    let upload = Upload { name: key.to_owned(), medium: medium.clone(), expires: Instant::now() + life };
    if !state.add_upload(upload) {
        return Err(StoreError::of(409, "FileAlreadyExists", "The object you specified already exists."));
    }
    Ok(match form.get("success_action_status") {
        Some("200") => 200,
        Some("201") => 201,
        _ => 204,
    })
}

fn required<'f>(form: &'f Form, name: &str) -> Result<&'f str, StoreError> {
    form.get(name).filter(|value| !value.is_empty()).ok_or_else(|| {
        StoreError::of(
            400,
            "InvalidArgument",
            format!("The field {name} is missing or stands after the file."),
        )
    })
}

fn check_ticket(form: &Form, key: &str, medium: &Medium, state: &State) -> Result<(), StoreError> {
    if required(form, "OSSAccessKeyId")? != ACCESS_KEY_ID {
        return Err(StoreError::of(
            403,
            "InvalidAccessKeyId",
            "The OSS Access Key Id you provided does not exist.",
        ));
    }
    let policy = required(form, "policy")?;
    if required(form, "Signature")? != state.seal(policy) {
        let message = "The request signature we calculated does not match the signature you provided.";
        return Err(StoreError::of(403, "SignatureDoesNotMatch", message));
    }
    let denied =
        |why: &str| StoreError::of(403, "AccessDenied", format!("Invalid according to Policy: {why}"));
    let text = base64_simd::STANDARD.decode_to_vec(policy).unwrap_or_default();
    let policy = parse_json(&text).json.ok_or_else(|| denied("Policy is no JSON."))?;
    let expiration = policy.get("expiration").and_then(Json::text).unwrap_or_default();
    if expiration <= now().as_str() {
        return Err(denied("Policy expired."));
    }
    let rules = policy.get("conditions").and_then(Json::list).unwrap_or_default();
    match rules.iter().find(|rule| !holds(rule, form, key, medium)) {
        Some(rule) => Err(denied(&format!("Policy Condition failed: {}", rule.to_text()))),
        None => Ok(()),
    }
}

/// This moment as expirations are written.
fn now() -> String {
    let now = clock::since_epoch();
    clock::utc(now.as_secs()).replace('Z', &format!(".{:03}Z", now.subsec_millis()))
}

fn holds(rule: &Json, form: &Form, key: &str, medium: &Medium) -> bool {
    match rule {
        Json::List(words) => match words.as_slice() {
            [_, _, Json::Text(prefix)] => {
                key.strip_prefix(prefix.as_str()).is_some_and(|name| name.len() > 1 && name.starts_with('/'))
            }
            _ => medium.bytes as u64 <= MAX_FILE,
        },
        // Which bucket it is the host says.
        Json::Object(fields) => {
            fields.iter().all(|(name, value)| name == "bucket" || form.get(name) == value.text())
        }
        _ => false,
    }
}

/// Puts files in the place of the `oss://` links that lead to them. Links of another account or model, of files that have
/// expired, and all links of a request without the header stay links.
pub(super) fn resolve(served: &ServedRequest, body: &mut RequestBody) {
    let enabled = served.header("x-dashscope-ossresourceresolve") == Some("enable");
    let authentication = authentication(served);
    let (true, Ok(account), Some(json)) = (enabled, credential(&authentication), &mut body.json) else {
        return;
    };
    let model = json.get("model").and_then(Json::text).unwrap_or_default();
    let directory = format!("oss://{}/", owner_directory(account, model));
    replace(json, &mut |link| {
        let name = link.strip_prefix("oss://").filter(|_| link.starts_with(&directory))?;
        body.media.push(served.state.upload(name)?);
        Some(body.media.len() - 1)
    });
}

fn replace(json: &mut Json, find: &mut impl FnMut(&str) -> Option<usize>) {
    match json {
        Json::Text(text) => {
            if let Some(index) = text.starts_with("oss://").then(|| find(text)).flatten() {
                *json = Json::Media(index);
            }
        }
        Json::List(items) => items.iter_mut().for_each(|item| replace(item, find)),
        Json::Object(entries) => entries.iter_mut().for_each(|(_, value)| replace(value, find)),
        _ => {}
    }
}
