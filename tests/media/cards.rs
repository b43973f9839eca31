//! Every troublesome picture against every card of the catalogues.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use polysight::media::fit::{FitPlan, FitSettings, Fitted, fit};
use polysight::{ChatRequest, ChatResponse, ErrorKind, Image, ModelCard, Polysight, Role, VisionProvider};
use polysight_core::catalog::{ImageCard, Status};
use polysight_emulator::{Emulator, Surface, models};
use polysight_testkit::{Wire, pictures};

/// Made once, for all tests.
static TROUBLESOME: LazyLock<Vec<(String, polysight::Result<Image>)>> = LazyLock::new(|| {
    let opened = |(name, picture)| (name, Image::from_bytes(picture));
    pictures::troublesome().into_iter().map(opened).collect()
});

/// What became of a picture.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    AsItIs,
    Fitted,
    Refused(String),
}

/// Where models of a vendor are served: the vendor's wire, and the deployment's name but for the vendor's own.
type Place = (Wire, Option<&'static str>);

/// Every deployment that has a catalogue.
const PLACES: [Place; 17] = [
    (Wire::Zhipu, None),
    (Wire::Zhipu, Some("proxy")),
    (Wire::Zhipu, Some("gateway")),
    (Wire::Zhipu, Some("vllm")),
    (Wire::QwenVl, None),
    (Wire::QwenVl, Some("gateway")),
    (Wire::QwenVl, Some("vllm")),
    (Wire::QwenVl, Some("sglang")),
    (Wire::QwenVl, Some("lmdeploy")),
    (Wire::QwenVl, Some("ollama")),
    (Wire::QwenVl, Some("llama-cpp")),
    (Wire::QwenVl, Some("transformers")),
    (Wire::QwenVl, Some("litellm")),
    (Wire::Ernie, None),
    (Wire::Ernie, Some("fastdeploy")),
    (Wire::Ernie, Some("gateway")),
    (Wire::Ernie, Some("vllm")),
];

/// A provider and a role of it, by a config.
fn polysight((wire, deployment): Place, base_url: &str, role: &str) -> Polysight {
    let key = if deployment.is_some() { "sk-gateway" } else { wire.key() };
    let deployment = deployment.map(|name| format!("deployment = \"{name}\"\n")).unwrap_or_default();
    let provider = format!("{}{deployment}api_key = \"{key}\"\nbase_url = \"{base_url}\"", wire.config());
    Polysight::from_toml(&format!("[providers.p]\n{provider}\n{role}")).unwrap()
}

fn provider(place: Place) -> Arc<dyn VisionProvider> {
    polysight(place, "http://127.0.0.1:9/v1", "").provider("p").unwrap()
}

/// The cards that see, by what they allow: those that allow the same are one case.
fn cases(
    providers: &[Arc<dyn VisionProvider>],
    wanted: impl Fn(&ModelCard) -> bool,
) -> BTreeMap<String, (String, ImageCard, usize)> {
    let mut cases = BTreeMap::new();
    for provider in providers {
        for card in provider.catalog().cards() {
            let unknown = ImageCard::default();
            if card.image.is_no() || !wanted(card) {
                continue;
            }
            let limits = card.image.limits().unwrap_or(&unknown);
            let case = cases
                .entry(format!("{}: {limits:?}", provider.catalog().vendor()))
                .or_insert_with(|| (card.id.clone(), limits.clone(), 0));
            case.2 += 1;
        }
    }
    cases
}

/// Names that are refused whatever the card says, and a word of the reason.
const REFUSED: [(&str, &str); 5] = [
    ("truncated.jpg", "cut off"),
    ("truncated.png", "cannot be decoded"),
    ("bomb.png", "max_input_pixels"),
    ("drawing.svg", "HTML or XML"),
    ("paper.pdf", "a PDF document"),
];

/// Live models that the emulator does not serve: `tests/workspace/catalogues.rs` says why.
const NOT_SERVED: [&str; 4] = ["deepseek-ocr", "internvl3-38b", "qianfan-ocr", "ernie-5.0-thinking-exp"];

/// What the emulator serves and checks: what a card does not limit it does not limit either. It has no models that drive a phone.
/// A model that takes pictures by URL alone is refused beforehand, whatever the picture is. Servers of one's own are not emulated.
fn emulated((wire, deployment): Place, card: &ModelCard) -> Option<Surface> {
    let takes_inline = card.image.limits().is_some_and(|limits| limits.base64 != Some(false));
    let is_served = !card.id.starts_with("autoglm") && !NOT_SERVED.contains(&&*card.id);
    let is_sold = || models::gateway().iter().any(|model| model.id.eq_ignore_ascii_case(&card.id));
    match deployment {
        None => (card.status == Status::Live && is_served && takes_inline).then(|| wire.surface()),
        Some("gateway") => (takes_inline && is_sold()).then_some(Surface::Gateway),
        Some(_) => None,
    }
}

/// What was made of one picture so far, so that limits that ask for the same are not worked for twice.
#[derive(Default)]
struct Made(Vec<(FitPlan, polysight::Result<Fitted>)>);

impl Made {
    /// As [`fit`], which is asked where no plan before was the same.
    fn fit(&mut self, image: &Image, card: &ImageCard) -> polysight::Result<Fitted> {
        let settings = FitSettings::new();
        let Some(plan) = FitPlan::new(image, card, &settings)? else { return fit(image, card, &settings) };
        let known = self.0.iter().find(|(other, result)| is_same(other, result, &plan)).cloned();
        if let Some((_, result)) = known {
            return result;
        }
        let result = fit(image, card, &settings);
        self.0.push((plan, result.clone()));
        result
    }
}

/// Whether a plan comes to what another one came to: what was made by the first attempt, of the best quality, is within any limit
/// of bytes that it is not longer than. What cannot be decoded is so under every limit.
fn is_same(other: &FitPlan, result: &polysight::Result<Fitted>, plan: &FitPlan) -> bool {
    let bytes = match result {
        Ok(Fitted { report: Some(report), .. }) if report.sides == report.plan.to => {
            let is_first = report.quality.is_none_or(|quality| quality == FitSettings::new().quality);
            if is_first { report.bytes } else { u64::MAX }
        }
        Ok(_) => u64::MAX,
        Err(error) if error.message().contains("smallest that was reached") => u64::MAX,
        Err(_) => 0,
    };
    let mut alike = other.clone();
    alike.max_bytes = plan.max_bytes;
    alike.why.clone_from(&plan.why);
    alike == *plan && (other.max_bytes == plan.max_bytes || bytes <= plan.max_bytes)
}

fn outcome(fitted: &polysight::Result<Fitted>, card: &ImageCard) -> Outcome {
    match fitted {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidMedia);
            Outcome::Refused(error.message().to_owned())
        }
        Ok(fitted) => {
            assert_eq!(FitPlan::new(&fitted.image, card, &FitSettings::new()).unwrap(), None, "it fits now");
            match fitted.report {
                None => Outcome::AsItIs,
                Some(_) => Outcome::Fitted,
            }
        }
    }
}

/// Checks that what was made is a picture of the sides that its header says.
fn can_be_decoded(fitted: &Fitted) {
    let decoded = image::load_from_memory(&crate::bytes_of(fitted)).expect("what is made can be decoded");
    let info = fitted.image.info().unwrap();
    assert_eq!((decoded.width(), decoded.height()), (info.width, info.height));
}

/// Whether an outcome is the right one.
fn check(name: &str, model: &str, card: &ImageCard, outcome: &Outcome) {
    let refused = REFUSED.iter().find(|(refused, _)| *refused == name);
    let takes = |format| card.formats.as_ref().is_none_or(|formats| formats.contains(&format));
    match (outcome, refused) {
        // What the card takes as it is is not decoded where its end is there.
        (Outcome::AsItIs, Some(_)) => {
            let is_unlimited = card.max_side.is_none() && card.max_pixels.is_none();
            assert!(name == "bomb.png" && is_unlimited, "{name} {model}");
        }
        (Outcome::Refused(why), Some((_, word))) => {
            assert!(why.contains(word), "{name} {model}: {why}")
        }
        (Outcome::Refused(why), None) if name == "header.heic" => {
            assert!(!takes(polysight::ImageFormat::Heic) || card.max_side.is_some(), "{why}");
        }
        (Outcome::Refused(why), None) if name == "header.avif" => {
            assert!(why.contains("cannot be decoded"), "{why}");
        }
        (Outcome::Refused(why), None) => panic!("{name} {model}: {why}"),
        (Outcome::Fitted, Some(_)) => panic!("{name} {model} was fitted"),
        (Outcome::Fitted | Outcome::AsItIs, None) => {}
    }
}

/// A role of a model at the emulator.
fn role(emulator: &Emulator, place: Place, surface: Surface, model: &str, oversize: &str) -> Role {
    let role = format!("[roles.r]\nmodel = \"{model}\"\noversize = \"{oversize}\"\n");
    polysight(place, &emulator.base_url(surface), &role).role("r").unwrap()
}

async fn ask(role: &Role, image: Image) -> polysight::Result<ChatResponse> {
    let plan = role.plan(&ChatRequest::ask("what?", [image]))?;
    if plan.requires_streaming {
        return role.stream(plan).await?.collect_response().await;
    }
    role.send(plan).await
}

#[test]
fn no_catalogue_is_left_out() {
    for (folder, wire) in [("zhipu", Wire::Zhipu), ("qwen-vl", Wire::QwenVl), ("ernie", Wire::Ernie)] {
        let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
        let files = std::fs::read_dir(crates.join(format!("polysight-{folder}/catalog"))).unwrap();
        let stem = |file: std::fs::DirEntry| file.path().file_stem().unwrap().to_str().unwrap().to_owned();
        let mut names: BTreeSet<String> = files.map(|file| stem(file.unwrap())).collect();
        // A part of those of several servers.
        names.remove("open-weights");
        let listed = PLACES.iter().filter(|place| place.0 == wire);
        let listed: BTreeSet<String> = listed.map(|place| place.1.unwrap_or("vendor").to_owned()).collect();
        assert_eq!(names, listed, "{folder}");
    }
}

/// Every picture by the function, for every kind of limits; what comes out goes to the emulator, which decodes it, without any
/// layer that could still mend it.
#[tokio::test(flavor = "multi_thread")]
async fn every_picture_fits_every_card_and_is_taken_or_is_refused_with_the_reason() {
    let emulator = Emulator::start().await.unwrap();
    let providers = PLACES.map(provider);
    let all = cases(&providers, |_| true);
    let cards: usize = all.values().map(|case| case.2).sum();
    println!("{cards} cards, {} kinds of limits", all.len());
    assert!(cards > 100 && all.len() >= 5, "{cards} cards, {} kinds", all.len());
    let mut roles = Vec::new();
    for (place, provider) in PLACES.into_iter().zip(providers) {
        for (model, card, _) in
            cases(std::slice::from_ref(&provider), |card| emulated(place, card).is_some()).into_values()
        {
            let surface = emulated(place, &provider.catalog().card(&model)).unwrap();
            roles.push((role(&emulator, place, surface, &model, "refuse"), model, card));
        }
    }
    for (name, opened) in TROUBLESOME.iter() {
        let started = Instant::now();
        let mut made = Made::default();
        let mut fitted = |card: &ImageCard| opened.clone().and_then(|image| made.fit(&image, card));
        let mut outcomes = BTreeMap::<String, usize>::new();
        for (model, card, _) in all.values() {
            let outcome = outcome(&fitted(card), card);
            check(name, model, card, &outcome);
            *outcomes.entry(format!("{outcome:?}")).or_default() += 1;
        }
        for (role, model, card) in &roles {
            let (Ok(fitted), false) = (fitted(card), name.starts_with("header")) else { continue };
            let is_refused = REFUSED.iter().any(|(refused, _)| refused == name);
            let is_whole = fitted.report.is_some() || (card.max_bytes.is_some() && !is_refused);
            match ask(role, fitted.image).await {
                Ok(_) => {}
                // What fits as it is by a card without limits may still be too large for the vendor.
                // What is left of a context of 4,096 tokens is no limit of a picture.
                Err(error) if error.to_string().contains("longer than the model's context") => {}
                Err(error) => assert!(!is_whole && !error.is_retryable(), "{name} to {model}: {error}"),
            }
        }
        made.0.iter().filter_map(|(_, result)| result.as_ref().ok()).for_each(can_be_decoded);
        println!("{name:20} {:?} {outcomes:?}", started.elapsed());
    }
}

/// The largest pictures, seconds of work each.
const LARGE: [&str; 2] = ["40-mb.png", "12000x9000.jpg"];

/// The same by the layer of a role, for one model of each vendor; the two largest pictures are left to the test above.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_fits_sends_every_picture_or_refuses_it_before_anything_is_sent() {
    let emulator = Emulator::start().await.unwrap();
    let is_taken = |name: &str| !name.starts_with("header") && !LARGE.contains(&name);
    let opened =
        |(name, opened): &'static (String, polysight::Result<Image>)| Some((name, opened.as_ref().ok()?));
    let all: Vec<_> = TROUBLESOME.iter().filter_map(opened).filter(|(name, _)| is_taken(name)).collect();
    for (wire, model) in [
        (Wire::Zhipu, "glm-4.6v-flash"),
        (Wire::QwenVl, "qwen3-vl-plus"),
        (Wire::Ernie, "ernie-4.5-turbo-vl"),
    ] {
        let role = role(&emulator, (wire, None), wire.surface(), model, "fit");
        let limits = role.catalog().card(model);
        for (name, picture) in &all {
            let is_refused = REFUSED.iter().any(|(refused, _)| refused == name);
            let fits = !name.starts_with("truncated")
                && limits.image.limits().is_some_and(|limits| {
                    matches!(FitPlan::new(picture, limits, &FitSettings::new()), Ok(None))
                });
            let requests = emulator.requests().len();
            match ask(&role, Image::clone(picture)).await {
                Ok(_) => assert!(!is_refused || fits, "{name} to {model}"),
                Err(error) => {
                    assert!(is_refused && !error.is_retryable(), "{name} to {model}: {error}");
                    assert!(fits || emulator.requests().len() == requests, "{name} to {model}: {error}");
                }
            }
        }
    }
}
