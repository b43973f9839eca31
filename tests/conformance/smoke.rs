//! Pictures in, an answer out: what arrives is what was sent.

use image::ImageFormat;
use polysight::{ChatRequest, Conversation, FinishKind, Image, Message, VisionProviderExt};
use polysight_testkit::{calls, noise, picture, sha256, zhipu_role};

const VISION: &str = "glm-4.6v-flash";

#[tokio::test]
async fn every_format_and_orientation_arrives_whole() {
    let (emulator, role) = zhipu_role(VISION).await;
    for (format, name, width, height) in [
        (ImageFormat::Png, "PNG", 120, 80),
        (ImageFormat::Jpeg, "JPEG", 80, 120),
        (ImageFormat::WebP, "WebP", 64, 64),
    ] {
        let bytes = picture(format, width, height);
        let answer = role.ask("What is it?", [Image::from_bytes(bytes.clone()).unwrap()]).await.unwrap();
        for fact in [format!("{name}, {width}x{height} px"), sha256(&bytes), format!("{} bytes", bytes.len())]
        {
            assert!(answer.text.contains(&fact), "{fact} is not in: {}", answer.text);
        }
        assert_eq!(answer.finish.kind, FinishKind::Stop);
        let requests = emulator.requests();
        let last = requests.last().unwrap();
        assert_eq!(last.media.len(), 1);
    }
}

#[tokio::test]
async fn a_picture_just_under_the_limit_is_streamed_from_disk() {
    let (_emulator, role) = zhipu_role(VISION).await;
    let bytes = noise(1_300, 1_255);
    assert!((4_850_000..5_242_880).contains(&bytes.len()), "{}", bytes.len());
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, &bytes).unwrap();
    let answer = role.ask("How large?", [Image::from_file(file.path()).unwrap()]).await.unwrap();
    assert!(answer.text.contains(&sha256(&bytes)), "{}", answer.text);
}

#[tokio::test]
async fn a_dialogue_keeps_its_pictures_and_answers() {
    let (emulator, role) = zhipu_role(VISION).await;
    let mut talk = Conversation::new().with_system("Be brief.");
    for turn in 1..=3u32 {
        let image = Image::from_bytes(picture(ImageFormat::Png, 40 + turn, 20)).unwrap();
        talk.push(Message::user("And this one?").with(image));
        let answer = calls::plain(&role, talk.request()).await.unwrap();
        talk.push_response(&answer);
    }
    let requests = emulator.requests();
    assert_eq!(requests.iter().map(|request| request.media.len()).collect::<Vec<_>>(), [1, 2, 3]);
    let last = requests[2].body.as_ref().unwrap();
    let roles: Vec<&str> = last["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["system", "user", "assistant", "user", "assistant", "user"]);
    assert!(last["messages"][2]["content"].is_string(), "an assistant's content is a string");
    assert!(last["messages"][2].get("reasoning_content").is_none(), "reasoning is not sent back");
}

#[tokio::test]
async fn the_callers_token_limit_is_a_good_end_and_thinking_can_use_it_up() {
    let (_emulator, role) = zhipu_role(VISION).await;
    let request = ChatRequest::new([Message::user("Tell me a long story about a cat")]).with_max_tokens(3);
    let answer = calls::plain(&role, request).await.unwrap();
    assert_eq!(answer.finish.kind, FinishKind::Length);
    assert!(answer.text.is_empty() && !answer.reasoning.is_empty(), "all tokens went into thinking");
}
