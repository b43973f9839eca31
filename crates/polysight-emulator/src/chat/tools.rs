//! Tool calls: which function is called, and with what arguments.

use crate::chat::prepared_answer::PreparedCall;
use crate::json::Json;

/// A function that the request declares.
#[derive(Debug)]
pub(crate) struct Function<'r> {
    pub(crate) name: &'r str,
    parameters: Option<&'r Json>,
}

/// A call to be sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ToolCall {
    pub(crate) id: String,
    pub(crate) name: String,
    /// A JSON object.
    pub(crate) arguments: String,
}

/// Nesting of made-up arguments; schemas may refer to themselves.
const MAX_DEPTH: usize = 8;

impl<'r> Function<'r> {
    pub(crate) fn parse(tool: &'r Json) -> Option<Self> {
        let function = tool.get("function")?;
        Some(Self { name: function.get("name")?.text()?, parameters: function.get("parameters") })
    }
}

/// Calls the first function, or every one where the question has the word "both" or "all".
pub(crate) fn call(functions: &[Function<'_>], question: &str, id: &str) -> Vec<ToolCall> {
    let words = || question.split(|character: char| !character.is_alphanumeric());
    let everything =
        words().any(|word| word.eq_ignore_ascii_case("both") || word.eq_ignore_ascii_case("all"));
    let count = if everything { functions.len() } else { 1 };
    functions
        .iter()
        .take(count)
        .enumerate()
        .map(|(index, function)| ToolCall {
            id: call_id(id, index),
            name: function.name.to_owned(),
            arguments: ArgumentGenerator::new(question).arguments(function.parameters).to_text(),
        })
        .collect()
}

/// Calls as they were prepared.
pub(crate) fn prepared(calls: Vec<PreparedCall>, id: &str) -> Vec<ToolCall> {
    let call = |(index, call): (usize, PreparedCall)| ToolCall {
        id: call_id(id, index),
        name: call.name,
        arguments: call.arguments,
    };
    calls.into_iter().enumerate().map(call).collect()
}

fn call_id(id: &str, index: usize) -> String {
    let tail = id.get(id.len().saturating_sub(20)..).unwrap_or(id);
    format!("call_{tail}{index}")
}

/// Makes up arguments that fit a schema, out of the words of the question.
struct ArgumentGenerator<'q> {
    question: &'q str,
    quoted: Vec<&'q str>,
    strings: usize,
}

impl<'q> ArgumentGenerator<'q> {
    fn new(question: &'q str) -> Self {
        Self { question, quoted: quoted(question), strings: 0 }
    }

    fn arguments(&mut self, schema: Option<&Json>) -> Json {
        match schema.map(|schema| self.object(schema, 0)) {
            Some(object @ Json::Object(_)) => object,
            _ => Json::Object(Vec::new()),
        }
    }

    fn object(&mut self, schema: &Json, depth: usize) -> Json {
        let Some(Json::Object(properties)) = schema.get("properties") else {
            return Json::Object(Vec::new());
        };
        Json::Object(
            properties.iter().map(|(name, schema)| (name.clone(), self.value(schema, depth + 1))).collect(),
        )
    }

    fn value(&mut self, schema: &Json, depth: usize) -> Json {
        if let Some(first) =
            schema.get("enum").and_then(|values| values.list()?.first()).or(schema.get("const"))
        {
            return first.clone();
        }
        match type_of(schema) {
            "object" if depth < MAX_DEPTH => self.object(schema, depth),
            "array" if depth < MAX_DEPTH => Json::List(
                schema.get("items").map(|items| self.value(items, depth + 1)).into_iter().collect(),
            ),
            "object" => Json::Object(Vec::new()),
            "array" => Json::List(Vec::new()),
            "integer" | "number" => self.number(schema),
            "boolean" => Json::Bool(true),
            "null" => Json::Null,
            _ => self.string(),
        }
    }

    /// The first whole number of the question, else the schema's minimum, else 1.
    fn number(&self, schema: &Json) -> Json {
        let digits = |word: &str| word.parse::<u64>().ok();
        let asked = self.question.split(|character: char| !character.is_ascii_digit()).find_map(digits);
        match (asked, schema.get("minimum")) {
            (Some(number), _) => number.into(),
            (None, Some(minimum @ Json::Number(_))) => minimum.clone(),
            _ => 1_u64.into(),
        }
    }

    /// The next text in quotes, else the last word with a capital letter, else the question.
    fn string(&mut self) -> Json {
        let quote = self.quoted.get(self.strings).or(self.quoted.last()).copied();
        self.strings += 1;
        Json::from(quote.or_else(|| last_capitalised(self.question)).unwrap_or(self.question))
    }
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

    fn tools() -> Json {
        parse_json(
            br#"[{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{
                "city":{"type":"string"},"unit":{"type":"string","enum":["c","f"]},"days":{"type":"integer"},
                "tags":{"type":"array","items":{"type":["null","boolean"]}}}}}},
                {"type":"function","function":{"name":"clock"}}]"#,
        )
        .json
        .unwrap()
    }

    fn calls(question: &str) -> Vec<(String, String)> {
        let tools = tools();
        let functions: Vec<_> = tools.list().unwrap().iter().filter_map(Function::parse).collect();
        let calls = call(&functions, question, "2026112100000012345678abcdef00");
        calls.into_iter().map(|call| (call.name, call.arguments)).collect()
    }

    #[test]
    fn fills_arguments_from_the_question() {
        assert_eq!(
            calls("What will the weather in Paris be in 3 days?"),
            [("weather".into(), r#"{"city":"Paris","unit":"c","days":3,"tags":[true]}"#.into())]
        );
        assert!(calls("weather in \"new york\"?")[0].1.contains(r#""city":"new york""#));
        assert!(calls("北京天气")[0].1.contains(r#""city":"北京天气""#));
    }

    #[test]
    fn calls_every_function_when_asked_for_both() {
        let names: Vec<_> = calls("Use both, please").into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["weather", "clock"]);
        assert_eq!(calls("Use them, small ball").len(), 1);
    }
}
