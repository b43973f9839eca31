//! Answers of a type, from a scripted provider.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop, and the whole program is tests"
)]

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use polysight_core::{
    Billed, Catalog, ChatRequest, Error, ErrorKind, FinishKind, Message, Part, ResponseFormat, Rung,
    VisionProvider,
};
use polysight_layers::testing::MockProvider;
use polysight_tasks::{ExtractError, ExtractFault, Extractor};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
struct Receipt {
    shop: String,
    total: f64,
}

const GOOD: &str = r#"{"shop":"Tea House","total":12.5}"#;

fn wanted() -> Receipt {
    Receipt { shop: "Tea House".to_owned(), total: 12.5 }
}

fn request() -> ChatRequest {
    ChatRequest::new(vec![Message::user("Read the receipt.")])
}

fn extractor() -> Extractor {
    Extractor::of::<Receipt>().unwrap()
}

async fn failed(mock: &MockProvider, extractor: Extractor) -> ExtractError {
    extractor.extract_as::<Receipt, _>(mock, request()).await.unwrap_err()
}

#[tokio::test]
async fn an_answer_is_read_however_it_is_wrapped_and_cut() {
    let wrapped = [
        GOOD.to_owned(),
        format!("```json\n{GOOD}\n```"),
        format!("Here you are: {GOOD} Anything else?"),
        format!("<|begin_of_box|>{GOOD}<|end_of_box|>"),
        format!("<think>{{\"shop\":\"?\",\"total\":0}}</think>{GOOD}"),
        r#"{"shop":"Tea House"},"total":12.5}""#.to_owned(),
        r#"{"shop":"Tea House","total":12.5"#.to_owned(),
        r#"{"shop":"Tea House","total":12.5,}"#.to_owned(),
        format!("{GOOD} The schema was {{\"type\":\"object\"}}."),
        format!("{{\"name\":\"Receipt\",\"arguments\":{GOOD}}}"),
    ];
    for text in wrapped {
        for size in [1, 3, 1000] {
            let characters: Vec<char> = text.chars().collect();
            let pieces: Vec<String> = characters.chunks(size).map(|piece| piece.iter().collect()).collect();
            let mock = MockProvider::new("m").deltas(pieces).answer(text.clone());
            let streamed = extractor().extract_as::<Receipt, _>(&mock, request()).await.unwrap();
            let plain =
                extractor().with_streaming(false).extract_as::<Receipt, _>(&mock, request()).await.unwrap();
            assert_eq!((&streamed.value, &plain.value), (&wanted(), &wanted()), "{text}");
            assert_eq!((streamed.repairs, streamed.rung), (plain.repairs, Rung::Prompt));
            assert_eq!(plain.responses.len(), 1);
        }
    }
}

#[tokio::test]
async fn the_model_is_asked_again_with_what_is_wrong() {
    let mock = MockProvider::new("m").answer(r#"{"shop":"Tea House"}"#).answer(GOOD);
    let extracted = extractor().extract_as::<Receipt, _>(&mock, request()).await.unwrap();
    assert_eq!((extracted.value, extracted.responses.len()), (wanted(), 2));
    let usage = extracted.responses.iter().map(|response| response.usage.as_ref().unwrap().total_tokens);
    assert_eq!(usage.sum::<u64>(), 220);
    let second = &mock.requests()[1];
    let words = second.messages.last().unwrap().text();
    assert!(words.contains("total") && words.contains("required"), "{words}");
    assert_eq!(second.messages.iter().filter(|message| message.text().contains("JSON Schema")).count(), 1);
}

#[tokio::test]
async fn repair_turns_are_counted_and_end() {
    let mock = MockProvider::new("m").answer("I cannot read it.").forever();
    let error = failed(&mock, extractor().with_repair_turns(2)).await;
    assert!(matches!(error.fault, ExtractFault::Unreadable(_)), "{error}");
    assert_eq!((error.responses.len(), mock.call_count(), error.text()), (3, 3, "I cannot read it."));
    assert_eq!(error.usage().unwrap().total_tokens, 330);
    let error = Error::from(failed(&mock, extractor().with_repair_turns(0)).await);
    assert_eq!(
        (error.kind(), error.partial().unwrap().text.as_str()),
        (ErrorKind::Protocol, "I cannot read it.")
    );
}

#[tokio::test]
async fn faults_name_the_place_and_a_failed_call_stays_itself() {
    let mock = MockProvider::new("m").answer(r#"{"shop":"A","total":"much"}"#).forever();
    let error = failed(&mock, extractor()).await;
    assert!(error.to_string().contains("/total"), "{error}");
    let mock = MockProvider::new("m").answer("{}").error(Error::new(ErrorKind::Overloaded, "busy"));
    let error = failed(&mock, extractor()).await;
    assert_eq!(error.responses.len(), 1);
    assert_eq!(Error::from(error).kind(), ErrorKind::Overloaded);
}

#[tokio::test]
async fn an_answer_that_loses_itself_is_cut_off() {
    let digits = std::iter::once(r#"{"shop":"A","total":"#.to_owned())
        .chain((0..10_000).map(|_| "7777777777".to_owned()));
    let mock = MockProvider::new("m").deltas(digits);
    let error = failed(&mock, extractor()).await;
    assert!(matches!(error.fault, ExtractFault::CutOff(_)), "{error}");
    assert!(error.text().len() < 1000 && mock.call_count() == 1 && mock.in_flight() == 0);
    let blanks = std::iter::once(GOOD.to_owned()).chain((0..10_000).map(|_| " \n \n \n ".to_owned()));
    let mock = MockProvider::new("m").deltas(blanks);
    let extracted = extractor().extract_as::<Receipt, _>(&mock, request()).await.unwrap();
    assert_eq!(extracted.value, wanted());
    assert_eq!(extracted.responses[0].finish.kind, FinishKind::Other);
    assert!(extracted.responses[0].text.len() < 5000 && mock.in_flight() == 0);
}

#[tokio::test]
async fn the_means_is_the_cards() {
    let rows = [
        ("response_formats = [\"json_object\", \"json_schema\"]", Rung::JsonSchema),
        ("response_formats = [\"json_object\"]", Rung::JsonObject),
        ("response_formats = []\ntools = { choices = [\"function\"] }", Rung::ToolCall),
        ("response_formats = []\ntools = { choices = [] }", Rung::Prompt),
        ("", Rung::Prompt),
    ];
    for (fields, rung) in rows {
        let toml = format!(
            "vendor = \"m\"\n[[models]]\nid = \"x\"\nsource = \"test\"\nas_of = \"2026-11-27\"\n{fields}\n"
        );
        let catalog = Catalog::from_toml(&toml).unwrap();
        let mock = MockProvider::new("m").with_catalog(catalog).with_model("x");
        let mock = if rung == Rung::ToolCall { mock.answer_call("Receipt", GOOD) } else { mock.answer(GOOD) };
        let extracted = extractor().extract_as::<Receipt, _>(&mock, request()).await.unwrap();
        assert_eq!((extracted.value, extracted.rung), (wanted(), rung));
        let sent = &mock.requests()[0];
        let in_prompt = sent.messages[0]
            .parts
            .iter()
            .any(|part| matches!(part, Part::Text(text) if text.contains("JSON Schema")));
        assert_eq!(in_prompt, matches!(rung, Rung::JsonObject | Rung::Prompt));
        assert_eq!(
            matches!(sent.response_format, ResponseFormat::JsonSchema { .. }),
            rung == Rung::JsonSchema
        );
        assert_eq!(sent.tools.len(), usize::from(rung == Rung::ToolCall));
    }
}

#[tokio::test]
async fn many_give_one_result_each_in_order() {
    let mock = MockProvider::new("m").answer(GOOD).answer("no").answer(GOOD);
    let extractor = extractor().with_repair_turns(0);
    let requests = (0..3).map(|_| request());
    let results = extractor.extract_each(&mock, requests, NonZeroUsize::new(2).unwrap()).await;
    assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    assert!(mock.max_in_flight() <= 2);
    assert!(mock.plan(&request()).is_ok());
}

#[tokio::test]
async fn fields_are_shown_as_they_become_complete() {
    let mock = MockProvider::new("m").deltas(["{\"shop\":\"Tea ", "House\", \"to", "tal\": 12.5", "}"]);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let extractor =
        extractor().with_fields(move |name, value| kept.lock().unwrap().push(format!("{name}={value}")));
    extractor.extract_as::<Receipt, _>(&mock, request()).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), ["shop=\"Tea House\"", "total=12.5"]);
}

/// The first answer has its price, whatever the vendor says of the call that repairs it.
#[tokio::test]
async fn a_repair_turn_that_fails_does_not_hide_what_was_paid() {
    let catalog = "vendor = \"v\"\n[[models]]\nid = \"m\"\n\
         prices = [{ currency = \"CNY\", input = 1.0, output = 10.0 }]\n";
    let mock = || {
        let mock = MockProvider::new("m").with_catalog(Catalog::from_toml(catalog).unwrap()).with_model("m");
        mock.answer("I see a receipt.")
    };
    let refused = Error::new(ErrorKind::RateLimited, "later");
    let error = failed(&mock().error(refused), extractor()).await;
    assert_eq!(error.usage().unwrap().total_tokens, 110);
    assert_eq!(error.cost().unwrap().amount, (100.0 + 100.0) / 1e6);
    assert_eq!((error.billed(), Error::from(error).billed()), (Billed::Likely, Billed::Likely));
    let broken = Error::new(ErrorKind::Network, "broke").with_billed(Billed::Perhaps);
    let error = failed(&mock().error(broken), extractor()).await;
    assert_eq!((error.usage(), error.cost()), (None, None), "{error}");
}
