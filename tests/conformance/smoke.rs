//! Pictures in, an answer out: what arrives is what was sent.

use image::ImageFormat;
use polysight::{
    ChatRequest, Conversation, FinishKind, Image, Media, Message, StreamEvent, Video, VisionProvider,
    VisionProviderExt,
};
use polysight_tests::{noise, picture, sha256, zhipu_role};

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
async fn many_pictures_arrive_in_their_order_whatever_their_source() {
    let (emulator, role) = zhipu_role(VISION).await;
    let pictures: Vec<Vec<u8>> = (1..=5).map(|n| picture(ImageFormat::Png, 20 + n, 30)).collect();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, &pictures[1]).unwrap();
    let uri = format!("data:image/png;base64,{}", base64(&pictures[2]));
    let images = [
        Image::from_bytes(pictures[0].clone()).unwrap(),
        Image::from_file(file.path()).unwrap(),
        Image::from_data_uri(uri).unwrap(),
        Image::from_base64(base64(&pictures[3])).unwrap(),
        Image::from_bytes(pictures[4].clone()).unwrap(),
    ];
    role.ask("Compare them.", images).await.unwrap();
    let requests = emulator.requests();
    let arrived: Vec<&str> = requests[0].media.iter().map(|medium| medium.sha256.as_str()).collect();
    let sent: Vec<String> = pictures.iter().map(|bytes| sha256(bytes)).collect();
    assert_eq!(arrived, sent);
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group =
            chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let six = (group >> (18 - 6 * place)) as usize & 63;
            text.push(if place <= chunk.len() { ALPHABET[six] as char } else { '=' });
        }
    }
    text
}

#[tokio::test]
async fn a_stream_gives_the_same_answer_as_a_plain_call() {
    let (_emulator, role) = zhipu_role(VISION).await;
    let image = Image::from_bytes(picture(ImageFormat::Jpeg, 90, 60)).unwrap();
    let request = ChatRequest::ask("图里有什么？", [image]);
    let plain = role.chat(request.clone()).await.unwrap();
    let collected = role.stream(request.clone()).await.unwrap().collect_response().await.unwrap();
    assert_eq!(plain.text, collected.text);
    assert_eq!(plain.reasoning, collected.reasoning);
    assert!(!plain.reasoning.is_empty(), "the model thinks by default");
    assert_eq!(plain.usage, collected.usage);
    assert_eq!((plain.finish, plain.model), (collected.finish, collected.model));

    let mut stream = role.stream(request).await.unwrap();
    let mut ends = 0;
    while let Some(event) = stream.next_event().await {
        ends += usize::from(matches!(event.unwrap(), StreamEvent::End(_)));
    }
    assert_eq!(ends, 1);
    assert!(stream.next_event().await.is_none());
}

#[tokio::test]
async fn ids_go_out_and_come_back() {
    let (emulator, role) = zhipu_role(VISION).await;
    let request =
        ChatRequest::new([Message::user("Hello")]).with_request_id("order-4711").with_end_user_id("user-42");
    let answer = role.chat(request).await.unwrap();
    assert_eq!(answer.request_id.as_deref(), Some("order-4711"));
    let made = role.chat(ChatRequest::new([Message::user("Hello")])).await.unwrap().request_id.unwrap();
    assert!(made.starts_with("polysight-"), "{made}");
    let bodies: Vec<_> = emulator.requests().into_iter().filter_map(|request| request.body).collect();
    assert_eq!(bodies[0]["request_id"], "order-4711");
    assert_eq!(bodies[0]["user_id"], "user-42");
    assert_eq!(bodies[1]["request_id"], made.as_str());
}

#[tokio::test]
async fn a_dialogue_keeps_its_pictures_and_answers() {
    let (emulator, role) = zhipu_role(VISION).await;
    let mut talk = Conversation::new().with_system("Be brief.");
    for turn in 1..=3u32 {
        let image = Image::from_bytes(picture(ImageFormat::Png, 40 + turn, 20)).unwrap();
        talk.push(Message::user("And this one?").with(image));
        let answer = role.chat(talk.request()).await.unwrap();
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
async fn a_video_goes_by_file_and_by_link() {
    let (emulator, role) = zhipu_role("glm-4v-plus").await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/media/pan.mp4");
    let Media::Video(video) = Media::open(path).unwrap() else { panic!("an MP4 is a video") };
    assert_eq!(video.info().unwrap().duration.unwrap().as_millis(), 2_600);
    let answer = role.ask("What moves?", [video]).await.unwrap();
    assert!(answer.text.contains("MP4, 2.6 s") || answer.text.contains("MP4, 2.60 s"), "{}", answer.text);
    assert!(answer.text.contains(&sha256(&std::fs::read(path).unwrap())));

    let link = Video::from_url("https://example.com/a.mp4").unwrap();
    role.ask("What moves?", [link]).await.unwrap();
    let requests = emulator.requests();
    let body = requests[1].body.as_ref().unwrap();
    assert_eq!(body["messages"][0]["content"][0]["video_url"]["url"], "https://example.com/a.mp4");
}

#[tokio::test]
async fn the_callers_token_limit_is_a_good_end_and_thinking_can_use_it_up() {
    let (_emulator, role) = zhipu_role(VISION).await;
    let request = ChatRequest::new([Message::user("Tell me a long story about a cat")]).with_max_tokens(3);
    let answer = role.chat(request).await.unwrap();
    assert_eq!(answer.finish.kind, FinishKind::Length);
    assert!(answer.text.is_empty() && !answer.reasoning.is_empty(), "all tokens went into thinking");
}

#[tokio::test]
async fn raw_json_is_kept_on_demand_only() {
    let (_emulator, role) = zhipu_role(VISION).await;
    let request = ChatRequest::new([Message::user("Hello")]);
    assert!(role.chat(request.clone()).await.unwrap().raw.is_none());
    let plain = role.chat(request.clone().with_raw()).await.unwrap().raw.unwrap();
    assert_eq!(plain.json().unwrap()[0]["object"], "chat.completion");
    let streamed = role.stream_collected(request.with_raw()).await.unwrap().raw.unwrap();
    assert!(streamed.frames().len() > 2);
}
