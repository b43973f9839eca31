//! Several turns.

use std::sync::Arc;

use polysight::{Conversation, Message};
use polysight_testkit::{calls, sha256};

use super::fixture::Fixture;
use super::pictures::{jpeg, jpeg_bytes};

/// Three turns with a picture each, the second one streamed.
pub(super) async fn with_pictures(fixture: Arc<Fixture>) {
    let role = fixture.vision();
    let mut talk = Conversation::new().with_system("Be brief.");
    let mut last = String::new();
    for turn in 1..=3 {
        talk.push(Message::user(format!("Number {turn}?")).with(jpeg(turn)));
        let answer = match turn {
            2 => calls::streamed(&role, talk.request()).await.unwrap(),
            _ => calls::plain(&role, talk.request()).await.unwrap(),
        };
        talk.push_response(&answer);
        last = answer.text;
    }
    assert!(last.contains("This is user turn 3; the conversation holds 3 pictures."), "{last}");
    assert!(last.contains("System: instructions of 9 characters."), "{last}");
    assert!((1..=3).all(|turn| last.contains(&sha256(&jpeg_bytes(turn)))), "{last}");
    assert!(last.ends_with("You asked: Number 3?"), "{last}");
    let arrived: Vec<usize> = fixture.arrived().iter().map(|request| request.media.len()).collect();
    assert_eq!(arrived, [1, 2, 3]);
}
