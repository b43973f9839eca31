//! Files that are uploaded first and named later.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod common;

use std::time::Duration;

use common::*;
use image::ImageFormat;
use polysight_emulator::{Emulator, Surface};
use serde_json::{Value, json};

const RESOLVE: &str = "X-DashScope-OssResourceResolve: enable";

async fn ticket(emulator: &Emulator) -> Value {
    let path = "/api/v1/uploads?action=getPolicy&model=qwen3-vl-plus";
    let answer = send(emulator, "GET", path, &[DASHSCOPE_KEY], b"").await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.json()["data"].clone()
}

/// The fields that go with a ticket, in the vendor's order.
fn fields(ticket: &Value, name: &str) -> Vec<(&'static str, String)> {
    let text = |key: &str| ticket[key].as_str().unwrap().to_owned();
    vec![
        ("OSSAccessKeyId", text("oss_access_key_id")),
        ("Signature", text("signature")),
        ("policy", text("policy")),
        ("key", format!("{}/{name}", text("upload_dir"))),
        ("x-oss-object-acl", text("x_oss_object_acl")),
        ("x-oss-forbid-overwrite", text("x_oss_forbid_overwrite")),
        ("success_action_status", "200".to_owned()),
    ]
}

fn field(name: &str, value: &[u8]) -> Vec<u8> {
    let head = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
    [head.as_bytes(), value, b"\r\n"].concat()
}

async fn post(emulator: &Emulator, ticket: &Value, parts: Vec<Vec<u8>>) -> Answer {
    let host = format!("http://{}", emulator.address());
    let path = ticket["upload_host"].as_str().unwrap().strip_prefix("http://local").map_or_else(
        || ticket["upload_host"].as_str().unwrap().strip_prefix(&host).unwrap().to_owned(),
        str::to_owned,
    );
    let body = [parts.concat(), b"--b--\r\n".to_vec()].concat();
    send(emulator, "POST", &path, &["Content-Type: multipart/form-data; boundary=b"], &body).await
}

async fn upload(emulator: &Emulator, ticket: &Value, fields: &[(&str, String)], file: &[u8]) -> Answer {
    let mut parts: Vec<_> = fields.iter().map(|(name, value)| field(name, value.as_bytes())).collect();
    parts.push(field("file", file));
    post(emulator, ticket, parts).await
}

fn about(url: &str) -> Value {
    native("qwen3-vl-plus", json!([{"image": url}, {"text": "What is this?"}]), json!({}))
}

#[tokio::test]
async fn an_uploaded_picture_is_measured_like_any_other() {
    let emulator = Emulator::start().await.unwrap();
    let ticket = ticket(&emulator).await;
    assert_eq!((&ticket["expire_in_seconds"], &ticket["max_file_size_mb"]), (&json!(300), &json!(1024)));
    let bytes = picture(640, 480, ImageFormat::Jpeg);
    let fields = fields(&ticket, "a b.jpg");
    let answer = upload(&emulator, &ticket, &fields, &bytes).await;
    assert_eq!((answer.status(), answer.text().as_str()), (200, ""));
    assert_eq!(emulator.requests().last().unwrap().media[0].bytes, bytes.len());

    let url = format!("oss://{}", fields[3].1);
    let answer = ask_with(&emulator, Surface::DashScopeNative, &[RESOLVE], &about(&url)).await;
    let text = answer.json()["output"]["choices"][0]["message"]["content"][0]["text"].clone();
    assert!(text.as_str().unwrap().starts_with("Picture 1: JPEG, 640x480 px, "), "{text}");
    assert_eq!(answer.json()["usage"]["image_tokens"], 302);
    let compatible = parts("qwen3-vl-plus", json!([image_part(&url), text_part("x")]));
    let answer = ask_with(&emulator, Surface::DashScopeCompatible, &[RESOLVE], &compatible).await;
    assert!(answer.content().starts_with("Picture 1: JPEG, 640x480 px, "));

    // Without the header, for another model and for another account it is a link that leads nowhere.
    let mut other_model = about(&url);
    other_model["model"] = json!("qwen-vl-max");
    let path = "/api/v1/services/aigc/multimodal-generation/generation";
    let stranger = ["Authorization: Bearer sk-stranger", RESOLVE];
    for answer in [
        ask(&emulator, Surface::DashScopeNative, &about(&url)).await,
        ask_with(&emulator, Surface::DashScopeNative, &[RESOLVE], &other_model).await,
        send(&emulator, "POST", path, &stranger, about(&url).to_string().as_bytes()).await,
    ] {
        assert_eq!(answer.status(), 400);
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.ends_with("Failed to download multimodal content"), "{message}");
    }
}

#[tokio::test]
async fn the_store_refuses_what_does_not_fit_the_ticket() {
    let emulator = Emulator::start().await.unwrap();
    let ticket = ticket(&emulator).await;
    let good = fields(&ticket, "a.png");
    let file = picture(20, 20, ImageFormat::Png);
    for (name, value, status, code) in [
        ("OSSAccessKeyId", "other", 403, "InvalidAccessKeyId"),
        ("Signature", "other", 403, "SignatureDoesNotMatch"),
        ("policy", "e30=", 403, "SignatureDoesNotMatch"),
        ("key", "elsewhere/a.png", 403, "AccessDenied"),
        ("x-oss-object-acl", "public-read", 403, "AccessDenied"),
        ("key", "", 400, "InvalidArgument"),
    ] {
        let mut fields = good.clone();
        fields.iter_mut().find(|(known, _)| *known == name).unwrap().1 = value.to_owned();
        let answer = upload(&emulator, &ticket, &fields, &file).await;
        assert_eq!(answer.status(), status, "{name}={value}");
        assert!(answer.text().contains(&format!("<Code>{code}</Code>")), "{name}={value}: {}", answer.text());
    }
    let mut parts = vec![field("file", &file)];
    parts.extend(good.iter().map(|(name, value)| field(name, value.as_bytes())));
    assert!(post(&emulator, &ticket, parts).await.text().contains("The file must be the last field."));
    let parts = good.iter().map(|(name, value)| field(name, value.as_bytes())).collect();
    assert_eq!(post(&emulator, &ticket, parts).await.status(), 400);

    let quiet: Vec<_> = good.iter().filter(|(name, _)| *name != "success_action_status").cloned().collect();
    assert_eq!(upload(&emulator, &ticket, &quiet, &file).await.status(), 204);
    let again = upload(&emulator, &ticket, &good, &file).await;
    assert!(again.status() == 409 && again.text().contains("FileAlreadyExists"));
}

#[tokio::test]
async fn tickets_and_files_expire() {
    let second = Duration::from_secs(1);
    let emulator = Emulator::builder().uploads_live(Duration::ZERO, second).start().await.unwrap();
    let stale = ticket(&emulator).await;
    let answer = upload(&emulator, &stale, &fields(&stale, "a.png"), b"x").await;
    assert!(answer.status() == 403 && answer.text().contains("Policy expired"), "{}", answer.text());

    let emulator = Emulator::builder().uploads_live(second, Duration::ZERO).start().await.unwrap();
    let ticket = ticket(&emulator).await;
    let fields = fields(&ticket, "a.png");
    assert_eq!(upload(&emulator, &ticket, &fields, &picture(20, 20, ImageFormat::Png)).await.status(), 200);
    let body = about(&format!("oss://{}", fields[3].1));
    assert_eq!(ask_with(&emulator, Surface::DashScopeNative, &[RESOLVE], &body).await.status(), 400);
}

#[tokio::test]
async fn a_ticket_is_for_a_known_model_and_key() {
    let emulator = Emulator::start().await.unwrap();
    for (path, key, status, code) in [
        ("/api/v1/uploads?action=getPolicy&model=qwen3-vl-plus", "X: y", 401, "InvalidApiKey"),
        ("/api/v1/uploads?action=getPolicy", DASHSCOPE_KEY, 400, "BadRequest.EmptyModel"),
        ("/api/v1/uploads?action=getPolicy&model=x", DASHSCOPE_KEY, 404, "ModelNotFound"),
        ("/api/v1/uploads?model=qwen3-vl-plus", DASHSCOPE_KEY, 400, "InvalidParameter"),
    ] {
        let answer = send(&emulator, "GET", path, &[key], b"").await;
        assert_eq!((answer.status(), &answer.json()["code"]), (status, &json!(code)), "{path}");
    }
}
