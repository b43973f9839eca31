//! Budgets and ledgers of a config file.

use image::ImageFormat;
use polysight::{CallEvent, ChatRequest, ErrorKind, Image, Polysight};
use polysight_emulator::{Emulator, Fault, Surface};
use polysight_testkit::{calls, picture};
use std::sync::{Arc, Mutex};

const PROVIDER: &str = "[providers.zhipu]\nbackend = \"zhipu\"\napi_key = \"id.secret\"\n\
     [providers.qwen]\nbackend = \"qwen-vl\"\napi_key = \"sk-0123456789abcdef0123456789abcdef\"\n";

fn read(more: &str) -> polysight::Result<Polysight> {
    Polysight::from_toml(&format!("{PROVIDER}{more}"))
}

/// The fault of a role's budget.
fn fault(budget: &str) -> String {
    let role = "[roles.r]\nprovider = \"zhipu\"\nmodel = \"glm-4.6v\"\n";
    let error = read(&format!("{role}budget = {budget}\n")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

#[test]
fn what_a_budget_cannot_be_is_named_with_what_it_can() {
    for (budget, words) in [
        ("{ amount = 0, currency = \"CNY\", per = \"day\" }", ["roles.r.budget", "`amount` is 0.0"]),
        ("{ amount = -1, currency = \"CNY\", per = \"day\" }", ["roles.r.budget", "above 0"]),
        ("{ amount = nan, currency = \"CNY\", per = \"day\" }", ["roles.r.budget", "NaN"]),
        ("{ amount = 1, currency = \"yuan\", per = \"day\" }", ["`currency` is \"yuan\"", "CNY or USD"]),
        ("{ amount = 1, currency = \"CNY\", per = \"week\" }", ["week", "`month`"]),
        ("{ amount = 1, currency = \"CNY\" }", ["roles.r.budget", "per"]),
        ("{ amount = 1, currency = \"CNY\", per = \"day\", limit = 2 }", ["limit", "amount"]),
        ("{ amount = 1, currency = \"CNY\", per = \"day\", unknown = \"ask\" }", ["ask", "refuse"]),
        ("{ amount = 1, currency = \"CNY\", per = \"day\", rates = { USD = 0 } }", ["rates.USD", "above 0"]),
        ("{ amount = 1, currency = \"USD\", per = \"day\" }", ["price in CNY", "rates = { CNY = .. }"]),
        ("10", ["roles.r.budget", "10"]),
    ] {
        let fault = fault(budget);
        assert!(words.iter().all(|word| fault.contains(word)), "{budget}: {fault}");
    }
}

#[test]
fn a_budget_counts_the_currencies_of_all_roles_that_spend_it() {
    let roles = "[roles.near]\nprovider = \"zhipu\"\nmodel = \"glm-4.6v\"\n\
         [roles.both]\nfallback = [\"near\"]\n";
    let budget = |rates: &str| format!("{{ amount = 5, currency = \"EUR\", per = \"month\"{rates} }}");
    let all = |rates: &str| {
        read(&format!("{roles}[budget]\namount = 5\ncurrency = \"EUR\"\nper = \"total\"\n{rates}"))
    };
    assert!(
        all("").err().unwrap().to_string().contains("role `both`")
            || all("").err().unwrap().to_string().contains("role `near`")
    );
    assert!(all("rates = { CNY = 0.13 }").is_ok());
    let of_role = |rates: &str| read(&format!("{roles}budget = {}\n", budget(rates)));
    let error = of_role("").err().unwrap().to_string();
    assert!(error.contains("roles.both.budget") && error.contains("role `near`"), "{error}");
    let polysight = of_role(", rates = { CNY = 0.13 }").unwrap();
    assert!(polysight.role_ledger("near").unwrap().is_none());
    let ledger = polysight.role_ledger("both").unwrap().unwrap();
    assert_eq!((ledger.name(), ledger.policy().unwrap().amount), ("roles.both", 5.0));
    assert!(polysight.ledger().unwrap().policy().is_none(), "all calls are written down, without a budget");
    assert!(polysight.role("both").is_ok());
}

fn question() -> ChatRequest {
    ChatRequest::ask("What is it?", [Image::from_bytes(picture(ImageFormat::Png, 32, 24)).unwrap()])
        .with_max_tokens(200)
}

/// Roles of two models that are priced in yuan, and a fallback, at an emulator.
fn emulated(emulator: &Emulator, more: &str) -> Polysight {
    let (zhipu, qwen) = (emulator.base_url(Surface::Zhipu), emulator.base_url(Surface::DashScopeCompatible));
    let text = format!(
        "[providers.zhipu]\nbackend = \"zhipu\"\nbase_url = \"{zhipu}\"\napi_key = \"id.secret\"\n\
         [providers.qwen]\nbackend = \"qwen-vl\"\nbase_url = \"{qwen}\"\n\
         api_key = \"sk-0123456789abcdef0123456789abcdef\"\n\
         [defaults]\nretry = {{ max_attempts = 3, base_delay = 0 }}\n\
         [roles.first]\nprovider = \"zhipu\"\nmodel = \"glm-4.6v\"\nthinking = \"off\"\n\
         [roles.second]\nprovider = \"qwen\"\nmodel = \"qwen3-vl-235b-a22b-instruct\"\n\
         [roles.both]\nfallback = [\"first\", \"second\"]\n{more}\n"
    );
    Polysight::from_toml(&text).unwrap()
}

#[tokio::test]
async fn an_answer_says_what_it_cost_and_the_ledger_adds_up_by_role_and_model() {
    let emulator = Emulator::start().await.unwrap();
    let polysight = emulated(&emulator, "");
    let mut total = 0;
    for role in ["first", "second", "both"] {
        let role = polysight.role(role).unwrap();
        let plain = calls::plain(&role, question()).await.unwrap();
        let streamed = calls::streamed(&role, question()).await.unwrap();
        assert_eq!(plain.cost, streamed.cost);
        total += 2 * plain.cost.as_ref().unwrap().nanos().unwrap();
    }
    let ledger = polysight.ledger().unwrap();
    let sum = ledger.total();
    assert_eq!((sum.len(), sum[0].nanos().unwrap(), sum[0].currency.as_str()), (1, total, "CNY"));
    let roles: Vec<String> = ledger.by_role().into_keys().collect();
    assert_eq!(roles, ["first", "second"], "a fallback's attempts are those of its targets");
    assert_eq!(ledger.by_model().len(), 2);
}

#[tokio::test]
async fn a_fallbacks_budget_holds_for_its_targets_and_not_for_them_alone() {
    let emulator = Emulator::start().await.unwrap();
    let budget = "budget = { amount = 0.0000001, currency = \"CNY\", per = \"hour\" }";
    let polysight = emulated(&emulator, budget);
    let error = calls::plain(&polysight.role("both").unwrap(), question()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts().len()), (ErrorKind::BudgetExceeded, 1), "{error}");
    assert!(error.to_string().contains("`roles.both`"), "{error}");
    assert_eq!(emulator.load().requests, 0);
    assert!(calls::plain(&polysight.role("first").unwrap(), question()).await.is_ok());
    let all = emulated(&emulator, &format!("[budget]\n{}", budget_table(0.000_000_1)));
    let error = calls::plain(&all.role("first").unwrap(), question()).await.unwrap_err();
    assert!(error.to_string().contains("the budget `budget` of"), "{error}");
}

fn budget_table(amount: f64) -> String {
    format!("amount = {amount:.7}\ncurrency = \"CNY\"\nper = \"total\"\n")
}

#[tokio::test]
async fn an_estimate_of_a_fallback_covers_its_targets() {
    let emulator = Emulator::start().await.unwrap();
    let polysight = emulated(&emulator, "");
    let cost = |role| polysight.estimate(role, &question()).unwrap().cost.unwrap();
    let (first, second, both) = (cost("first"), cost("second"), cost("both"));
    assert_eq!(both.at_least, first.at_least.min(second.at_least));
    assert_eq!(both.at_most.unwrap(), first.at_most.unwrap().max(second.at_most.unwrap()));
    let refused = polysight.estimate("both", &ChatRequest::default()).unwrap_err();
    assert!(!refused.violations().is_empty());
    assert_eq!(emulator.load().requests, 0);
}

#[tokio::test]
async fn observers_of_a_program_see_the_wait_and_the_cost() {
    let emulator = Emulator::start().await.unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    let polysight = emulated(&emulator, "").with_observer(move |event: &CallEvent<'_>| {
        notes.lock().unwrap().push(match event {
            CallEvent::Planned(plan) => format!("planned {}", plan.model()),
            CallEvent::AttemptFailed { attempt, .. } => format!("failed {}", attempt.kind.name()),
            CallEvent::FirstDelta(_) => "first".to_owned(),
            CallEvent::Ended { cost, .. } => format!("ended {}", cost.is_some()),
            _ => "?".to_owned(),
        });
    });
    emulator.script(Fault::Empty500);
    calls::streamed(&polysight.role("both").unwrap(), question()).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), ["planned glm-4.6v", "failed server", "first", "ended true"]);
}
