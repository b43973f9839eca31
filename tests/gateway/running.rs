//! Health, counters, reload and shutdown.

use std::time::Duration;

use polysight::Polysight;
use polysight_emulator::{Emulator, Fault};
use polysight_gateway::Settings;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{LONG, Reply, Served, and, chat_request, config, question, read};

#[tokio::test]
async fn health_and_counters_are_there() {
    let served = Served::start("").await;
    assert_eq!(served.get("/healthz", "").await.body, "ok\n");
    assert_eq!(served.get("/readyz", "").await.body, "ready\n");
    served.chat(&question("default")).await;
    let text = served.get("/metrics", "").await.body;
    assert!(
        text.contains("polysight_gateway_requests_total{") && text.contains("role=\"default\""),
        "{text}"
    );
    assert!(text.contains("polysight_gateway_request_duration_seconds_bucket"), "{text}");
}

/// A stream that has begun.
async fn open_stream(served: &Served) -> (TcpStream, Vec<u8>) {
    let mut stream = served.connect().await;
    stream.write_all(&chat_request(&and(question("default"), "stream", true).to_string(), "")).await.unwrap();
    let mut begun = vec![0; 2048];
    let count = tokio::time::timeout(LONG, stream.read(&mut begun)).await.unwrap().unwrap();
    begun.truncate(count);
    (stream, begun)
}

async fn rest(stream: TcpStream, mut begun: Vec<u8>) -> Reply {
    let mut stream = stream;
    let _ = tokio::time::timeout(LONG, stream.read_to_end(&mut begun)).await.unwrap();
    Reply::of(&begun)
}

#[tokio::test]
async fn streams_finish_when_the_gateway_shuts_down() {
    let emulator = Emulator::builder().delta_delay(Duration::from_millis(20)).start().await.unwrap();
    let mut served = Served::with(emulator, "").await;
    let mut streams = Vec::new();
    for _ in 0..50 {
        streams.push(open_stream(&served).await);
    }
    served.stop.take().unwrap().send(()).unwrap();
    for (stream, begun) in streams {
        let reply = rest(stream, begun).await;
        assert_eq!(reply.data().last(), Some(&"[DONE]"), "{reply:?}");
    }
    tokio::time::timeout(LONG, &mut served.server).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(served.address).await.is_err());
}

#[tokio::test]
async fn streams_that_do_not_finish_in_time_end_with_an_error() {
    let mut served = Served::start("[gateway]\nshutdown_grace = 0.1\nkeep_alive = 0.05").await;
    for _ in 0..2 {
        served.emulator.script(Fault::StallBetweenDeltas(1));
    }
    let streams = [open_stream(&served).await, open_stream(&served).await];
    served.emulator.script(Fault::StallBeforeHead);
    let mut plain = served.connect().await;
    plain.write_all(&chat_request(&question("default").to_string(), "")).await.unwrap();
    while served.emulator.load().in_flight < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    served.stop.take().unwrap().send(()).unwrap();
    for (stream, begun) in streams {
        let reply = rest(stream, begun).await;
        assert_eq!(reply.chunks().pop().unwrap()["error"]["code"], "shutting_down", "{reply:?}");
        assert!(!reply.body.contains("[DONE]"), "{reply:?}");
    }
    let reply = read(plain).await;
    assert_eq!((reply.status, reply.error()["code"].as_str()), (503, Some("shutting_down")));
    tokio::time::timeout(LONG, &mut served.server).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_reload_loses_no_request_and_garbage_changes_nothing() {
    let served = Served::start("").await;
    let text = config(&served.emulator, "[roles.added]\nprovider = \"alibaba\"\nmodel = \"qwen3-vl-flash\"");
    let requests = async {
        for _ in 0..60 {
            assert_eq!(served.chat(&question("default")).await.status, 200);
        }
    };
    let reloads = async {
        for _ in 0..10 {
            let polysight = Polysight::from_toml(&text).unwrap();
            served.gateway.reload(polysight, Settings::from_toml(&text).unwrap()).unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::join!(requests, reloads);
    assert_eq!(served.chat(&question("added")).await.status, 200);
    assert!(Settings::from_toml("garbage").is_err() && Polysight::from_toml("garbage").is_err());
    let keyed = config(
        &served.emulator,
        "[gateway]\nkeys = [{ name = \"a\", key = \"gateway-key\", roles = [\"no\"] }]",
    );
    let settings = Settings::from_toml(&keyed).unwrap();
    assert!(served.gateway.reload(Polysight::from_toml(&keyed).unwrap(), settings).is_err());
    assert_eq!(served.chat(&question("added")).await.status, 200, "the old one stays");
}
