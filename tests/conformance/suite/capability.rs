//! What a target offers, by its own catalogue and by nothing else.

use polysight::{Capability, ChatRequest, Image, Message, ModelCard, ResponseFormat, Role, Thinking, Video};
use polysight_core::catalog::{ImageCard, ThinkingMode, VideoCard};

use super::fixture::{Fixture, card};
use super::pictures::{jpeg, pan};
use super::tools::weather;

/// What a card says of an ability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Support {
    Yes,
    /// The card says no: such a request is refused before it is sent.
    No,
    /// The card does not say: such a request is let through, and nothing is promised.
    Unknown,
}

/// What a behaviour needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feature {
    /// What every provider can do.
    Nothing,
    PictureLink,
    PictureInline,
    ManyPictures,
    VideoLink,
    VideoInline,
    VideoFrames,
    ThinkingOn,
    ThinkingOff,
    ThinkingBudget,
    Tools,
    JsonObject,
    RequestId,
    EndUserId,
    /// A model that is known to be blind.
    TextModel,
}

impl Feature {
    /// Those that a request can ask for, each of the part that would have it.
    pub(crate) const ASKED: [Self; 13] = [
        Self::PictureLink,
        Self::PictureInline,
        Self::ManyPictures,
        Self::VideoLink,
        Self::VideoInline,
        Self::VideoFrames,
        Self::ThinkingOn,
        Self::ThinkingOff,
        Self::ThinkingBudget,
        Self::Tools,
        Self::JsonObject,
        Self::RequestId,
        Self::EndUserId,
    ];

    /// The part that has the ability, if any has.
    pub(crate) fn role(self, fixture: &Fixture) -> Role {
        match self {
            Self::Nothing | Self::RequestId | Self::EndUserId | Self::TextModel => fixture.text(),
            Self::PictureLink | Self::PictureInline | Self::ManyPictures | Self::JsonObject => {
                fixture.vision()
            }
            Self::VideoLink | Self::VideoInline | Self::VideoFrames => fixture.video(),
            Self::ThinkingOn | Self::ThinkingOff | Self::ThinkingBudget => fixture.thinking(),
            Self::Tools => fixture.tools(),
        }
    }

    /// What the catalogue of that part says.
    pub(crate) fn support(self, fixture: &Fixture) -> Support {
        let card = card(&self.role(fixture));
        let image = |said: fn(&ImageCard) -> Option<bool>| within(&card.image, said);
        let video = |said: fn(&VideoCard) -> Option<bool>| within(&card.video, said);
        match self {
            Self::Nothing => Support::Yes,
            Self::PictureLink => image(|limits| limits.url),
            Self::PictureInline => image(|limits| limits.base64),
            Self::ManyPictures => {
                image(|limits| Some(limits.base64? && limits.count.is_none_or(|most| most > 1)))
            }
            Self::VideoLink => video(|limits| limits.url),
            Self::VideoInline => video(|limits| limits.base64),
            Self::VideoFrames => video(|limits| match limits.frames {
                Capability::Unknown => None,
                Capability::No => Some(false),
                Capability::Yes(_) => Some(true),
            }),
            Self::ThinkingOn => thinking(&card, |mode| mode != ThinkingMode::None),
            Self::ThinkingOff => thinking(&card, |mode| mode != ThinkingMode::Forced),
            Self::ThinkingBudget => {
                let has_budget = card.thinking.budget.is_some();
                if has_budget { Support::Yes } else { thinking(&card, |_| false) }
            }
            Self::Tools => said(match card.tools {
                Capability::Unknown => None,
                Capability::No => Some(false),
                Capability::Yes(_) => Some(true),
            }),
            Self::JsonObject => said(
                card.response_formats.map(|formats| formats.iter().any(|format| format == "json_object")),
            ),
            Self::RequestId => said(Some(card.request_id.is_some())),
            Self::EndUserId => said(Some(card.end_user_id.is_some())),
            Self::TextModel => said(Some(card.image.is_no())),
        }
    }

    /// A request that asks for it and for nothing else that is special.
    pub(crate) fn request(self) -> ChatRequest {
        let text = || ChatRequest::new([Message::user("Answer in JSON.")]);
        let link = || Image::from_url("https://example.com/a.jpg").unwrap();
        match self {
            Self::Nothing | Self::TextModel => text(),
            Self::PictureLink => ChatRequest::ask("What?", [link()]),
            Self::PictureInline => ChatRequest::ask("What?", [jpeg(1)]),
            Self::ManyPictures => ChatRequest::ask("What?", [jpeg(1), jpeg(2)]),
            Self::VideoLink => {
                ChatRequest::ask("What?", [Video::from_url("https://example.com/a.mp4").unwrap()])
            }
            Self::VideoInline => ChatRequest::ask("What?", [pan()]),
            Self::VideoFrames => ChatRequest::ask("What?", [Video::from_frames((1..=4).map(jpeg)).unwrap()]),
            Self::ThinkingOn => text().with_thinking(Thinking::On),
            Self::ThinkingOff => text().with_thinking(Thinking::Off),
            Self::ThinkingBudget => text().with_thinking(Thinking::Budget(1_000)),
            Self::Tools => text().with_tools([weather()]),
            Self::JsonObject => text().with_response_format(ResponseFormat::JsonObject),
            Self::RequestId => text().with_request_id("order-4711"),
            Self::EndUserId => text().with_end_user_id("user-4711"),
        }
    }
}

fn said(answer: Option<bool>) -> Support {
    match answer {
        None => Support::Unknown,
        Some(false) => Support::No,
        Some(true) => Support::Yes,
    }
}

/// What the limits of an ability say, where there is the ability.
fn within<T>(ability: &Capability<T>, limit: impl Fn(&T) -> Option<bool>) -> Support {
    match ability {
        Capability::Unknown => Support::Unknown,
        Capability::No => Support::No,
        Capability::Yes(limits) => said(limit(limits)),
    }
}

fn thinking(card: &ModelCard, able: impl Fn(ThinkingMode) -> bool) -> Support {
    said(card.thinking.mode.map(able))
}
