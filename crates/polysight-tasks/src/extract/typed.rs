//! Texts as the values that a schema wants in their place.

use serde_json::{Map, Value};

/// Deepest nesting that is looked at.
const MAX_DEPTH: usize = 64;
/// References that are followed from one to the next.
const MAX_HOPS: usize = 16;

/// Reads each text of a value as its schema's type where that takes no text; says whether any was. A text that is no such
/// value stays, for the check to name it.
pub(super) fn typed(value: &mut Value, root: &Value) -> bool {
    type_value(value, root, root, 0)
}

fn type_value(value: &mut Value, schema: &Value, root: &Value, depth: usize) -> bool {
    let schema = followed(schema, root);
    if depth > MAX_DEPTH {
        return false;
    }
    match value {
        Value::Object(fields) => type_fields(fields, schema, root, depth),
        Value::Array(items) => {
            let Some(schema) = schema.get("items") else { return false };
            items.iter_mut().fold(false, |changed, item| type_value(item, schema, root, depth + 1) | changed)
        }
        Value::String(text) => match read_as(text, &kinds(schema, root)) {
            Some(read) => {
                *value = read;
                true
            }
            None => false,
        },
        _ => false,
    }
}

fn type_fields(fields: &mut Map<String, Value>, schema: &Value, root: &Value, depth: usize) -> bool {
    let option = options(schema).find(|option| followed(option, root).get("properties").is_some());
    let schema = option.map_or(schema, |option| followed(option, root));
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return false };
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|known| known == name));
    let mut changed = false;
    for (name, schema) in properties {
        if let Some(value) = fields.get_mut(name) {
            changed |= type_value(value, schema, root, depth + 1);
            let is_empty = value == "" && !kinds(followed(schema, root), root).contains(&"string");
            if is_empty && !is_required(name) {
                fields.remove(name);
                changed = true;
            }
        }
    }
    changed
}

/// A text as one of these types; `None` where it may stay a text, or is none of them.
fn read_as(text: &str, kinds: &[&str]) -> Option<Value> {
    let text = text.trim();
    if kinds.contains(&"string") {
        return None;
    }
    if text.is_empty() {
        return kinds.contains(&"null").then_some(Value::Null);
    }
    let number = || text.parse::<serde_json::Number>().ok().or_else(|| grouped(text)).map(Value::Number);
    kinds.iter().find_map(|kind| match *kind {
        "integer" | "number" => number(),
        "boolean" => text.to_ascii_lowercase().parse().ok().map(Value::Bool),
        _ => None,
    })
}

/// A number with commas between thousands.
fn grouped(text: &str) -> Option<serde_json::Number> {
    let (whole, fraction) =
        text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut groups = whole.trim_start_matches('-').split(',');
    let first = groups.next().is_some_and(|group| (1..=3).contains(&group.len()));
    if !first || !groups.all(|group| group.len() == 3) {
        return None;
    }
    let whole = whole.replace(',', "");
    fraction.map_or(whole.clone(), |fraction| format!("{whole}.{fraction}")).parse().ok()
}

/// The types that a schema takes; those of its choices too. Nothing where it does not say.
fn kinds<'s>(schema: &'s Value, root: &'s Value) -> Vec<&'s str> {
    let mut kinds: Vec<&str> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let choices = options(schema).map(|option| followed(option, root));
    kinds.extend(choices.filter_map(|option| option.get("type")?.as_str()));
    kinds
}

fn options(schema: &Value) -> impl Iterator<Item = &Value> {
    ["anyOf", "oneOf"].into_iter().filter_map(|key| schema.get(key)?.as_array()).flatten()
}

fn followed<'s>(mut schema: &'s Value, root: &'s Value) -> &'s Value {
    for _ in 0..MAX_HOPS {
        let reference = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#'));
        let Some(target) = reference.and_then(|path| root.pointer(path)) else { break };
        schema = target;
    }
    schema
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_become_what_the_schema_wants() {
        let schema = json!({
            "type": "object",
            "properties": {
                "shop": { "type": "string" }, "total": { "type": "number" }, "count": { "type": ["integer", "null"] },
                "paid": { "type": "boolean" }, "note": { "type": "number" }, "tip": { "type": "number" },
                "payer": { "anyOf": [{ "$ref": "#/$defs/P" }, { "type": "null" }] },
                "list": { "type": "array", "items": { "type": "integer" } }
            },
            "required": ["total", "tip"],
            "$defs": { "P": { "type": "object", "properties": { "age": { "type": "integer" } } } }
        });
        let mut value = json!({
            "shop": "12", "total": "1,234.50", "count": "", "paid": "True", "note": "", "tip": "none",
            "payer": { "age": " 7 " }, "list": ["1", "x"], "other": "3"
        });
        assert!(typed(&mut value, &schema));
        let wanted = json!({
            "shop": "12", "total": 1234.5, "count": null, "paid": true, "tip": "none", "payer": { "age": 7 },
            "list": [1, "x"], "other": "3"
        });
        assert_eq!(value, wanted);
        assert!(!typed(&mut value, &schema), "nothing is left to do");
    }

    #[test]
    fn only_thousands_are_grouped() {
        for (text, number) in [("1,234", "1234"), ("-12,345.5", "-12345.5"), ("123", "123")] {
            assert_eq!(grouped(text).unwrap().to_string(), number);
        }
        for text in ["1,2", ",123", "1234,567", "1,23a", ""] {
            assert!(grouped(text).is_none(), "{text}");
        }
    }
}
