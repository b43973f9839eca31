//! The form that an answer must have.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use jsonschema::{PatternOptions, Validator};
use polysight_core::{Error, ErrorKind, Result, Violation};
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

/// Largest schema that is taken, as JSON text, in bytes: it goes along with every request.
const MAX_BYTES: usize = 64 * 1024;
/// Deepest nesting of a schema.
const MAX_DEPTH: usize = 64;
/// How many faults of a value are listed.
const MAX_FAULTS: usize = 8;
/// Longest fault, in characters.
const MAX_FAULT: usize = 300;
/// The field that holds a value that is no object.
const WRAPPER: &str = "value";

/// A JSON Schema with a name, checked and compiled. Cloning shares.
///
/// Vendors' JSON modes give objects only. A schema of another type is wrapped in an object with the one field `value`, and
/// the wrapper is taken off the answer.
#[derive(Clone)]
pub struct Schema(Arc<Compiled>);

struct Compiled {
    name: String,
    json: Value,
    validator: Validator,
    wrapped: bool,
}

/// What is wrong with a value, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaFault {
    /// JSON pointer to the place in the answer, such as `/items/0/price`; empty for the whole.
    pub path: String,
    /// What is wrong, at most 300 characters.
    pub problem: String,
}

impl fmt::Display for SchemaFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.path.is_empty() { "the answer" } else { self.path.as_str() };
        write!(f, "{place}: {}", self.problem)
    }
}

impl Schema {
    /// The schema of a type.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json).
    pub fn of<T: JsonSchema>() -> Result<Self> {
        let schema = schemars::generate::SchemaSettings::draft2020_12().for_deserialize();
        let schema = schema.into_generator().into_root_schema_for::<T>();
        Self::from_json(&T::schema_name(), schema.to_value())
    }

    /// A schema as JSON, with a name: letters, digits, `_` and `-` are kept, at most 64.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] for a schema that is no JSON Schema, is larger than 64 KiB, is nested deeper than 64
    /// levels, or has a `$ref` to anything outside itself: nothing is ever fetched.
    pub fn from_json(name: &str, schema: Value) -> Result<Self> {
        check(&schema)?;
        let wrapped = schema.get("type") != Some(&json!("object"));
        let json = if wrapped { wrap(schema) } else { schema };
        let patterns = PatternOptions::regex().size_limit(MAX_BYTES);
        let validator = jsonschema::options().with_pattern_options(patterns).build(&json);
        let validator =
            validator.map_err(|error| refused(bounded(&error.to_string()), "a valid JSON Schema"))?;
        Ok(Self(Arc::new(Compiled { name: legal_name(name), json, validator, wrapped })))
    }

    /// The schema's name, as vendors take one.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The schema, an object's always.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.0.json
    }

    /// Holds a value against the schema and takes the wrapper off. A bare value is taken for a wrapped one.
    ///
    /// # Errors
    /// What is wrong, at most eight faults.
    pub fn check(&self, value: Value) -> std::result::Result<Value, Vec<SchemaFault>> {
        let value =
            if self.0.wrapped && value.get(WRAPPER).is_none() { json!({ WRAPPER: value }) } else { value };
        let faults: Vec<SchemaFault> =
            self.0.validator.iter_errors(&value).take(MAX_FAULTS).map(fault).collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        match value {
            Value::Object(mut fields) if self.0.wrapped => Ok(fields.remove(WRAPPER).unwrap_or_default()),
            value => Ok(value),
        }
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schema({})", self.0.name)
    }
}

fn fault(error: jsonschema::ValidationError<'_>) -> SchemaFault {
    SchemaFault {
        path: error.instance_path().to_string(),
        problem: bounded(&error.masked_with("the value").to_string()),
    }
}

fn wrap(mut schema: Value) -> Value {
    let mut outer = Map::new();
    outer.insert("type".to_owned(), json!("object"));
    outer.insert("required".to_owned(), json!([WRAPPER]));
    outer.insert("additionalProperties".to_owned(), json!(false));
    for moved in ["$defs", "definitions"] {
        if let Some(definitions) = schema.as_object_mut().and_then(|schema| schema.remove(moved)) {
            outer.insert(moved.to_owned(), definitions);
        }
    }
    for part in std::iter::once(&mut schema).chain(outer.values_mut()) {
        move_references(part);
    }
    outer.insert("properties".to_owned(), json!({ WRAPPER: schema }));
    Value::Object(outer)
}

/// Lets references to the schema itself lead to where the wrapper holds it.
fn move_references(schema: &mut Value) {
    match schema {
        Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| match value {
            Value::String(path) if matches!(key.as_str(), "$ref" | "$dynamicRef") => {
                let kept = path.starts_with("#/$defs/") || path.starts_with("#/definitions/");
                if let Some(rest) =
                    path.strip_prefix('#').filter(|rest| !kept && (rest.is_empty() || rest.starts_with('/')))
                {
                    *path = format!("#/properties/{WRAPPER}{rest}");
                }
            }
            value => move_references(value),
        }),
        Value::Array(items) => items.iter_mut().for_each(move_references),
        _ => {}
    }
}

fn check(schema: &Value) -> Result<()> {
    let bytes = serde_json::to_string(schema).map_or(usize::MAX, |text| text.len());
    if bytes > MAX_BYTES {
        return Err(refused(format!("{bytes} bytes"), "at most 65536 bytes"));
    }
    walk(schema, 0)
}

fn walk(schema: &Value, depth: usize) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(refused("nested too deep".to_owned(), "at most 64 levels"));
    }
    match schema {
        Value::Object(fields) => {
            for (key, value) in fields {
                let outside =
                    |text: &&str| matches!(key.as_str(), "$ref" | "$dynamicRef") && !text.starts_with('#');
                if value.as_str().filter(outside).is_some() {
                    return Err(refused(
                        format!("a {key} to another document"),
                        "references within the schema: `#/..`",
                    ));
                }
                walk(value, depth + 1)?;
            }
            Ok(())
        }
        Value::Array(items) => items.iter().try_for_each(|item| walk(item, depth + 1)),
        _ => Ok(()),
    }
}

fn refused(problem: String, limit: &str) -> Error {
    let violation = Violation::new("schema", problem, limit, "give a smaller schema, complete in itself");
    Error::new(ErrorKind::InvalidRequest, "the schema of the answer cannot be used")
        .with_violations(vec![violation])
}

fn legal_name(name: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = name.chars().take(64).map(legal).collect();
    if name.is_empty() { "answer".to_owned() } else { name }
}

fn bounded(text: &str) -> String {
    match text.char_indices().nth(MAX_FAULT) {
        Some((at, _)) => Cow::Borrowed(text.get(..at).unwrap_or_default()) + "…",
        None => Cow::Borrowed(text),
    }
    .into_owned()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[allow(dead_code, reason = "only its schema is read")]
    struct Receipt {
        shop: String,
        total: f64,
        items: Vec<Item>,
        note: Option<String>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[allow(dead_code, reason = "only its schema is read")]
    struct Item {
        name: String,
        price: f64,
    }

    #[test]
    fn a_value_is_held_against_the_type() {
        let schema = Schema::of::<Receipt>().unwrap();
        assert_eq!(schema.name(), "Receipt");
        let good = json!({ "shop": "A", "total": 3, "items": [{ "name": "tea", "price": 3.0 }] });
        assert_eq!(schema.check(good.clone()).unwrap(), good);
        let faults = schema.check(json!({ "total": "3", "items": [{ "name": "tea" }] })).unwrap_err();
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("/items/0") && line.contains("price")), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("/total")), "{lines:?}");
    }

    #[test]
    fn what_is_no_object_is_wrapped_and_unwrapped() {
        let schema = Schema::of::<Vec<Item>>().unwrap();
        let items = json!([{ "name": "tea", "price": 3 }]);
        assert_eq!(schema.check(json!({ "value": items })).unwrap(), items);
        assert_eq!(schema.check(items.clone()).unwrap(), items);
        assert!(schema.check(json!({ "value": [{ "name": "tea" }] })).is_err());
        assert_eq!(Schema::of::<u8>().unwrap().check(json!({ "value": 7 })).unwrap(), json!(7));
    }

    #[test]
    fn a_wrapped_type_may_contain_itself() {
        let tree = json!({ "type": "array", "items": { "$ref": "#" } });
        let schema = Schema::from_json("tree", tree).unwrap();
        assert_eq!(schema.check(json!({ "value": [[], [[]]] })).unwrap(), json!([[], [[]]]));
        assert!(schema.check(json!({ "value": [[], 1] })).is_err());
        let inner = json!({ "anyOf": [{ "type": "null" }, { "$ref": "#/anyOf/0" }, { "$ref": "#/$defs/n" }],
                            "$defs": { "n": { "type": "array", "items": { "$ref": "#" } } } });
        let schema = Schema::from_json("inner", inner).unwrap();
        assert!(schema.check(json!([null, [null]])).is_ok() && schema.check(json!([1])).is_err());
    }

    #[test]
    fn unusable_schemas_are_refused_and_nothing_is_fetched() {
        let mut deep = json!({ "type": "string" });
        for _ in 0..100 {
            deep = json!({ "type": "array", "items": deep });
        }
        let rows = [
            (json!({ "type": "object", "description": "x".repeat(1_000_000) }), "65536"),
            (deep, "64 levels"),
            (json!({ "$ref": "http://127.0.0.1:9/schema.json" }), "within the schema"),
            (
                json!({ "type": "object", "properties": { "a": { "$ref": "file:///etc/hostname" } } }),
                "within the schema",
            ),
            (
                json!({ "type": "object", "properties": { "a": { "$ref": "other.json#/a" } } }),
                "within the schema",
            ),
            (json!({ "type": 5 }), "JSON Schema"),
            (json!({ "type": "object", "properties": { "a": { "pattern": "(" } } }), "JSON Schema"),
        ];
        for (schema, word) in rows {
            let error = Schema::from_json("s", schema).unwrap_err();
            let text = format!("{error} {:?}", error.violations());
            assert!(text.contains(word), "{text}");
        }
    }

    #[test]
    fn names_are_those_that_vendors_take() {
        assert_eq!(legal_name("Vec<Item>"), "Vec_Item_");
        assert_eq!(legal_name(&"a".repeat(100)).len(), 64);
        assert_eq!(legal_name(""), "answer");
    }
}
