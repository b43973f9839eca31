//! What sending costs in memory: a test program of its own, since the peak that it reads is the whole process's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that finds something else than it expects must stop, and the whole program is tests"
)]

use std::io::Write as _;

use polysight::{ChatRequest, Image, Polysight};
use polysight_testkit::{MockServer, Reply, Step, bulky_png, calls};

const PICTURE: usize = 20 << 20;
const MOST_KIB: u64 = 8 << 10;
const REPLY: &str = r#"{"choices":[{"index":0,"finish_reason":"stop","message":{"content":"seen"}}]}"#;

/// Begins to measure the peak anew, from what the process has now.
fn reset_peak() -> bool {
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// The largest memory that the process has had, in KiB; `None` on systems without `/proc`.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[tokio::test]
async fn a_picture_of_20_mb_is_sent_from_its_file_in_less_than_8_mb() {
    let server = MockServer::start().await;
    server.play(&[vec![Step::DiscardRequest], Reply::json(200, REPLY).into_steps()].concat());
    let config = format!(
        r#"
        [providers.zhipu]
        backend = "zhipu"
        base_url = "http://{}"
        api_key = "test.key"
        models = [{{ id = "glm-4v-plus", image = {{ max_bytes = {PICTURE} }} }}]
        "#,
        server.address()
    );
    let provider = Polysight::from_toml(&config).unwrap().provider("zhipu").unwrap();
    let ask = |image| {
        let request = ChatRequest::ask("What is it?", [image]).with_model("glm-4v-plus");
        calls::plain(&*provider, request)
    };

    // What is made once, on the first request, is no cost of the picture.
    ask(Image::from_bytes(bulky_png(1 << 10)).unwrap()).await.unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let megabyte = bulky_png(1 << 20);
    for _ in 0..PICTURE / megabyte.len() {
        file.write_all(&megabyte).unwrap();
    }

    let before = peak().filter(|_| reset_peak()).and_then(|_| peak());
    let answer = ask(Image::from_file(file.path()).unwrap()).await.unwrap();
    let after = peak();

    assert_eq!(answer.text, "seen");
    let requests = server.requests();
    let sent = requests.last().unwrap();
    assert_eq!(sent.content_length, Some(sent.body_length), "the whole body arrives");
    let base64 = PICTURE.div_ceil(3) as u64 * 4;
    assert!((base64..base64 + 1_000).contains(&sent.body_length), "{} bytes", sent.body_length);
    assert!(!sent.head.to_lowercase().contains("transfer-encoding"), "{}", sent.head);
    match before.zip(after) {
        Some((before, after)) => {
            println!("the peak grew by {} KiB", after - before);
            assert!(after - before < MOST_KIB, "the peak grew by {} KiB", after - before);
        }
        None => println!("memory was not measured: this system has no /proc to ask"),
    }
}
