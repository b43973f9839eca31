//! A JSON Schema in the forms that vendors' own modes take.

use serde_json::{Map, Value, json};

/// Deepest nesting that is looked at.
const MAX_DEPTH: usize = 64;
/// Deepest nesting of a form of an OCR task (vendor's page of Qwen-OCR, read 2026-11-27).
const MAX_FORM_LEVELS: usize = 3;
/// References that are followed from one to the next.
const MAX_HOPS: usize = 16;
/// Keywords that native modes refuse or ignore: the answer is checked against them afterwards.
const LEFT_OUT: [&str; 17] = [
    "$schema",
    "title",
    "default",
    "examples",
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "uniqueItems",
    "propertyNames",
];

/// The subset that all vendors with a native mode share: every field required, no others, no limits of length or number.
/// Gives what cannot be said in it, else.
pub(super) fn native_form(schema: &Value) -> Result<Value, &'static str> {
    if refers_to_itself(schema, schema, &mut Vec::new(), 0) {
        return Err("a type that contains itself");
    }
    form(schema, 0)
}

fn form(schema: &Value, depth: usize) -> Result<Value, &'static str> {
    let Some(fields) = schema.as_object() else { return Err("a value of any type") };
    if depth > MAX_DEPTH {
        return Err("so many levels");
    }
    if !["type", "$ref", "enum", "const", "anyOf", "oneOf", "allOf"]
        .iter()
        .any(|key| fields.contains_key(*key))
    {
        return Err("a value of any type");
    }
    let mut out = Map::new();
    for (key, value) in fields.iter().filter(|(key, _)| !LEFT_OUT.contains(&key.as_str())) {
        let value = match key.as_str() {
            "properties" | "$defs" | "definitions" => each_field(value, depth)?,
            "items" | "not" => form(value, depth + 1)?,
            "anyOf" | "oneOf" | "allOf" | "prefixItems" => each_item(value, depth)?,
            "patternProperties" => return Err("a map"),
            "additionalProperties" if *value != json!(false) => return Err("a map"),
            _ => value.clone(),
        };
        out.insert(if key == "oneOf" { "anyOf" } else { key }.to_owned(), value);
    }
    if fields.get("type") == Some(&json!("object")) {
        let Some(properties) = fields.get("properties").and_then(Value::as_object) else {
            return Err("a map");
        };
        out.insert("required".to_owned(), properties.keys().cloned().collect());
        out.insert("additionalProperties".to_owned(), json!(false));
    }
    Ok(Value::Object(out))
}

/// The form that an OCR task fills in: an object of what to look for, by the name of each field. Gives what cannot be said in
/// it, else; lists are not documented.
pub(super) fn ocr_form(schema: &Value) -> Result<Value, &'static str> {
    form_field(schema, schema, 1)
}

fn form_field(root: &Value, schema: &Value, level: usize) -> Result<Value, &'static str> {
    let schema = followed(root, schema)?;
    let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    if let Some(options) = schema.get("anyOf").or(schema.get("oneOf")).and_then(Value::as_array) {
        let mut options = options.iter().filter(|option| option.get("type") != Some(&json!("null")));
        let (Some(option), None) = (options.next(), options.next()) else { return Err("a choice of types") };
        let field = form_field(root, option, level)?;
        return Ok(if field.is_string() && !description.is_empty() { json!(description) } else { field });
    }
    let choices = schema.get("enum").and_then(Value::as_array);
    match (choices, kind(schema)) {
        (Some(choices), _) => Ok(json!(described(description, &one_of(choices)))),
        (None, Some("object")) => form_object(root, schema, level),
        (None, Some("string")) => Ok(json!(description)),
        (None, Some("integer")) => Ok(json!(described(description, "a whole number"))),
        (None, Some("number")) => Ok(json!(described(description, "a number"))),
        (None, Some("boolean")) => Ok(json!(described(description, "true or false"))),
        (None, Some("array")) => Err("a list"),
        (None, _) => Err("a value of any type"),
    }
}

fn form_object(root: &Value, schema: &Value, level: usize) -> Result<Value, &'static str> {
    if level > MAX_FORM_LEVELS {
        return Err("more than three levels");
    }
    let properties = schema.get("properties").and_then(Value::as_object).ok_or("a map")?;
    if schema.get("additionalProperties").is_some_and(|more| *more != json!(false)) {
        return Err("a map");
    }
    let fields =
        properties.iter().map(|(name, field)| Ok((name.clone(), form_field(root, field, level + 1)?)));
    fields.collect::<Result<Map<_, _>, _>>().map(Value::Object)
}

/// The schema that references within the document lead to.
fn followed<'s>(root: &'s Value, mut schema: &'s Value) -> Result<&'s Value, &'static str> {
    for _ in 0..MAX_HOPS {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { return Ok(schema) };
        let target = reference.strip_prefix('#').and_then(|path| root.pointer(path));
        schema = target.ok_or("a reference that leads nowhere")?;
    }
    Err("a type that contains itself")
}

/// The one type of a schema besides null.
fn kind(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::Array(kinds) => {
            let mut kinds = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
            kinds.next().filter(|_| kinds.next().is_none())
        }
        kind => kind.as_str(),
    }
}

fn one_of(choices: &[Value]) -> String {
    let choices =
        choices.iter().map(|choice| choice.as_str().map_or_else(|| choice.to_string(), str::to_owned));
    format!("one of: {}", choices.collect::<Vec<_>>().join(", "))
}

fn described(description: &str, what: &str) -> String {
    if description.is_empty() { what.to_owned() } else { format!("{description} ({what})") }
}

fn each_field(fields: &Value, depth: usize) -> Result<Value, &'static str> {
    let fields = fields.as_object().ok_or("fields without a schema")?;
    let formed = fields.iter().map(|(name, schema)| Ok((name.clone(), form(schema, depth + 1)?)));
    formed.collect::<Result<Map<_, _>, _>>().map(Value::Object)
}

fn each_item(items: &Value, depth: usize) -> Result<Value, &'static str> {
    let items = items.as_array().ok_or("choices without a schema")?;
    items.iter().map(|schema| form(schema, depth + 1)).collect::<Result<Vec<_>, _>>().map(Value::Array)
}

/// Whether following the references from here comes back to one of them.
fn refers_to_itself<'s>(root: &'s Value, schema: &'s Value, open: &mut Vec<&'s str>, depth: usize) -> bool {
    if depth > MAX_DEPTH {
        return true;
    }
    match schema {
        Value::Object(fields) => fields.iter().any(|(key, value)| match (key.as_str(), value.as_str()) {
            ("$ref", Some(reference)) => {
                if open.contains(&reference) {
                    return true;
                }
                let Some(target) = reference.strip_prefix('#').and_then(|path| root.pointer(path)) else {
                    return false;
                };
                open.push(reference);
                let again = refers_to_itself(root, target, open, depth + 1);
                open.pop();
                again
            }
            ("$defs" | "definitions", _) => false, // followed where they are referred to
            _ => refers_to_itself(root, value, open, depth + 1),
        }),
        Value::Array(items) => items.iter().any(|item| refers_to_itself(root, item, open, depth + 1)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_required_and_limits_are_left_out() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "R", "type": "object",
            "properties": {
                "a": { "type": "string", "minLength": 1, "description": "the shop" },
                "b": { "type": ["integer", "null"], "minimum": 0, "format": "uint8" },
                "c": { "type": "array", "items": { "$ref": "#/$defs/I" }, "minItems": 1 },
                "d": { "oneOf": [{ "const": "x" }, { "type": "string", "enum": ["y"] }] }
            },
            "required": ["a"],
            "$defs": { "I": { "type": "object", "properties": { "n": { "type": "number" } } } }
        });
        let wanted = json!({
            "type": "object",
            "properties": {
                "a": { "type": "string", "description": "the shop" },
                "b": { "type": ["integer", "null"] },
                "c": { "type": "array", "items": { "$ref": "#/$defs/I" } },
                "d": { "anyOf": [{ "const": "x" }, { "type": "string", "enum": ["y"] }] }
            },
            "required": ["a", "b", "c", "d"], "additionalProperties": false,
            "$defs": { "I": { "type": "object", "properties": { "n": { "type": "number" } },
                              "required": ["n"], "additionalProperties": false } }
        });
        assert_eq!(native_form(&schema).unwrap(), wanted);
    }

    #[test]
    fn a_form_says_what_to_look_for() {
        let schema = json!({
            "type": "object",
            "properties": {
                "shop": { "type": "string", "description": "the name as printed" },
                "total": { "type": ["number", "null"], "description": "what was paid" },
                "kind": { "enum": ["cash", "card"] },
                "payer": { "anyOf": [{ "$ref": "#/$defs/P" }, { "type": "null" }] }
            },
            "$defs": { "P": { "type": "object", "properties": { "count": { "type": "integer" } } } }
        });
        let form = json!({
            "shop": "the name as printed", "total": "what was paid (a number)", "kind": "one of: cash, card",
            "payer": { "count": "a whole number" }
        });
        assert_eq!(ocr_form(&schema).unwrap(), form);
    }

    #[test]
    fn what_a_form_cannot_say_is_named() {
        let nested = |levels: usize| {
            let leaf = json!({ "type": "string" });
            (0..levels).fold(leaf, |inner, _| json!({ "type": "object", "properties": { "a": inner } }))
        };
        assert!(ocr_form(&nested(3)).is_ok());
        let of = |field: Value| json!({ "type": "object", "properties": { "a": field } });
        let rows = [
            (nested(4), "three levels"),
            (of(json!({ "$ref": "#" })), "three levels"),
            (json!({ "$ref": "#" }), "contains itself"),
            (of(json!({ "$ref": "#/nowhere" })), "leads nowhere"),
            (of(json!({ "type": "array", "items": {} })), "a list"),
            (of(json!({ "type": "object", "additionalProperties": true })), "a map"),
            (of(json!({})), "any type"),
            (of(json!(true)), "any type"),
            (of(json!({ "anyOf": [{ "type": "string" }, { "type": "integer" }] })), "choice of types"),
        ];
        for (schema, word) in rows {
            assert!(ocr_form(&schema).unwrap_err().contains(word), "{schema}");
        }
    }

    #[test]
    fn what_native_modes_cannot_say_is_named() {
        let list = json!({
            "type": "object", "properties": { "next": { "$ref": "#/$defs/L" } },
            "$defs": { "L": { "type": "object", "properties": { "next": { "$ref": "#/$defs/L" } } } }
        });
        let mut deep = json!({ "type": "string" });
        for _ in 0..100 {
            deep = json!({ "type": "array", "items": deep });
        }
        let rows = [
            (list, "contains itself"),
            (json!({ "type": "object", "properties": { "n": { "$ref": "#" } } }), "contains itself"),
            (json!({ "type": "object" }), "map"),
            (json!({ "type": "object", "additionalProperties": true }), "map"),
            (
                json!({ "type": "object", "properties": { "m": { "type": "object", "additionalProperties": {} } } }),
                "map",
            ),
            (json!({ "type": "object", "properties": { "any": true } }), "any type"),
            (json!({ "type": "object", "properties": { "any": {} } }), "any type"),
            (deep, "contains itself"),
        ];
        for (schema, word) in rows {
            assert!(native_form(&schema).unwrap_err().contains(word), "{schema}");
        }
    }
}
