//! The whole job with the least work: bare hyper, blocks of base64 under an exact length, borrowed parsing.
//!
//! No checks, no limits of time and size, no errors worth reading: what is left is the floor.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::marker::PhantomData;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Request, Uri, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Client, MODEL, Picture, Question, Sink};
use crate::Result;

/// Bytes of a picture in a block; a multiple of 3.
const INPUT: usize = 24 << 10;

pub struct Limit {
    http: Http<HttpConnector, Parts>,
    url: Uri,
    key: HeaderValue,
    blocks: Blocks,
}

impl Limit {
    async fn send(&self, question: &Question, is_streamed: bool) -> Result<Incoming> {
        let request = Request::post(self.url.clone())
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(header::AUTHORIZATION, self.key.clone())
            .body(self.body(question, is_streamed)?)?;
        let reply = self.http.request(request).await?;
        if !reply.status().is_success() {
            return Err("the reply is no good one".into());
        }
        Ok(reply.into_body())
    }

    fn body(&self, question: &Question, is_streamed: bool) -> Result<Parts> {
        let mut text =
            format!(r#"{{"model":"{MODEL}","stream":{is_streamed},"messages":[{{"role":"user","content":["#);
        let mut parts = Vec::with_capacity(2 * question.pictures.len() + 1);
        let mut left = 0;
        for picture in &question.pictures {
            text.push_str(r#"{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,"#);
            let (part, length) = match picture {
                Picture::File(path) => {
                    let file = File::open(path)?;
                    let length = file.metadata()?.len();
                    (Part::File(file, length), length)
                }
                Picture::Shared(bytes) => (Part::Memory(bytes.clone()), bytes.len() as u64),
            };
            left += text.len() as u64 + length.div_ceil(3) * 4;
            parts.push(Part::Text(std::mem::replace(&mut text, r#""}},"#.to_owned()).into()));
            parts.push(part);
        }
        text.push_str(r#"{"type":"text","text":"#);
        text.push_str(&serde_json::to_string(&question.text)?);
        text.push_str("}]}]}");
        left += text.len() as u64;
        parts.push(Part::Text(text.into()));
        parts.reverse();
        Ok(Parts { parts, left, blocks: self.blocks.clone() })
    }
}

impl Client for Limit {
    const NAME: &'static str = "limit";

    fn new(base: &str, _: Option<&Path>) -> Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Ok(Self {
            http: Http::builder(TokioExecutor::new()).build(connector),
            url: format!("{base}/chat/completions").parse()?,
            key: "Bearer key-of-the-bench".parse()?,
            blocks: Blocks::default(),
        })
    }

    async fn ask(&self, question: &Question) -> Result<String> {
        let body = self.send(question, false).await?.collect().await?.to_bytes();
        let reply: Reply<'_> = serde_json::from_slice(&body)?;
        let choice = reply.choices.0.ok_or("no choice")?;
        Ok(choice.delta.content.unwrap_or_default().0.into_owned())
    }

    async fn stream(&self, question: &Question, sink: &mut impl Sink) -> Result<()> {
        let mut body = self.send(question, true).await?;
        let mut cut = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(chunk) = frame?.into_data() else { continue };
            let mut rest: &[u8] = &chunk;
            while let Some(end) = memchr::memchr(b'\n', rest) {
                let (line, after) = rest.split_at(end);
                rest = &after[1..];
                if cut.is_empty() {
                    read_line(line, sink)?;
                } else {
                    cut.extend_from_slice(line);
                    read_line(&cut, sink)?;
                    cut.clear();
                }
            }
            cut.extend_from_slice(rest);
        }
        Ok(())
    }
}

fn read_line(line: &[u8], sink: &mut impl Sink) -> Result<()> {
    let Some(data) = line.strip_prefix(b"data: ") else { return Ok(()) };
    if data == b"[DONE]" {
        return Ok(());
    }
    let reply: Reply<'_> = serde_json::from_slice(data)?;
    if let Some(text) = reply.choices.0.and_then(|choice| choice.delta.content) {
        sink.push(&text.0);
    }
    Ok(())
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow)]
    choices: First<Choice<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, alias = "message")]
    delta: Delta<'a>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Option<Text<'a>>,
}

/// Within an `Option`, serde would copy a bare `Cow`.
#[derive(Default, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The first element of a list.
struct First<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for First<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_seq(FirstVisitor(PhantomData))
    }
}

struct FirstVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FirstVisitor<T> {
    type Value = First<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Self::Value, A::Error> {
        let first = items.next_element()?;
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(First(first))
    }
}

/// A request's body, its parts in reverse.
struct Parts {
    parts: Vec<Part>,
    left: u64,
    blocks: Blocks,
}

enum Part {
    Text(Bytes),
    File(File, u64),
    Memory(Bytes),
}

impl Parts {
    fn next(&mut self) -> std::io::Result<Option<Bytes>> {
        loop {
            match self.parts.last_mut() {
                None => return Ok(None),
                Some(Part::Text(text)) => {
                    let text = std::mem::take(text);
                    self.parts.pop();
                    return Ok(Some(text));
                }
                Some(Part::File(file, left)) if *left > 0 => {
                    let mut input = self.blocks.take();
                    let count = usize::try_from(*left).unwrap_or(INPUT).min(INPUT);
                    file.read_exact(&mut input[..count])?;
                    *left -= count as u64;
                    let block = self.blocks.encode(&input[..count]);
                    self.blocks.keep(input);
                    return Ok(Some(block));
                }
                Some(Part::Memory(bytes)) if !bytes.is_empty() => {
                    let input = bytes.split_to(bytes.len().min(INPUT));
                    return Ok(Some(self.blocks.encode(&input)));
                }
                Some(_) => drop(self.parts.pop()),
            }
        }
    }
}

impl Body for Parts {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
        let block = self.next().transpose();
        if let Some(Ok(block)) = &block {
            self.left -= block.len() as u64;
        }
        Poll::Ready(block.map(|block| block.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Blocks that are used again.
#[derive(Clone, Default)]
struct Blocks(Arc<Mutex<Vec<Vec<u8>>>>);

impl Blocks {
    fn take(&self) -> Vec<u8> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| vec![0; INPUT / 3 * 4])
    }

    fn keep(&self, block: Vec<u8>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < 64 {
            kept.push(block);
        }
    }

    fn encode(&self, input: &[u8]) -> Bytes {
        let mut block = self.take();
        let length = base64_simd::STANDARD.encode(input, base64_simd::Out::from_slice(&mut block)).len();
        Bytes::from_owner(Sent { block, length, blocks: self.clone() })
    }
}

struct Sent {
    block: Vec<u8>,
    length: usize,
    blocks: Blocks,
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.block[..self.length]
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.blocks.keep(std::mem::take(&mut self.block));
    }
}
