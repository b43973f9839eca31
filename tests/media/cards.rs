//! Every troublesome picture against every card of the catalogues.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Instant;

use polysight::media::fit::{FitPlan, FitSettings, Fitted, fit};
use polysight::{
    Catalog, ChatRequest, ChatResponse, ErrorKind, Image, ModelCard, Polysight, Role, VisionProvider as _,
};
use polysight_core::catalog::{ImageCard, Status};
use polysight_emulator::Emulator;
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

/// The cards that see, by what they allow: those that allow the same are one case.
fn cases(
    catalogs: impl IntoIterator<Item = &'static Catalog>,
    wanted: impl Fn(&ModelCard) -> bool,
) -> BTreeMap<String, (String, ImageCard, usize)> {
    let mut cases = BTreeMap::new();
    for catalog in catalogs {
        for card in catalog.cards() {
            let unknown = ImageCard::default();
            if card.image.is_no() || !wanted(card) {
                continue;
            }
            let limits = card.image.limits().unwrap_or(&unknown);
            let case = cases
                .entry(format!("{}: {limits:?}", catalog.vendor()))
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
/// A model that takes pictures by URL alone is refused beforehand, whatever the picture is.
fn is_emulated(card: &ModelCard) -> bool {
    let takes_inline = card.image.limits().is_some_and(|limits| limits.base64 != Some(false));
    let is_served = !card.id.starts_with("autoglm") && !NOT_SERVED.contains(&&*card.id);
    card.status == Status::Live && is_served && takes_inline
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
        // What the card takes as it is is not read beyond its header.
        (Outcome::AsItIs, Some(_)) => {
            let is_unlimited = card.max_side.is_none() && card.max_pixels.is_none();
            assert!(name.starts_with("truncated") || is_unlimited, "{name} {model}");
        }
        (Outcome::Refused(why), Some((_, word))) => {
            assert!(why.contains(word), "{name} {model}: {why}")
        }
        (Outcome::Refused(why), None) if name == "header.heic" => {
            assert!(!takes(polysight::ImageFormat::Heic) || card.max_side.is_some(), "{why}");
        }
        (Outcome::Refused(why), None) if name == "header.avif" => {
            assert!(why.contains("AVIF"), "{why}")
        }
        (Outcome::Refused(why), None) => panic!("{name} {model}: {why}"),
        (Outcome::Fitted, Some(_)) => panic!("{name} {model} was fitted"),
        (Outcome::Fitted | Outcome::AsItIs, None) => {}
    }
}

/// A role of a model at the emulator.
fn role(emulator: &Emulator, wire: Wire, model: &str, oversize: &str) -> Role {
    let config = format!(
        "[providers.p]\n{}api_key = \"{}\"\nbase_url = \"{}\"\n[roles.r]\nmodel = \"{model}\"\noversize = \"{oversize}\"\n",
        wire.config(),
        wire.key(),
        emulator.base_url(wire.surface())
    );
    Polysight::from_toml(&config).unwrap().role("r").unwrap()
}

async fn ask(role: &Role, image: Image) -> polysight::Result<ChatResponse> {
    let plan = role.plan(&ChatRequest::ask("what?", [image]))?;
    if plan.requires_streaming {
        return role.stream(plan).await?.collect_response().await;
    }
    role.send(plan).await
}

fn catalogs() -> [(Wire, &'static Catalog); 3] {
    [
        (Wire::Zhipu, polysight_zhipu::catalog().unwrap()),
        (Wire::QwenVl, polysight_qwen_vl::catalog().unwrap()),
        (Wire::Ernie, polysight_ernie::catalog().unwrap()),
    ]
}

/// The largest pictures take seconds for each kind of limits, so that they meet three of them.
const LARGE: [&str; 2] = ["40-mb.png", "12000x9000.jpg"];

/// Every picture by the function, for every kind of limits; what comes out goes to the emulator, which decodes it, without any
/// layer that could still mend it.
#[tokio::test(flavor = "multi_thread")]
async fn every_picture_fits_every_card_and_is_taken_or_is_refused_with_the_reason() {
    let emulator = Emulator::start().await.unwrap();
    let all = cases(catalogs().map(|(_, catalog)| catalog), |_| true);
    let cards: usize = all.values().map(|case| case.2).sum();
    println!("{cards} cards, {} kinds of limits", all.len());
    assert!(cards > 60 && all.len() >= 5, "{cards} cards, {} kinds", all.len());
    let roles: Vec<_> = catalogs()
        .into_iter()
        .flat_map(|(wire, catalog)| cases([catalog], is_emulated).into_values().map(move |case| (wire, case)))
        .map(|(wire, (model, card, _))| (role(&emulator, wire, &model, "refuse"), model, card))
        .collect();
    for (name, opened) in TROUBLESOME.iter() {
        let started = Instant::now();
        let kinds = if LARGE.contains(&name.as_str()) { 3 } else { usize::MAX };
        let mut made = Made::default();
        let mut fitted = |card: &ImageCard| opened.clone().and_then(|image| made.fit(&image, card));
        let mut outcomes = BTreeMap::<String, usize>::new();
        for (model, card, _) in all.values().take(kinds) {
            let outcome = outcome(&fitted(card), card);
            check(name, model, card, &outcome);
            *outcomes.entry(format!("{outcome:?}")).or_default() += 1;
        }
        for (role, model, card) in roles.iter().take(kinds) {
            let (Ok(fitted), false) = (fitted(card), name.starts_with("header")) else { continue };
            let is_whole = fitted.report.is_some() || !REFUSED.iter().any(|(refused, _)| refused == name);
            match ask(role, fitted.image).await {
                Ok(_) => {}
                // Damage in what fits as it is is found by the vendor, which may also bear it.
                Err(error) => assert!(!is_whole && !error.is_retryable(), "{name} to {model}: {error}"),
            }
        }
        made.0.iter().filter_map(|(_, result)| result.as_ref().ok()).for_each(can_be_decoded);
        println!("{name:20} {:?} {outcomes:?}", started.elapsed());
    }
}

/// The same by the layer of a role, for one model of each vendor; the two largest pictures are left to the test above.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_fits_sends_every_picture_or_refuses_it_before_anything_is_sent() {
    let emulator = Emulator::start().await.unwrap();
    let is_taken = |name: &str| !name.starts_with("header") && !LARGE.contains(&name);
    let opened =
        |(name, opened): &'static (String, polysight::Result<Image>)| Some((name, opened.as_ref().ok()?));
    let all: Vec<_> = TROUBLESOME.iter().filter_map(opened).filter(|(name, _)| is_taken(name)).collect();
    let models = ["glm-4.6v-flash", "qwen3-vl-plus", "ernie-4.5-turbo-vl"];
    for ((wire, catalog), model) in catalogs().into_iter().zip(models) {
        let role = role(&emulator, wire, model, "fit");
        let limits = catalog.card(model);
        for (name, picture) in &all {
            let is_refused = REFUSED.iter().any(|(refused, _)| refused == name);
            let fits = limits
                .image
                .limits()
                .is_some_and(|limits| matches!(FitPlan::new(picture, limits, &FitSettings::new()), Ok(None)));
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
