//! The list of models.

use serde_json::json;

use crate::client::Served;

#[tokio::test]
async fn the_list_has_what_clients_read() {
    let served = Served::start("").await;
    let list = served.get("/v1/models", "").await.json();
    assert_eq!(list["object"], "list");
    let ids: Vec<_> =
        list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["blind", "default", "qwen", "steady"]);
    for model in list["data"].as_array().unwrap() {
        assert_eq!(model["object"], "model");
        assert!(
            model["created"].is_u64() && model["owned_by"].is_string() && model["name"].is_string(),
            "{model}"
        );
        assert!(model["context_length"].is_u64() || model["id"] == "blind", "{model}");
        assert!(!model.to_string().contains("null"), "{model}");
    }
    let model = &list["data"][1];
    let inputs = model["architecture"]["input_modalities"].as_array().unwrap();
    assert!(inputs.contains(&json!("image")), "{model}");
    assert_eq!(list["data"][0]["architecture"]["input_modalities"], json!(["text"]));
    assert!(
        model["polysight"]["image"]["max_bytes"].is_u64() && model["polysight"]["source"].is_string(),
        "{model}"
    );
    assert!(model["pricing"]["prompt"].as_str().unwrap().parse::<f64>().unwrap() > 0.0, "{model}");
    assert!(model["pricing"]["internal_reasoning"].as_str().is_some_and(|price| price != "0"), "{model}");
}

#[tokio::test]
async fn paths_work_with_and_without_v1_doubled_and_with_slashes() {
    let served = Served::start("").await;
    for path in ["/models", "/v1/models/", "/v1/v1/models", "/v1/models"] {
        assert_eq!(served.get(path, "").await.json()["object"], "list", "{path}");
    }
    for path in ["/v1/models/qwen", "/models/qwen/"] {
        assert_eq!(served.get(path, "").await.json()["id"], "qwen", "{path}");
    }
    assert_eq!(served.get("/v1/models/qwem", "").await.status, 404);
}
