//! Zhipu's counter of tokens, our formula and what a chat is charged with, held together.

use polysight::zhipu::{Zhipu, ZhipuSettings};
use polysight::{
    ApiKey, ChatRequest, Count, ErrorKind, Image, ProviderOptions, VisionProvider as _,
    VisionProviderExt as _,
};
use polysight_emulator::{Emulator, Surface};
use polysight_testkit::pictures;

fn zhipu(emulator: &Emulator) -> Zhipu {
    let base_url = emulator.base_url(Surface::Zhipu).parse().unwrap();
    let options = ProviderOptions::new("zhipu").with_base_url(base_url);
    Zhipu::new(options.with_api_key(ApiKey::new("example.key").unwrap()), &ZhipuSettings::new()).unwrap()
}

#[tokio::test]
async fn the_counter_the_formula_and_the_usage_agree() {
    let emulator = Emulator::start().await.unwrap();
    let zhipu = zhipu(&emulator);
    let small = [(14, 28), (28, 28), (112, 300), (640, 480), (1_000, 20)];
    let large = [(3_200, 2_400)];
    for (model, sizes) in [
        ("glm-4.6v", &large[..]),
        ("glm-4.6v", &small),
        ("glm-4.5v", &small),
        ("glm-4.1v-thinking-flash", &small),
    ] {
        for (width, height) in sizes {
            let image = Image::from_bytes(pictures::jpeg(&pictures::quarters(*width, *height), 60)).unwrap();
            let request = ChatRequest::ask("What do you see?", [image]).with_model(model);
            let estimate = zhipu.plan(&request).unwrap().estimate;
            let counted = zhipu.count_tokens(&request).await.unwrap();
            let size = format!("{model}: {width} x {height}");
            assert_eq!(estimate.image_tokens, Count::by_formula(counted.image.unwrap()), "{size}");
            let (least, most) = (estimate.input_tokens().at_least, estimate.input_tokens().at_most.unwrap());
            assert!(
                (least..=most).contains(&counted.total),
                "{size}: {} of {least} to {most}",
                counted.total
            );
            let usage = zhipu.chat(request).await.unwrap().usage.unwrap();
            assert_eq!(usage.input_tokens, counted.total, "{size}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_counted_is_an_error_that_says_so() {
    let emulator = Emulator::start().await.unwrap();
    let unknown = ChatRequest::ask("?", None::<Image>).with_model("glm-9");
    let error = zhipu(&emulator).count_tokens(&unknown).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::ModelNotFound, Some("1211")), "{error}");
    let options =
        ProviderOptions::new("g").with_deployment("gateway").with_api_key(ApiKey::new("sk-g").unwrap());
    let options = options.with_base_url(emulator.base_url(Surface::Gateway).parse().unwrap());
    let gateway = Zhipu::new(options, &ZhipuSettings::new()).unwrap();
    let asked = gateway.count_tokens(&ChatRequest::ask("?", None::<Image>).with_model("GLM-4V")).await;
    assert_eq!(asked.unwrap_err().kind(), ErrorKind::Unsupported);
}
