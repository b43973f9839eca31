//! Where something is in a picture: how a model is asked for it, and what its answer's numbers refer to.

use serde::{Deserialize, Serialize};

use super::{Findings, Tolerance};
use crate::catalog::Grounding;
use crate::media::{Orientation, VideoSource};
use crate::{ChatRequest, Image, ImageInfo, Message, MessageRole, ModelCard, Part, ResponseFormat, Video};

/// Width and height, in pixels.
pub type PixelSize = (u32, u32);

/// Longer sides of more than so many to one are noted: boxes in such pictures were seen badly off though their unit was right
/// (reports to the publishers of Qwen3-VL, February 2026).
const NOTED_ASPECT: u32 = 4;

/// What the numbers of an answer refer to that says where something is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroundingFacts {
    /// The unit of the model.
    pub convention: Grounding,
    /// The pictures of the request, in its order, without frames of videos.
    pub pictures: Vec<PictureView>,
    /// The videos of the request, in its order; of a list of frames the first one.
    pub videos: Vec<PictureView>,
}

/// One picture on its way: as the caller has it, as it is sent, as the model sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PictureView {
    /// The caller's picture as a person sees it, upright. `None`: not known, such as behind a URL.
    pub shown: Option<PixelSize>,
    /// How the caller's stored picture is to be turned for that.
    pub orientation: Orientation,
    /// The picture as it is sent, as its file stores it.
    pub sent: Option<PixelSize>,
    /// How the sent picture is to be turned. No vendor says whether it does that.
    pub sent_orientation: Orientation,
    /// The part of the sent picture, from its top left, that holds the caller's picture; the rest is a margin.
    pub content: Option<PixelSize>,
    /// The size to which the vendor scales the sent picture. `None`: not known.
    pub seen: Option<PixelSize>,
    /// Whether what is sent was made from the caller's picture.
    is_made: bool,
}

impl PictureView {
    /// A picture of this size that is upright and is sent as it is.
    #[must_use]
    pub fn new(size: PixelSize) -> Self {
        Self { shown: Some(size), sent: Some(size), content: Some(size), ..Self::default() }
    }

    /// A picture that is sent as it is.
    #[must_use]
    pub fn of(image: &Image) -> Self {
        image.info().map_or_else(Self::default, Self::of_info)
    }

    fn of_info(info: ImageInfo) -> Self {
        let sent = Some((info.width, info.height));
        Self {
            orientation: info.orientation,
            sent_orientation: info.orientation,
            ..Self { shown: Some(info.shown()), sent, content: sent, ..Self::default() }
        }
    }

    fn of_video(video: &Video) -> Self {
        match video.source() {
            VideoSource::Frames(frames) => frames.first().map_or_else(Self::default, Self::of),
            VideoSource::Whole(_) => {
                let size = video.info().and_then(|info| info.width.zip(info.height));
                size.map_or_else(Self::default, Self::new)
            }
        }
    }

    /// Says to which size the vendor scales the picture.
    #[must_use]
    pub fn with_seen(mut self, seen: PixelSize) -> Self {
        self.seen = Some(seen);
        self
    }

    /// Says that what is sent is made from a picture with this header: `sent` is its size, and `content` the part from its top
    /// left that holds the picture, upright.
    #[must_use]
    pub fn made_from(mut self, original: ImageInfo, sent: PixelSize, content: PixelSize) -> Self {
        (self.shown, self.orientation) = (Some(original.shown()), original.orientation);
        (self.sent, self.sent_orientation) = (Some(sent), Orientation::Upright);
        (self.content, self.is_made) = (Some(content), true);
        self
    }

    /// The same for what will go out now, with what was known of how it was made.
    fn brought_to(self, image: &Image, seen: Option<PixelSize>) -> Self {
        let now = Self::of(image);
        let same = match now.sent {
            // Behind a URL now: what was known of it holds.
            None => return self,
            Some(sent) if self.is_made => Self { sent: Some(sent), content: self.content_of(sent), ..self },
            Some(_) => now,
        };
        Self { seen, ..same }
    }

    /// The same part of what is sent, where it came out smaller than planned.
    fn content_of(self, sent: PixelSize) -> Option<PixelSize> {
        let ((planned, (width, height)), content) = (self.sent.zip(Some(sent))?, self.content?);
        let part = |content: u32, of: u32, now: u32| {
            (f64::from(content) * f64::from(now) / f64::from(of.max(1))).round() as u32
        };
        Some((part(content.0, planned.0, width), part(content.1, planned.1, height)))
    }
}

impl GroundingFacts {
    /// Facts of pictures that were asked about otherwise.
    #[must_use]
    pub fn new(convention: Grounding, pictures: impl IntoIterator<Item = PictureView>) -> Self {
        Self { convention, pictures: pictures.into_iter().collect(), videos: Vec::new() }
    }

    /// `None` for a request without media.
    pub(super) fn of(request: &ChatRequest, card: &ModelCard) -> Option<Box<Self>> {
        let parts = || request.messages.iter().flat_map(|message| &message.parts);
        let pictures: Vec<_> = images(request).map(PictureView::of).collect();
        let videos: Vec<_> = parts()
            .filter_map(|part| if let Part::Video(video) = part { Some(video) } else { None })
            .map(PictureView::of_video)
            .collect();
        let has_media = !pictures.is_empty() || !videos.is_empty();
        has_media.then(|| Box::new(Self { convention: card.grounding, pictures, videos }))
    }

    /// Takes from an earlier plan of the same request what is known of pictures that stand behind a URL by now.
    pub(super) fn keep(&mut self, before: &Self) {
        if self.pictures.len() != before.pictures.len() {
            return;
        }
        for (view, before) in self.pictures.iter_mut().zip(&before.pictures) {
            if view.sent.is_none() {
                *view = *before;
            }
        }
    }

    /// Brings the pictures up to date with the request that goes out.
    pub(super) fn update(&mut self, request: &ChatRequest, seen: impl Fn(&Image) -> Option<PixelSize>) {
        for (view, image) in self.pictures.iter_mut().zip(images(request)) {
            *view = view.brought_to(image, seen(image));
        }
    }
}

/// The pictures of a request, without frames of videos.
fn images(request: &ChatRequest) -> impl Iterator<Item = &Image> {
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    parts.filter_map(|part| if let Part::Image(image) = part { Some(image) } else { None })
}

/// Asks for places in the model's own unit, and refuses what could not be placed.
pub(super) fn check(request: &mut ChatRequest, card: &ModelCard, findings: &mut Findings) {
    let ResponseFormat::Locate { what, points } = request.response_format.clone() else { return };
    check_media(request, findings);
    if card.grounding == Grounding::None {
        let problem = format!("{} cannot say where something is in a picture", findings.model());
        findings.reject_model("response_format", problem, "text", |card| card.grounding.is_known());
        // The document of the card's limits is not where that is said.
        findings.violations.iter_mut().next_back().into_iter().for_each(|violation| violation.source = None);
        return;
    }
    if card.grounding == Grounding::Unknown {
        findings.warn(format!(
            "in which unit {} says where something is is not known: numbers are given as they stand; set `grounding` on its card",
            findings.model()
        ));
    }
    let pictures = images(request).count();
    ask(request, &prompt(&what, points, card.grounding, pictures));
    request.response_format = ResponseFormat::Text;
    let change = format!("asked for by the prompt, in the model's unit: {}", card.grounding);
    findings.record(Tolerance::Strict, "response_format", change);
}

fn check_media(request: &ChatRequest, findings: &mut Findings) {
    if !request.messages.iter().any(Message::has_media) {
        let problem = "there is no picture in which something could be located";
        findings.reject("messages", problem, "a picture or a video", "add a picture");
    }
    for (message, part, frame, image) in request.images() {
        let Some(info) = image.info() else { continue };
        let path = crate::request::image_path(message, part, frame);
        if info.orientation != Orientation::Upright {
            let problem = format!(
                "the picture's header says that it is to be turned (EXIF {}), and no vendor says whether it does that: \
                 boxes could not be placed",
                info.orientation.exif()
            );
            let fix = "turn it, or let the fit layer do it (`oversize = \"fit\"`)";
            findings.reject(&path, problem, "a picture that is stored upright", fix);
        }
        let (long, short) = (info.width.max(info.height), info.width.min(info.height));
        if u64::from(long) > u64::from(short) * u64::from(NOTED_ASPECT) {
            findings.warn(format!(
                "{path}: boxes in pictures of more than {NOTED_ASPECT} : 1 ({} x {} px) may be badly off: cut it in pieces",
                info.width, info.height
            ));
        }
    }
}

fn prompt(what: &str, points: bool, convention: Grounding, pictures: usize) -> String {
    let (key, numbers) = if points { ("point_2d", "[x, y]") } else { ("bbox_2d", "[x1, y1, x2, y2]") };
    let unit = match convention {
        Grounding::Relative1000 => ", as numbers from 0 to 1000 of the picture's width and height",
        Grounding::Relative999 => ", as numbers from 0 to 999 of the picture's width and height",
        Grounding::ResizedPixels | Grounding::SentPixels => ", in pixels of the picture",
        Grounding::Unknown | Grounding::None => "",
    };
    let (image, counted) = match pictures {
        0 | 1 => ("", ""),
        _ => ("\"image\": 1, ", " `image` is the number of the picture, from 1."),
    };
    let what = if what.trim().is_empty() { "what was asked for" } else { what.trim() };
    format!(
        "Locate every instance of this: {what}\nAnswer with a JSON list and nothing else, one object for each instance: \
         [{{{image}\"{key}\": {numbers}, \"label\": \"..\"}}]{unit}.{counted} Answer [] if there is none."
    )
}

/// Asks in the last message of the user.
fn ask(request: &mut ChatRequest, text: &str) {
    match request.messages.iter_mut().rfind(|message| message.role == MessageRole::User) {
        Some(message) => message.parts.push(Part::Text(text.to_owned())),
        None => request.messages.push(Message::user(text)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Estimate, ProviderId, Result, plan::Plan, plan::PlanBuilder};

    /// The header of a PNG of these sides.
    fn png(width: u32, height: u32) -> Image {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend([width.to_be_bytes(), height.to_be_bytes()].concat());
        png.extend([8, 2, 0, 0, 0]);
        Image::from_bytes(png).unwrap()
    }

    fn plan(grounding: Grounding, images: impl IntoIterator<Item = Image>) -> Result<Plan> {
        let card = ModelCard { id: "m".to_owned(), known: true, grounding, ..ModelCard::default() };
        let mut request = ChatRequest::ask("Look.", images);
        request.response_format = ResponseFormat::Locate { what: "the cat".to_owned(), points: false };
        PlanBuilder::new(&ProviderId::new("p", "acme"), &request, Arc::new(card)).finish(Estimate::default())
    }

    fn last_text(plan: &Plan) -> String {
        match plan.request.messages.last().and_then(|message| message.parts.last()) {
            Some(Part::Text(text)) => text.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_model_is_asked_in_its_own_unit() {
        for (grounding, unit) in [
            (Grounding::Relative1000, "from 0 to 1000"),
            (Grounding::Relative999, "from 0 to 999"),
            (Grounding::ResizedPixels, "in pixels"),
        ] {
            let plan = plan(grounding, [png(20, 10)]).unwrap();
            let text = last_text(&plan);
            assert!(text.contains("the cat") && text.contains(unit) && text.contains("bbox_2d"), "{text}");
            assert!(!text.contains("`image`"), "{text}");
            assert_eq!(plan.request.response_format, ResponseFormat::Text);
            assert_eq!(plan.grounding.unwrap().convention, grounding);
        }
        let plan = plan(Grounding::Unknown, [png(20, 10), png(2, 1)]).unwrap();
        assert!(!last_text(&plan).contains("0 to") && last_text(&plan).contains("`image`"));
        assert!(plan.notes.iter().any(|note| note.contains("set `grounding`")), "{:?}", plan.notes);
    }

    #[test]
    fn a_model_that_cannot_is_refused_beforehand_with_the_way_out() {
        let error = plan(Grounding::None, [png(20, 10)]).unwrap_err();
        let violation = &error.violations()[0];
        assert!(violation.problem.contains("m cannot say where"), "{violation}");
        assert!(violation.fix.starts_with("choose a model"), "{violation}");
        let error = plan(Grounding::Relative1000, []).unwrap_err();
        assert!(error.violations()[0].problem.contains("no picture"), "{error}");
    }

    #[test]
    fn a_long_picture_is_noted() {
        assert!(plan(Grounding::Relative1000, [png(401, 100)]).unwrap().notes[0].contains("401 x 100 px"));
        assert!(plan(Grounding::Relative1000, [png(400, 100)]).unwrap().notes.is_empty());
    }

    #[test]
    fn what_was_made_keeps_where_it_came_from() {
        let original = ImageInfo { orientation: Orientation::Rotated90, ..png(4_000, 3_000).info().unwrap() };
        let view = PictureView::default().made_from(original, (300, 400), (300, 400));
        let view = view.brought_to(&png(150, 200), Some((140, 196)));
        assert_eq!((view.shown, view.orientation), (Some((3_000, 4_000)), Orientation::Rotated90));
        assert_eq!(
            (view.sent, view.content, view.seen),
            (Some((150, 200)), Some((150, 200)), Some((140, 196)))
        );
        let plain = PictureView::new((1, 1)).brought_to(&png(150, 200), None);
        assert_eq!((plain.shown, plain.content), (Some((150, 200)), Some((150, 200))));
    }
}
