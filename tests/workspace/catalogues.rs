//! The emulator's tables of models compared with the client's, which are written apart.
//!
//! All differences of a vendor are found at once and compared with the exceptions that are listed here, each with its reason.

use std::collections::BTreeSet;
use std::fmt::Debug;

use polysight::{ChatRequest, ErrorKind, Message, Transport};
use polysight_core::catalog::{Grounding, NumberRange, Quotas, Status, ThinkingMode};
use polysight_core::{Capability, Catalog, Interval, ModelCard};
use polysight_emulator::Emulator;
use polysight_emulator::models::{
    self, ErnieLimits, GroundingUnit, ModelLimits, Quota, QwenLimits, QwenThinking, Thinking,
};
use polysight_testkit::{Wire, calls};

/// What differs between the two tables.
#[derive(Default)]
struct Differences(BTreeSet<String>);

impl Differences {
    fn note(&mut self, id: &str, what: &str, client: impl Debug, emulator: impl Debug) {
        self.0.insert(format!("{id}: {what}: client {client:?}, emulator {emulator:?}"));
    }

    fn same<T: PartialEq + Debug>(&mut self, id: &str, what: &str, client: T, emulator: T) {
        if client != emulator {
            self.note(id, what, client, emulator);
        }
    }

    /// A limit that the client may not know.
    fn known<T: PartialEq + Debug>(&mut self, id: &str, what: &str, client: Option<T>, emulator: T) {
        if let Some(client) = client {
            self.same(id, what, client, emulator);
        }
    }

    /// Every difference is an exception, and every exception a difference.
    fn are(&self, exceptions: &[&str]) {
        let expected: BTreeSet<String> = exceptions.iter().map(|line| (*line).to_owned()).collect();
        let unexpected: Vec<_> = self.0.difference(&expected).collect();
        let gone: Vec<_> = expected.difference(&self.0).collect();
        assert!(unexpected.is_empty() && gone.is_empty(), "unexpected: {unexpected:#?}\ngone: {gone:#?}");
    }
}

/// The ids that one side serves and the other does not, aliases included.
fn ids(
    catalog: &Catalog,
    served: impl Fn(&ModelCard) -> bool,
    emulated: impl Iterator<Item = &'static str>,
) -> Differences {
    let cards = catalog.cards().iter().filter(|card| served(card));
    let client: BTreeSet<&str> =
        cards.flat_map(|card| card.aliases.iter().chain([&card.id])).map(String::as_str).collect();
    let emulated: BTreeSet<&str> = emulated.collect();
    let mut found = Differences::default();
    for id in client.symmetric_difference(&emulated) {
        found.note(id, "served", client.contains(id), emulated.contains(id));
    }
    found
}

fn highest(range: Option<Interval>) -> Option<u64> {
    Some(range?.high()?.value() as u64)
}

fn highest_of(range: Option<&NumberRange>) -> Option<u64> {
    highest(range?.0)
}

fn compare_quota(found: &mut Differences, id: &str, client: Option<Quotas>, emulator: Quota) {
    let Some(client) = client else { return };
    if let Some(requests) = emulator.requests {
        found.known(id, "requests a minute", client.requests_per_minute, requests);
    }
    if let Some(tokens) = emulator.tokens {
        found.known(id, "tokens a minute", client.tokens_per_minute, tokens);
    }
    if let Some(concurrent) = emulator.concurrent {
        found.known(id, "requests at once", client.concurrency, concurrent);
    }
}

// Zhipu

#[test]
fn the_emulator_and_the_client_know_the_same_zhipu_models() {
    let found =
        ids(polysight_zhipu::catalog().unwrap(), |_| true, models::zhipu().iter().map(|limits| limits.id));
    found.are(&[
        // Made for agents that drive a phone: the emulator leaves it out.
        "autoglm-phone: served: client true, emulator false",
        "autoglm-phone-multilingual: served: client true, emulator false",
    ]);
}

#[test]
fn the_emulator_and_the_client_hold_the_same_zhipu_limits() {
    let catalog = polysight_zhipu::catalog().unwrap();
    let mut found = Differences::default();
    for limits in models::zhipu() {
        compare_zhipu(&mut found, &catalog.card(limits.id), limits);
    }
    found.are(&[]);
}

fn compare_zhipu(found: &mut Differences, card: &ModelCard, limits: &ModelLimits) {
    let id = limits.id;
    found.known(id, "output limit", card.max_output, limits.max_output);
    found.known(id, "context", card.context, limits.context);
    match &card.image {
        Capability::No => found.same(id, "pictures", 0, limits.pictures),
        Capability::Yes(image) => {
            found.same(id, "number of pictures", image.count, Some(limits.pictures.into()));
            found.same(id, "bytes of a picture", image.max_bytes, Some(models::PICTURE_BYTES));
            found.same(id, "side of a picture", image.max_side, Some(models::PICTURE_SIDE.into()));
            found.same(id, "pictures as base64", image.base64, Some(limits.inline_pictures));
        }
        Capability::Unknown => found.note(id, "pictures", "unknown", limits.pictures),
    }
    found.same(id, "video", card.video.is_yes(), limits.video.is_some());
    if let (Some(ours), Some(theirs)) = (card.video.limits(), &limits.video) {
        found.same(id, "video as base64", ours.base64, Some(theirs.inline));
        found.same(id, "video first", ours.must_be_first, theirs.first_and_alone);
        found.known(id, "bytes of a video", ours.max_bytes, theirs.bytes);
        found.known(id, "number of videos", ours.count, theirs.count.map_or(0, u64::from));
        if let Some(seconds) = theirs.seconds {
            found.known(id, "seconds of a video", highest(ours.seconds), seconds as u64);
        }
    }
    let (mode, in_text) = match limits.thinking {
        Thinking::None => (ThinkingMode::None, false),
        Thinking::Switchable => (ThinkingMode::Switchable, false),
        Thinking::Forced => (ThinkingMode::Forced, false),
        _ => (ThinkingMode::Forced, true),
    };
    found.same(id, "thinking", card.thinking.mode, Some(mode));
    found.same(id, "thinking by default", card.thinking.default_on, mode != ThinkingMode::None);
    // A client that looks for reasoning in the text of a model that keeps it apart finds none and loses none.
    if in_text {
        found.same(id, "reasoning in the text", card.thinking.in_text, true);
    }
    found.same(id, "tools", card.tools.is_yes(), limits.tools);
}

// Alibaba

#[test]
fn the_emulator_and_the_client_know_the_same_qwen_models() {
    let emulated = models::qwen().iter().map(|limits| limits.id);
    ids(polysight_qwen_vl::catalog().unwrap(), |_| true, emulated).are(&[
        // Open weights of which the vendor's pages state no limit that could be checked.
        "qwen3.8-2.4t-a95b: served: client true, emulator false",
        "qwen3.8-27b: served: client true, emulator false",
    ]);
}

#[test]
fn the_emulator_and_the_client_hold_the_same_qwen_limits() {
    let catalog = polysight_qwen_vl::catalog().unwrap();
    let mut found = Differences::default();
    for limits in models::qwen() {
        compare_qwen(&mut found, &catalog.card(limits.id), limits);
    }
    found.are(&[
        // One picture is meant, the vendor's page says; that more are refused it does not say.
        "qwen-vl-ocr-2025-11-20: number of pictures: client Some(1), emulator Some(256)",
        "qwen-vl-ocr-latest: number of pictures: client Some(1), emulator Some(256)",
        "qwen-vl-ocr: number of pictures: client Some(1), emulator Some(256)",
    ]);
}

fn compare_qwen(found: &mut Differences, card: &ModelCard, limits: &QwenLimits) {
    let id = limits.id;
    found.known(id, "output limit", card.max_output, limits.max_output);
    if let Some(context) = card.context.filter(|context| *context < limits.max_input) {
        found.note(id, "context and longest prompt", context, limits.max_input);
    }
    match card.image.limits() {
        Some(image) => {
            found.same(id, "number of pictures", image.count, Some(limits.pictures));
            found.known(id, "bytes of a picture", image.max_bytes, limits.picture_bytes);
            found.known(id, "pixels of a picture", highest(image.pixel_budget), limits.pixels.ceiling);
        }
        None => found.note(id, "pictures", card.image.is_no(), limits.pictures),
    }
    found.same(id, "video", card.video.is_yes(), limits.video);
    if let Some(video) = card.video.limits().filter(|_| limits.video) {
        found.known(id, "seconds of a video", highest(video.seconds), limits.video_seconds as u64);
        found.known(id, "frames in a list", highest_of(video.frames.limits()), limits.frames);
    }
    let (mode, default_on) = match limits.thinking {
        QwenThinking::None => (ThinkingMode::None, false),
        QwenThinking::Off => (ThinkingMode::Switchable, false),
        QwenThinking::On => (ThinkingMode::Switchable, true),
        _ => (ThinkingMode::Forced, true),
    };
    found.same(id, "thinking", card.thinking.mode, Some(mode));
    found.same(id, "thinking by default", card.thinking.default_on, default_on);
    if mode != ThinkingMode::None {
        found.same(id, "thinking in streams alone", card.thinking.stream_only, !limits.plain_thinking);
        found.known(id, "reasoning budget", highest(card.thinking.budget), limits.thinking_budget);
    }
    found.same(id, "efforts", !card.thinking.efforts.is_empty(), limits.effort);
    found.same(id, "tools", card.tools.is_yes(), limits.tools);
    compare_quota(found, id, card.quotas, limits.quota);
}

// Baidu

#[test]
fn the_emulator_and_the_client_know_the_same_ernie_models() {
    let emulated = models::ernie().iter().map(|limits| limits.id);
    ids(polysight_ernie::catalog().unwrap(), |card| card.status != Status::Retired, emulated).are(&[
        // Others' models on the same endpoint, which the emulator leaves out.
        "deepseek-ocr: served: client true, emulator false",
        "internvl3-38b: served: client true, emulator false",
        "qianfan-ocr: served: client true, emulator false",
        // In the vendor's price list, and nowhere else.
        "ernie-5.0-thinking-exp: served: client true, emulator false",
    ]);
}

#[test]
fn the_emulator_and_the_client_hold_the_same_ernie_limits() {
    let catalog = polysight_ernie::catalog().unwrap();
    let mut found = Differences::default();
    for limits in models::ernie() {
        compare_ernie(&mut found, &catalog.card(limits.id), limits);
    }
    found.are(&[]);
}

fn compare_ernie(found: &mut Differences, card: &ModelCard, limits: &ErnieLimits) {
    let id = limits.id;
    found.known(id, "output limit", card.max_output, limits.output.1);
    found.same(id, "least output limit", card.min_output.unwrap_or(1), limits.output.0);
    found.known(id, "context", card.context, limits.context);
    found.same(id, "pictures", card.image.is_yes(), limits.vision);
    // Where the vendor states nothing the client says so, and the emulator must decide.
    let stated = card.video.limits().is_none_or(|video| video.base64.is_some() || video.url.is_some());
    if stated && !matches!(card.video, Capability::Unknown) {
        found.same(id, "video", card.video.is_yes(), limits.video);
    }
    if let Some(video) = card.video.limits() {
        found.known(id, "bytes of a video", video.max_bytes, limits.video_bytes);
    }
    if let Some(mode) = card.thinking.mode {
        found.same(id, "thinking", mode != ThinkingMode::None, limits.thinking);
    }
    found.same(id, "thinking by default", card.thinking.default_on, limits.thinks_by_default);
    if !matches!(card.tools, Capability::Unknown) {
        found.same(id, "tools", card.tools.is_yes(), limits.tools);
    }
    compare_quota(found, id, card.quotas, limits.quota);
}

#[tokio::test]
async fn what_the_client_calls_retired_the_emulator_does_not_serve() {
    let emulator = Emulator::start().await.unwrap();
    let host = format!("http://{}", emulator.address());
    let ernie = Wire::Ernie.provider(Wire::Ernie.options(&host, transport()));
    for card in ernie.catalog().cards().iter().filter(|card| card.status == Status::Retired) {
        let request = ChatRequest::new([Message::user("Hello")]).with_model(&card.id);
        let error = calls::plain(&*ernie, request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ModelNotFound, "{}: {error}", card.id);
    }
}

// The gateway

/// The gateway's models as the client's deployments know them; Zhipu's have no deployment of their own.
fn gateway_catalogs() -> [Catalog; 2] {
    [Wire::QwenVl, Wire::Ernie].map(|wire| {
        let options = wire.options("http://127.0.0.1", transport()).with_deployment("gateway");
        wire.provider(options).catalog().clone()
    })
}

fn transport() -> Transport {
    Transport::builder().build().unwrap()
}

#[test]
fn the_emulator_and_the_client_know_the_same_models_of_the_gateway() {
    let client: BTreeSet<String> = gateway_catalogs()
        .iter()
        .flat_map(|catalog| catalog.cards().iter().map(|card| card.id.clone()))
        .collect();
    let emulated = models::gateway().iter().filter(|model| !model.id.starts_with("GLM-"));
    assert_eq!(client, emulated.map(|model| model.id.to_owned()).collect());
    let zhipu = polysight_zhipu::catalog().unwrap();
    for model in models::gateway().iter().filter(|model| model.id.starts_with("GLM-")) {
        assert_eq!(zhipu.find(model.id).unwrap().id, model.vendor_id);
    }
}

#[test]
fn the_emulator_and_the_client_hold_the_same_limits_of_the_gateway() {
    let mut found = Differences::default();
    for model in models::gateway() {
        let Some(card) = gateway_catalogs().iter().find_map(|catalog| catalog.find(model.id)) else {
            continue;
        };
        found.known(model.id, "context", card.context, model.context);
        compare_quota(&mut found, model.id, card.quotas, model.quota);
        if let Some(limits) = models::ernie().iter().find(|limits| limits.id == model.vendor_id) {
            found.known(model.id, "output limit", card.max_output, limits.output.1);
            found.same(model.id, "pictures", card.image.is_yes(), limits.vision);
        }
        if let Some(limits) = models::qwen().iter().find(|limits| limits.id == model.vendor_id) {
            found.known(model.id, "output limit", card.max_output, limits.max_output);
            found.same(model.id, "pictures", card.image.is_yes(), limits.pictures > 0);
            found.same(model.id, "thinking", card.thinking.mode, Some(ThinkingMode::None));
        }
    }
    found.are(&[]);
}

// Places in pictures

/// Where the emulator knows the unit in which a model says where something is, the client has the same.
#[test]
fn the_emulator_and_the_client_know_the_same_units_of_places() {
    let catalogs = [
        polysight_zhipu::catalog().unwrap(),
        polysight_qwen_vl::catalog().unwrap(),
        polysight_ernie::catalog().unwrap(),
    ];
    let mut found = Differences::default();
    let mut known = 0;
    for catalog in &catalogs {
        for card in catalog.cards().iter().filter(|card| !card.image.is_no()) {
            let emulated = models::grounding_unit(&card.id).map(|unit| match unit {
                GroundingUnit::Thousandths => Grounding::Relative1000,
                GroundingUnit::Resized => Grounding::ResizedPixels,
                _ => Grounding::None,
            });
            known += u32::from(emulated.is_some());
            found.same(&card.id, "unit", card.grounding, emulated.unwrap_or_default());
        }
    }
    assert!(known > 50, "{known}");
    found.are(&[
        // Made for agents that drive a phone: the emulator leaves it out.
        "autoglm-phone: unit: client Relative999, emulator Unknown",
        // Another company's, which the emulator does not serve.
        "deepseek-ocr: unit: client Relative999, emulator Unknown",
        // Retired, and not served by the emulator.
        "ernie-4.5-vl-28b-a3b: unit: client Relative1000, emulator Unknown",
    ]);
}
