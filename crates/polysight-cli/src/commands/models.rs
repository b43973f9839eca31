//! `models`: the catalogue, with limits, prices and sources.

use polysight::catalog::{ImageCard, Price, Status, VideoCard};
use polysight::{Capability, Catalog, ModelCard, ernie, qwen_vl, zhipu};
use serde_json::{Value, json};

use crate::args::{Global, Models};
use crate::config_source::ConfigSource;
use crate::outcome::{Failure, Outcome, Run};
use crate::output;

const HEADS: [&str; 10] = [
    "model",
    "status",
    "context",
    "output",
    "pictures",
    "videos",
    "thinking",
    "tools",
    "price in/out",
    "source",
];

/// Prints the models of the config's providers; without a config and keys those of the vendors.
pub(crate) async fn run(global: &Global, models: &Models) -> Run {
    let filter = models.filter.as_deref().unwrap_or_default().to_lowercase();
    let mut listed: Vec<(String, Catalog)> = catalogues(global).await?;
    listed
        .retain(|(provider, catalog)| catalog.cards().iter().any(|card| is_wanted(provider, card, &filter)));
    if listed.is_empty() {
        return Err(Failure::Other(format!("no model or provider has `{filter}` in its name")));
    }
    match models.json {
        true => output::lines(
            &serde_json::to_string_pretty(&all_json(&listed, &filter)).map_err(std::io::Error::from)?,
        )?,
        false => output::lines(&all_tables(&listed, &filter))?,
    }
    Ok(Outcome::Done)
}

async fn catalogues(global: &Global) -> Result<Vec<(String, Catalog)>, Failure> {
    let is_named = global.emulator || global.config.is_some();
    let source = match ConfigSource::find(global).await {
        Ok(source) => source,
        Err(error) if is_named => return Err(error.into()),
        Err(_) => return Ok(bundled()?),
    };
    let polysight = source.load()?;
    let mut catalogues = Vec::new();
    for name in polysight.provider_names() {
        match polysight.provider(name) {
            Ok(provider) => catalogues.push((name.to_owned(), provider.catalog().clone())),
            Err(error) => output::errors(Some("left out"), &error),
        }
    }
    Ok(catalogues)
}

fn bundled() -> polysight::Result<Vec<(String, Catalog)>> {
    let catalogues = [zhipu::catalog()?, qwen_vl::catalog()?, ernie::catalog()?];
    Ok(catalogues.into_iter().map(|catalog| (catalog.vendor().to_owned(), catalog.clone())).collect())
}

fn is_wanted(provider: &str, card: &ModelCard, filter: &str) -> bool {
    let names = [provider, card.id.as_str()].into_iter().chain(card.aliases.iter().map(String::as_str));
    names.into_iter().any(|name| name.to_lowercase().contains(filter))
}

fn all_tables(listed: &[(String, Catalog)], filter: &str) -> String {
    let tables = listed.iter().map(|(provider, catalog)| table(provider, catalog, filter));
    format!("{}\n{LEGEND}\n", tables.collect::<Vec<_>>().join("\n"))
}

const LEGEND: &str = "Context and output in tokens; prices a million tokens, of the shortest prompts where they differ by length (+).\n\
                      ? is unknown, and then not limited here. Limits and prices are the vendors' documents', not measured.";

fn table(provider: &str, catalog: &Catalog, filter: &str) -> String {
    let cards: Vec<&ModelCard> =
        catalog.cards().iter().map(AsRef::as_ref).filter(|card| is_wanted(provider, card, filter)).collect();
    let mut sources: Vec<String> = Vec::new();
    let mut rows = vec![HEADS.map(str::to_owned)];
    for card in cards {
        let source = card.citation().unwrap_or_else(|| "unknown".to_owned());
        let place = sources.iter().position(|known| *known == source).unwrap_or_else(|| {
            sources.push(source);
            sources.len() - 1
        });
        rows.push(row(card, place + 1));
    }
    let title = if provider == catalog.vendor() { String::new() } else { format!(" ({})", catalog.vendor()) };
    let sources = sources.iter().enumerate().map(|(place, source)| format!("[{}] {source}\n", place + 1));
    format!("{provider}{title}\n{}{}", output::columns(&rows), sources.collect::<String>())
}

fn row(card: &ModelCard, source: usize) -> [String; 10] {
    let status = if card.status == Status::Live { String::new() } else { card.status.to_string() };
    [
        card.id.clone(),
        status,
        number(card.context),
        number(card.max_output),
        images(&card.image),
        videos(&card.video),
        card.thinking.mode.map_or_else(unknown, |mode| mode.to_string()),
        yes_or_no(&card.tools),
        prices(&card.prices),
        format!("[{source}]"),
    ]
}

fn unknown() -> String {
    "?".to_owned()
}

fn number(number: Option<u64>) -> String {
    number.map_or_else(unknown, |number| number.to_string())
}

fn yes_or_no<T>(capability: &Capability<T>) -> String {
    match capability {
        Capability::Yes(_) => "yes".to_owned(),
        Capability::No => "no".to_owned(),
        Capability::Unknown => unknown(),
    }
}

fn images(capability: &Capability<ImageCard>) -> String {
    let Some(card) = capability.limits() else { return yes_or_no(capability) };
    let parts = [
        card.count.map(|count| format!("{count} x")),
        card.max_bytes.or(card.max_base64_bytes).map(bytes),
        card.max_side.map(|side| format!("{side} px")),
    ];
    joined(parts)
}

fn videos(capability: &Capability<VideoCard>) -> String {
    let Some(card) = capability.limits() else { return yes_or_no(capability) };
    let parts = [
        (card.base64 == Some(false)).then(|| "URL".to_owned()),
        card.max_bytes.or(card.max_base64_bytes).map(bytes),
        card.seconds.and_then(|seconds| seconds.high()).map(|end| format!("{} s", end.value())),
    ];
    joined(parts)
}

fn joined<const N: usize>(parts: [Option<String>; N]) -> String {
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "yes".to_owned() } else { parts.join(" ") }
}

fn bytes(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    match bytes {
        bytes if bytes % MIB == 0 => format!("{} MiB", bytes / MIB),
        bytes if bytes % 1_000_000 == 0 => format!("{} MB", bytes / 1_000_000),
        bytes => format!("{:.1} MiB", bytes as f64 / MIB as f64),
    }
}

/// The price of short prompts in each currency, with a mark where longer ones cost more.
fn prices(prices: &[Price]) -> String {
    let mut shown: Vec<String> = Vec::new();
    for price in prices.iter().filter(|price| price.above_input_tokens == 0) {
        let tiers = prices.iter().filter(|other| other.currency == price.currency).count();
        let more = if tiers > 1 { "+" } else { "" };
        shown.push(format!("{}/{}{more} {}", price.input, price.output, price.currency));
    }
    if shown.is_empty() { unknown() } else { shown.join(", ") }
}

fn all_json(listed: &[(String, Catalog)], filter: &str) -> Value {
    let of_catalog = |(provider, catalog): &(String, Catalog)| {
        let cards = catalog.cards().iter().filter(|card| is_wanted(provider, card, filter));
        cards.map(|card| card_json(provider, catalog, card)).collect::<Vec<_>>()
    };
    listed.iter().flat_map(of_catalog).collect()
}

fn card_json(provider: &str, catalog: &Catalog, card: &ModelCard) -> Value {
    let price = |price: &Price| {
        json!({
            "currency": price.currency, "input": price.input, "output": price.output,
            "cached_input": price.cached_input, "above_input_tokens": price.above_input_tokens,
        })
    };
    json!({
        "provider": provider,
        "vendor": catalog.vendor(),
        "id": card.id,
        "aliases": card.aliases,
        "status": card.status.to_string(),
        "replacement": card.replacement,
        "context": card.context,
        "max_output": card.max_output,
        "thinking": card.thinking.mode.map(|mode| mode.to_string()),
        "tools": able(&card.tools),
        "response_formats": card.response_formats,
        "image": limits(&card.image, ImageCard::to_json),
        "video": limits(&card.video, VideoCard::to_json),
        "image_with_video": card.image_with_video,
        "prices_per_million_tokens": card.prices.iter().map(price).collect::<Vec<_>>(),
        "quotas": card.quotas.map(|quotas| json!({
            "requests_per_minute": quotas.requests_per_minute,
            "tokens_per_minute": quotas.tokens_per_minute,
            "concurrency": quotas.concurrency,
        })),
        "source": card.source,
        "as_of": card.as_of,
        "remark": card.remark,
    })
}

/// Null where it is unknown.
fn able<T>(capability: &Capability<T>) -> Option<bool> {
    match capability {
        Capability::Unknown => None,
        known => Some(known.is_yes()),
    }
}

/// The limits, false, or null where nothing is known.
fn limits<T>(capability: &Capability<T>, json: impl Fn(&T) -> Value) -> Value {
    capability.limits().map_or_else(|| json!(able(capability)), json)
}
