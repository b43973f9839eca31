//! Pictures that no vendor takes as they are: fitted and taken, or refused with the reason.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what is not as expected must stop the test"
)]

mod avif;
mod cards;
mod colours;
mod complete;
mod heif;
mod layer;
mod many;
mod phone;
mod videos;

use polysight::media::fit::{FitSettings, Fitted, fit};
use polysight::{Image, Result};
use polysight_core::catalog::ImageCard;

/// A card that takes no side over this many pixels.
fn narrow(max_side: u64) -> ImageCard {
    let mut card = ImageCard::default();
    card.max_side = Some(max_side);
    card
}

/// The bytes of a fitted picture.
fn bytes_of(fitted: &Fitted) -> Vec<u8> {
    let mut bytes = Vec::new();
    let reader = fitted.image.source().reader().expect("it is here");
    std::io::Read::read_to_end(&mut reader.unwrap(), &mut bytes).unwrap();
    bytes
}

fn fitted(picture: &[u8], card: &ImageCard, settings: &FitSettings) -> Result<Fitted> {
    fit(&Image::from_bytes(picture.to_vec())?, card, settings)
}
