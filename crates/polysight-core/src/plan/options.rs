//! Sampling, limits, ids, tools and thinking against the model's card.

use super::{Findings, Limit, Quantity, Tolerance};
use crate::catalog::{GreedyForm, IdLength, NumberRange, SamplingCard, ThinkingCard, ThinkingMode};
use crate::{
    Capability, ChatRequest, Effort, Interval, ModelCard, RandomSampling, Sampling, Thinking, ToolChoice,
};

pub(super) fn check(request: &mut ChatRequest, card: &ModelCard, findings: &mut Findings) {
    check_sampling(request, &card.sampling, findings);
    check_max_tokens(request, card, findings);
    check_stop(request, card, findings);
    // An answer is the same without the caller's id of the request; the vendor acts on the end user's.
    check_id("request_id", &mut request.request_id, card.request_id, Tolerance::Lossless, findings);
    check_id("end_user_id", &mut request.end_user_id, card.end_user_id, Tolerance::Lossy, findings);
    check_thinking(request, card, findings);
    check_tools(request, card, findings);
}

/// Says whether the model must be streamed: some reason only then.
pub(super) fn must_stream(request: &ChatRequest, card: &ModelCard) -> bool {
    let thinks = match request.thinking {
        Thinking::Off => false,
        Thinking::On | Thinking::Budget(_) | Thinking::Effort(_) => true,
        Thinking::Default => card.thinking.default_on || card.thinking.mode == Some(ThinkingMode::Forced),
    };
    card.thinking.stream_only && thinks
}

fn check_sampling(request: &mut ChatRequest, card: &SamplingCard, findings: &mut Findings) {
    if let Sampling::Random(random) = request.sampling {
        let random = checked_random(random, card, findings);
        request.sampling = Sampling::Random(random);
        if random.temperature == Some(0.0) && card.greedy == GreedyForm::DoSample {
            say_greedy(request, card, findings);
        }
    }
    request.seed = match (request.seed, &card.seed) {
        (Some(seed), Capability::No) => drop_option("seed", seed, findings),
        (Some(seed), Capability::Yes(NumberRange(Some(range)))) if !range.contains(seed as f64) => {
            let problem = format!("seed is {seed}");
            let limit = Limit::within(Quantity::Number, *range, seed as f64);
            findings.reject_limit("seed", problem, limit, range.to_string(), "choose a seed in range");
            Some(seed)
        }
        (seed, _) => seed,
    };
}

/// Temperature 0 means greedy; vendors with a switch of its own for that once refused the number.
fn say_greedy(request: &mut ChatRequest, card: &SamplingCard, findings: &mut Findings) {
    if findings.lossless("temperature", "temperature 0 sent as do_sample: false") {
        request.sampling = Sampling::Greedy;
    } else if card.temperature.is_some_and(|range| !range.contains(0.0)) {
        findings.reject("temperature", "temperature is 0", "greedy sampling", "ask for greedy sampling");
    }
}

fn checked_random(random: RandomSampling, card: &SamplingCard, findings: &mut Findings) -> RandomSampling {
    let greedy_zero = random.temperature == Some(0.0) && card.greedy == GreedyForm::DoSample;
    let known = |range: Option<Interval>| {
        range.map_or(Capability::Unknown, |range| Capability::Yes(NumberRange(Some(range))))
    };
    let top_k = check_number("top_k", random.top_k.map(f64::from), &card.top_k, Some(0), findings);
    let mut number = |name, value, capability: &Capability<NumberRange>| {
        check_number(name, value, capability, card.decimals, findings)
    };
    RandomSampling {
        temperature: if greedy_zero {
            random.temperature
        } else {
            number("temperature", random.temperature, &known(card.temperature))
        },
        top_p: number("top_p", random.top_p, &known(card.top_p)),
        top_k: top_k.map(|value| value as u32),
        presence_penalty: number("presence_penalty", random.presence_penalty, &card.presence_penalty),
        frequency_penalty: number("frequency_penalty", random.frequency_penalty, &card.frequency_penalty),
        repetition_penalty: number("repetition_penalty", random.repetition_penalty, &card.repetition_penalty),
    }
}

/// Brings a number into range and to the decimals that the vendor takes, as far as that is tolerated.
fn check_number(
    name: &'static str,
    value: Option<f64>,
    capability: &Capability<NumberRange>,
    decimals: Option<u8>,
    findings: &mut Findings,
) -> Option<f64> {
    let mut value = value?;
    if !value.is_finite() {
        findings.reject(name, format!("{name} is {value}"), "a number", "set it to a number");
        return None;
    }
    if capability.is_no() {
        return drop_option(name, value, findings);
    }
    let range = capability.limits().and_then(|range| range.0);
    let nearest = nearest(value, range, decimals);
    if let Some(range) = range.filter(|range| !range.contains(value)) {
        match nearest {
            Some(nearest)
                if findings.lossy(name, format!("{name} {value} brought into range: {nearest}")) =>
            {
                value = nearest;
            }
            _ => {
                let problem = format!("{name} is {value}");
                let limit = Limit::within(Quantity::Number, range, value);
                findings.reject_limit(name, problem, limit, range.to_string(), "choose a value in range");
            }
        }
    } else if let Some(rounded) = nearest.filter(|rounded| *rounded != value) {
        if findings.lossless(name, format!("{name} {value} rounded to {rounded}")) {
            value = rounded;
        } else {
            let limit = format!("at most {} decimals", decimals.unwrap_or_default());
            findings.reject(name, format!("{name} is {value}"), limit, format!("write {rounded}"));
        }
    }
    Some(value)
}

/// The nearest number in range that has no more than these decimals; `None` when the range holds no such number.
fn nearest(value: f64, range: Option<Interval>, decimals: Option<u8>) -> Option<f64> {
    let step = 10f64.powi(-i32::from(decimals.unwrap_or(2)));
    let inside = range.map_or(value, |range| range.clamp(value, step));
    let Some(decimals) = decimals else { return Some(inside) };
    let rounded = round(inside, decimals);
    // Rounding may lead out of the range again: 0.001 to 0 in (0, 1].
    let mut candidates =
        [rounded, round(rounded + step, decimals), round(rounded - step, decimals)].into_iter();
    candidates.find(|candidate| range.is_none_or(|range| range.contains(*candidate)))
}

/// Rounds to a number of decimals, giving the float whose shortest form has no more, and no negative zero.
fn round(value: f64, decimals: u8) -> f64 {
    format!("{value:.*}", usize::from(decimals)).parse().unwrap_or(value) + 0.0
}

fn drop_option<T: std::fmt::Display>(name: &'static str, value: T, findings: &mut Findings) -> Option<T> {
    if findings.lossy(name, format!("{name} left out")) {
        return None;
    }
    let problem = format!("{name} is set to {value}, and {} has no such setting", findings.model());
    findings.reject(name, problem, "nothing of the kind", "leave it out, or tolerate losses");
    Some(value)
}

fn check_max_tokens(request: &mut ChatRequest, card: &ModelCard, findings: &mut Findings) {
    let Some(tokens) = request.max_tokens else { return };
    let whole = |limit: u64| u32::try_from(limit).unwrap_or(u32::MAX).max(1);
    let least = card.min_output.map_or(1, whole);
    let cap = card.max_output.map(|cap| whole(cap).max(least));
    let nearest = tokens.clamp(least, cap.unwrap_or(u32::MAX));
    if nearest == tokens {
        return;
    }
    if findings.lossy("max_tokens", format!("max_tokens {tokens} brought into range: {nearest}")) {
        request.max_tokens = Some(nearest);
        return;
    }
    let limit = match cap {
        Some(cap) => format!("[{least}, {cap}] for {}", findings.model()),
        None => format!("at least {least}"),
    };
    let fix = if tokens < least { "leave it out for no limit of your own" } else { "choose a lower limit" };
    let at_most = cap.map(|cap| cap as f64);
    let value = Limit { at_most, ..Limit::at_least(Quantity::Tokens, least as f64, tokens as f64) };
    findings.reject_limit("max_tokens", format!("max_tokens is {tokens}"), value, limit, fix);
}

fn check_stop(request: &ChatRequest, card: &ModelCard, findings: &mut Findings) {
    let count = request.stop.len() as u64;
    if let Some(limit) = card.stop.count.filter(|limit| count > *limit) {
        let value = Limit::at_most(Quantity::Number, limit as f64, count as f64);
        let text = format!("at most {limit}");
        findings.reject_limit("stop", format!("{count} stop texts"), value, text, "give fewer");
    }
    for (index, text) in request.stop.iter().enumerate() {
        let length = text.chars().count() as u64;
        let limit = card.stop.max_chars.unwrap_or(u64::MAX);
        if length == 0 || length > limit {
            let limit =
                if limit == u64::MAX { "at least 1".to_owned() } else { format!("1 to {limit} characters") };
            findings.reject(
                format!("stop[{index}]"),
                format!("{length} characters"),
                limit,
                "change or drop it",
            );
        }
    }
}

fn check_id(
    name: &'static str,
    id: &mut Option<String>,
    rule: Option<IdLength>,
    needed: Tolerance,
    findings: &mut Findings,
) {
    let Some(value) = id.as_ref() else { return };
    let Some(rule) = rule else {
        if findings.allow(needed, name, format!("{name} left out: the vendor takes none")) {
            *id = None;
        } else {
            let problem = format!("the vendor takes no {name}");
            findings.reject(name, problem, "nothing of the kind", "leave it out, or tolerate losses");
        }
        return;
    };
    let length = value.chars().count() as u64;
    if length < rule.min || length > rule.max {
        let limit = format!("{} to {} characters", rule.min, rule.max);
        findings.reject(name, format!("{name} has {length} characters"), limit, "choose another id");
    }
}

fn check_thinking(request: &mut ChatRequest, card: &ModelCard, findings: &mut Findings) {
    let Some((problem, nearest)) = unsuitable(request.thinking, &card.thinking) else { return };
    let wanted = phrase(request.thinking);
    let change = match nearest {
        Thinking::Default => format!("{wanted} left out"),
        nearest => format!("{wanted} replaced by {}", phrase(nearest)),
    };
    if findings.lossy("thinking", format!("{change}: {} {problem}", findings.model())) {
        request.thinking = nearest;
        return;
    }
    let mode = card.thinking.mode.map_or_else(String::new, |mode| mode.to_string());
    let problem = format!("{wanted} is asked for, but {} {problem}", findings.model());
    findings.reject("thinking", problem, format!("thinking: {mode}"), "choose another setting or model");
}

/// Why a model does not take a setting, and the nearest that it takes; `None` when it takes the setting.
fn unsuitable(thinking: Thinking, card: &ThinkingCard) -> Option<(String, Thinking)> {
    match (thinking, card.mode?) {
        (Thinking::Off, ThinkingMode::Forced) => Some(("always reasons".to_owned(), Thinking::Default)),
        (Thinking::Default | Thinking::Off, _) => None,
        (_, ThinkingMode::None) => Some(("never reasons".to_owned(), Thinking::Default)),
        (Thinking::On, _) => None,
        (Thinking::Budget(tokens), _) => unsuitable_budget(tokens, card.budget),
        (Thinking::Effort(effort), _) if card.efforts.contains(&effort) => None,
        (Thinking::Effort(_), _) if card.efforts.is_empty() => {
            Some(("takes no reasoning effort".to_owned(), Thinking::On))
        }
        (Thinking::Effort(_), _) => {
            let names: Vec<&str> = card.efforts.iter().map(|effort| effort.name()).collect();
            Some((format!("takes the efforts {} only", names.join(", ")), Thinking::On))
        }
    }
}

fn unsuitable_budget(tokens: u32, range: Option<Interval>) -> Option<(String, Thinking)> {
    let Some(range) = range else { return Some(("takes no reasoning budget".to_owned(), Thinking::On)) };
    if range.contains(f64::from(tokens)) {
        return None;
    }
    let nearest = Thinking::Budget(range.clamp(f64::from(tokens), 1.0) as u32);
    Some((format!("takes reasoning budgets of {range} tokens"), nearest))
}

fn phrase(thinking: Thinking) -> String {
    match thinking {
        Thinking::Default => "the model's own thinking".to_owned(),
        Thinking::On => "thinking on".to_owned(),
        Thinking::Off => "thinking off".to_owned(),
        Thinking::Budget(tokens) => format!("a reasoning budget of {tokens} tokens"),
        Thinking::Effort(effort) => format!("effort {}", effort.name()),
    }
}

fn check_tools(request: &mut ChatRequest, card: &ModelCard, findings: &mut Findings) {
    if request.tools.is_empty() {
        return;
    }
    if card.tools.is_no() {
        let problem = format!("{} calls no functions", findings.model());
        findings.reject_model("tools", problem, "no tools", |card| card.tools.is_yes());
        return;
    }
    for (index, tool) in request.tools.iter().enumerate() {
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if tool.name.is_empty() || tool.name.len() > 64 || !tool.name.chars().all(legal) {
            let problem = format!("a function is called `{}`", crate::redact_name(&tool.name));
            let limit = "1 to 64 letters, digits, _ and -";
            findings.reject(format!("tools[{index}].name"), problem, limit, "rename it");
        }
        if !tool.parameters.is_object() {
            let path = format!("tools[{index}].parameters");
            findings.reject(
                path,
                "the parameters are no JSON object",
                "a JSON Schema object",
                "give a schema",
            );
        }
    }
    let Some(limits) = card.tools.limits() else { return };
    let count = request.tools.len() as u64;
    if let Some(limit) = limits.count.filter(|limit| count > *limit) {
        let value = Limit::at_most(Quantity::Number, limit as f64, count as f64);
        let text = format!("at most {limit}");
        findings.reject_limit("tools", format!("{count} tools"), value, text, "offer fewer");
    }
    let choice = match &request.tool_choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some("none"),
        ToolChoice::Required => Some("required"),
        ToolChoice::Function(_) => Some("function"),
    };
    let refused = |name: &&str| limits.choices.as_ref().is_some_and(|taken| !taken.iter().any(|t| t == name));
    if let Some(name) = choice.filter(refused) {
        if findings.lossy("tool_choice", format!("{name} replaced by auto")) {
            request.tool_choice = ToolChoice::Auto;
        } else {
            let problem = format!("tool_choice is {name}");
            let fix = "leave the choice to the model, or offer other tools";
            findings.reject("tool_choice", problem, format!("auto for {}", findings.model()), fix);
        }
    }
    if request.parallel_tool_calls.is_some() && limits.parallel == Some(false) {
        let kept =
            drop_option("parallel_tool_calls", request.parallel_tool_calls.unwrap_or_default(), findings);
        request.parallel_tool_calls = kept;
    }
}

impl Effort {
    /// The effort's name in `snake_case`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}
