//! Makes pictures fit a model's limits, and writes them beside a sheet to look at: before, after, what was done.
//!
//! ```text
//! fit [--role NAME] [--max-side PIXELS] [--max-bytes BYTES] [--quality N] [--out FOLDER] [FILE or FOLDER...]
//! ```
//!
//! Nothing is sent. Without `FILE` the pictures of the examples are made small. A file that cannot be fitted gets its error in
//! the sheet, and the exit code is 1.

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lexopt::prelude::*;
use polysight::catalog::ImageCard;
use polysight::media::fit::{FitSettings, Fitted, ManyOptions, fit_many, pictures_in};
use polysight::{Error, ErrorKind, Image, ImageFormat, MediaSource, Result, VisionProvider as _};
use polysight_examples::{config, embedded, media, run_program};

const USAGE: &str = "fit [--role NAME] [--max-side PIXELS] [--max-bytes BYTES] [--quality N] [--out FOLDER] [FILE or FOLDER...]";

struct Options {
    role: String,
    settings: FitSettings,
    out: PathBuf,
    paths: Vec<PathBuf>,
}

fn options() -> std::result::Result<Option<Options>, lexopt::Error> {
    let mut options = Options {
        role: "default".to_owned(),
        settings: FitSettings::new(),
        out: PathBuf::from("fitted"),
        paths: Vec::new(),
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("role") => options.role = parser.value()?.string()?,
            Long("max-side") => options.settings.max_side = Some(parser.value()?.parse()?),
            Long("max-bytes") => options.settings.max_bytes = Some(parser.value()?.parse()?),
            Long("quality") => {
                options.settings.quality = parser.value()?.parse()?;
                options.settings.min_quality = options.settings.min_quality.min(options.settings.quality);
            }
            Long("out") => options.out = parser.value()?.into(),
            Long("help") | Short('h') => return Ok(None),
            Value(path) => options.paths.push(path.into()),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

#[tokio::main]
async fn main() -> ExitCode {
    run_program("fit", USAGE, options(), run).await
}

/// Fits every picture; says whether all could be fitted.
async fn run(mut options: Options) -> Result<bool> {
    let (_emulator, polysight) = embedded(config).await?;
    let role = polysight.role(&options.role)?;
    let card = role.catalog().card(role.model().unwrap_or_default());
    let unknown = ImageCard::default();
    let limits = card.image.limits().unwrap_or(&unknown);
    if options.paths.is_empty() {
        options.paths = vec![media("cat.jpg"), media("coffee.jpg")];
        options.settings.max_side.get_or_insert(128);
    }
    let paths = expand(options.paths)?;
    std::fs::create_dir_all(&options.out).map_err(|error| unwritable(&options.out, error))?;
    let mut sheet = Sheet::new(&card.id);
    let mut failure = None;
    let each = |progress: polysight::media::fit::Progress, path: &Path, result: Result<Fitted>| {
        println!("{:>4} of {}  {}", progress.done, progress.total, sheet_line(path, &result));
        match sheet.add(progress.done, path, result, &options.out) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        }
    };
    fit_many(&paths, limits, &options.settings, &ManyOptions::new(), each)?;
    if let Some(error) = failure {
        return Err(error);
    }
    let file = options.out.join("index.html");
    std::fs::write(&file, sheet.page()).map_err(|error| unwritable(&file, error))?;
    println!("look at {}", file.display());
    Ok(sheet.failed == 0)
}

/// Files as they are, folders as their pictures.
fn expand(paths: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(pictures_in(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

fn unwritable(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Config, format!("{} cannot be written", path.display())).with_source(error)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn sheet_line(path: &Path, result: &Result<Fitted>) -> String {
    match result {
        Ok(fitted) => format!("{}: {}", name(path), what_was_done(fitted)),
        Err(error) => error.to_string(),
    }
}

fn what_was_done(fitted: &Fitted) -> String {
    fitted.report.as_ref().map_or_else(|| "fits as it is".to_owned(), ToString::to_string)
}

/// The rows of the sheet.
struct Sheet {
    rows: String,
    model: String,
    failed: usize,
}

impl Sheet {
    fn new(model: &str) -> Self {
        Self { rows: String::new(), model: model.to_owned(), failed: 0 }
    }

    /// Writes what was made, and a row with both pictures.
    fn add(&mut self, number: usize, path: &Path, result: Result<Fitted>, out: &Path) -> Result<()> {
        let before = url(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
        let title = escaped(&name(path));
        let size = |format: ImageFormat, (width, height): (u32, u32), bytes: u64| {
            format!("{format}, {width} x {height} px, {} KB", bytes.div_ceil(1_000))
        };
        let row = match result {
            Err(error) => {
                self.failed += 1;
                // No picture: a browser had better not open a bomb.
                format!("<p class=problem>{}</p>", escaped(&error.to_string()))
            }
            Ok(Fitted { image, report: Some(report), .. }) => {
                let after = encoded(&write(number, path, &image, out)?);
                let plan = &report.plan;
                let from = size(plan.from_format, plan.from, plan.from_bytes);
                let quality = report.quality.map(|quality| format!(", quality {quality}"));
                let to = size(plan.format, report.sides, report.bytes) + &quality.unwrap_or_default();
                let steps = report.steps.iter().map(ToString::to_string);
                format!(
                    "{}{}<div><h3>Why</h3>{}<h3>What was done</h3>{}</div>",
                    figure(&before, &format!("before, as it is stored: {from}")),
                    figure(&after, &format!("after: {to}")),
                    list(plan.why.iter().cloned()),
                    list(steps)
                )
            }
            Ok(Fitted { image, .. }) => {
                let bytes = image.source().byte_len().unwrap_or_default();
                let size =
                    image.info().map(|info| size(info.format, info.shown(), bytes)).unwrap_or_default();
                format!("{}<p>It fits as it is.</p>", figure(&before, &size))
            }
        };
        let _ = writeln!(self.rows, "<section><h2>{title}</h2>{row}</section>");
        Ok(())
    }

    fn page(&self) -> String {
        format!(
            "<!doctype html><html lang=en><meta charset=utf-8><title>Pictures for {model}</title>\n{STYLE}\n\
             <h1>Pictures for {model}</h1>\n<p>{NOTE}</p>\n{}",
            self.rows,
            model = escaped(&self.model)
        )
    }
}

/// No style changes that for files.
const NOTE: &str = "Your browser shows pictures turned as their headers say, also those before. Not every browser shows HEIC.";

/// Transparent pictures stand on a pattern; text beside pictures goes below them where there is no room.
const STYLE: &str = "<style>
body{font:15px/1.4 system-ui,sans-serif;margin:24px auto;max-width:1280px;padding:0 16px;color:#222}
section{border-top:1px solid #ccc;padding:12px 0;display:flex;flex-wrap:wrap;gap:0 24px}
h2{flex-basis:100%;font-size:17px;margin:0 0 8px;overflow-wrap:anywhere}
h3{font-size:13px;margin:0;color:#666;font-weight:600}
figure{margin:0 0 8px;width:400px;max-width:100%}
figcaption{font-size:13px;color:#555}
img{max-width:100%;max-height:320px;display:block;
background:repeating-conic-gradient(#ddd 0 25%,#fff 0 50%) 0 0/16px 16px}
div,p{flex:1 1 280px;margin:0;overflow-wrap:anywhere}
ul{margin:0 0 8px;padding-left:18px}
.problem{color:#a00}
</style>";

/// Writes what was made beside the sheet; gives its name.
fn write(number: usize, path: &Path, image: &Image, out: &Path) -> Result<String> {
    let media_type = image.info().map_or("bin", |info| info.format.media_type());
    let ending = media_type.trim_start_matches("image/").replace("jpeg", "jpg");
    let file = format!("{number:04}-{}.{ending}", path.file_stem().unwrap_or_default().to_string_lossy());
    let target = out.join(&file);
    if let MediaSource::Bytes(bytes) = image.source() {
        std::fs::write(&target, bytes).map_err(|error| unwritable(&target, error))?;
    }
    Ok(file)
}

fn list(lines: impl Iterator<Item = String>) -> String {
    let items: String = lines.map(|line| format!("<li>{}", escaped(&line))).collect();
    format!("<ul>{items}</ul>")
}

fn figure(source: &str, caption: &str) -> String {
    let caption = escaped(caption);
    let picture = format!("<a href=\"{source}\"><img src=\"{source}\" alt=\"{caption}\"></a>");
    format!("<figure>{picture}<figcaption>{caption}</figcaption></figure>")
}

fn url(path: &Path) -> String {
    format!("file://{}", encoded(&path.to_string_lossy()))
}

/// A path as it stands in a URL.
fn encoded(path: &str) -> String {
    path.bytes().fold(String::new(), |mut url, byte| {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => url.push(char::from(byte)),
            other => {
                let _ = write!(url, "%{other:02X}");
            }
        }
        url
    })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
