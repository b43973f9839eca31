//! Answers that the emulator makes of what arrived, against the schema where each rung puts it: as they should be, and broken
//! in each way that models have.

use polysight::tasks::json::{JsonRepair, Verdict};
use polysight::tasks::{ExtractError, ExtractFault, Extracted, Extractor, TasksExt};
use polysight::{ChatRequest, FinishKind, Image, Polysight, Role, Rung, VisionProvider};
use polysight_emulator::{Emulator, Fault, JsonBreak, RecordedMedia, Surface};
use schemars::JsonSchema;
use serde::Deserialize;

/// What is asked of a picture: facts that the emulator measures, and what it makes up.
#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
struct Seen {
    bytes: usize,
    format: Format,
    height: u32,
    mean_color: String,
    /// Whether it was sold.
    sold: bool,
    /// Name of the shop, as printed.
    shop: String,
    size: Size,
    sha256: String,
    tip: Option<f64>,
    width: u32,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Format {
    Jpeg,
    Png,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
struct Size {
    height: u32,
    width: u32,
}

/// A vendor's protocol, a model, what its card is changed to, and the rung that comes of it.
struct Target {
    surface: Surface,
    provider: &'static str,
    model: &'static str,
    card: &'static str,
    rung: Rung,
}

const fn target(surface: Surface, provider: &'static str, model: &'static str, rung: Rung) -> Target {
    Target { surface, provider, model, card: "", rung }
}

const QWEN: &str = "backend = \"qwen-vl\"\napi_key = \"sk-0123456789abcdef0123456789abcdef\"";
const QWEN_NATIVE: &str =
    "backend = \"qwen-vl\"\nprotocol = \"native\"\napi_key = \"sk-0123456789abcdef0123456789abcdef\"";
const ZHIPU: &str = "backend = \"zhipu\"\napi_key = \"test.key\"";
const ERNIE: &str =
    "backend = \"ernie\"\napi_key = \"bce-v3/ALTAK-example/0123456789abcdef0123456789abcdef01234567\"";
const NO_FORMATS: &str = "response_formats = []\n";
const NO_MEANS: &str = "response_formats = []\ntools = false\n";

fn targets() -> Vec<Target> {
    use Surface::{DashScopeCompatible, DashScopeNative, Qianfan, Zhipu};
    vec![
        target(Zhipu, ZHIPU, "glm-4.6v-flash", Rung::Prompt),
        target(Zhipu, ZHIPU, "glm-4.5v", Rung::Prompt),
        target(DashScopeCompatible, QWEN, "qwen3.8-max", Rung::JsonSchema),
        target(DashScopeCompatible, QWEN, "qwen3-vl-plus", Rung::JsonObject),
        Target { card: NO_FORMATS, ..target(DashScopeCompatible, QWEN, "qwen3-vl-plus", Rung::ToolCall) },
        Target { card: NO_MEANS, ..target(DashScopeCompatible, QWEN, "qwen3-vl-plus", Rung::Prompt) },
        target(DashScopeNative, QWEN_NATIVE, "qwen3.7-plus", Rung::JsonSchema),
        target(DashScopeNative, QWEN_NATIVE, "qwen-vl-max", Rung::JsonObject),
        Target { card: NO_FORMATS, ..target(DashScopeNative, QWEN_NATIVE, "qwen3-vl-plus", Rung::ToolCall) },
        target(DashScopeNative, QWEN_NATIVE, "qwen-vl-ocr", Rung::OcrTask),
        target(DashScopeNative, QWEN_NATIVE, "qwen-vl-ocr-2025-11-20", Rung::OcrTask),
        target(DashScopeCompatible, QWEN, "qwen-vl-ocr", Rung::Prompt),
        target(Qianfan, ERNIE, "ernie-4.5-turbo-vl", Rung::Prompt),
        target(Qianfan, ERNIE, "ernie-5.0", Rung::ToolCall),
    ]
}

fn role(emulator: &Emulator, target: &Target) -> Role {
    let Target { provider, model, card, surface, .. } = target;
    let base_url = emulator.base_url(*surface);
    let card = match *card {
        "" => String::new(),
        card => format!("[[providers.p.models]]\nid = \"{model}\"\n{card}"),
    };
    let config = format!(
        "[providers.p]\n{provider}\nbase_url = \"{base_url}\"\n{card}[roles.default]\nprovider = \"p\"\nmodel = \"{model}\"\n"
    );
    Polysight::from_toml(&config).unwrap().role("default").unwrap()
}

#[derive(Debug, Clone, Copy)]
enum Expected {
    Value(&'static [JsonRepair]),
    /// The value, after one repair turn; of an OCR task, which cannot be asked again, the fault.
    AskedAgain,
    CutOff(Verdict),
}

/// Each breakage, and what comes of it on every rung. What stands around the arguments of a call takes their place.
const BREAKAGES: [(JsonBreak, Expected); 13] = [
    (JsonBreak::Fence, Expected::Value(&[])),
    (JsonBreak::OpenFence, Expected::Value(&[])),
    (JsonBreak::Prose, Expected::Value(&[])),
    (JsonBreak::Box, Expected::Value(&[])),
    (JsonBreak::Thinking, Expected::Value(&[])),
    (JsonBreak::CallAsText, Expected::Value(&[])),
    (JsonBreak::ClosedTwice, Expected::Value(&[JsonRepair::ClosedTwice])),
    (JsonBreak::MissingBrace, Expected::Value(&[JsonRepair::MissingBracket])),
    (JsonBreak::TrailingComma, Expected::Value(&[JsonRepair::TrailingComma])),
    (JsonBreak::Blanks, Expected::Value(&[])),
    (JsonBreak::Digits, Expected::CutOff(Verdict::Digits)),
    (JsonBreak::WrongType, Expected::AskedAgain),
    (JsonBreak::NoJson, Expected::AskedAgain),
];

fn picture() -> Vec<u8> {
    let image = image::RgbImage::from_fn(96, 64, |x, _| image::Rgb([if x < 48 { 200 } else { 100 }, 20, 60]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn request() -> ChatRequest {
    ChatRequest::ask("Read the sign.", [Image::from_bytes(picture()).unwrap()])
}

async fn ask(role: &Role, streamed: bool) -> Result<Extracted<Seen>, ExtractError> {
    Extractor::of::<Seen>().unwrap().with_streaming(streamed).extract_as(role, request()).await
}

/// Holds a value against the picture.
fn hold_facts(row: &str, seen: &Seen, arrived: &RecordedMedia) {
    assert_eq!((seen.width, seen.height, seen.bytes), (96, 64, picture().len()), "{row}");
    assert_eq!(seen.size, Size { height: 64, width: 96 }, "{row}");
    assert_eq!((&seen.format, seen.mean_color.as_str()), (&Format::Png, "#96143c"), "{row}");
    assert_eq!(
        (&seen.sha256, &arrived.sha256),
        (&polysight_testkit::sha256(&picture()), &seen.sha256),
        "{row}"
    );
    assert!(!seen.shop.is_empty(), "{row}");
}

fn hold(
    row: &str,
    rung: Rung,
    expected: Expected,
    outcome: Result<Extracted<Seen>, ExtractError>,
    arrived: &RecordedMedia,
) {
    let typed = rung == Rung::OcrTask;
    match (expected, outcome) {
        (Expected::Value(repairs), Ok(extracted)) => {
            let own = extracted.repairs.iter().filter(|repair| **repair != JsonRepair::TypedText);
            assert!(own.eq(repairs.iter()), "{row}: {:?}", extracted.repairs);
            assert_eq!(extracted.repairs.contains(&JsonRepair::TypedText), typed, "{row}");
            assert_eq!((extracted.repair_turns(), extracted.rung), (0, rung), "{row}");
            hold_facts(row, &extracted.value, arrived);
        }
        (Expected::AskedAgain, Ok(extracted)) if !typed => {
            assert_eq!((extracted.repair_turns(), extracted.rung), (1, rung), "{row}");
            assert!(extracted.usage().is_some_and(|usage| usage.total_tokens > 0), "{row}");
            hold_facts(row, &extracted.value, arrived);
        }
        (Expected::AskedAgain, Err(error)) if typed => {
            assert!(
                matches!(error.fault, ExtractFault::Schema(_) | ExtractFault::Unreadable(_)),
                "{row}: {error}"
            );
            assert!(error.responses.len() == 1 && !error.text().is_empty(), "{row}: {error}");
        }
        (Expected::CutOff(verdict), Err(error)) => {
            assert!(matches!(error.fault, ExtractFault::CutOff(found) if found == verdict), "{row}: {error}");
            assert!(
                error.text().contains("777") && error.billed() == polysight::Billed::Likely,
                "{row}: {error}"
            );
        }
        (expected, outcome) => panic!("{row}: {expected:?}, but {outcome:?}"),
    }
}

#[tokio::test]
async fn every_rung_with_every_vendor_reads_the_picture_through_every_breakage() {
    let (mut rows, mut skipped) = (0, 0);
    for target in targets() {
        let emulator = Emulator::start().await.unwrap();
        let role = role(&emulator, &target);
        let whole = [(None, Expected::Value(&[]))].into_iter();
        for (broken, expected) in whole.chain(BREAKAGES.map(|(broken, expected)| (Some(broken), expected))) {
            // A model that fills in forms calls no functions.
            if target.rung == Rung::OcrTask && matches!(broken, Some(JsonBreak::CallAsText)) {
                skipped += 2;
                continue;
            }
            for streamed in [false, true] {
                let row = format!("{} {} {broken:?}, streamed: {streamed}", target.provider, target.model);
                emulator.script_together(broken.map(Fault::BrokenJson));
                let outcome = ask(&role, streamed).await;
                let requests = emulator.requests();
                hold(&row, target.rung, expected, outcome, &requests[0].media[0]);
                emulator.clear_requests();
                rows += 1;
            }
        }
    }
    assert_eq!((rows, skipped), (targets().len() * (BREAKAGES.len() + 1) * 2 - 4, 4));
    println!("{rows} rows of rung, breakage and vendor");
}

/// The vendor's own limit cuts as the caller's does, and is the same fault.
#[tokio::test]
async fn an_answer_that_any_token_limit_cut_says_so() {
    for target in targets() {
        let emulator = Emulator::start().await.unwrap();
        let role = role(&emulator, &target);
        for streamed in [false, true] {
            let row = format!("{} {}, streamed: {streamed}", target.provider, target.model);
            let cut = Fault::FinishReason("length".to_owned());
            emulator.script_together([Fault::BrokenJson(JsonBreak::MissingBrace), cut]);
            let error = ask(&role, streamed).await.expect_err(&row);
            assert!(matches!(error.fault, ExtractFault::Truncated), "{row}: {error}");
            assert!(error.text().contains("96") && error.usage().is_some(), "{row}: {error}");
            assert_eq!(error.responses[0].finish.kind, FinishKind::Length, "{row}");
            let error = polysight::Error::from(error);
            assert_eq!(
                (error.kind(), error.is_retryable()),
                (polysight::ErrorKind::Interrupted, false),
                "{row}"
            );
            assert!(error.partial().is_some_and(|partial| partial.text.contains("96")), "{row}");
            let source =
                std::error::Error::source(&error).and_then(|source| source.downcast_ref::<ExtractError>());
            assert!(matches!(source.unwrap().fault, ExtractFault::Truncated), "{row}");
        }
    }
}

/// Types that a vendor's own mode cannot say go to the next rung, which is recorded.
#[tokio::test]
async fn types_that_a_mode_cannot_say_take_the_next_rung() {
    #[derive(Debug, Deserialize, JsonSchema)]
    struct Tree {
        width: u32,
        children: Vec<Self>,
    }
    #[derive(Debug, Deserialize, JsonSchema)]
    struct Tags {
        tags: std::collections::BTreeMap<String, u32>,
    }
    #[derive(Debug, Deserialize, JsonSchema)]
    struct Anything {
        anything: serde_json::Value,
    }
    let targets = targets();
    let emulator = Emulator::start().await.unwrap();
    for (index, next) in [(2, Rung::JsonObject), (6, Rung::JsonObject), (9, Rung::Prompt)] {
        let role = role(&emulator, &targets[index]);
        let tree = role.extract::<Tree>(request()).await.unwrap();
        assert_eq!((tree.value.width, tree.value.children.is_empty()), (96, false));
        let tags = role.extract::<Tags>(request()).await.unwrap();
        assert_eq!(tags.value.tags.len(), 1);
        let anything = role.extract::<Anything>(request()).await.unwrap();
        assert!(!anything.value.anything.is_null());
        for (rung, responses) in
            [(tree.rung, tree.responses), (tags.rung, tags.responses), (anything.rung, anything.responses)]
        {
            let changes: Vec<String> = responses[0].adjustments.iter().map(ToString::to_string).collect();
            assert_eq!(rung, next, "{changes:?}");
            assert!(changes.iter().any(|change| change.contains("cannot say")), "{changes:?}");
        }
    }
}

/// Thinking is switched off where vendors refuse it beside a form, and left alone where they do not.
#[tokio::test]
async fn thinking_is_switched_off_where_it_must_be() {
    let emulator = Emulator::start().await.unwrap();
    let mut off = 0;
    for target in targets() {
        let plan = role(&emulator, &target).plan(&request().with_response_format(format_of_seen())).unwrap();
        let thinks = plan.card.thinking.default_on;
        let switched = plan.adjustments.iter().any(|change| change.path == "thinking");
        let must = !matches!(target.rung, Rung::Prompt | Rung::OcrTask);
        assert_eq!(switched, thinks && must, "{} {:?}", target.model, plan.adjustments);
        off += usize::from(switched);
    }
    assert!(off >= 2, "{off}");
}

fn format_of_seen() -> polysight::ResponseFormat {
    let schema = polysight::tasks::Schema::of::<Seen>().unwrap();
    polysight::ResponseFormat::Extract { name: schema.name().to_owned(), schema: schema.json().clone() }
}
