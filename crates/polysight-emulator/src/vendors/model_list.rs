//! A list of models as OpenAI has it.

use crate::json::Json;

/// The list of these models.
pub(crate) fn model_list(ids: impl Iterator<Item = &'static str>, owner: &str) -> Json {
    let entry = |id: &str| {
        Json::object([
            ("id", id.into()),
            ("object", "model".into()),
            ("created", 1_764_547_200_u64.into()),
            ("owned_by", owner.into()),
        ])
    };
    Json::object([("object", "list".into()), ("data", ids.map(entry).collect::<Vec<_>>().into())])
}
