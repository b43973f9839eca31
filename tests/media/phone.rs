//! The photo of a phone, to every vendor.

use polysight::{ChatRequest, Image, Polysight, VisionProvider as _};
use polysight_emulator::Emulator;
use polysight_testkit::{Wire, pictures};

/// A config with a role of a model for each vendor, which fits pictures.
fn config(emulator: &Emulator) -> String {
    let roles = [
        (Wire::Zhipu, "glm-4.6v-flash"),
        (Wire::QwenVl, "qwen3-vl-plus"),
        (Wire::Ernie, "ernie-4.5-turbo-vl"),
    ];
    let table = |(wire, model): (Wire, &str)| {
        let (name, base_url) = (wire.name(), emulator.base_url(wire.surface()));
        format!(
            "[providers.{name}]\n{}api_key = \"{}\"\nbase_url = \"{base_url}\"\n\
             [roles.{name}]\nprovider = \"{name}\"\nmodel = \"{model}\"\noversize = \"fit\"\n",
            wire.config(),
            wire.key(),
        )
    };
    roles.into_iter().map(table).collect()
}

#[tokio::test]
async fn a_photo_of_12_megapixels_and_11_mb_is_answered_by_all_three_as_it_stands_upright() {
    let photo = pictures::phone_photo();
    assert!((10_500_000..12_500_000).contains(&photo.len()), "{} bytes", photo.len());
    let image = Image::from_bytes(photo).unwrap();
    let emulator = Emulator::start().await.unwrap();
    let polysight = Polysight::from_toml(&config(&emulator)).unwrap();
    for name in ["zhipu", "qwen-vl", "ernie"] {
        let role = polysight.role(name).unwrap();
        let plan = role.plan(&ChatRequest::ask("what?", [image.clone()])).unwrap();
        let response = role.send(plan).await.unwrap();
        let requests = emulator.requests();
        let arrived = requests.last().and_then(|request| request.media.first()).expect("a picture arrived");
        assert_eq!((arrived.width, arrived.height), (Some(3_024), Some(4_032)), "{name}");
        let said =
            response.adjustments.iter().find(|adjustment| adjustment.change.starts_with("picture fitted"));
        assert!(said.unwrap().change.contains("turned upright (EXIF 6)"), "{said:?}");
    }
}

#[tokio::test]
async fn without_the_setting_it_is_refused_as_before() {
    let emulator = Emulator::start().await.unwrap();
    let polysight = Polysight::from_toml(&config(&emulator).replace("oversize = \"fit\"\n", "")).unwrap();
    let wide = Image::from_bytes(pictures::exif_jpeg(6_200, 64, 1)).unwrap();
    let error = polysight.role("zhipu").unwrap().plan(&ChatRequest::ask("what?", [wide])).unwrap_err();
    assert!(error.violations()[0].problem.contains("6200 x 64"), "{error}");
}
