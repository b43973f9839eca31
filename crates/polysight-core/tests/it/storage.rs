//! Dialogues, requests and answers that are stored and read again.

use polysight_core::{
    Attempt, ChatRequest, ChatResponse, Conversation, Detail, Error, ErrorKind, FinishKind, FinishReason,
    Image, MediaSource, Message, MessageRole, Part, ResponseFormat, Sampling, Thinking, TimeoutPhase,
    ToolCall, ToolChoice, ToolDefinition, Usage, Video,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::samples::{mp4_of, png};

/// Stores a value, reads it, and stores it again: both texts must be equal.
#[track_caller]
fn again<T: Serialize + DeserializeOwned>(value: &T) -> T {
    let stored = serde_json::to_string(value).unwrap();
    let read: T = serde_json::from_str(&stored).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), stored);
    read
}

fn talk(media: impl Into<Part>) -> Conversation {
    let mut talk = Conversation::new().with_system("Be brief.");
    talk.push(Message::user("What is it?").with(media));
    talk.push(Message::new(MessageRole::Assistant).with(ToolCall::new("c1", "measure", "{}")));
    talk.push(Message::tool_result("c1", "2 x 3"));
    talk.push(Message::new(MessageRole::Assistant).with(Part::Reasoning("hm".into())).with("A dot."));
    talk
}

fn first_medium(talk: &Conversation) -> &Part {
    &talk.messages()[1].parts[1]
}

#[test]
fn a_dialogue_is_the_same_after_it_was_stored() {
    let image = Image::from_bytes(png(2, 3)).unwrap().with_detail(Detail::High).with_max_pixels(9);
    let read = again(&talk(image));
    assert_eq!(read.messages().len(), 5);
    let Part::Image(image) = first_medium(&read) else { panic!("no picture") };
    assert_eq!(
        (image.info().unwrap().width, image.detail(), image.max_pixels()),
        (2, Some(Detail::High), Some(9))
    );
    again(&talk(Image::from_url("https://example.com/a.jpg?sign=1").unwrap()));
    again(&talk(Video::from_bytes(mp4_of(500)).unwrap().with_fps(2.0)));
    again(&talk(Video::from_frames([Image::from_bytes(png(1, 1)).unwrap()]).unwrap().with_max_frames(3)));
}

#[test]
fn a_file_is_stored_as_its_path_or_by_choice_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dot.png");
    std::fs::write(&path, png(2, 3)).unwrap();
    let talk = talk(Image::from_file(&path).unwrap());
    let by_path = serde_json::to_value(&talk).unwrap();
    assert_eq!(by_path[1]["parts"][1]["image"]["source"], json!({ "path": path }));
    let whole = serde_json::to_string(&talk.clone().map_media(MediaSource::in_memory).unwrap()).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(serde_json::from_str::<Conversation>(&whole).is_ok());
    let gone = serde_json::from_value::<Conversation>(by_path).unwrap_err().to_string();
    assert!(gone.contains("dot.png: there is no such file"), "{gone}");
    assert_eq!(talk.map_media(MediaSource::in_memory).unwrap_err().kind(), ErrorKind::InvalidMedia);
}

#[test]
fn a_request_with_everything_is_the_same_after_it_was_stored() {
    let request = ChatRequest::ask("What?", [Image::from_bytes(png(1, 1)).unwrap()])
        .with_model("eye")
        .with_temperature(0.5)
        .with_max_tokens(9)
        .with_thinking(Thinking::Budget(100))
        .with_response_format(ResponseFormat::JsonSchema {
            name: "a".into(),
            schema: json!({}),
            strict: true,
        })
        .with_tools([ToolDefinition::new("f", "does", json!({"type": "object"}))])
        .with_tool_choice(ToolChoice::Function("f".into()))
        .with_extra("zhipu", "user", 1);
    let read = again(&request);
    assert_eq!((&read.tools, &read.extras), (&request.tools, &request.extras));
    assert_eq!(serde_json::from_str::<ChatRequest>("{}").unwrap().sampling, Sampling::Default);
}

#[test]
fn an_answer_is_stored_with_its_usage_and_its_attempts() {
    let mut answer = ChatResponse::new("mine", "eye", FinishReason::new(FinishKind::Stop, "stop"));
    answer.text = "A dot.".into();
    answer.usage = Some(Usage::new(1, 2, 3));
    let error = Error::new(ErrorKind::Timeout(TimeoutPhase::Idle), "slow").with_status(200);
    answer.attempts.push(Attempt::of(&error, std::time::Duration::from_millis(1_500)));
    let read = again(&answer);
    assert_eq!((read.usage, &read.attempts), (answer.usage, &answer.attempts));
    assert_eq!(serde_json::to_value(&answer).unwrap()["finish"], json!({"kind": "stop", "raw": "stop"}));
}

#[test]
fn what_is_no_stored_picture_is_refused() {
    for (stored, words) in [
        (json!({"source": {"base64": "!"}}), "base64"),
        (json!({"source": {"url": "not a url"}}), "not a URL"),
        (json!({"source": {"ftp": ""}}), "unknown variant"),
        (json!({"source": {"url": "https://a.example/b"}, "fps": 1}), "unknown field"),
        (json!({}), "missing field"),
        (Value::Null, "invalid type"),
    ] {
        let error = serde_json::from_value::<Image>(stored).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
