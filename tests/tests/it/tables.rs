//! The emulator's table of models and the client's, written apart, held against each other.

use std::collections::BTreeSet;

use polysight_core::{Capability, ModelCard};
use polysight_emulator::models::{self, ModelLimits};

/// Made for agents that drive a phone: the emulator leaves it out.
const NOT_EMULATED: [&str; 1] = ["autoglm-phone"];

#[test]
fn the_emulator_and_the_client_know_the_same_zhipu_models() {
    let theirs: BTreeSet<&str> = models::zhipu().iter().map(|limits| limits.id).collect();
    let catalog = polysight_zhipu::catalog().unwrap();
    let ours: BTreeSet<&str> = catalog.cards().iter().map(|card| card.id.as_str()).collect();
    let mut expected = theirs.clone();
    expected.extend(NOT_EMULATED);
    assert_eq!(ours, expected);
}

#[test]
fn the_emulator_and_the_client_hold_the_same_zhipu_limits() {
    let catalog = polysight_zhipu::catalog().unwrap();
    for limits in models::zhipu() {
        compare(&catalog.card(limits.id), limits);
    }
}

fn compare(card: &ModelCard, limits: &ModelLimits) {
    let id = limits.id;
    if let Some(cap) = card.max_output {
        assert_eq!(limits.max_output, cap, "{id}: output limit");
    }
    if let Some(context) = card.context {
        assert_eq!(limits.context, context, "{id}: context");
    }
    match &card.image {
        Capability::No => assert_eq!(limits.pictures, 0, "{id}: pictures"),
        Capability::Yes(image) => {
            assert_eq!(Some(u64::from(limits.pictures)), image.count, "{id}: number of pictures");
            assert_eq!(Some(models::PICTURE_BYTES), image.max_bytes, "{id}: bytes of a picture");
            assert_eq!(Some(u64::from(models::PICTURE_SIDE)), image.max_side, "{id}: side of a picture");
            assert_eq!(Some(limits.inline_pictures), image.base64, "{id}: pictures as base64");
        }
        Capability::Unknown => panic!("{id}: the client does not know about pictures"),
    }
    assert_eq!(card.video.is_yes(), limits.video.is_some(), "{id}: video");
    if let (Some(ours), Some(theirs)) = (card.video.limits(), &limits.video) {
        assert_eq!(ours.base64, Some(theirs.inline), "{id}: video as base64");
        assert_eq!(ours.must_be_first, theirs.first_and_alone, "{id}: video first");
        if let Some(bytes) = ours.max_bytes {
            assert_eq!(bytes, theirs.bytes, "{id}: bytes of a video");
        }
        if let Some(count) = ours.count {
            assert_eq!(Some(count), theirs.count.map(u64::from), "{id}: number of videos");
        }
    }
    assert_eq!(card.tools.is_yes(), limits.tools, "{id}: tools");
}
