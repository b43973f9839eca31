//! Several turns.

use std::sync::Arc;

use polysight::{Conversation, Message, VisionProvider, VisionProviderExt};
use polysight_tests::sha256;

use super::pictures::{jpeg, jpeg_bytes};
use super::stage::Stage;

/// Three turns with a picture each, the second one streamed.
pub(super) async fn with_pictures(stage: Arc<Stage>) {
    let role = stage.vision();
    let mut talk = Conversation::new().with_system("Be brief.");
    let mut last = String::new();
    for turn in 1..=3 {
        talk.push(Message::user(format!("Number {turn}?")).with(jpeg(turn)));
        let answer = match turn {
            2 => role.stream_collected(talk.request()).await.unwrap(),
            _ => role.chat(talk.request()).await.unwrap(),
        };
        talk.push_response(&answer);
        last = answer.text;
    }
    assert!(last.contains("This is user turn 3; the conversation holds 3 pictures."), "{last}");
    assert!(last.contains("System: instructions of 9 characters."), "{last}");
    assert!((1..=3).all(|turn| last.contains(&sha256(&jpeg_bytes(turn)))), "{last}");
    assert!(last.ends_with("You asked: Number 3?"), "{last}");
    let arrived: Vec<usize> = stage.arrived().iter().map(|request| request.media.len()).collect();
    assert_eq!(arrived, [1, 2, 3]);
}
