//! Short-lived keys for a signature: `GET /v1/BCE-BEARER/token`.

use std::time::{Duration, Instant};

use super::parsed_request::authentication;
use super::signature::Signature;
use crate::auth::{Authentication, bearer};
use crate::clock;
use crate::http::Reply;
use crate::json::Json;
use crate::media::hex_digest;
use crate::served_request::ServedRequest;
use crate::state::IamKey;

const DEFAULT_LIFE: u64 = 1800;
/// From five minutes to thirty days.
const LIFE: std::ops::RangeInclusive<u64> = 300..=2_592_000;

/// Why no key is issued: status, code and text of Baidu's cloud.
struct IamError(u16, &'static str, &'static str);

impl IamError {
    /// Errors of signed calls stand in headers too.
    fn reply(&self, id: &str) -> Reply {
        let Self(status, code, message) = *self;
        let body =
            Json::object([("requestId", id.into()), ("code", code.into()), ("message", message.into())]);
        Reply::json(status, &body)
            .with_header("X-Bce-Error-Code", code)
            .with_header("X-Bce-Error-Message", message)
    }
}

/// Serves one request.
pub(crate) fn answer(served: &ServedRequest) -> Reply {
    let issued = authenticate(served).and_then(|owner| Ok(issue(served, &owner, wanted_life(served)?)));
    let id = served.state.uuid();
    let reply = issued.map_or_else(|error| error.reply(&id), |body| Reply::json(200, &body));
    reply.with_header("X-Bce-Request-Id", &id)
}

/// The access key that signed, or the key that was shown.
fn authenticate(served: &ServedRequest) -> Result<String, IamError> {
    let header = served.header("authorization").unwrap_or_default();
    if bearer(header).is_some() {
        return match authentication(served) {
            Authentication::Accepted { id, .. } => Ok(id),
            _ => Err(IamError(403, "AccessDenied", "The key is not accepted.")),
        };
    }
    let signature = Signature::parse(header).ok_or(IamError(
        400,
        "InvalidHTTPAuthHeader",
        "The HTTP authorization header is invalid.",
    ))?;
    if signature.is_expired(clock::since_epoch().as_secs()) {
        return Err(IamError(400, "RequestExpired", "Request has expired."));
    }
    let known = &served.state.settings.iam;
    let secret = known.iter().find(|(access_key, _)| access_key == signature.access_key);
    match secret {
        // Without a secret there is nothing to verify with.
        None if known.is_empty() => Ok(signature.access_key.to_owned()),
        None => Err(IamError(403, "InvalidAccessKeyId", "The Access Key ID you provided does not exist.")),
        Some((_, secret)) if signature.is_made_with(secret, &served.head) => {
            Ok(signature.access_key.to_owned())
        }
        Some(_) => Err(IamError(
            400,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
        )),
    }
}

/// Seconds for which the key is wanted.
fn wanted_life(served: &ServedRequest) -> Result<u64, IamError> {
    let Some(wanted) = served.query("expireInSeconds") else { return Ok(DEFAULT_LIFE) };
    let bad = IamError(400, "InvalidParameter", "expireInSeconds should be in [300, 2592000]");
    wanted.parse().ok().filter(|seconds| LIFE.contains(seconds)).ok_or(bad)
}

fn issue(served: &ServedRequest, owner: &str, seconds: u64) -> Json {
    let state = &served.state;
    let (user, random) = (hex_digest(owner.as_bytes()), state.uuid().replace('-', ""));
    let part = |text: &str, length: usize| text.get(..length).unwrap_or_default().to_owned();
    let token = format!("bce-v3/ALTAK-{}/{}", part(&random, 21), part(&hex_digest(random.as_bytes()), 40));
    let life = state.settings.iam_life.unwrap_or(Duration::from_secs(seconds));
    state.add_iam_key(IamKey { text: token.clone(), expires: Instant::now() + life });
    let now = clock::since_epoch().as_secs();
    Json::object([
        ("userId", part(&user, 32).into()),
        ("token", token.into()),
        ("status", "enable".into()),
        ("createTime", clock::utc(now).into()),
        ("expireTime", clock::utc(now + seconds).into()),
    ])
}
