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
use polysight::{Error, ErrorKind, MediaSource, Result, VisionProvider as _};
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
        let original = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let before = url(&original);
        let title = escaped(&name(path));
        let (after, text) = match result {
            Err(error) => {
                self.failed += 1;
                (String::new(), escaped(&error.to_string()))
            }
            Ok(fitted) => match fitted.image.source() {
                MediaSource::Bytes(bytes) => {
                    let ending = fitted.image.info().map_or("bin", |info| info.format.media_type());
                    let ending = ending.trim_start_matches("image/").replace("jpeg", "jpg");
                    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                    let file = format!("{number:04}-{stem}.{ending}");
                    let target = out.join(&file);
                    std::fs::write(&target, bytes).map_err(|error| unwritable(&target, error))?;
                    (picture(&encoded(&file)), escaped(&what_was_done(&fitted)))
                }
                _ => (picture(&before), escaped(&what_was_done(&fitted))),
            },
        };
        let before = picture(&before);
        let row = format!("<tr><td>{before}<td>{after}<td><b>{title}</b><br>{text}\n");
        self.rows.push_str(&row);
        Ok(())
    }

    fn page(&self) -> String {
        format!(
            "<!doctype html><meta charset=utf-8><title>Pictures for {model}</title>\n\
             <style>body{{font:15px sans-serif}}td{{vertical-align:top;padding:8px;border-top:1px solid #ccc}}\
             img{{max-width:420px;max-height:320px;background:#eee}}</style>\n\
             <h1>Pictures for {model}</h1>\n<table><tr><th>before<th>after<th>what was done\n{}</table>\n",
            self.rows,
            model = escaped(&self.model)
        )
    }
}

fn picture(source: &str) -> String {
    format!("<a href=\"{source}\"><img src=\"{source}\" loading=lazy></a>")
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
