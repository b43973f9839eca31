//! Boxes that stand in an answer, in pixels of the picture as the client sent it.

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use polysight::JsonValue;
use polysight_testkit::pictures;
use serde_json::json;

use crate::client::{Reply, Served, and};

const RED: [u32; 4] = [200, 100, 600, 300];
const BLUE: [u32; 4] = [640, 320, 760, 380];

/// A model that counts to 1000 of each side, one that counts pixels of what it made of the picture, and one whose unit is not known.
const ROLES: &str = r#"
    [roles.pixels]
    provider = "alibaba"
    model = "qwen-vl-max"
    [roles.unknown]
    provider = "other"
    model = "Qwen2.5-VL-72B-Instruct"
    [roles.fitted]
    provider = "zhipu"
    model = "glm-4.6v"
    oversize = { max_side = 400, format = "png" }
"#;

fn drawn(rectangles: &[([u32; 4], [u8; 3])]) -> RgbImage {
    RgbImage::from_fn(800, 400, |x, y| {
        let inside =
            |[left, top, right, bottom]: [u32; 4]| (left..right).contains(&x) && (top..bottom).contains(&y);
        let found = rectangles.iter().find(|(rectangle, _)| inside(*rectangle));
        Rgb(found.map_or([255; 3], |(_, colour)| *colour))
    })
}

fn png(rectangles: &[([u32; 4], [u8; 3])]) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(drawn(rectangles)).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn both() -> Vec<u8> {
    png(&[(RED, [225, 30, 30]), (BLUE, [30, 60, 220])])
}

fn asked(role: &str, question: &str, pictures: &[(&str, Vec<u8>)]) -> JsonValue {
    let parts = pictures.iter().map(|(kind, bytes)| {
        let url = format!("data:image/{kind};base64,{}", polysight_testkit::base64(bytes));
        json!({ "type": "image_url", "image_url": { "url": url } })
    });
    let parts: Vec<JsonValue> = parts.chain([json!({ "type": "text", "text": question })]).collect();
    json!({ "model": role, "messages": [{ "role": "user", "content": parts }] })
}

async fn served() -> Served {
    let emulator = polysight_emulator::Emulator::start().await.unwrap();
    let other = emulator.base_url(polysight_emulator::Surface::Gateway).to_string();
    let provider = format!(
        "[providers.other]\nbackend = \"openai\"\nbase_url = \"{other}\"\napi_key = \"sk-gateway\"\n"
    );
    Served::with(emulator, &format!("{ROLES}{provider}")).await
}

/// The `polysight` object of a reply, plain or streamed; in a stream it stands once.
fn own(reply: &Reply) -> JsonValue {
    assert_eq!(reply.status, 200, "{reply:?}");
    if reply.header("content-type") != Some("text/event-stream") {
        return reply.json()["polysight"].clone();
    }
    let chunks = reply.chunks();
    let mut holding = chunks.iter().filter(|chunk| !chunk["polysight"].is_null());
    let found = holding.next().unwrap();
    assert!(found["choices"][0]["finish_reason"].is_string() && holding.next().is_none(), "{reply:?}");
    found["polysight"].clone()
}

fn assert_near(found: &JsonValue, expected: [u32; 4], row: &str) {
    for (edge, expected) in found.as_array().unwrap().iter().zip(expected) {
        let off = edge.as_u64().unwrap().abs_diff(expected.into());
        assert!(off <= 3, "{row}: {found}");
    }
}

#[tokio::test]
async fn boxes_are_pixels_of_the_clients_picture_whatever_the_model_counts_in() {
    let served = served().await;
    for role in ["default", "qwen", "pixels"] {
        for stream in [false, true] {
            let body = asked(role, "Where are the rectangles? Answer with bbox_2d.", &[("png", both())]);
            let own = own(&served.chat(&and(body, "stream", stream)).await);
            let boxes = own["boxes"].as_array().unwrap_or_else(|| panic!("{role} {stream}: {own}"));
            assert_eq!(boxes.len(), 2, "{role} {stream}: {own}");
            for (label, expected) in [("red rectangle", RED), ("blue rectangle", BLUE)] {
                let found = boxes.iter().find(|found| found["label"] == label).unwrap();
                assert_eq!(found["picture"], 0);
                assert_near(&found["box"], expected, role);
            }
        }
    }
}

#[tokio::test]
async fn boxes_of_a_picture_that_lies_on_its_side_are_as_a_person_sees_it_where_it_is_turned() {
    let served = served().await;
    // Stored turned by a quarter: shown it is 400 x 800.
    let jpeg = pictures::jpeg(&drawn(&[([208, 96, 608, 304], [225, 30, 30])]), 95);
    let jpeg = pictures::with_exif(&jpeg, &pictures::orientation_exif(6));
    let body =
        |role| asked(role, "Where is the red rectangle? Answer with bbox_2d.", &[("jpeg", jpeg.clone())]);
    let turned = own(&served.chat(&body("fitted")).await);
    assert_near(&turned["boxes"][0]["box"], [400 - 304, 208, 400 - 96, 608], "turned");
    // No vendor says whether it turns the picture.
    assert!(own(&served.chat(&body("default")).await)["boxes"].is_null());
}

#[tokio::test]
async fn boxes_name_their_picture_among_several() {
    let served = served().await;
    let pictures = [("png", png(&[(BLUE, [30, 60, 220])])), ("png", png(&[(RED, [225, 30, 30])]))];
    let body = asked("qwen", "Where is the red rectangle? Answer with bbox_2d.", &pictures);
    let own = own(&served.chat(&body).await);
    assert_eq!(
        (own["boxes"].as_array().unwrap().len(), &own["boxes"][0]["picture"]),
        (1, &json!(1)),
        "{own}"
    );
    assert_near(&own["boxes"][0]["box"], RED, "second");
}

#[tokio::test]
async fn where_it_is_not_sure_there_are_none() {
    let served = served().await;
    for (role, question) in [
        ("unknown", "Where is the red rectangle? Answer with bbox_2d."),
        ("default", "What is it?"),
        ("default", "Where is the red rectangle? Answer with point_2d."),
    ] {
        for stream in [false, true] {
            let reply = served.chat(&and(asked(role, question, &[("png", both())]), "stream", stream)).await;
            assert!(own(&reply)["boxes"].is_null(), "{role} {question}: {reply:?}");
        }
    }
}
