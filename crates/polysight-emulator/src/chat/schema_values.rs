//! Values that fit a JSON Schema: the facts of the pictures where a property is named for one, made up elsewhere.

use serde_json::value::RawValue;

use crate::json::Json;

/// Nesting of made-up values; schemas may refer to themselves.
const MAX_DEPTH: usize = 12;
/// From this nesting on only what a schema demands is written.
const SPARE_DEPTH: usize = 6;
/// Most values of one answer.
const MAX_VALUES: usize = 10_000;
/// Most items of an array, and most characters that are made up to reach a least length.
const MAX_LENGTH: u64 = 1000;
/// References that are followed from one to the next.
const MAX_HOPS: usize = 16;
/// Brackets at which a schema is looked for in a text.
const MAX_BRACKETS: usize = 64;

/// Writes values for one request.
pub(crate) struct ValueWriter<'q> {
    /// The facts of each picture, an object each.
    pictures: Vec<Json>,
    /// What strings and numbers are made of; empty where they are made of the names of their properties.
    question: &'q str,
    quoted: Vec<&'q str>,
    strings: usize,
    values: usize,
    root: Json,
}

/// Where a value stands.
#[derive(Clone, Copy)]
struct Place<'n> {
    name: &'n str,
    depth: usize,
    picture: usize,
}

impl<'n> Place<'n> {
    fn below(self, name: &'n str) -> Self {
        Self { name, depth: self.depth + 1, picture: self.picture }
    }
}

impl<'q> ValueWriter<'q> {
    /// Writes values of a schema with these facts, and with words of the question.
    pub(crate) fn new(root: &Json, pictures: Vec<Json>, question: &'q str) -> Self {
        Self { pictures, question, quoted: quoted(question), strings: 0, values: 0, root: root.clone() }
    }

    /// A value of the whole schema.
    pub(crate) fn write(&mut self) -> Json {
        let root = self.root.clone();
        self.value(&root, Place { name: "value", depth: 0, picture: 0 })
    }

    /// A form filled in: the same object, each text in it replaced by the value that it asks for.
    pub(crate) fn fill(&mut self) -> Json {
        let root = self.root.clone();
        self.filled("value", &root)
    }

    fn filled(&mut self, name: &str, template: &Json) -> Json {
        match template {
            Json::Object(fields) => Json::Object(
                fields.iter().map(|(key, value)| (key.clone(), self.filled(key, value))).collect(),
            ),
            Json::List(items) => Json::List(items.iter().map(|item| self.filled(name, item)).collect()),
            _ => match self.fact(name, 0) {
                Some(Json::Text(text)) => Json::Text(text),
                Some(fact) => Json::Text(fact.to_text()),
                None => hinted(template.text().unwrap_or_default()).unwrap_or_else(|| self.string(name)),
            },
        }
    }

    fn value(&mut self, schema: &Json, place: Place<'_>) -> Json {
        self.values += 1;
        if self.values > MAX_VALUES || place.depth > MAX_DEPTH {
            return Json::Null;
        }
        let schema = self.resolved(schema);
        if let Some(choices) = schema.get("enum").and_then(Json::list) {
            return self.choice(choices, place);
        }
        if let Some(only) = schema.get("const") {
            return only.clone();
        }
        if let Some(parts) = schema.get("allOf").and_then(Json::list) {
            return self.all_of(&schema, parts, place);
        }
        if let Some(options) = schema.get("anyOf").or(schema.get("oneOf")).and_then(Json::list) {
            return self.any_of(options, place);
        }
        let kind = type_of(&schema);
        if let Some(fact) = self.fact(place.name, place.picture).and_then(|fact| as_type(fact, kind)) {
            return fact;
        }
        match kind {
            "object" => self.object(&schema, place),
            "array" => self.array(&schema, place),
            "integer" | "number" => self.number(&schema),
            "boolean" => Json::Bool(true),
            "null" => Json::Null,
            _ => fitted(self.text(&schema, place.name), &schema),
        }
    }

    /// The schema that a reference leads to.
    fn resolved(&self, schema: &Json) -> Json {
        let mut schema = schema.clone();
        for _ in 0..MAX_HOPS {
            let Some(path) = schema.get("$ref").and_then(Json::text).and_then(|path| path.strip_prefix('#'))
            else {
                break;
            };
            let Some(target) = pointed(&self.root, path) else { break };
            schema = target.clone();
        }
        schema
    }

    /// The choice that the fact of this name is, whatever its case; else the first.
    fn choice(&self, choices: &[Json], place: Place<'_>) -> Json {
        let fact = self.fact(place.name, place.picture);
        let fact = fact.as_ref().and_then(Json::text).unwrap_or_default();
        let named = |choice: &&Json| choice.text().is_some_and(|text| text.eq_ignore_ascii_case(fact));
        choices.iter().find(named).or(choices.first()).cloned().unwrap_or(Json::Null)
    }

    fn all_of(&mut self, schema: &Json, parts: &[Json], place: Place<'_>) -> Json {
        let mut bare = schema.clone();
        bare.remove("allOf");
        let mut merged: Option<Json> = None;
        for part in parts.iter().chain(bare.get("properties").is_some().then_some(&bare)) {
            match (&mut merged, self.value(part, place)) {
                (Some(whole @ Json::Object(_)), Json::Object(fields)) => {
                    fields.into_iter().for_each(|(key, value)| whole.set(&key, value));
                }
                (whole @ None, value) => *whole = Some(value),
                _ => {}
            }
        }
        merged.unwrap_or(Json::Null)
    }

    /// The first option that is not null; null where the nesting is deep and null is one.
    fn any_of(&mut self, options: &[Json], place: Place<'_>) -> Json {
        let is_null = |option: &&Json| type_of(option) == "null";
        if place.depth > SPARE_DEPTH && options.iter().any(|option| is_null(&option)) {
            return Json::Null;
        }
        match options.iter().find(|option| !is_null(option)) {
            Some(option) => self.value(option, place),
            None => Json::Null,
        }
    }

    fn object(&mut self, schema: &Json, place: Place<'_>) -> Json {
        let required = schema.get("required").and_then(Json::list).unwrap_or_default();
        let is_required = |name: &str| required.iter().any(|known| known.text() == Some(name));
        let Some(Json::Object(properties)) = schema.get("properties") else { return self.map(schema, place) };
        let wanted = properties.iter().filter(|(name, _)| place.depth <= SPARE_DEPTH || is_required(name));
        Json::Object(
            wanted.map(|(name, schema)| (name.clone(), self.value(schema, place.below(name)))).collect(),
        )
    }

    /// An object of any fields: as many as are demanded, one where nothing is said.
    fn map(&mut self, schema: &Json, place: Place<'_>) -> Json {
        let Some(values @ Json::Object(_)) = schema.get("additionalProperties") else {
            return Json::Object(Vec::new());
        };
        let count = if place.depth > SPARE_DEPTH { 0 } else { 1 };
        let count = whole(schema, "minProperties").unwrap_or(count).min(MAX_LENGTH);
        let names = (1..=count).map(|number| format!("entry_{number}"));
        Json::Object(
            names
                .map(|name| {
                    let value = self.value(values, place.below(&name));
                    (name, value)
                })
                .collect(),
        )
    }

    /// As many items as are demanded: one for each picture where they are about pictures, else one where nothing is said.
    fn array(&mut self, schema: &Json, place: Place<'_>) -> Json {
        if let Some(each) = schema.get("prefixItems").and_then(Json::list) {
            return Json::List(each.iter().map(|item| self.value(item, place.below(place.name))).collect());
        }
        let Some(items) = schema.get("items") else { return Json::List(Vec::new()) };
        let (least, most) = (whole(schema, "minItems"), whole(schema, "maxItems").unwrap_or(MAX_LENGTH));
        let about_pictures = self.pictures.len() > 1 && self.asks_for_facts(items);
        let usual = match (about_pictures, place.depth > SPARE_DEPTH) {
            (true, _) => self.pictures.len() as u64,
            (false, true) => 0,
            (false, false) => 1,
        };
        let count = least.unwrap_or(0).max(usual).min(most).min(MAX_LENGTH);
        let each = (0..count).map(|index| {
            let picture = if about_pictures { index as usize } else { place.picture };
            self.value(items, Place { picture, ..place.below(place.name) })
        });
        Json::List(each.collect())
    }

    fn asks_for_facts(&self, items: &Json) -> bool {
        let Some(Json::Object(properties)) = self.resolved(items).get("properties").cloned() else {
            return false;
        };
        properties.iter().any(|(name, _)| self.fact(name, 0).is_some())
    }

    /// The first whole number of the question, else 1; brought into the schema's range.
    fn number(&self, schema: &Json) -> Json {
        let digits = |word: &str| word.parse::<u64>().ok();
        let asked = self.question.split(|character: char| !character.is_ascii_digit()).find_map(digits);
        let bound = |key: &str| schema.get(key).and_then(Json::number).and_then(serde_json::Number::as_f64);
        let number = asked.unwrap_or(1) as f64;
        let step = bound("multipleOf").filter(|step| *step > 0.0).unwrap_or(1.0);
        let least = bound("minimum").or(bound("exclusiveMinimum").map(|bound| bound + step));
        let most = bound("maximum").or(bound("exclusiveMaximum").map(|bound| bound - step));
        let number = least.map_or(number, |least| number.max(least));
        let number = most.map_or(number, |most| number.min(most));
        let number = if bound("multipleOf").is_some() { (number / step).ceil() * step } else { number };
        if number.fract() == 0.0 && (0.0..1e15).contains(&number) {
            (number as u64).into()
        } else {
            number.into()
        }
    }

    fn text(&mut self, schema: &Json, name: &str) -> Json {
        let known = match schema.get("format").and_then(Json::text) {
            Some("date-time") => "2026-01-31T12:00:00Z",
            Some("date") => "2026-01-31",
            Some("time") => "12:00:00Z",
            Some("duration") => "P1D",
            Some("email" | "idn-email") => "name@h.example",
            Some("uri" | "iri" | "uri-reference") => "https://h.example/",
            Some("hostname" | "idn-hostname") => "h.example",
            Some("ipv4") => "127.0.0.1",
            Some("ipv6") => "::1",
            Some("uuid") => "00000000-0000-4000-8000-000000000000",
            _ => return self.string(name),
        };
        known.into()
    }

    /// The next text in quotes, else the last word with a capital letter, else the question; the name where nothing is asked.
    fn string(&mut self, name: &str) -> Json {
        if self.question.is_empty() {
            return format!("the {}", name.replace('_', " ")).into();
        }
        let quote = self.quoted.get(self.strings).or(self.quoted.last()).copied();
        self.strings += 1;
        Json::from(quote.or_else(|| last_capitalised(self.question)).unwrap_or(self.question))
    }

    /// The fact of a picture that a property is named for, whatever its case and its underscores.
    fn fact(&self, name: &str, picture: usize) -> Option<Json> {
        let name = match plain(name).as_str() {
            "meancolor" => "meancolour".to_owned(),
            name => name.to_owned(),
        };
        let Json::Object(facts) = self.pictures.get(picture).or(self.pictures.first())? else { return None };
        facts.iter().find(|(known, _)| plain(known) == name).map(|(_, value)| value.clone())
    }
}

/// Letters and digits in lower case.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|character| character.to_ascii_lowercase()).collect()
}

/// A fact as a value of this type, if it can be one.
fn as_type(fact: Json, kind: &str) -> Option<Json> {
    match (kind, fact) {
        ("integer" | "number", fact @ Json::Number(_)) | ("string", fact @ Json::Text(_)) => Some(fact),
        ("string", Json::Number(number)) => Some(number.to_string().into()),
        _ => None,
    }
}

/// What a form asks for in words: a number, a truth value, one of some choices.
fn hinted(words: &str) -> Option<Json> {
    let choice =
        words.split_once("one of: ").map(|(_, choices)| choices.split([',', ')']).next().unwrap_or_default());
    let number = || words.contains("number").then_some("1");
    let truth = || words.contains("true or false").then_some("true");
    choice.or_else(number).or_else(truth).map(|text| text.trim().into())
}

/// A text of a length that the schema takes.
fn fitted(text: Json, schema: &Json) -> Json {
    let Json::Text(mut text) = text else { return text };
    if let Some(most) = whole(schema, "maxLength") {
        text = text.chars().take(usize::try_from(most).unwrap_or(usize::MAX)).collect();
    }
    let least = whole(schema, "minLength").unwrap_or(0).min(MAX_LENGTH);
    let missing = least.saturating_sub(text.chars().count() as u64);
    text.extend(std::iter::repeat_n('x', usize::try_from(missing).unwrap_or(0)));
    text.into()
}

fn whole(schema: &Json, key: &str) -> Option<u64> {
    schema.get(key)?.number()?.as_u64()
}

/// What stands at a JSON pointer.
fn pointed<'j>(root: &'j Json, path: &str) -> Option<&'j Json> {
    let mut place = root;
    for step in path.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        place = match place {
            Json::List(items) => items.get(step.parse::<usize>().ok()?)?,
            object => object.get(&step)?,
        };
    }
    Some(place)
}

fn type_of(schema: &Json) -> &str {
    match schema.get("type") {
        Some(Json::Text(name)) => name,
        Some(Json::List(names)) => {
            names.iter().filter_map(Json::text).find(|name| *name != "null").unwrap_or("null")
        }
        _ if schema.get("properties").is_some() => "object",
        _ => "string",
    }
}

/// The first JSON Schema of an object that stands in a text which speaks of JSON.
pub(crate) fn schema_in(text: &str) -> Option<Json> {
    if !text.to_ascii_lowercase().contains("json") {
        return None;
    }
    let mut from = 0;
    for _ in 0..MAX_BRACKETS {
        let at = from + text.get(from..)?.find('{')?;
        let rest = text.get(at..)?;
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Box<RawValue>>();
        from = match values.next() {
            Some(Ok(value)) => {
                let json = crate::request_body::parse_json(value.get().as_bytes()).json;
                if let Some(schema) = json.filter(is_schema) {
                    return Some(schema);
                }
                at + values.byte_offset()
            }
            _ => at + 1,
        };
    }
    None
}

fn is_schema(json: &Json) -> bool {
    let is_object = json.get("type").and_then(Json::text) == Some("object");
    is_object && ["properties", "additionalProperties", "$schema"].iter().any(|key| json.get(key).is_some())
}

/// Texts between quotation marks of the same kind.
fn quoted(text: &str) -> Vec<&str> {
    const MARKS: [(char, char); 5] = [('"', '"'), ('“', '”'), ('「', '」'), ('《', '》'), ('\'', '\'')];
    let mut found = Vec::new();
    for (open, close) in MARKS {
        let mut rest = text;
        while let Some((inside, after)) = rest.split_once(open).and_then(|(_, tail)| tail.split_once(close)) {
            if !inside.is_empty() {
                found.push(inside);
            }
            rest = after;
        }
        if !found.is_empty() {
            break;
        }
    }
    found
}

fn last_capitalised(text: &str) -> Option<&str> {
    text.split(|character: char| !character.is_alphanumeric())
        .rfind(|word| word.chars().next().is_some_and(char::is_uppercase))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request_body::parse_json;

    fn json(text: &str) -> Json {
        parse_json(text.as_bytes()).json.unwrap()
    }

    fn picture(width: u64) -> Json {
        Json::object([("format", "PNG".into()), ("width", width.into()), ("mean_colour", "#102030".into())])
    }

    fn written(schema: &str) -> String {
        ValueWriter::new(&json(schema), vec![picture(64), picture(128)], "").write().to_text()
    }

    #[test]
    fn facts_stand_where_a_property_is_named_for_one() {
        let schema = r##"{"type":"object","properties":{
            "width":{"type":"integer"},"Format":{"enum":["jpeg","png"]},"mean_color":{"type":["string","null"]},
            "sha256":{"type":"string"},"height":{"type":"string"},"shop_name":{"type":"string"},
            "inner":{"$ref":"#/$defs/I"},"sizes":{"type":"array","items":{"$ref":"#/$defs/I"}}},
            "$defs":{"I":{"type":"object","properties":{"width":{"anyOf":[{"type":"null"},{"type":"number"}]}}}}}"##;
        assert_eq!(
            written(schema),
            r##"{"width":64,"Format":"png","mean_color":"#102030","sha256":"the sha256","height":"the height",
            "shop_name":"the shop name","inner":{"width":64},"sizes":[{"width":64},{"width":128}]}"##
                .replace("\n            ", "")
        );
    }

    #[test]
    fn values_keep_to_what_a_schema_demands() {
        for (schema, value) in [
            (r#"{"type":"array","items":{"type":"boolean"},"minItems":3}"#, "[true,true,true]"),
            (r#"{"type":"array","items":{"type":"null"},"maxItems":0}"#, "[]"),
            (r#"{"type":"integer","minimum":10,"multipleOf":4}"#, "12"),
            (r#"{"type":"number","exclusiveMaximum":0.5}"#, "-0.5"),
            (r#"{"type":"string","minLength":12,"maxLength":12}"#, r#""the valuexxx""#),
            (r#"{"type":"string","format":"date"}"#, r#""2026-01-31""#),
            (r#"{"const":{"a":1}}"#, r#"{"a":1}"#),
            (r#"{"type":"object","additionalProperties":{"type":"integer"}}"#, r#"{"entry_1":1}"#),
            (
                r#"{"allOf":[{"properties":{"a":{"const":1}}},{"properties":{"b":{"const":2}}}]}"#,
                r#"{"a":1,"b":2}"#,
            ),
            (r#"{"type":"array","prefixItems":[{"const":1},{"type":"string"}]}"#, r#"[1,"the value"]"#),
        ] {
            assert_eq!(written(schema), value, "{schema}");
        }
    }

    #[test]
    fn schemas_that_refer_to_themselves_end() {
        let list = r##"{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]},
            "all":{"type":"array","items":{"$ref":"#"}}},"required":["next"]}"##;
        assert!(written(list).ends_with('}') && written(list).len() < 100_000);
        assert_eq!(written(r##"{"$ref":"#"}"##), r#""the value""#);
    }

    #[test]
    fn a_schema_is_found_in_a_text() {
        let text = "Say {so} by JSON {\"a\":1}: {\"type\":\"object\",\"properties\":{}} and nothing else";
        assert_eq!(schema_in(text).unwrap().to_text(), r#"{"type":"object","properties":{}}"#);
        assert!(schema_in("as {\"type\":\"object\",\"properties\":{}}").is_none(), "it does not speak of it");
        assert!(schema_in(&format!("json {}", "{".repeat(100_000))).is_none());
    }

    #[test]
    fn a_form_is_filled_in_with_texts() {
        let form = json(
            r#"{"width":"a number","payer":{"name":"","age":"years (a whole number)"},
            "paid":"true or false","by":"how (one of: cash, card)"}"#,
        );
        let filled = ValueWriter::new(&form, vec![picture(64)], "").fill();
        let wanted = r#"{"width":"64","payer":{"name":"the name","age":"1"},"paid":"true","by":"cash"}"#;
        assert_eq!(filled.to_text(), wanted);
    }
}
