//! Marks for Alibaba's prompt cache, from a request to what it costs.

use std::sync::Arc;

use polysight::catalog::Price;
use polysight::{ChatRequest, Message, Plan, Transport, Usage, VisionProvider};
use polysight_emulator::Emulator;
use polysight_testkit::Wire;
use polysight_testkit::calls::{plain, streamed};

/// Four tokens a sentence, by the emulator's count.
fn marked(question: &str) -> ChatRequest {
    let guide = Message::user("Look for hats. ".repeat(500)).with_cache_mark();
    ChatRequest::new([guide.with(question)]).with_model("qwen3-vl-plus").with_max_tokens(100)
}

/// What the plan's price has for these tokens of the prompt, in yuan.
fn expected(plan: &Plan, usage: &Usage) -> f64 {
    let price = Price::tier(&plan.card.prices, usage.input_tokens).unwrap();
    let [cached, created] =
        [usage.details.cached_by_mark, usage.details.cache_creation].map(Option::unwrap_or_default);
    let fresh = usage.input_tokens - cached - created;
    // The vendor's guide: a quarter more to keep them, a tenth to read them.
    let prompt = fresh as f64 + 1.25 * created as f64 + 0.1 * cached as f64;
    (prompt * price.input + usage.output_tokens as f64 * price.output) / 1e6
}

/// An emulator, and a provider that it answers.
async fn emulated(wire: Wire) -> (Emulator, Arc<dyn VisionProvider>) {
    let emulator = Emulator::start().await.unwrap();
    let base_url = emulator.base_url(wire.surface());
    let options = wire
        .options("http://127.0.0.1", Transport::builder().build().unwrap())
        .with_base_url(base_url.parse().unwrap());
    (emulator, wire.provider(options))
}

#[tokio::test]
async fn marked_tokens_are_kept_once_and_then_cost_a_tenth() {
    for wire in [Wire::QwenVl, Wire::QwenVlNative] {
        let (_emulator, provider) = emulated(wire).await;
        let mut kept = Vec::new();
        for (question, stream) in [("One?", false), ("Two?", true), ("Three?", false), ("One?", true)] {
            let plan = provider.plan(&marked(question)).unwrap();
            let range = plan.estimate.cost.clone().unwrap();
            let response = match stream {
                true => streamed(&*provider, marked(question)).await.unwrap(),
                false => plain(&*provider, marked(question)).await.unwrap(),
            };
            let usage = response.usage.unwrap();
            let cost = response.cost.clone().unwrap();
            assert!((cost.amount - expected(&plan, &usage)).abs() < 1e-12, "{wire:?} {question}: {cost}");
            assert!(
                range.at_least <= cost.amount && cost.amount <= range.at_most.unwrap(),
                "{range}, {cost}"
            );
            kept.push((usage.details.cached_by_mark.unwrap_or(0), usage.details.cache_creation.unwrap_or(0)));
        }
        assert_eq!(kept, [(0, 2008), (2008, 0), (2008, 0), (2008, 0)], "{wire:?}");
    }
}

#[tokio::test]
async fn the_bound_of_a_marked_prompt_holds_what_keeping_it_costs() {
    let (_emulator, provider) = emulated(Wire::QwenVl).await;
    let bound = |request: &ChatRequest| provider.plan(request).unwrap().estimate.input_cost.unwrap();
    let plain = ChatRequest::new([Message::user("Look for hats. ".repeat(500)).with("One?")]);
    let (marked, plain) = (bound(&marked("One?")), bound(&plain.with_model("qwen3-vl-plus")));
    assert!((marked.at_most.unwrap() - 1.25 * plain.at_most.unwrap()).abs() < 1e-12, "{marked}, {plain}");
    assert!(marked.at_least < plain.at_least, "{marked}, {plain}");
}
