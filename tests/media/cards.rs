//! Every troublesome picture against every card of the catalogues.

use std::collections::BTreeMap;

use polysight::media::fit::{FitPlan, FitSettings, fit};
use polysight::{Catalog, ChatRequest, ErrorKind, Image, ModelCard, Polysight, VisionProvider as _};
use polysight_core::catalog::{ImageCard, Status};
use polysight_emulator::Emulator;
use polysight_testkit::{Wire, pictures};

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

/// What the emulator serves and checks: it has no retired models and none that drive a phone, and what a card does not limit it
/// does not limit either. A model that takes pictures by URL alone is refused beforehand, whatever the picture is.
fn is_emulated(card: &ModelCard) -> bool {
    let takes_inline = card.image.limits().is_some_and(|limits| limits.base64 != Some(false));
    card.status == Status::Live && !card.id.starts_with("autoglm") && takes_inline
}

fn outcome(picture: &[u8], card: &ImageCard) -> Outcome {
    let fitted = Image::from_bytes(picture.to_vec()).and_then(|image| fit(&image, card, &FitSettings::new()));
    match fitted {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidMedia);
            Outcome::Refused(error.message().to_owned())
        }
        Ok(fitted) => {
            assert_eq!(FitPlan::new(&fitted.image, card, &FitSettings::new()).unwrap(), None, "it fits now");
            match fitted.report {
                None => Outcome::AsItIs,
                Some(_) => {
                    let bytes = crate::bytes_of(&fitted);
                    let decoded = image::load_from_memory(&bytes).expect("what is made can be decoded");
                    let info = fitted.image.info().unwrap();
                    assert_eq!((decoded.width(), decoded.height()), (info.width, info.height));
                    Outcome::Fitted
                }
            }
        }
    }
}

#[test]
fn every_picture_fits_every_card_or_is_refused_with_the_reason() {
    let catalogs = ["zhipu", "qwen-vl", "ernie"].map(|vendor| match vendor {
        "zhipu" => polysight_zhipu::catalog().unwrap(),
        "qwen-vl" => polysight_qwen_vl::catalog().unwrap(),
        _ => polysight_ernie::catalog().unwrap(),
    });
    let cases = cases(catalogs, |_| true);
    let cards: usize = cases.values().map(|case| case.2).sum();
    println!("{cards} cards, {} kinds of limits", cases.len());
    assert!(cards > 60 && cases.len() >= 5, "{cards} cards, {} kinds", cases.len());
    for (name, picture) in pictures::troublesome() {
        for (model, card, _) in cases.values() {
            let outcome = outcome(&picture, card);
            println!("{name:20} {model:28} {outcome:?}");
            let refused = REFUSED.iter().find(|(refused, _)| *refused == name);
            let takes = |format| card.formats.as_ref().is_none_or(|formats| formats.contains(&format));
            match (&outcome, refused) {
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
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_fitted_is_taken_by_the_vendors() {
    let emulator = Emulator::start().await.unwrap();
    let all: Vec<_> =
        pictures::troublesome().into_iter().filter(|(name, _)| !name.starts_with("header")).collect();
    for (wire, catalog) in [
        (Wire::Zhipu, polysight_zhipu::catalog().unwrap()),
        (Wire::QwenVl, polysight_qwen_vl::catalog().unwrap()),
        (Wire::Ernie, polysight_ernie::catalog().unwrap()),
    ] {
        for (model, ..) in cases([catalog], is_emulated).into_values() {
            let config = format!(
                "[providers.p]\n{}api_key = \"{}\"\nbase_url = \"{}\"\n[roles.r]\nmodel = \"{model}\"\noversize = \"fit\"\n",
                wire.config(),
                wire.key(),
                emulator.base_url(wire.surface())
            );
            let role = Polysight::from_toml(&config).unwrap().role("r").unwrap();
            for (name, picture) in &all {
                let Ok(image) = Image::from_bytes(picture.clone()) else { continue };
                let answered = match role.plan(&ChatRequest::ask("what?", [image])) {
                    Ok(plan) if plan.requires_streaming => {
                        role.stream(plan).await.unwrap().collect_response().await
                    }
                    Ok(plan) => role.send(plan).await,
                    Err(error) => Err(error),
                };
                match (answered, REFUSED.iter().any(|(refused, _)| refused == name)) {
                    (Ok(_), false) => {}
                    (Ok(response), true) => panic!("{name} to {model}: {}", response.text),
                    (Err(error), true) => {
                        assert!(!error.is_retryable(), "{name} to {model}: {error}");
                    }
                    (Err(error), false) => panic!("{name} to {model}: {error}"),
                }
            }
        }
    }
}
