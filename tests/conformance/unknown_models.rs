//! A model that a vendor does not have is named, with the nearest known ones.

use polysight::{ChatRequest, ErrorKind, Image, Transport};
use polysight_testkit::calls::{self, Way};
use polysight_testkit::{MockServer, Reply, Wire};

fn not_found(wire: Wire) -> (u16, &'static str) {
    match wire {
        Wire::Zhipu => (400, "1211"),
        Wire::QwenVl => (404, "model_not_found"),
        Wire::QwenVlNative => (404, "ModelNotFound"),
        Wire::Ernie => (401, "invalid_model"),
    }
}

#[tokio::test]
async fn the_model_that_was_sent_and_the_nearest_known_ones_are_named() {
    for wire in Wire::ALL {
        let (status, code) = not_found(wire);
        let body = wire.error(code, "?").to_string();
        let server = MockServer::with_handler(move |_| Reply::json(status, &body)).await;
        let provider = wire.provider(wire.options(&server.url(""), Transport::builder().build().unwrap()));
        let known = provider.catalog().cards()[0].id.clone();
        let misspelled = format!("{}x{}", &known[..known.len() - 1], &known[known.len() - 1..]);
        let picture = "iVBORw0KGgoAAAANSUhEUg".repeat(60);
        for (model, words) in [
            (misspelled.as_str(), format!("`{misspelled}` was sent, the nearest known models are ")),
            (
                known.as_str(),
                format!("`{known}` was sent, which the catalogue knows: this key, region or deployment"),
            ),
            ("zzzz", "`zzzz` was sent".to_owned()),
            (picture.as_str(), "`iVBORw0KGgoAAAAN.. (1320 characters)` was sent".to_owned()),
            ("https://h.example/m?key=canary", "`https://h.example/m?..` was sent".to_owned()),
        ] {
            for way in Way::ALL {
                let request = ChatRequest::ask("?", None::<Image>).with_model(model);
                let error = match way {
                    Way::Plain => calls::plain(&*provider, request).await.unwrap_err(),
                    _ => calls::open(&*provider, request).await.map(drop).unwrap_err(),
                };
                let shown = error.to_string();
                assert_eq!(error.kind(), ErrorKind::ModelNotFound, "{shown}");
                assert!(shown.contains(&words), "{words}: {shown}");
                assert!(!shown.contains("canary") && shown.len() < 400, "{shown}");
            }
        }
    }
}
