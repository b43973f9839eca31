//! A JSON Schema in the form that vendors' native modes take.

use serde_json::{Map, Value, json};

/// Deepest nesting that is looked at.
const MAX_DEPTH: usize = 64;
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
