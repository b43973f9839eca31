//! The form that the answer must have.

use polysight::ResponseFormat;

use super::fields::{Fields, Reader};

/// Reads `response_format`.
///
/// A schema goes by the best means that the model has: one that the vendor enforces, a JSON object, a function that must be
/// called, or the prompt. The answer says which, since nothing but the first is enforced.
pub(super) fn read(root: &mut Fields<'_>, reader: &mut Reader<'_>) -> ResponseFormat {
    let Some(mut fields) = root.object("response_format", reader) else { return ResponseFormat::Text };
    match fields.text("type", reader).as_deref() {
        Some("text") => ResponseFormat::Text,
        Some("json_object") => ResponseFormat::JsonObject,
        Some("json_schema") => fields
            .object("json_schema", reader)
            .and_then(|schema| of_schema(schema, reader))
            .unwrap_or_default(),
        _ => {
            let allowed = "`text`, `json_object`, `json_schema`";
            reader.reject("response_format.type", "it is missing or unknown", allowed, "");
            ResponseFormat::Text
        }
    }
}

fn of_schema(mut fields: Fields<'_>, reader: &mut Reader<'_>) -> Option<ResponseFormat> {
    let name = fields.text("name", reader).map_or_else(|| "answer".to_owned(), Into::into);
    let strict = fields.boolean("strict", reader).unwrap_or_default();
    let Some(schema) = fields.take("schema") else {
        reader.reject(fields.path("schema"), "it is missing", "a JSON Schema", "");
        return None;
    };
    if strict {
        reader.note(
            "response_format: the schema is enforced where the model can, else asked for: check the answer",
        );
    }
    Some(ResponseFormat::Extract { name, schema: schema.into_value() })
}
