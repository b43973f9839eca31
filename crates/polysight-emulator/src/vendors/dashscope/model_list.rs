//! The lists of models of both dialects.

use super::checks;
use super::parsed_request::{Dialect, authentication};
use crate::http::Reply;
use crate::json::Json;
use crate::models::{self, QwenLimits};
use crate::refusal::Refusal;
use crate::served_request::ServedRequest;
use crate::vendors::model_list::model_list;

pub(super) fn answer(served: &ServedRequest, dialect: Dialect) -> Result<Reply, Refusal> {
    checks::credential(&authentication(served))?;
    if dialect == Dialect::Compatible {
        return Ok(Reply::json(200, &model_list(models::qwen().iter().map(|model| model.id), "system")));
    }
    let number = |name, default: usize| {
        served.query(name).and_then(|value| value.parse().ok()).unwrap_or(default).max(1)
    };
    let (page, size) = (number("page_no", 1), number("page_size", 20).min(100));
    let wanted = served.query("model");
    let found: Vec<_> = models::qwen()
        .iter()
        .filter(|model| wanted.as_ref().is_none_or(|wanted| wanted == model.id))
        .collect();
    let listed: Vec<Json> =
        found.iter().skip((page - 1).saturating_mul(size)).take(size).map(|model| entry(model)).collect();
    let output = Json::object([
        ("total", found.len().into()),
        ("page_no", page.into()),
        ("page_size", size.into()),
        ("models", listed.into()),
    ]);
    Ok(Reply::json(200, &Json::object([("output", output), ("request_id", served.state.uuid().into())])))
}

fn entry(model: &QwenLimits) -> Json {
    Json::object([("model", model.id.into()), ("source", "official".into()), ("provider", "qwen".into())])
}
