//! What an answer says: the facts of what arrived, and never a claim to have understood a picture.

use crate::chat::message::{Frames, Message, Part, Role, Source};
use crate::json::Json;
use crate::media::{Content, Medium, Picture, Video};

/// Facts of a conversation.
#[derive(Debug)]
pub(crate) struct Facts<'r> {
    /// Characters of all system messages, where there are any.
    system: Option<usize>,
    pictures: Vec<Source<'r>>,
    videos: Vec<VideoInput<'r>>,
    documents: Vec<Source<'r>>,
    user_turns: usize,
    /// Results of the tool calls that the last messages bring.
    results: Vec<String>,
    /// Text of the last user message.
    pub(crate) question: String,
}

/// A video, as one file or as frames.
#[derive(Debug)]
enum VideoInput<'r> {
    File(Source<'r>),
    Frames(Frames<'r>),
}

impl<'r> Facts<'r> {
    pub(crate) fn of(messages: &[Message<'r>]) -> Self {
        let by_role = |role: Role| messages.iter().filter(move |message| message.role == role);
        let system: usize =
            by_role(Role::System).flat_map(Message::texts).map(|text| text.chars().count()).sum();
        let results =
            messages.iter().rev().take_while(|message| message.role == Role::Tool).map(Message::text);
        let mut results: Vec<String> = results.collect();
        results.reverse();
        Self {
            system: by_role(Role::System).next().map(|_| system),
            pictures: sources(
                messages,
                |part| if let Part::Picture(source) = part { Some(source) } else { None },
            ),
            videos: sources(messages, |part| match part {
                Part::Video(source) => Some(VideoInput::File(source)),
                Part::Frames(frames) => Some(VideoInput::Frames(frames)),
                _ => None,
            }),
            documents: sources(
                messages,
                |part| {
                    if let Part::Document(source) = part { Some(source) } else { None }
                },
            ),
            user_turns: by_role(Role::User).count(),
            results,
            question: by_role(Role::User).next_back().map(Message::text).unwrap_or_default(),
        }
    }

    /// Whether the last message is a tool's.
    pub(crate) fn brings_results(&self) -> bool {
        !self.results.is_empty()
    }

    /// One sentence a line.
    pub(crate) fn to_text(&self) -> String {
        let mut lines = Vec::new();
        lines.extend(
            self.system.map(|count| format!("System: instructions of {}.", plural(count, "character"))),
        );
        lines.extend(numbered("Picture", self.pictures.iter().map(describe)));
        lines.extend(
            self.videos.iter().enumerate().flat_map(|(index, input)| describe_video_input(index + 1, input)),
        );
        lines.extend(numbered("Document", self.documents.iter().map(describe)));
        if self.user_turns > 1 {
            lines.push(self.turns());
        }
        lines.extend(numbered("Tool result", self.results.iter().cloned()));
        lines.push(if self.question.is_empty() {
            "You asked nothing in words.".to_owned()
        } else {
            format!("You asked: {}", self.question)
        });
        lines.join("\n")
    }

    /// The same facts as an object.
    pub(crate) fn to_json(&self) -> Json {
        let all = |sources: &[Source<'_>]| Json::List(sources.iter().map(facts).collect());
        let results = self.results.iter().map(|text| Json::from(text.as_str())).collect::<Vec<_>>();
        Json::object([])
            .with("system_characters", self.system)
            .with("pictures", Some(all(&self.pictures)))
            .with("videos", Some(self.videos.iter().map(video_facts).collect::<Vec<_>>()))
            .with("documents", Some(all(&self.documents)))
            .with("user_turns", Some(self.user_turns))
            .with("tool_results", self.brings_results().then_some(results))
            .with("question", Some(self.question.as_str()))
    }

    /// The facts of each picture, those in messages before the last included.
    pub(crate) fn pictures(&self) -> Vec<Json> {
        self.pictures.iter().map(facts).collect()
    }

    /// What is said before the answer by a model that thinks.
    pub(crate) fn reasoning(&self) -> String {
        format!(
            "The request brings {} and {}. I can measure them, not see them, so I will list what arrived and repeat the \
             question.",
            plural(self.pictures.len(), "picture"),
            plural(self.videos.len(), "video")
        )
    }

    fn turns(&self) -> String {
        let videos = match self.videos.len() {
            0 => String::new(),
            count => format!(" and {}", plural(count, "video")),
        };
        format!(
            "This is user turn {}; the conversation holds {}{videos}.",
            self.user_turns,
            plural(self.pictures.len(), "picture")
        )
    }
}

fn sources<'r, T>(messages: &[Message<'r>], pick: impl Fn(Part<'r>) -> Option<T>) -> Vec<T> {
    messages.iter().flat_map(|message| message.parts.iter().copied()).filter_map(pick).collect()
}

fn numbered(name: &str, items: impl Iterator<Item = String>) -> Vec<String> {
    items.enumerate().map(|(index, item)| format!("{name} {}: {item}", index + 1)).collect()
}

fn plural(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

fn describe(source: &Source<'_>) -> String {
    match source {
        Source::Link(url) => format!("{url} (not fetched)."),
        Source::Inline(medium) => {
            let content = match &medium.content {
                Content::Picture(picture) => describe_picture(picture),
                Content::Video(video) => describe_video(video),
                Content::Unknown => String::new(),
            };
            format!("{content}{} bytes, SHA-256 {}.", medium.bytes, medium.sha256)
        }
    }
}

/// One line for a file; for frames one for the list and one for each.
fn describe_video_input(number: usize, input: &VideoInput<'_>) -> Vec<String> {
    match input {
        VideoInput::File(source) => vec![format!("Video {number}: {}", describe(source))],
        VideoInput::Frames(frames) => {
            let name = format!("Video {number}, frame");
            let each = numbered(&name, frames.sources().flatten().map(|source| describe(&source)));
            let list = format!("Video {number}: {}.", plural(frames.len(), "frame"));
            std::iter::once(list).chain(each).collect()
        }
    }
}

fn describe_picture(picture: &Picture) -> String {
    let colour = mean_colour(picture).map(|colour| format!("mean colour {colour}, ")).unwrap_or_default();
    format!("{}, {}x{} px, {colour}", picture.format, picture.width, picture.height)
}

fn describe_video(video: &Video) -> String {
    match video.seconds {
        Some(seconds) => format!("{}, {} s, ", video.format, rounded(seconds)),
        None => format!("{}, unknown duration, ", video.format),
    }
}

fn facts(source: &Source<'_>) -> Json {
    match source {
        Source::Link(url) => Json::object([("url", Json::from(*url)), ("fetched", false.into())]),
        Source::Inline(medium) => inline_facts(medium),
    }
}

fn video_facts(input: &VideoInput<'_>) -> Json {
    match input {
        VideoInput::File(source) => facts(source),
        VideoInput::Frames(frames) => {
            let list: Vec<Json> = frames.sources().flatten().map(|source| facts(&source)).collect();
            Json::object([("frames", list.into())])
        }
    }
}

fn inline_facts(medium: &Medium) -> Json {
    let json = match &medium.content {
        Content::Picture(picture) => Json::object([
            ("format", picture.format.into()),
            ("width", picture.width.into()),
            ("height", picture.height.into()),
        ])
        .with("mean_colour", mean_colour(picture)),
        Content::Video(video) => {
            Json::object([("format", video.format.into())]).with("seconds", video.seconds.map(rounded))
        }
        Content::Unknown => Json::object([]),
    };
    json.with("bytes", Some(medium.bytes)).with("sha256", Some(medium.sha256.as_str()))
}

fn mean_colour(picture: &Picture) -> Option<String> {
    picture.mean.map(|[red, green, blue]| format!("#{red:02x}{green:02x}{blue:02x}"))
}

/// Whole milliseconds.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}
