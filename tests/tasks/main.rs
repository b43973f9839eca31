//! Answers of a type from every vendor: each rung, each way in which models break JSON, plain and streamed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop, and the whole program is tests"
)]

mod chunks;
mod emulated;
mod hostile;
mod locate;

use polysight::tasks::json::JsonRepair;
use polysight::tasks::{ExtractError, ExtractFault, Extracted, Extractor, TasksExt, Tool};
use polysight::{
    ChatRequest, Image, Message, Polysight, ResponseFormat, Role, Rung, Tolerance, VisionProvider,
};
use polysight_emulator::{Emulator, Surface};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
struct Receipt {
    shop: String,
    total: f64,
}

const GOOD: &str = r#"{"shop":"Jade Tea House","total":12.5}"#;
const WRONG: &str = r#"{"shop":"Jade Tea House","total":"much"}"#;

/// A vendor and a model, the default one where none is named, and the means that its card gives.
struct Target {
    vendor: &'static str,
    model: Option<&'static str>,
    rung: Rung,
}

const TARGETS: [Target; 6] = [
    Target { vendor: "zhipu", model: None, rung: Rung::Prompt },
    Target { vendor: "zhipu", model: Some("glm-4-plus"), rung: Rung::JsonObject },
    Target { vendor: "qwen-vl", model: None, rung: Rung::JsonObject },
    Target { vendor: "qwen-vl", model: Some("qwen3.8-max"), rung: Rung::JsonSchema },
    Target { vendor: "ernie", model: None, rung: Rung::Prompt },
    Target { vendor: "ernie", model: Some("ernie-5.0"), rung: Rung::ToolCall },
];

#[derive(Debug, Clone, Copy)]
enum Expected {
    /// The value, with these repairs of the JSON.
    Value(&'static [JsonRepair]),
    /// The value, after one repair turn.
    AskedAgain,
    /// Cut at the token limit.
    Truncated,
    /// A fault of the schema at this place, after one repair turn.
    Fault(&'static str),
}

/// What the model answers, in turn, and what comes of it.
fn breakages() -> Vec<(&'static str, Vec<String>, Expected)> {
    use Expected::{AskedAgain, Fault, Truncated, Value};
    let one = |text: String| vec![text];
    vec![
        ("as it should be", one(GOOD.to_owned()), Value(&[])),
        ("a fence", one(format!("```json\n{GOOD}\n```")), Value(&[])),
        ("prose", one(format!("Here {{you}} are [1]: {GOOD} Anything else?")), Value(&[])),
        ("box markers", one(format!("<|begin_of_box|>{GOOD}<|end_of_box|>")), Value(&[])),
        (
            "closed twice",
            one(r#"{"shop":"Jade Tea House"},"total":12.5}""#.to_owned()),
            Value(&[JsonRepair::ClosedTwice]),
        ),
        ("a missing brace", one(GOOD.trim_end_matches('}').to_owned()), Value(&[JsonRepair::MissingBracket])),
        ("a trailing comma", one(GOOD.replace('}', ",}")), Value(&[JsonRepair::TrailingComma])),
        (
            "thinking that repeats the answer",
            one(format!("<think>Is it {{\"shop\":\"Mint\",\"total\":1}}?</think>{GOOD}")),
            Value(&[]),
        ),
        ("cut at the token limit", one(GOOD.to_owned()), Truncated),
        ("a wrong type", vec![WRONG.to_owned(), GOOD.to_owned()], AskedAgain),
        ("no JSON", vec!["I see a receipt.".to_owned(), GOOD.to_owned()], AskedAgain),
        ("a wrong type twice", vec![WRONG.to_owned(), WRONG.to_owned()], Fault("/total")),
    ]
}

fn config(emulator: &Emulator, target: &Target) -> String {
    let (surface, key) = match target.vendor {
        "zhipu" => (Surface::Zhipu, "test.key"),
        "qwen-vl" => (Surface::DashScopeCompatible, "sk-0123456789abcdef0123456789abcdef"),
        _ => (Surface::Qianfan, "bce-v3/ALTAK-example/0123456789abcdef0123456789abcdef01234567"),
    };
    let model = target.model.map(|model| format!("model = \"{model}\"")).unwrap_or_default();
    format!(
        "[providers.p]\nbackend = \"{}\"\nbase_url = \"{}\"\napi_key = \"{key}\"\n[roles.default]\nprovider = \"p\"\n{model}\n",
        target.vendor,
        emulator.base_url(surface),
    )
}

fn role(emulator: &Emulator, target: &Target) -> Role {
    Polysight::from_toml(&config(emulator, target)).unwrap().role("default").unwrap()
}

fn request() -> ChatRequest {
    ChatRequest::new([Message::user("Read the receipt.")])
}

async fn ask(role: &Role, expected: Expected, streamed: bool) -> Result<Extracted<Receipt>, ExtractError> {
    let request =
        if matches!(expected, Expected::Truncated) { request().with_max_tokens(5) } else { request() };
    let extractor = Extractor::of::<Receipt>().unwrap().with_streaming(streamed);
    extractor.extract_as(role, request).await
}

fn hold(row: &str, rung: Rung, expected: Expected, outcome: Result<Extracted<Receipt>, ExtractError>) {
    match (expected, outcome) {
        (Expected::Value(repairs), Ok(extracted)) => {
            assert_eq!((extracted.repair_turns(), &extracted.repairs[..]), (0, repairs), "{row}");
            held(row, rung, &extracted);
        }
        (Expected::AskedAgain, Ok(extracted)) => {
            assert_eq!(extracted.repair_turns(), 1, "{row}");
            held(row, rung, &extracted);
        }
        (Expected::Truncated, Err(error)) => {
            assert!(matches!(error.fault, ExtractFault::Truncated), "{row}: {error}");
            assert!(error.to_string().contains("max_tokens") && error.usage().is_some(), "{row}: {error}");
        }
        (Expected::Fault(path), Err(error)) => {
            let ExtractFault::Schema(faults) = &error.fault else { panic!("{row}: {error}") };
            assert_eq!((faults[0].path.as_str(), error.responses.len()), (path, 2), "{row}");
            assert!(error.text().contains("much") && error.usage().is_some(), "{row}: {error}");
        }
        (expected, outcome) => panic!("{row}: {expected:?}, but {outcome:?}"),
    }
}

fn held(row: &str, rung: Rung, extracted: &Extracted<Receipt>) {
    let wanted = Receipt { shop: "Jade Tea House".to_owned(), total: 12.5 };
    assert_eq!((&extracted.value, extracted.rung), (&wanted, rung), "{row}");
    assert!(extracted.usage().is_some_and(|usage| usage.total_tokens > 0), "{row}");
    assert!(extracted.responses.iter().all(|response| response.meta.rung == Some(rung)), "{row}");
}

#[tokio::test]
async fn every_rung_and_every_breakage_with_every_vendor() {
    let mut rows = 0;
    for target in &TARGETS {
        let emulator = Emulator::start().await.unwrap();
        let role = role(&emulator, target);
        for (breakage, answers, expected) in breakages() {
            for streamed in [false, true] {
                let row = format!("{} {:?}, {breakage}, streamed: {streamed}", target.vendor, target.model);
                answers.iter().for_each(|answer| emulator.answer(answer).unwrap());
                hold(&row, target.rung, expected, ask(&role, expected, streamed).await);
                assert_eq!(
                    (emulator.queued_answers(), emulator.requests().len()),
                    (0, answers.len()),
                    "{row}"
                );
                emulator.clear_requests();
                rows += 1;
            }
        }
    }
    assert_eq!(rows, TARGETS.len() * breakages().len() * 2);
    println!("{rows} rows of rung, breakage and vendor");
}

#[tokio::test]
async fn a_call_that_was_forced_is_read_and_repaired_as_a_call() {
    let emulator = Emulator::start().await.unwrap();
    let role = role(&emulator, &TARGETS[5]);
    for streamed in [false, true] {
        for text in [WRONG, GOOD] {
            emulator.answer_call("Receipt", serde_json::from_str(text).unwrap()).unwrap();
        }
        let outcome = ask(&role, Expected::AskedAgain, streamed).await;
        hold("calls", Rung::ToolCall, Expected::AskedAgain, outcome);
    }
}

/// The same request with a format goes to every vendor under `lossy`: what comes of it stands on the plan.
#[tokio::test]
async fn a_plain_format_goes_down_the_ladder_under_lossy() {
    let emulator = Emulator::start().await.unwrap();
    let schema = serde_json::json!({ "type": "object", "properties": { "shop": { "type": "string" } } });
    let format = ResponseFormat::JsonSchema { name: "receipt".to_owned(), schema, strict: true };
    let request = request().with_response_format(format);
    for target in &TARGETS {
        let role = role(&emulator, target);
        let plan = role.plan(&request.clone().with_tolerance(Tolerance::Lossy)).unwrap();
        assert_eq!(plan.rung, Some(target.rung), "{} {:?}", target.vendor, target.model);
        let changed = plan.adjustments.iter().any(|change| change.path == "response_format");
        assert_eq!(changed, target.rung != Rung::JsonSchema, "{:?}", plan.adjustments);
        assert!(!changed || role.plan(&request).is_err(), "refused without lossy");
        emulator.answer(GOOD).unwrap();
        assert!(!role.send(plan).await.unwrap().to_message().parts.is_empty());
    }
}

#[tokio::test]
async fn comfort_reads_a_picture_and_runs_tools() {
    #[derive(Deserialize, JsonSchema)]
    struct City {
        city: String,
    }
    for target in TARGETS.iter().filter(|target| target.model.is_none() && target.vendor != "ernie") {
        let emulator = Emulator::start().await.unwrap();
        let role = role(&emulator, target);
        emulator.answer(GOOD).unwrap();
        let picture = Image::from_bytes(polysight_testkit::picture(image::ImageFormat::Png, 64, 48)).unwrap();
        let extracted = role.extract::<Receipt>(ChatRequest::ask("Read it.", [picture])).await.unwrap();
        held(target.vendor, target.rung, &extracted);
        let weather = Tool::new("weather", "Weather of a city", |City { city }: City| async move {
            Ok(format!("clear in {city}"))
        });
        let asked = ChatRequest::new([Message::user("What is the weather in \"Beijing\"?")]);
        let run = role.run_tools(asked, [weather.unwrap()]).await.unwrap();
        assert_eq!(run.responses.len(), 2, "{}", run.text());
        assert!(run.messages.iter().any(|message| format!("{message:?}").contains("clear in Beijing")));
    }
}
