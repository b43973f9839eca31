//! A function called, its result sent back, an answer made of it.

use polysight::{ChatRequest, ChatResponse, Conversation, FinishKind, Message};
use polysight_testkit::{calls, zhipu_role};
use polysight_zhipu::ZhipuExtras;
use serde_json::json;

use crate::suite::tools::{news, weather};

#[derive(Clone, Copy)]
enum How {
    Plain,
    Streamed,
    StreamedInPieces,
}

#[tokio::test]
async fn the_round_trip_works_plain_and_streamed_whole_and_in_pieces() {
    for model in ["glm-4-air", "glm-4.6v-flash"] {
        let (emulator, role) = zhipu_role(model).await;
        for how in [How::Plain, How::Streamed, How::StreamedInPieces] {
            let ask = async |request: ChatRequest| -> ChatResponse {
                let request = request.with_tools([weather()]);
                match how {
                    How::Plain => calls::plain(&role, request).await.unwrap(),
                    How::Streamed => calls::streamed(&role, request).await.unwrap(),
                    How::StreamedInPieces => {
                        let extras = ZhipuExtras::new().with_tool_stream(true);
                        calls::streamed(&role, request.with_extras(extras)).await.unwrap()
                    }
                }
            };
            let mut talk = Conversation::new();
            talk.push(Message::user("What is the weather in \"北京\"?"));
            let asked = ask(talk.request()).await;
            assert_eq!(asked.finish.kind, FinishKind::ToolCalls);
            assert_eq!(asked.tool_calls.len(), 1);
            let call = &asked.tool_calls[0];
            assert_eq!(call.name, "get_weather");
            assert_eq!(call.parse::<serde_json::Value>().unwrap(), json!({"city": "北京"}));
            talk.push_response(&asked);
            talk.push(Message::tool_result(&call.id, r#"{"temperature":21}"#));
            let answer = ask(talk.request()).await;
            assert_eq!(answer.finish.kind, FinishKind::Stop);
            assert!(answer.text.contains(r#"{"temperature":21}"#), "{}", answer.text);
        }
        let bodies: Vec<_> = emulator.requests().into_iter().filter_map(|request| request.body).collect();
        let sent_back = &bodies[1]["messages"];
        assert_eq!(sent_back[1]["tool_calls"][0]["function"]["name"], "get_weather");
        assert!(sent_back[1]["tool_calls"][0]["function"]["arguments"].is_string());
        assert_eq!(sent_back[2]["role"], "tool");
        assert_eq!(sent_back[2]["tool_call_id"], sent_back[1]["tool_calls"][0]["id"]);
    }
}

#[tokio::test]
async fn parallel_calls_stay_apart() {
    let (_emulator, role) = zhipu_role("glm-4.6v-flash").await;
    let request =
        ChatRequest::new([Message::user("Tell me both about \"Paris\"")]).with_tools([weather(), news()]);
    for pieces in [false, true] {
        let request = request.clone().with_extras(ZhipuExtras::new().with_tool_stream(pieces));
        let answer = calls::streamed(&role, request).await.unwrap();
        let names: Vec<&str> = answer.tool_calls.iter().map(|call| call.name.as_str()).collect();
        assert_eq!(names, ["get_weather", "get_news"]);
        assert!(answer.tool_calls.iter().all(|call| call.parse::<serde_json::Value>().is_ok()));
        assert_ne!(answer.tool_calls[0].id, answer.tool_calls[1].id);
    }
}
