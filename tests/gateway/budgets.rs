//! What the calls of a key may cost.

#[path = "../../crates/polysight-layers/src/rate_limit/redis/server.rs"]
mod server;

use std::time::Duration;

use polysight::{JsonValue, Polysight};
use polysight_emulator::{Emulator, Fault};
use polysight_gateway::{Gateway, Settings};
use serde_json::json;
use server::Server;

use crate::client::{Reply, Served, and, config, question};

const ANN: &str = "X-Api-Key: gateway-key-of-ann\r\n";
const BOB: &str = "X-Api-Key: gateway-key-of-bob\r\n";
/// In yuan: an answer costs far less than it may cost at most.
const MAX_TOKENS: u32 = 2_000;

/// A gateway in which ann may spend so many yuan in all, and bob a whole one.
fn keys(amount: f64) -> String {
    format!(
        r#"
        [gateway]
        provider_models = true
        [[gateway.keys]]
        name = "ann"
        key = "gateway-key-of-ann"
        budget = {{ amount = {amount}, currency = "CNY", per = "total" }}
        [[gateway.keys]]
        name = "bob"
        key = "gateway-key-of-bob"
        budget = {{ amount = 1, currency = "CNY", per = "month" }}
        "#
    )
}

fn asked(role: &str) -> JsonValue {
    and(question(role), "max_tokens", MAX_TOKENS)
}

async fn ask(served: &Served, role: &str, key: &str) -> Reply {
    served.post(&asked(role).to_string(), key).await
}

/// What an answer cost, in billionths of a yuan.
fn cost(reply: &Reply) -> i64 {
    let text = reply.header("x-polysight-cost").unwrap();
    let amount: f64 = text.strip_suffix(" CNY").unwrap().parse().unwrap();
    (amount * 1e9).round() as i64
}

fn assert_refused(reply: &Reply) {
    let error = reply.error();
    assert_eq!((reply.status, error["code"].as_str()), (402, Some("budget_exceeded")), "{reply:?}");
    assert_eq!((&error["type"], reply.header("x-should-retry")), (&json!("billing_error"), Some("false")));
    assert!(!reply.body.contains("gateway-key-of"), "{reply:?}");
}

/// How often a key can ask one after the other until its budget is spent.
async fn spend(served: &Served, role: &str, key: &str) -> usize {
    for count in 0..10_000 {
        let reply = ask(served, role, key).await;
        if reply.status != 200 {
            assert_refused(&reply);
            return count;
        }
    }
    panic!("the budget is never spent");
}

/// Asks until it is refused for good, and gives what the answers cost: a store that is shared learns a moment later what a call did
/// not use.
async fn spend_all(served: &Served, key: &str) -> i64 {
    let (mut spent, mut refused) = (0, 0);
    while refused < 20 {
        let reply = ask(served, "default", key).await;
        if reply.status == 200 {
            (spent, refused) = (spent + cost(&reply), 0);
        } else {
            assert_refused(&reply);
            refused += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    spent
}

#[tokio::test]
async fn a_refusal_names_key_amount_period_and_when_it_starts_anew() {
    let more = "[gateway]\n[[gateway.keys]]\nname = \"ann\"\nkey = \"gateway-key-of-ann\"\n\
                budget = { amount = 0.001, currency = \"CNY\", per = \"day\" }";
    let served = Served::start(more).await;
    let reply = ask(&served, "default", ANN).await;
    assert_refused(&reply);
    let message = reply.error()["message"].as_str().unwrap().to_owned();
    for part in [
        "`gateway.keys.ann` of 0.001000 CNY (per day, UTC)",
        "it may cost up to 0.00",
        "[resets 20",
        "T00:00:00Z]",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert!(served.emulator.requests().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn many_requests_at_once_never_pass_the_budget() {
    const AMOUNT: f64 = 0.03;
    let emulator = Emulator::builder().delta_delay(Duration::from_millis(2)).start().await.unwrap();
    let served = Served::with(emulator, &keys(AMOUNT)).await;
    let (mut spent, mut answered, mut refused) = (0, 0, 0);
    for _ in 0..4 {
        let mut calls = tokio::task::JoinSet::new();
        for number in 0..40 {
            let body = and(asked(["default", "steady"][number % 2]), "stream", number % 4 == 0).to_string();
            let request = crate::client::chat_request(&body, ANN);
            let stream = served.connect().await;
            calls.spawn(async move { crate::client::exchange(stream, &request).await });
        }
        for reply in calls.join_all().await {
            match reply.status {
                200 if reply.header("x-polysight-cost").is_some() => spent += cost(&reply),
                200 => {}
                _ => {
                    assert_refused(&reply);
                    refused += 1;
                    continue;
                }
            }
            answered += 1;
        }
    }
    assert!(answered > 8 && refused > 8, "{answered} answered, {refused} refused");
    assert!(spent as f64 <= AMOUNT * 1e9, "{spent}");
    assert_eq!(served.emulator.load().requests, answered, "a refused request is not sent");
    // Four attempts of 2,000 tokens at 3 CNY a million are all that it holds at a time.
    assert!(served.emulator.load().most_in_flight <= 5, "{:?}", served.emulator.load());
}

#[tokio::test]
async fn what_streams_did_not_use_is_free_again() {
    // Holds one call of 2,000 tokens, and not two.
    let served = Served::start(&keys(0.01)).await;
    for _ in 0..5 {
        let reply = served.post(&and(asked("default"), "stream", true).to_string(), ANN).await;
        assert_eq!((reply.status, reply.data().last()), (200, Some(&"[DONE]")), "{reply:?}");
    }
    // What breaks off may be billed: the whole reservation stays.
    served.emulator.script(Fault::TruncateAfter(1));
    let cut = served.post(&and(asked("default"), "stream", true).to_string(), ANN).await;
    assert!(!cut.body.contains("[DONE]"), "{cut:?}");
    assert_refused(&ask(&served, "default", ANN).await);
}

#[tokio::test]
async fn keys_spend_their_own_budgets_by_every_way_to_a_model() {
    let served = Served::start(&keys(0.0065)).await;
    assert!(spend(&served, "default", ANN).await > 0);
    for model in ["default", "steady", "zhipu/glm-4.6v"] {
        assert_refused(&ask(&served, model, ANN).await);
        assert_eq!(ask(&served, model, BOB).await.status, 200, "{model}");
    }
}

#[tokio::test]
async fn the_budget_of_all_roles_pays_for_models_of_providers_too() {
    let more =
        "[gateway]\nprovider_models = true\n[budget]\namount = 0.0065\ncurrency = \"CNY\"\nper = \"total\"";
    let served = Served::start(more).await;
    assert!(spend(&served, "zhipu/glm-4.6v", "").await > 0);
    assert_refused(&ask(&served, "default", "").await);
}

#[tokio::test]
async fn a_reload_forgets_nothing_that_was_spent() {
    let paid = |amount: f64| {
        format!(
            "[roles.paid]\nprovider = \"zhipu\"\nmodel = \"glm-4.6v\"\nbudget = {{ amount = {amount}, currency = \"CNY\", \
             per = \"total\" }}\n"
        )
    };
    let served = Served::start(&format!("{}{}", paid(0.0065), keys(0.0065))).await;
    let reload = |amount: f64| {
        let text = config(&served.emulator, &format!("{}{}", paid(amount), keys(amount)));
        served
            .gateway
            .reload(Polysight::from_toml(&text).unwrap(), Settings::from_toml(&text).unwrap())
            .unwrap();
    };
    let spent = spend(&served, "default", ANN).await;
    assert_eq!(spend(&served, "paid", BOB).await, spent, "a role's own budget is counted alike");
    reload(0.0065);
    assert_eq!((spend(&served, "default", ANN).await, spend(&served, "paid", BOB).await), (0, 0));
    reload(0.0066);
    let (more, of_role) = (spend(&served, "default", ANN).await, spend(&served, "paid", BOB).await);
    assert!(more > 0 && of_role > 0, "a higher amount holds more");
    reload(0.0065);
    assert_eq!(spend(&served, "default", ANN).await, 0);
}

#[tokio::test]
async fn two_gateways_on_one_store_share_a_budget() {
    const AMOUNT: f64 = 0.03;
    let Some(redis) = Server::start() else { return };
    let store = format!("[rate_limit_store]\nurl = \"{}\"\n{}", redis.url(), keys(AMOUNT));
    let (one, other) = (Served::start(&store).await, Served::start(&store).await);
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..60 {
        let stream = [&one, &other][number % 2].connect().await;
        let request = crate::client::chat_request(&asked("default").to_string(), ANN);
        calls.spawn(async move { crate::client::exchange(stream, &request).await });
    }
    let replies = calls.join_all().await;
    replies.iter().filter(|reply| reply.status != 200).for_each(assert_refused);
    let at_once: i64 = replies.iter().filter(|reply| reply.status == 200).map(cost).sum();
    let spent = at_once + spend_all(&one, ANN).await + spend_all(&other, ANN).await;
    // What is left does not hold another call, which may cost 0.0065 yuan at most.
    let amount = (AMOUNT * 1e9) as i64;
    assert!(at_once > 0 && (amount - 6_500_000..=amount).contains(&spent), "{at_once}, {spent}");
    assert_eq!(ask(&other, "default", BOB).await.status, 200);
}

#[tokio::test]
async fn a_wrong_budget_is_a_fault_of_the_config() {
    let emulator = Emulator::start().await.unwrap();
    let problem = |budget: &str| {
        let key = format!(
            "[gateway]\nkeys = [{{ name = \"ann\", key = \"gateway-key-of-ann\", budget = {{ {budget} }} }}]"
        );
        let text = config(&emulator, &key);
        let made = Settings::from_toml(&text)
            .and_then(|settings| Gateway::new(Polysight::from_toml(&text).unwrap(), settings));
        let error = made.unwrap_err().to_string();
        assert!(error.contains("gateway") && !error.contains("gateway-key-of"), "{error}");
        error
    };
    for (budget, words) in [
        ("amount = 0, currency = \"CNY\", per = \"day\"", "keys[0]: budget: `amount` is 0"),
        ("amount = -1, currency = \"CNY\", per = \"day\"", "`amount` is -1"),
        ("amount = 1, currency = \"yuan\", per = \"day\"", "`currency` is "),
        ("amount = 1, currency = \"CNY\", per = \"week\"", "budget.per: this is unknown"),
        ("amount = 1, currency = \"CNY\", per = \"day\", limit = 2", "limit"),
        (
            "amount = 1, currency = \"USD\", per = \"day\"",
            "keys[0].budget: role `default`: the budget is in USD",
        ),
    ] {
        let error = problem(budget);
        assert!(error.contains(words), "{error}");
    }
}
