//! Tool calls: which function is called, and with what arguments.

use crate::chat::prepared_answer::PreparedCall;
use crate::chat::schema_values::ValueWriter;
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

impl<'r> Function<'r> {
    pub(crate) fn parse(tool: &'r Json) -> Option<Self> {
        let function = tool.get("function")?;
        Some(Self { name: function.get("name")?.text()?, parameters: function.get("parameters") })
    }
}

/// Calls the first function, or every one where the question has the word "both" or "all".
pub(crate) fn call(functions: &[Function<'_>], question: &str, pictures: &[Json], id: &str) -> Vec<ToolCall> {
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
            arguments: arguments(function.parameters, pictures, question),
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

/// Arguments that fit the parameters, with the facts of the pictures and words of the question.
fn arguments(parameters: Option<&Json>, pictures: &[Json], question: &str) -> String {
    let object = parameters.map(|schema| ValueWriter::new(schema, pictures.to_vec(), question).write());
    object.filter(|object| matches!(object, Json::Object(_))).unwrap_or(Json::Object(Vec::new())).to_text()
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
        let calls = call(&functions, question, &[], "2026112100000012345678abcdef00");
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
