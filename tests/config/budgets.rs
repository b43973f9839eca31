//! Budgets and ledgers of a config file.

use polysight::{ErrorKind, Polysight};

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
