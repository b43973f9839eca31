//! Finds things in a picture with each vendor's model, and draws the boxes onto a copy of it, so that a person can look.
//!
//! ```text
//! locate [--what WORDS] [--out FOLDER] [FILE]
//! ```
//!
//! Without `FILE` it draws a picture of rectangles, on which the emulator, which understands no picture, can find the boxes too.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use image::{ImageFormat, Rgb, RgbImage};
use lexopt::prelude::*;
use polysight::tasks::TasksExt;
use polysight::tasks::locate::{LocatedAnswer, PixelRect};
use polysight::{ChatRequest, Error, ErrorKind, Image, Result};
use polysight_emulator::Emulator;
use polysight_examples::{config, embedded, run_program};

const USAGE: &str = "locate [--what WORDS] [--out FOLDER] [FILE]";
/// Colour of the boxes that are drawn.
const PEN: Rgb<u8> = Rgb([255, 0, 255]);

struct Options {
    what: String,
    out: PathBuf,
    file: Option<PathBuf>,
}

fn options() -> std::result::Result<Option<Options>, lexopt::Error> {
    let mut options = Options {
        what: "the red and the blue rectangle".to_owned(),
        out: PathBuf::from("located"),
        file: None,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("what") => options.what = parser.value()?.string()?,
            Long("out") => options.out = parser.value()?.into(),
            Long("help") | Short('h') => return Ok(None),
            Value(path) if options.file.is_none() => options.file = Some(path.into()),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

#[tokio::main]
async fn main() -> ExitCode {
    run_program("locate", USAGE, options(), run).await
}

/// One more role: a model that counts in pixels of the scaled picture instead of thousandths.
fn with_pixels(emulator: &Emulator) -> String {
    config(emulator) + "\n[roles.qwen-pixels]\nprovider = \"alibaba\"\nmodel = \"qwen2.5-vl-7b-instruct\"\n"
}

async fn run(options: Options) -> Result<bool> {
    let (_emulator, polysight) = embedded(with_pixels).await?;
    std::fs::create_dir_all(&options.out).map_err(|error| unwritable(&options.out, error))?;
    let bytes = match &options.file {
        Some(path) => std::fs::read(path).map_err(|error| unreadable(path, error))?,
        None => encoded(&rectangles())?,
    };
    for role in ["default", "qwen", "qwen-pixels", "ernie"] {
        let request = ChatRequest::ask("Look at this picture.", [Image::from_bytes(bytes.clone())?]);
        let answer = polysight.role(role)?.locate(request, &options.what).await?;
        show(role, &answer);
        let file = options.out.join(format!("{role}.png"));
        let drawn = encoded(&drawn(&bytes, &answer)?)?;
        std::fs::write(&file, drawn).map_err(|error| unwritable(&file, error))?;
        println!("look at {}", file.display());
    }
    Ok(true)
}

fn show(role: &str, answer: &LocatedAnswer) {
    println!("-- {role}: {} says places as {}", answer.response.model, answer.convention);
    for found in &answer.boxes {
        let label = found.label.as_deref().unwrap_or("-");
        match found.rect.map(|rect| rect.rounded()) {
            Some(rect) => println!("{label:<16} {:?} is {rect:?} of the picture, in pixels", found.raw),
            None => println!("{label:<16} {:?}, in an unknown unit", found.raw),
        }
    }
    for said in answer.faults.iter().chain(&answer.notes) {
        println!("note: {said}");
    }
}

/// The picture as a person sees it, with the boxes on it.
fn drawn(bytes: &[u8], answer: &LocatedAnswer) -> Result<RgbImage> {
    let unusable =
        |error| Error::new(ErrorKind::InvalidMedia, "the picture cannot be decoded").with_source(error);
    let mut picture = image::load_from_memory(bytes).map_err(unusable)?;
    let turn = answer.boxes.first().map_or(1, |found| found.orientation.exif());
    if let Some(turn) = image::metadata::Orientation::from_exif(turn) {
        picture.apply_orientation(turn);
    }
    let mut picture = picture.into_rgb8();
    for rect in answer.boxes.iter().filter_map(|found| found.rect) {
        draw(&mut picture, &rect);
    }
    Ok(picture)
}

/// Draws a frame of three pixels just outside of a box.
fn draw(picture: &mut RgbImage, rect: &PixelRect) {
    const WIDTH: u32 = 3;
    let [left, top, right, bottom] = rect.rounded();
    let (outer_left, outer_top) = (left.saturating_sub(WIDTH), top.saturating_sub(WIDTH));
    let (outer_right, outer_bottom) =
        ((right + WIDTH).min(picture.width()), (bottom + WIDTH).min(picture.height()));
    for y in outer_top..outer_bottom {
        for x in outer_left..outer_right {
            let is_inside = (left..right).contains(&x) && (top..bottom).contains(&y);
            if !is_inside {
                picture.put_pixel(x, y, PEN);
            }
        }
    }
}

/// A picture of rectangles, which fills neither a square nor whole cells of any model.
fn rectangles() -> RgbImage {
    let colour = |x: u32, y: u32| match (x, y) {
        (150..620, 90..430) => [225, 30, 30],
        (760..1_180, 300..690) => [30, 60, 220],
        (420..700, 520..640) => [30, 160, 60],
        _ => [244, 241, 234],
    };
    RgbImage::from_fn(1_300, 731, |x, y| Rgb(colour(x, y)))
}

fn encoded(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let failed =
        |error| Error::new(ErrorKind::InvalidMedia, "the picture cannot be encoded").with_source(error);
    picture.write_to(&mut bytes, ImageFormat::Png).map_err(failed)?;
    Ok(bytes.into_inner())
}

fn unwritable(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Config, format!("{} cannot be written", path.display())).with_source(error)
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::InvalidMedia, format!("{} cannot be read", path.display())).with_source(error)
}
