//! What the gateway checks: shapes, plain ranges, and whether the model behind it takes the media.

use super::error_body::invalid;
use crate::chat::message::{Message, Part, Role, Source};
use crate::json::Json;
use crate::media::Medium;
use crate::models::{Behind, MOST_ERNIE_PICTURES, Served};
use crate::refusal::{Refusal, refuse_if};
use crate::vendors::links::is_link;
use crate::vendors::media_rules::{PictureRules, check_zhipu_video};

/// A conversation with a user's turn in it.
pub(super) fn messages(messages: &[Message<'_>]) -> Result<(), Refusal> {
    let asked = messages.iter().any(|message| matches!(message.role, Role::User | Role::Tool));
    refuse_if(!asked, || invalid("messages", "messages must be a list with a user's turn in it"))
}

/// A limit of the answer that the model behind cannot take is passed on and refused there.
pub(super) fn numbers(json: &Json, model: Served) -> Result<(), Refusal> {
    let most = model.most_output();
    for (name, least, most) in
        [("temperature", 0.0, 2.0), ("top_p", 0.0, 1.0), ("max_tokens", 1.0, most as f64)]
    {
        let whole = name == "max_tokens";
        let fits = |value: &Json| {
            let number = value.number();
            number.is_some_and(|number| !whole || number.is_u64())
                && number
                    .and_then(serde_json::Number::as_f64)
                    .is_some_and(|number| (least..=most).contains(&number))
        };
        refuse_if(!json.get(name).is_none_or(fits), || {
            invalid(name, format!("{name} must be within {least} and {most}"))
        })?;
    }
    Ok(())
}

/// What the model behind the gateway cannot take, the gateway refuses in its own words.
pub(super) fn media(messages: &[Message<'_>], model: Served) -> Result<(), Refusal> {
    let refuse = |message: &str| Err(invalid("messages", message));
    let parts = || messages.iter().flat_map(|message| message.parts.iter());
    if parts().filter(|part| matches!(part, Part::Picture(_))).count() as u64 > most_pictures(model) {
        return refuse("more pictures than the model takes");
    }
    for part in parts() {
        let readable = match part {
            Part::Text(_) | Part::Document(_) => true,
            Part::Unknown(_) | Part::Frames(_) => return refuse("a content part has an unknown type"),
            Part::Picture(Source::Link(link)) | Part::Video(Source::Link(link)) => is_link(link),
            Part::Picture(Source::Inline(medium)) => takes_picture(model, medium),
            Part::Video(Source::Inline(medium)) => takes_video(model, medium),
        };
        if !readable {
            return refuse("a picture or video cannot be read, or is larger than the model takes");
        }
    }
    Ok(())
}

fn most_pictures(model: Served) -> u64 {
    match model.behind {
        Behind::Zhipu(limits) => u64::from(limits.pictures),
        Behind::Qwen(limits) => limits.pictures,
        Behind::Ernie(_) => MOST_ERNIE_PICTURES,
        Behind::Unknown => u64::MAX,
    }
}

/// Base64 is taken with and without the prefix of a data URI: the page leaves open which it means.
fn takes_picture(model: Served, medium: &Medium) -> bool {
    match model.behind {
        Behind::Zhipu(_) => PictureRules::ZHIPU.check(medium).is_ok(),
        Behind::Qwen(limits) => PictureRules::dashscope(limits).check(medium).is_ok(),
        Behind::Ernie(_) => PictureRules::QIANFAN.check(medium).is_ok(),
        Behind::Unknown => medium.picture().is_some(),
    }
}

fn takes_video(model: Served, medium: &Medium) -> bool {
    match model.behind {
        Behind::Zhipu(limits) => {
            limits.video.as_ref().is_some_and(|limits| check_zhipu_video(medium, limits).is_ok())
        }
        Behind::Qwen(_) | Behind::Ernie(_) | Behind::Unknown => medium.video().is_some(),
    }
}
