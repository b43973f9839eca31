//! Places in pictures, from pixels to pixels: the emulated models find rectangles in what arrived and write them in their own
//! units, and what comes back is held against the picture as it was before anything was done to it.

use image::metadata::Orientation as Turn;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use polysight::catalog::Grounding;
use polysight::tasks::locate::{LocatedAnswer, Locator};
use polysight::tasks::{TasksExt, box_for_prompt, parse_boxes};
use polysight::{ChatRequest, ErrorKind, Image, Orientation, Polysight, Role, Tolerance, VisionProvider};
use polysight_emulator::{Emulator, Fault, Surface};
use polysight_testkit::pictures;

const RED: [u8; 3] = [225, 30, 30];
const BLUE: [u8; 3] = [30, 60, 220];

/// A picture as it is shown, with where its rectangles are, and how it is stored.
#[derive(Debug, Clone, Copy)]
struct Picture {
    width: u32,
    height: u32,
    exif: u16,
}

const fn stored(width: u32, height: u32, exif: u16) -> Picture {
    Picture { width, height, exif }
}

/// Twelve sizes: plain, tall, wide, small, large, and turned in each of the seven ways.
const PICTURES: [Picture; 12] = [
    stored(640, 480, 1),
    stored(301, 997, 1),
    stored(1_920, 1_080, 1),
    stored(900, 150, 1),
    stored(65, 80, 1),
    stored(640, 480, 2),
    stored(480, 640, 3),
    stored(800, 480, 4),
    stored(480, 640, 5),
    stored(480, 800, 6),
    stored(640, 480, 7),
    stored(800, 608, 8),
];

/// A model where it is served, and its unit.
struct Target {
    name: &'static str,
    grounding: Grounding,
}

const TARGETS: [Target; 6] = [
    Target { name: "glm", grounding: Grounding::Relative1000 },
    Target { name: "qwen3", grounding: Grounding::Relative1000 },
    Target { name: "qwen-max", grounding: Grounding::ResizedPixels },
    Target { name: "qwen25", grounding: Grounding::ResizedPixels },
    Target { name: "qwen25-native", grounding: Grounding::ResizedPixels },
    Target { name: "ernie", grounding: Grounding::Relative1000 },
];

fn config(emulator: &Emulator) -> String {
    let url = |surface| emulator.base_url(surface);
    let (zhipu, compatible, native) =
        (url(Surface::Zhipu), url(Surface::DashScopeCompatible), url(Surface::DashScopeNative));
    let (qianfan, gateway) = (url(Surface::Qianfan), url(Surface::Gateway));
    let providers = format!(
        r#"
[providers.zhipu]
backend = "zhipu"
base_url = "{zhipu}"
api_key = "example.key"
[providers.qwen]
backend = "qwen-vl"
base_url = "{compatible}"
api_key = "sk-0123456789abcdef0123456789abcdef"
[providers.native]
backend = "qwen-vl"
protocol = "native"
base_url = "{native}"
api_key = "sk-0123456789abcdef0123456789abcdef"
[providers.other]
backend = "openai"
base_url = "{gateway}"
api_key = "sk-gateway"
models = [{{ id = "Qwen2.5-VL-72B-Instruct" }}, {{ id = "GLM-4V", grounding = "relative_1000" }}]
[providers.baidu]
backend = "ernie"
base_url = "{qianfan}"
api_key = "bce-v3/ALTAK-example/0123456789abcdef0123456789abcdef01234567"
[roles.either]
fallback = ["qwen25", "ernie"]
[roles.able]
fallback = ["old", "glm"]
"#
    );
    let roles = [
        ("glm", "zhipu", "glm-4.6v-flash"),
        ("old", "zhipu", "glm-4v-plus"),
        ("qwen3", "qwen", "qwen3-vl-plus"),
        ("qwen-max", "qwen", "qwen-vl-max"),
        ("qwen25", "qwen", "qwen2.5-vl-7b-instruct"),
        ("qwen25-native", "native", "qwen2.5-vl-7b-instruct"),
        ("unknown", "other", "Qwen2.5-VL-72B-Instruct"),
        ("mine", "other", "GLM-4V"),
        ("ernie", "baidu", "ernie-4.5-turbo-vl"),
    ];
    let role = |(name, provider, model): &(&str, &str, &str)| {
        format!(
            "[roles.{name}]\nprovider = \"{provider}\"\nmodel = \"{model}\"\nretry = false\n\
             [roles.{name}-fitted]\nprovider = \"{provider}\"\nmodel = \"{model}\"\n\
             oversize = {{ max_side = 384, format = \"png\" }}\n"
        )
    };
    providers + &roles.iter().map(role).collect::<String>()
}

async fn served() -> (Emulator, Polysight) {
    let emulator = Emulator::start().await.unwrap();
    let polysight = Polysight::from_toml(&config(&emulator)).unwrap();
    (emulator, polysight)
}

impl Picture {
    /// The rectangles as they are shown, the red one and the blue one; on whole blocks of a JPEG where it is one.
    fn rectangles(self) -> [[u32; 4]; 2] {
        let step = if self.exif == 1 { 1 } else { 16 };
        let at = |side: u32, tenths: u32| side * tenths / 10 / step * step;
        let (w, h) = (self.width, self.height);
        [[at(w, 1), at(h, 2), at(w, 5), at(h, 6)], [at(w, 6), at(h, 7), at(w, 9), at(h, 9)]]
    }

    fn shown(self) -> RgbImage {
        let rectangles = self.rectangles();
        RgbImage::from_fn(self.width, self.height, |x, y| {
            let inside = |[left, top, right, bottom]: [u32; 4]| {
                (left..right).contains(&x) && (top..bottom).contains(&y)
            };
            Rgb(match rectangles.map(inside) {
                [true, _] => RED,
                [_, true] => BLUE,
                _ => [255, 255, 255],
            })
        })
    }

    /// A PNG, or a JPEG that lies as its header says.
    fn image(self) -> Image {
        let shown = DynamicImage::ImageRgb8(self.shown());
        if self.exif == 1 {
            let mut bytes = std::io::Cursor::new(Vec::new());
            shown.write_to(&mut bytes, ImageFormat::Png).unwrap();
            return Image::from_bytes(bytes.into_inner()).unwrap();
        }
        // The turn that undoes the one of the header; all but the quarter turns undo themselves.
        let back = match self.exif {
            6 => 8,
            8 => 6,
            other => other,
        };
        let mut lying = shown;
        lying.apply_orientation(Turn::from_exif(back as u8).unwrap());
        let jpeg = pictures::jpeg(&lying.to_rgb8(), 95);
        Image::from_bytes(pictures::with_exif(&jpeg, &pictures::orientation_exif(self.exif))).unwrap()
    }
}

/// How far edges may be off, in pixels of the sent picture: where an edge falls into a pixel, and half a unit of the model.
fn slack(sent: u32, units: u32) -> f64 {
    (0.5 + f64::from(sent) / f64::from(units) / 2.0).max(1.0)
}

/// Holds what was located against what is in the picture; gives the largest error, in pixels of the sent picture.
fn hold(row: &str, target: &Target, picture: Picture, sent: (u32, u32), answer: &LocatedAnswer) -> f64 {
    assert_eq!((answer.boxes.len(), &answer.faults[..]), (2, &[][..]), "{row}: {answer:?}");
    assert_eq!(answer.convention, target.grounding, "{row}");
    let view = answer.response.grounding.as_ref().unwrap().pictures[0];
    assert_eq!((view.sent, view.shown), (Some(sent), Some((picture.width, picture.height))), "{row}");
    let units = match target.grounding {
        Grounding::ResizedPixels => view.seen.unwrap(),
        _ => (1_000, 1_000),
    };
    let mut worst: f64 = 0.0;
    for (expected, label) in picture.rectangles().into_iter().zip(["red rectangle", "blue rectangle"]) {
        let found = answer.boxes.iter().find(|found| found.label.as_deref() == Some(label)).expect(row);
        assert_eq!(found.orientation.exif(), picture.exif as u8, "{row}");
        assert_eq!((found.picture, found.clamped, found.raw.len()), (Some(0), false, 4), "{row}");
        let rect = found.rect.unwrap();
        let edges = [(rect.left, 0), (rect.top, 1), (rect.right, 0), (rect.bottom, 1)];
        for ((edge, axis), expected) in edges.into_iter().zip(expected) {
            let (shown, sent, units) =
                if axis == 0 { (picture.width, sent.0, units.0) } else { (picture.height, sent.1, units.1) };
            let off = (edge - f64::from(expected)).abs() * f64::from(sent) / f64::from(shown);
            assert!(
                off <= slack(sent, units) + 1e-6,
                "{row}: {label} is off by {off} px: {rect:?}, {expected}"
            );
            worst = worst.max(off);
        }
    }
    worst
}

#[tokio::test]
async fn boxes_come_back_to_the_pixel_from_every_model_for_every_picture() {
    let (emulator, polysight) = served().await;
    let (mut rows, mut within_a_pixel) = (0, 0);
    for target in &TARGETS {
        for (index, picture) in PICTURES.into_iter().enumerate() {
            let image = picture.image();
            for fitted in [false, true] {
                // Making pictures takes its time: every second one.
                if fitted && index % 2 == 1 {
                    continue;
                }
                let role = if fitted { format!("{}-fitted", target.name) } else { target.name.to_owned() };
                let row = format!("{role}, {picture:?}");
                let role = polysight.role(&role).unwrap();
                let request = ChatRequest::ask("Look.", [image.clone()]);
                let answer = role.locate(request, "the red and the blue rectangle").await;
                let answer = answer.unwrap_or_else(|error| panic!("{row}: {error}"));
                let arrived = emulator.requests().pop().unwrap().media.remove(0);
                let sent = (arrived.width.unwrap(), arrived.height.unwrap());
                emulator.clear_requests();
                let off = hold(&row, target, picture, sent, &answer);
                within_a_pixel += u32::from(off <= 1.0);
                rows += 1;
            }
        }
    }
    println!("{rows} rows of model, picture and fit; {within_a_pixel} within one pixel of the sent picture");
    assert_eq!(rows, TARGETS.len() * 18);
    // All but those in which a unit of the model is more than a pixel.
    assert!(within_a_pixel as usize >= rows - TARGETS.len() * 2, "{within_a_pixel} of {rows}");
}

#[tokio::test]
async fn points_and_several_pictures_are_placed() {
    let (_emulator, polysight) = served().await;
    let pictures = [PICTURES[0], PICTURES[1]];
    for target in &TARGETS {
        let role = polysight.role(target.name).unwrap();
        let request = ChatRequest::ask("Look.", pictures.map(Picture::image));
        let answer =
            Locator::new("the blue rectangle").with_points(true).locate(&role, request).await.unwrap();
        assert_eq!((answer.points.len(), &answer.faults[..]), (2, &[][..]), "{}: {answer:?}", target.name);
        for (index, (point, picture)) in answer.points.iter().zip(pictures).enumerate() {
            assert_eq!(point.picture, Some(index));
            let [_, [left, top, right, bottom]] = picture.rectangles();
            let centre = [f64::midpoint(left.into(), right.into()), f64::midpoint(top.into(), bottom.into())];
            let at = point.at.unwrap();
            assert!((at.x - centre[0]).abs() <= 1.0 && (at.y - centre[1]).abs() <= 1.0, "{at:?}, {centre:?}");
        }
    }
}

#[tokio::test]
async fn reasoning_that_guesses_is_not_read() {
    let (_emulator, polysight) = served().await;
    let request = ChatRequest::ask("Look.", [PICTURES[0].image()]);
    let answer = polysight.role("glm").unwrap().locate(request, "the red rectangle").await.unwrap();
    assert!(answer.response.reasoning.contains("[[0, 0, 7, 7]]"), "{:?}", answer.response.reasoning);
    assert_eq!(answer.boxes.len(), 1);
}

#[tokio::test]
async fn a_picture_that_lies_on_its_side_is_turned_or_refused() {
    let (emulator, polysight) = served().await;
    let role = polysight.role("qwen3").unwrap();
    let request = || ChatRequest::ask("Look.", [PICTURES[9].image()]);
    let answer = role.locate(request(), "the red rectangle").await.unwrap();
    assert_eq!(answer.boxes[0].orientation, Orientation::Rotated90);
    assert!(answer.response.adjustments.iter().any(|done| done.change.contains("turned upright")));
    let before = emulator.requests().len();
    let strict = request().with_tolerance(Tolerance::Strict);
    let error = role.locate(strict, "the red rectangle").await.unwrap_err();
    assert!(error.violations().iter().any(|one| one.problem.contains("EXIF 6")), "{error}");
    assert_eq!(emulator.requests().len(), before, "nothing was sent");
    // Without the task it goes out as before.
    assert!(role.plan(&request()).unwrap().adjustments.is_empty());
}

#[tokio::test]
async fn a_model_that_cannot_is_refused_before_sending_and_passed_over_by_a_router() {
    let (emulator, polysight) = served().await;
    let request = || ChatRequest::ask("Look.", [PICTURES[0].image()]);
    let error = polysight.role("old").unwrap().locate(request(), "the red rectangle").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    let violation = &error.violations()[0];
    assert!(violation.problem.contains("glm-4v-plus cannot say where"), "{violation}");
    assert!(violation.fix.contains("such as glm-"), "{violation}");
    assert!(emulator.requests().is_empty());
    let answer = polysight.role("able").unwrap().locate(request(), "the red rectangle").await.unwrap();
    assert_eq!((answer.response.model.as_str(), answer.boxes.len()), ("glm-4.6v-flash", 1));
}

#[tokio::test]
async fn after_a_failover_places_are_those_of_the_model_that_answered() {
    let (emulator, polysight) = served().await;
    emulator.script(Fault::status(503, "overloaded"));
    let request = ChatRequest::ask("Look.", [PICTURES[0].image()]);
    let answer =
        polysight.role("either").unwrap().locate(request, "the red and the blue rectangle").await.unwrap();
    assert_eq!(answer.response.attempts.len(), 1);
    let ernie = TARGETS.last().unwrap();
    hold("failover", ernie, PICTURES[0], (640, 480), &answer);
}

#[tokio::test]
async fn an_unknown_unit_gives_raw_numbers_until_the_config_names_it() {
    let (emulator, polysight) = served().await;
    let request = || ChatRequest::ask("Look.", [PICTURES[0].image()]);
    let located = polysight.role("unknown").unwrap().locate(request(), "the red rectangle").await.unwrap();
    assert!(located.notes.iter().any(|note| note.contains("set `grounding`")), "{:?}", located.notes);
    assert!(located.faults[0].contains("unknown convention"), "{:?}", located.faults);
    assert_eq!((located.boxes[0].rect, located.boxes[0].raw.len()), (None, 4));
    emulator.answer(r#"[{"bbox_2d": [500, 500, 1000, 1000]}]"#).unwrap();
    let located = polysight.role("mine").unwrap().locate(request(), "the red rectangle").await.unwrap();
    assert_eq!(located.boxes[0].rect.unwrap().rounded(), [320, 240, 640, 480]);
}

/// An answer that was asked for otherwise has what its numbers refer to as well, and a box goes into a prompt.
#[tokio::test]
async fn an_answer_to_any_request_can_be_read() {
    let (emulator, polysight) = served().await;
    let role: Role = polysight.role("qwen25").unwrap();
    let plan = role.plan(&ChatRequest::ask("Is there a cat?", [PICTURES[2].image()])).unwrap();
    let view = plan.grounding.as_ref().unwrap().pictures[0];
    assert_eq!(view.seen, Some((1_316, 728)));
    emulator.answer("<ref>cat</ref><box>(658,0),(1316,364)</box>").unwrap();
    let answer = role.send(plan).await.unwrap();
    let located = parse_boxes(&answer.text, answer.grounding.as_ref().unwrap());
    let rect = located.boxes[0].rect.unwrap();
    assert_eq!(rect.rounded(), [960, 0, 1_920, 540]);
    assert_eq!(box_for_prompt(&rect, &view, Grounding::ResizedPixels).unwrap(), "[658, 0, 1316, 364]");
}
