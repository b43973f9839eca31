//! How many tokens pictures and videos take, and to which size the vendor scales them.
//!
//! A picture is scaled to whole cells of 28 or 32 pixels a side within a budget of pixels; each cell is a token, and two
//! more mark begin and end. Models of the 2.5 generation answer boxes in pixels of the *scaled* picture, so that
//! [`resized`] is needed to find them in the original; from Qwen3-VL on boxes are relative, 0 to 999.
//!
//! Source: the vendor's page of visual understanding (budgets) and its published reference of the scaling, read
//! 2026-11-21; held against token counts that the vendor itself reported.

use polysight_core::media::VideoSource;
use polysight_core::plan::PixelSize;
use polysight_core::{ChatRequest, Count, Estimate, Image, ModelCard, Part, Video};

use crate::extras::{HIGH_RESOLUTION, VENDOR};

/// Cells of a picture at high resolution.
const HIGH_RESOLUTION_CELLS: u64 = 16_384;
/// Tokens that mark the begin and end of a picture or video.
const MARKS: u64 = 2;
/// Frames a second that are looked at unless the request says otherwise.
const DEFAULT_FPS: f64 = 2.0;
const MIN_FRAMES: f64 = 4.0;

/// How a family of models turns pixels into tokens; all budgets in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenFormula {
    /// Side of the cell that makes one token, in pixels.
    pub cell: u32,
    /// Fewest pixels of a scaled picture unless the request says otherwise.
    pub min_pixels: u64,
    /// Most pixels of a scaled picture unless the request says otherwise.
    pub max_pixels: u64,
    /// Most pixels that a request may ask for.
    pub ceiling: u64,
    /// Budgets of videos; `None` where they are not known.
    pub video: Option<VideoBudget>,
}

/// Budgets of a video's frames, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct VideoBudget {
    /// Fewest pixels of a scaled frame unless the request says otherwise.
    pub min_pixels: u64,
    /// Most pixels of a scaled frame unless the request says otherwise.
    pub max_pixels: u64,
    /// Fewest pixels of a frame that a request may ask for.
    pub floor: u64,
    /// Most pixels of a frame that a request may ask for.
    pub ceiling: u64,
    /// Most pixels of all frames together unless the request says otherwise.
    pub total_pixels: u64,
    /// Most frames that are looked at.
    pub max_frames: u32,
}

impl VideoBudget {
    /// Fewest and most pixels of a scaled frame, of this many frames.
    fn of_frame(&self, frames: u32, look: &Look, total_pixels: Option<u64>) -> (u64, f64) {
        let min = look.min_pixels.unwrap_or(self.min_pixels).max(self.floor);
        let frame_max = look.max_pixels.map_or(self.max_pixels, |pixels| pixels.min(self.ceiling));
        let share = total_pixels.unwrap_or(self.total_pixels) as f64 / f64::from(frames.max(1)) * 2.0;
        (min, (frame_max as f64).min(share).max((min as f64 * 1.05).floor()))
    }
}

const fn video(
    min_pixels: u64,
    ceiling: u64,
    total_cells: u64,
    cell: u64,
    max_frames: u32,
) -> Option<VideoBudget> {
    Some(VideoBudget {
        min_pixels,
        max_pixels: 640 * cell * cell,
        floor: 4 * cell * cell,
        ceiling,
        total_pixels: total_cells * cell * cell,
        max_frames,
    })
}

/// The formulas by the names that catalogues give them.
const FORMULAS: [(&str, TokenFormula); 8] = [
    (
        "qwen3-vl",
        TokenFormula {
            cell: 32,
            min_pixels: 65_536,
            max_pixels: 2_621_440,
            ceiling: 16_777_216,
            video: video(65_536, 2_048_000, 131_072, 32, 2_000),
        },
    ),
    (
        "qwen3-vl-small",
        TokenFormula {
            cell: 32,
            min_pixels: 65_536,
            max_pixels: 2_621_440,
            ceiling: 16_777_216,
            video: video(65_536, 786_432, 65_536, 32, 512),
        },
    ),
    (
        // Its default is 1,310,720 on the vendor's older page.
        "qwen-vl",
        TokenFormula {
            cell: 32,
            min_pixels: 4_096,
            max_pixels: 2_621_440,
            ceiling: 16_777_216,
            video: video(65_536, 786_432, 65_536, 32, 512),
        },
    ),
    (
        "qwen2.5-vl",
        TokenFormula {
            cell: 28,
            min_pixels: 3_136,
            max_pixels: 1_003_520,
            ceiling: 12_845_056,
            video: video(50_176, 602_112, 65_536, 28, 512),
        },
    ),
    (
        "qwen-vl-ocr-32",
        TokenFormula { cell: 32, min_pixels: 3_072, max_pixels: 8_388_608, ceiling: 30_720_000, video: None },
    ),
    (
        "qwen-vl-ocr-28",
        TokenFormula { cell: 28, min_pixels: 3_136, max_pixels: 6_422_528, ceiling: 23_520_000, video: None },
    ),
    // What the published processors do by themselves; servers sample videos each in its own way.
    (
        "qwen2.5-vl-processor",
        TokenFormula { cell: 28, min_pixels: 3_136, max_pixels: 12_845_056, ceiling: u64::MAX, video: None },
    ),
    (
        "qwen3-vl-processor",
        TokenFormula { cell: 32, min_pixels: 65_536, max_pixels: 16_777_216, ceiling: u64::MAX, video: None },
    ),
];

/// How closely a picture or a frame is looked at; what is `None` is the model's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Look {
    /// The request's lower budget, in pixels.
    pub min_pixels: Option<u64>,
    /// The request's upper budget, in pixels.
    pub max_pixels: Option<u64>,
    /// Whether the request asks for high resolution, which overrides the upper budget.
    pub high_resolution: bool,
}

impl Look {
    /// The model's own budgets.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the lower budget, in pixels.
    #[must_use]
    pub fn with_min_pixels(mut self, pixels: u64) -> Self {
        self.min_pixels = Some(pixels);
        self
    }

    /// Sets the upper budget, in pixels.
    #[must_use]
    pub fn with_max_pixels(mut self, pixels: u64) -> Self {
        self.max_pixels = Some(pixels);
        self
    }

    /// Says whether to look at high resolution.
    #[must_use]
    pub fn with_high_resolution(mut self, high: bool) -> Self {
        self.high_resolution = high;
        self
    }

    fn of(image: &Image, high_resolution: bool) -> Self {
        Self { min_pixels: image.min_pixels(), max_pixels: image.max_pixels(), high_resolution }
    }
}

/// The size to which a picture is scaled, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resized {
    /// Width of the scaled picture.
    pub width: u32,
    /// Height of the scaled picture.
    pub height: u32,
}

/// The size to which the vendor scales a picture of `width` x `height` pixels for `model`, with the model's own budgets;
/// `None` for models that are not in the catalogue and for pictures that the vendor refuses.
///
/// ```
/// use polysight_qwen_vl::resized;
///
/// let scaled = resized("qwen2.5-vl-7b-instruct", 1920, 1080).unwrap();
/// assert_eq!((scaled.width, scaled.height), (1316, 728));
/// // A box at x = 658 of the answer is at x = 658 * 1920 / 1316 of the original.
/// assert_eq!(658 * 1920 / scaled.width, 960);
/// ```
#[must_use]
pub fn resized(model: &str, width: u32, height: u32) -> Option<Resized> {
    let card = crate::catalog().ok()?.find(model)?;
    TokenFormula::of(&card)?.resized(width, height, &Look::new())
}

impl TokenFormula {
    /// The formula of a model.
    #[must_use]
    pub fn of(card: &ModelCard) -> Option<&'static Self> {
        let name = card.token_formula.as_deref()?;
        FORMULAS.iter().find(|(known, _)| *known == name).map(|(_, formula)| formula)
    }

    /// The size to which a picture is scaled; `None` for one with a side of 10 pixels or less, or with sides of more than
    /// 200 to 1, since those are refused.
    #[must_use]
    pub fn resized(&self, width: u32, height: u32, look: &Look) -> Option<Resized> {
        let min = look.min_pixels.unwrap_or(self.min_pixels);
        scaled(width, height, self.cell, min, self.most_pixels(look))
    }

    fn most_pixels(&self, look: &Look) -> f64 {
        let max = if look.high_resolution {
            HIGH_RESOLUTION_CELLS * u64::from(self.cell) * u64::from(self.cell)
        } else {
            look.max_pixels.map_or(self.max_pixels, |pixels| pixels.min(self.ceiling))
        };
        max as f64
    }

    /// Tokens of a picture, begin and end marks included.
    #[must_use]
    pub fn image_tokens(&self, width: u32, height: u32, look: &Look) -> Option<u64> {
        self.resized(width, height, look).map(|size| self.cells(size) + MARKS)
    }

    /// Tokens of a video of which `frames` frames are looked at; `total_pixels` is the request's budget for all of them.
    /// `None` also where the model's budgets are not known.
    #[must_use]
    pub fn video_tokens(
        &self,
        width: u32,
        height: u32,
        frames: u32,
        look: &Look,
        total_pixels: Option<u64>,
    ) -> Option<u64> {
        let budget = self.video?;
        let (min, max) = budget.of_frame(frames, look, total_pixels);
        let size = scaled(width, height, self.cell, min, max)?;
        Some(u64::from(frames.div_ceil(2)) * self.cells(size) + MARKS)
    }

    fn cells(&self, size: Resized) -> u64 {
        u64::from(size.width / self.cell) * u64::from(size.height / self.cell)
    }
}

/// Scales to whole cells within a budget, as the vendor's reference does it, rounding half to even.
fn scaled(width: u32, height: u32, cell: u32, min: u64, max: f64) -> Option<Resized> {
    let (long, short) = (width.max(height), width.min(height));
    if short <= 10 || u64::from(long) > 200 * u64::from(short) {
        return None;
    }
    let (cell, min) = (f64::from(cell), min as f64);
    let (w, h) = (f64::from(width), f64::from(height));
    let rounded = |side: f64| cell.max((side / cell).round_ties_even() * cell);
    let (mut to_w, mut to_h) = (rounded(w), rounded(h));
    if to_w * to_h > max {
        let shrink = (w * h / max).sqrt();
        let down = |side: f64| cell.max((side / shrink / cell).floor() * cell);
        (to_w, to_h) = (down(w), down(h));
    } else if to_w * to_h < min {
        let grow = (min / (w * h)).sqrt();
        let up = |side: f64| (side * grow / cell).ceil() * cell;
        (to_w, to_h) = (up(w), up(h));
    }
    Some(Resized { width: to_w as u32, height: to_h as u32 })
}

/// The size to which the vendor scales a picture of a request.
pub(crate) fn seen_size(request: &ChatRequest, card: &ModelCard, image: &Image) -> Option<PixelSize> {
    let (formula, info) = (TokenFormula::of(card)?, image.info()?);
    let size = formula.resized(info.width, info.height, &Look::of(image, wants_high_resolution(request)))?;
    Some((size.width, size.height))
}

fn wants_high_resolution(request: &ChatRequest) -> bool {
    let extras = request.extras.get(VENDOR);
    let high = extras.and_then(|fields| fields.get(HIGH_RESOLUTION)).and_then(serde_json::Value::as_bool);
    high.unwrap_or(false)
}

/// Tokens of a request, its media within the formula's bounds where a size is not known. Without a formula they are left open.
pub(crate) fn estimate(request: &ChatRequest, card: &ModelCard) -> Estimate {
    let text = text_tokens(request, card);
    let Some(formula) = TokenFormula::of(card) else {
        return Estimate::tokens(text, Count::default(), Count::default());
    };
    let high = wants_high_resolution(request);
    let mut images = Count::exact(0);
    let mut videos = Some(Count::exact(0));
    for part in request.messages.iter().flat_map(|message| &message.parts) {
        match part {
            Part::Image(image) => images = images + formula.of_image(image, high),
            Part::Video(video) => videos = videos.zip(formula.of_video(video)).map(|(sum, more)| sum + more),
            _ => {}
        }
    }
    Estimate::tokens(text, images, videos.unwrap_or_default())
}

#[cfg(feature = "tokenizer")]
use crate::text_tokens::text_tokens;

/// Without the vocabulary, text is left to the bounds of the plan.
#[cfg(not(feature = "tokenizer"))]
fn text_tokens(_: &ChatRequest, _: &ModelCard) -> Count {
    Count::default()
}

impl TokenFormula {
    fn of_image(&self, image: &Image, high_resolution: bool) -> Count {
        let look = Look::of(image, high_resolution);
        let known = image.info().and_then(|info| self.image_tokens(info.width, info.height, &look));
        let bounds = || self.bounds(look.min_pixels.unwrap_or(self.min_pixels), self.most_pixels(&look));
        known.map_or_else(bounds, |tokens| self.counted(tokens))
    }

    /// Servers that are run by oneself may be started with other budgets than the published processor's.
    fn counted(&self, tokens: u64) -> Count {
        if self.ceiling == u64::MAX { Count::by_formula(tokens) } else { Count::exact(tokens) }
    }

    /// Bounds of a picture of any size, begin and end marks included.
    fn bounds(&self, min: u64, max: f64) -> Count {
        let area = f64::from(self.cell) * f64::from(self.cell);
        // Sides are rounded down to whole cells where a picture is shrunk to the upper budget.
        let shrunk = max / area - 15.0 * (max / area).sqrt();
        let least = (min as f64 / area).min(shrunk).max(1.0) as u64;
        Count::between(least + MARKS, self.most_cells(min as f64, max) + MARKS)
    }

    /// Most cells of a scaled picture with sides of at most 200 to 1: those of the upper budget, but for a side that is one
    /// cell because it cannot be less, and for growth to the lower budget, which rounds up.
    fn most_cells(&self, min: f64, max: f64) -> u64 {
        let cell = f64::from(self.cell);
        let narrow = (200.0 * max).sqrt() / cell;
        let grown = min / cell / cell + 15.0 * min.sqrt() / cell + 1.0;
        (max / cell / cell).max(narrow).max(grown).ceil() as u64
    }

    /// `None` where the model's budgets of videos are not known.
    fn of_video(&self, video: &Video) -> Option<Count> {
        let budget = self.video?;
        let look =
            Look { min_pixels: video.min_pixels(), max_pixels: video.max_pixels(), high_resolution: false };
        let (size, frames) = match video.source() {
            VideoSource::Frames(frames) => (frames_size(frames), u32::try_from(frames.len()).ok()),
            VideoSource::Whole(_) => {
                let info = video.info();
                let size = info.as_ref().and_then(|info| info.width.zip(info.height));
                let seconds = info.and_then(|info| info.duration);
                (size, seconds.map(|seconds| sampled_frames(self, video, seconds.as_secs_f64())))
            }
            _ => return None,
        };
        let most_frames = frames.unwrap_or_else(|| video.max_frames().unwrap_or(budget.max_frames).max(4));
        let known = size.zip(frames);
        let tokens = match known {
            Some(((width, height), frames)) => {
                Count::exact(self.video_tokens(width, height, frames, &look, video.total_pixels())?)
            }
            None => {
                let (min, max) = budget.of_frame(most_frames, &look, video.total_pixels());
                let least_frames = frames.unwrap_or(2);
                let cells = self.most_cells(min as f64, max);
                Count::between(
                    u64::from(least_frames.div_ceil(2)) + MARKS,
                    u64::from(most_frames.div_ceil(2)) * cells + MARKS,
                )
            }
        };
        Some(tokens + self.time_marks(most_frames))
    }

    /// From Qwen3-VL on the template says the time of each pair of frames, in a text of 6 to 8 tokens between two marks; whether
    /// the cloud counts them is not published. Source: processor of transformers 5.23, read 2026-11-27.
    fn time_marks(&self, frames: u32) -> Count {
        match self.cell {
            28 => Count::exact(0),
            _ => Count::between(0, 10 * u64::from(frames.div_ceil(2))),
        }
    }
}

/// The size of all frames, where they have one.
fn frames_size(frames: &[Image]) -> Option<(u32, u32)> {
    let mut sizes = frames.iter().map(|frame| frame.info().map(|info| (info.width, info.height)));
    let first = sizes.next()??;
    sizes.all(|size| size == Some(first)).then_some(first)
}

/// How many frames of a video of this many seconds are looked at: an even number.
fn sampled_frames(formula: &TokenFormula, video: &Video, seconds: f64) -> u32 {
    let most = video.max_frames().or(formula.video.map(|budget| budget.max_frames)).unwrap_or(u32::MAX);
    let frames = (seconds * video.fps().unwrap_or(DEFAULT_FPS)).max(MIN_FRAMES).min(f64::from(most));
    (frames as u32 / 2 * 2).max(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formula(name: &str) -> &'static TokenFormula {
        FORMULAS.iter().find(|(known, _)| *known == name).map(|(_, formula)| formula).unwrap()
    }

    #[test]
    fn pictures_take_the_tokens_that_the_reference_computes() {
        let own = Look::new();
        let high = Look::new().with_high_resolution(true);
        let older = Look::new().with_max_pixels(1_310_720);
        let columns = [
            ("qwen3-vl", own),
            ("qwen-vl", older),
            ("qwen2.5-vl", own),
            ("qwen3-vl", high),
            ("qwen2.5-vl", high),
            ("qwen-vl-ocr-32", own),
        ];
        for (width, height, expected) in [
            (11, 11, [66, 6, 6, 66, 6, 6]),
            (224, 224, [66, 51, 66, 66, 66, 51]),
            (256, 256, [66, 66, 83, 66, 83, 66]),
            (512, 512, [258, 258, 326, 258, 326, 258]),
            (640, 480, [302, 302, 393, 302, 393, 302]),
            (1024, 768, [770, 770, 1001, 770, 1001, 770]),
            (1024, 1024, [1026, 1026, 1227, 1026, 1371, 1026]),
            (1280, 720, [882, 882, 1198, 882, 1198, 882]),
            (1920, 1080, [2042, 1224, 1224, 2042, 2693, 2042]),
            (2048, 1365, [2503, 1249, 1249, 2754, 3579, 2754]),
            (3840, 2160, [2481, 1224, 1224, 8162, 10551, 8162]),
            (4032, 3024, [2496, 1232, 1232, 11846, 15554, 8114]),
            (7680, 4320, [2481, 1224, 1224, 16322, 16322, 8042]),
            (100, 2000, [188, 188, 286, 188, 286, 188]),
            (2200, 11, [71, 71, 81, 71, 81, 71]),
        ] {
            let counted =
                columns.map(|(name, look)| formula(name).image_tokens(width, height, &look).unwrap());
            assert_eq!(counted, expected, "{width} x {height}");
            let turned =
                columns.map(|(name, look)| formula(name).image_tokens(height, width, &look).unwrap());
            assert_eq!(turned, expected, "{height} x {width}");
        }
    }

    #[test]
    fn recorded_counts_of_the_vendor_agree() {
        let own = Look::new();
        // qwen3.6-plus and qwen3.7-plus in 2026; then qwen-vl-plus and qwen-vl-max in 2024, without the two marks.
        assert_eq!(formula("qwen3-vl").image_tokens(2048, 1365, &own), Some(2503));
        assert_eq!(formula("qwen2.5-vl").image_tokens(2048, 1365, &own), Some(1247 + MARKS));
        let high = own.with_high_resolution(true);
        assert_eq!(formula("qwen2.5-vl").image_tokens(2048, 1365, &high), Some(3577 + MARKS));
    }

    #[test]
    fn videos_take_the_tokens_that_the_reference_computes() {
        for (width, height, frames, new, old) in [
            (1280, 720, 4, 1190, 1190),
            (1280, 720, 20, 5942, 5942),
            (640, 360, 30, 3302, 4487),
            (1920, 1080, 120, 35_642, 35_642),
            (1920, 1080, 1_200, 125_402, 54_602),
            (1920, 1080, 2_000, 120_002, 60_002),
        ] {
            for (name, expected) in [("qwen3-vl", new), ("qwen2.5-vl", old)] {
                let floor = Look::new().with_min_pixels(formula(name).video.unwrap().floor);
                let counted = formula(name).video_tokens(width, height, frames, &floor, None);
                assert_eq!(counted, Some(expected), "{name}: {width} x {height}, {frames} frames");
            }
        }
    }

    #[test]
    fn what_the_vendor_refuses_has_no_size() {
        let size = |width, height| formula("qwen3-vl").resized(width, height, &Look::new());
        assert_eq!(size(10, 1_000), None);
        assert_eq!(size(2_201, 11), None);
        assert_eq!(size(0, 0), None);
        assert!(size(u32::MAX, u32::MAX).is_some());
    }

    #[test]
    fn budgets_of_the_request_hold_up_to_the_ceiling() {
        let pixels = |look: Look| {
            let size = formula("qwen3-vl").resized(8_000, 8_000, &look).unwrap();
            u64::from(size.width) * u64::from(size.height)
        };
        assert!(pixels(Look::new().with_max_pixels(500_000)) <= 500_000);
        assert!(pixels(Look::new().with_max_pixels(u64::MAX)) <= 16_777_216);
        let small = formula("qwen3-vl").resized(100, 100, &Look::new().with_min_pixels(1_000_000)).unwrap();
        assert!(small.width >= 1_000);
    }

    #[test]
    fn frames_of_a_file_are_an_even_number_within_bounds() {
        let new = formula("qwen3-vl");
        let video = Video::from_url("https://example.com/a.mp4").unwrap();
        assert_eq!(sampled_frames(new, &video, 0.1), 4);
        assert_eq!(sampled_frames(new, &video, 7.6), 14);
        assert_eq!(sampled_frames(new, &video, 7_200.0), 2_000);
        assert_eq!(sampled_frames(new, &video.clone().with_max_frames(9), 60.0), 8);
        assert_eq!(sampled_frames(new, &video.with_fps(0.5), 60.0), 30);
    }

    #[test]
    fn bounds_hold_for_pictures_of_any_size_and_any_budget() {
        let sides = [11, 12, 27, 28, 100, 333, 1_000, 2_047, 4_096, 7_680, 16_384];
        let looks = [None, Some(1), Some(800), Some(50_000), Some(1_000_000), Some(u64::MAX)];
        for (name, formula) in FORMULAS {
            for (max, min, high) in looks.into_iter().flat_map(|max| {
                looks.into_iter().flat_map(move |min| [true, false].map(|high| (max, min, high)))
            }) {
                let look = Look {
                    max_pixels: max,
                    min_pixels: min.filter(|min| *min < u64::MAX),
                    high_resolution: high,
                };
                let min = look.min_pixels.unwrap_or(formula.min_pixels);
                let bounds = formula.bounds(min, formula.most_pixels(&look));
                for (width, height) in sides.iter().flat_map(|width| sides.map(|height| (*width, height))) {
                    let Some(tokens) = formula.image_tokens(width, height, &look) else { continue };
                    let most = bounds.at_most.unwrap();
                    assert!(tokens <= most, "{name} {look:?} {width} x {height}: {tokens} of {most}");
                    assert!(
                        tokens >= bounds.at_least,
                        "{name} {look:?} {width} x {height}: {tokens}, {bounds}"
                    );
                }
            }
        }
        assert_eq!(formula("qwen3-vl").bounds(65_536, 2_621_440.0), Count::between(66, 2_562));
    }

    #[test]
    fn an_estimate_knows_what_it_does_not_know() {
        let card = crate::catalog().unwrap().card("qwen3-vl-plus");
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\0\0\0\x02\0\x08\x02\0\0\0";
        let image = Image::from_bytes(&png[..]).unwrap();
        let tokens = |request: ChatRequest| {
            let estimate = estimate(&request, &card);
            (estimate.image_tokens, estimate.video_tokens)
        };
        let none = Count::exact(0);
        assert_eq!(tokens(ChatRequest::ask("?", [image.clone(), image.clone()])), (Count::exact(516), none));
        let linked = Image::from_url("https://example.com/a.jpg").unwrap();
        let bounds = Count::between(258 + 66, 258 + 2_562);
        assert_eq!(tokens(ChatRequest::ask("?", [image.clone(), linked])), (bounds, none));
        let frames = Video::from_frames([image.clone(), image.clone(), image.clone(), image]).unwrap();
        let marks = Count::between(2 * 256 + 2, 2 * 256 + 2 + 2 * 10);
        assert_eq!(tokens(ChatRequest::ask("?", [frames])), (none, marks));
        let linked = Video::from_url("https://example.com/a.mp4").unwrap();
        let (_, video) = tokens(ChatRequest::ask("?", [linked.clone()]));
        assert!(video.at_least == 3 && video.at_most.is_some_and(|most| most > 125_402), "{video}");
        let few = tokens(ChatRequest::ask("?", [linked.with_max_frames(4)])).1;
        assert!(few.at_most.is_some_and(|most| most < 1_400), "{few}");
    }
}
