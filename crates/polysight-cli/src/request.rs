//! From the command line and standard input to a request and its roles.

use std::ffi::OsStr;
use std::sync::Arc;

use polysight::media::fit::{Fit, FitSettings, Oversize};
use polysight::{ChatRequest, Image, Media, Polysight, Role, Video};

use crate::args::Question;
use crate::outcome::Failure;
use crate::output;
use crate::stdin::{self, Piped};

const DEFAULT_PROMPT: &str = "What do you see?";
const DASH: &str = "-";

/// The request of a question.
pub(crate) async fn of(question: &Question, polysight: &Polysight) -> Result<ChatRequest, Failure> {
    let dashes = question.media.iter().filter(|medium| *medium == DASH).count();
    let (prompt_dash, has_media) = (question.prompt.as_deref() == Some(DASH), !question.media.is_empty());
    if dashes + usize::from(prompt_dash) > 1 {
        return Err(Failure::Usage("standard input can be read once: write `-` in one place".to_owned()));
    }
    let mut prompt = question.prompt.clone().filter(|_| !prompt_dash);
    let piped = match (dashes > 0 || prompt_dash, has_media && prompt.is_some()) {
        (true, _) => stdin::read().await?,
        (false, true) => Piped::Nothing,
        (false, false) => stdin::read_if_piped().await?,
    };
    let mut media = opened(question, polysight)?;
    match (piped, dashes > 0) {
        (Piped::Nothing, true) => return Err(missing("a picture or a video")),
        (Piped::Nothing, false) if prompt_dash => return Err(missing("a prompt")),
        (Piped::Nothing, false) => {}
        (Piped::Medium(_), _) if prompt_dash => {
            return Err(Failure::Usage("standard input is no text: `-p -` takes a prompt".to_owned()));
        }
        (Piped::Medium(medium), _) => insert(&mut media, question, medium),
        (Piped::Text(text), true) => insert(&mut media, question, Media::open(&text)?),
        (Piped::Text(text), false) => prompt = Some(with_text(prompt, text)),
    }
    if media.is_empty() && prompt.is_none() {
        let usage =
            "nothing to ask: give a picture or video, a prompt (-p), or both; see `polysight ask --help`";
        return Err(Failure::Usage(usage.to_owned()));
    }
    Ok(ChatRequest::ask(prompt.unwrap_or_else(|| DEFAULT_PROMPT.to_owned()), media))
}

fn missing(wanted: &str) -> Failure {
    Failure::Usage(format!("standard input is empty: `-` stands for {wanted} on it"))
}

/// Puts the medium of standard input where its `-` stands, else behind all others.
fn insert(media: &mut Vec<Media>, question: &Question, medium: Media) {
    let place = question.media.iter().position(|medium| medium == DASH).unwrap_or(media.len());
    media.insert(place.min(media.len()), medium);
}

/// A prompt with a piped text below it.
fn with_text(prompt: Option<String>, text: String) -> String {
    let Some(prompt) = prompt else { return text };
    output::note(format_args!(
        "standard input is a text of {} characters: it stands below the prompt",
        text.chars().count()
    ));
    format!("{prompt}\n\n{text}")
}

/// Opens every medium but standard input, so that one bad file does not hide another.
fn opened(question: &Question, polysight: &Polysight) -> Result<Vec<Media>, Failure> {
    let locations = question.media.iter().filter(|location| *location != DASH);
    let (mut media, mut failed) = (Vec::new(), None);
    for location in locations {
        match open(location) {
            Ok(medium) => media.push(medium),
            Err(error) => {
                let earlier = failed.replace(error);
                earlier.iter().for_each(|error| output::errors(None, error));
                hint_at_role(location, polysight);
            }
        }
    }
    failed.map_or(Ok(media), |error| Err(error.into()))
}

fn open(location: &OsStr) -> polysight::Result<Media> {
    if let Some(text) = location.to_str() {
        return Media::open(text);
    }
    // A path that is no Unicode.
    let video = |error| Video::from_file(location).map(Media::Video).map_err(|_| error);
    Image::from_file(location).map(Media::Image).or_else(video)
}

fn hint_at_role(location: &OsStr, polysight: &Polysight) {
    if let Some(role) = polysight.role_names().find(|role| *role == location) {
        output::note(format_args!("`{role}` is a role: write -r in front of each role"));
    }
}

/// Names of the roles to ask: those of the command line, each once, else the role `default`, else the only one.
pub(crate) fn role_names(question: &Question, polysight: &Polysight) -> Result<Vec<String>, Failure> {
    let known: Vec<&str> = polysight.role_names().collect();
    let list = known.join(", ");
    let mut names: Vec<String> = Vec::new();
    for name in &question.roles {
        if !known.contains(&name.as_str()) {
            return Err(Failure::Usage(format!("there is no role `{name}`: the config has {list}")));
        }
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    match (names.as_slice(), known.as_slice()) {
        ([], []) => {
            Err(Failure::Other("the config has no role to ask: add a table [roles.default]".to_owned()))
        }
        ([], [only]) => Ok(vec![(*only).to_owned()]),
        ([], known) if known.contains(&"default") => Ok(vec!["default".to_owned()]),
        ([], _) => {
            Err(Failure::Usage(format!("which role? The config has {list}, and no `default`: give -r ROLE")))
        }
        _ => Ok(names),
    }
}

/// A role, with pictures made to fit where that is asked for.
pub(crate) fn role(polysight: &Polysight, name: &str, fit: bool) -> polysight::Result<Role> {
    let role = polysight.role(name)?;
    if !fit {
        return Ok(role);
    }
    let layer = Fit::new(Arc::new(role), Oversize::Fit, FitSettings::new())?;
    Ok(Role::new(name, Arc::new(layer), ChatRequest::default()))
}
