//! What `tests/bench/fit.py` measures: one picture made smaller by this crate or by `image` alone, or a folder of pictures.
//!
//! `measure fit|image FROM TO SIDE QUALITY`, `measure many FOLDER THREADS`

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use polysight_core::Image;
use polysight_core::catalog::ImageCard;
use polysight_media::fit::{FitSettings, ManyOptions, fit, fit_many, pictures_in};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let start = Instant::now();
    match words.as_slice() {
        ["fit", from, to, side, quality] => by_fit(from, to, side.parse()?, quality.parse()?)?,
        ["image", from, to, side, quality] => by_image(from, to, side.parse()?, quality.parse()?)?,
        ["many", folder, threads] => many(Path::new(folder), threads.parse()?)?,
        _ => return Err("measure fit|image FROM TO SIDE QUALITY, or measure many FOLDER THREADS".into()),
    }
    println!("{:.4}", start.elapsed().as_secs_f64());
    Ok(())
}

fn by_fit(from: &str, to: &str, side: u32, quality: u8) -> Result<(), Box<dyn Error>> {
    let settings = FitSettings::new().with_max_side(side).with_quality(quality, quality);
    let fitted = fit(&Image::from_file(from)?, &ImageCard::default(), &settings)?;
    let mut reader = fitted.image.source().reader().ok_or("the picture is not here")??;
    std::io::copy(&mut reader, &mut std::fs::File::create(to)?)?;
    Ok(())
}

fn by_image(from: &str, to: &str, side: u32, quality: u8) -> Result<(), Box<dyn Error>> {
    let scaled = image::open(from)?.resize(side, side, FilterType::Lanczos3);
    let file = std::io::BufWriter::new(std::fs::File::create(to)?);
    Ok(scaled.write_with_encoder(JpegEncoder::new_with_quality(file, quality))?)
}

/// Fits every picture of a folder to sides of 2048 px.
fn many(folder: &Path, threads: usize) -> Result<(), Box<dyn Error>> {
    let settings = FitSettings::new().with_max_side(2_048);
    let options = ManyOptions::new().with_threads(threads);
    let mut failed = 0;
    fit_many(&pictures_in(folder)?, &ImageCard::default(), &settings, &options, |_, _, result| {
        failed += usize::from(result.is_err());
        ControlFlow::Continue(())
    })?;
    if failed > 0 { Err(format!("{failed} pictures failed").into()) } else { Ok(()) }
}
