//! What a request will take, before it is sent: tokens and money.

use std::fmt;

use super::Count;
use super::{cache_marks, text_tokens};
use crate::catalog::{Money, Price, ThinkingMode};
use crate::{ChatRequest, ModelCard, Part, Thinking};

/// What a request will take: tokens and money, as numbers or bounds.
///
/// A vendor's crate counts what it can; the rest is bounded here. Text takes at least a token a word and at most one a byte,
/// with an allowance for the chat template; a picture or video takes at least one token, and a prompt at most the model's
/// context.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Estimate {
    /// Tokens of the text: messages, tools and the chat template around them.
    pub text_tokens: Count,
    /// Tokens of the pictures.
    pub image_tokens: Count,
    /// Tokens of the videos.
    pub video_tokens: Count,
    /// Cost of the prompt; `None` where the price is unknown. Its lower bound takes all of it as cached where cached tokens
    /// have a price.
    pub input_cost: Option<CostRange>,
    /// Cost of prompt and answer together; `None` where the price is unknown. Its upper bound is that of the longest answer:
    /// the request's `max_tokens`, else the model's limit, and the reasoning that may come beside it.
    pub cost: Option<CostRange>,
    context: Option<u64>,
}

impl Estimate {
    /// Token counts without prices.
    #[must_use]
    pub fn tokens(text: Count, image: Count, video: Count) -> Self {
        Self { text_tokens: text, image_tokens: image, video_tokens: video, ..Self::default() }
    }

    /// Tokens of the whole prompt; at most the model's context.
    #[must_use]
    pub fn input_tokens(&self) -> Count {
        (self.text_tokens + self.image_tokens + self.video_tokens).limited(self.context)
    }

    /// Tokens that the prompt takes without any doubt. Media count where their number is exact.
    pub(super) fn certain_input_tokens(&self) -> u64 {
        let media = [self.image_tokens, self.video_tokens].into_iter().filter(|count| count.exact);
        media.map(|count| count.at_least).fold(self.text_tokens.at_least, u64::saturating_add)
    }

    /// The same with bounds for whatever was not counted.
    pub(super) fn bounded(mut self, request: &ChatRequest, card: &ModelCard) -> Self {
        if self.text_tokens == Count::default() {
            self.text_tokens = text_tokens::bounds(request);
        }
        let count_of = |is_one: fn(&Part) -> bool| {
            let parts = request.messages.iter().flat_map(|message| &message.parts);
            match parts.filter(|part| is_one(part)).count() as u64 {
                0 => Count::exact(0),
                some => Count::at_least(some),
            }
        };
        for (count, bounds) in [
            (&mut self.image_tokens, count_of(|part| matches!(part, Part::Image(_)))),
            (&mut self.video_tokens, count_of(|part| matches!(part, Part::Video(_)))),
        ] {
            if *count == Count::default() {
                *count = bounds;
            }
            *count = count.limited(card.context);
        }
        self.context = card.context;
        self
    }

    /// Bounds that hold whichever of two plans is sent. A cost is unknown where that of one is, and for prices in two currencies.
    #[must_use]
    pub fn covering(&self, other: &Self) -> Self {
        let cost = |one: &Option<CostRange>, two: &Option<CostRange>| one.as_ref()?.covering(two.as_ref()?);
        Self {
            text_tokens: self.text_tokens.covering(other.text_tokens),
            image_tokens: self.image_tokens.covering(other.image_tokens),
            video_tokens: self.video_tokens.covering(other.video_tokens),
            input_cost: cost(&self.input_cost, &other.input_cost),
            cost: cost(&self.cost, &other.cost),
            context: self.context.zip(other.context).map(|(one, two)| one.max(two)),
        }
    }

    /// The same with what it costs.
    pub(super) fn priced(mut self, request: &ChatRequest, card: &ModelCard) -> Self {
        let input = self.input_tokens();
        let output = Count { at_most: longest_answer(request, card), ..Count::default() };
        let has_marks = card.cache_marks.is_some() && cache_marks::has_any(request);
        self.input_cost = CostRange::between(&card.prices, input, Count::exact(0), has_marks);
        self.cost = CostRange::between(&card.prices, input, output, has_marks);
        self
    }
}

/// Most tokens of an answer, reasoning included; `None` where there is no limit.
///
/// Vendors with a budget of reasoning count it beside `max_tokens`, the others within it: Qwen's guides of 2026 say so of
/// theirs, and Zhipu's that a small `max_tokens` may leave reasoning alone.
fn longest_answer(request: &ChatRequest, card: &ModelCard) -> Option<u64> {
    let answer = request.max_tokens.map(u64::from).or(card.max_output)?;
    let Some(range) = card.thinking.budget.filter(|_| thinks(request, card)) else { return Some(answer) };
    let reasoning = match request.thinking {
        Thinking::Budget(budget) => Some(u64::from(budget)),
        _ => range.high().map(|end| end.value() as u64).or(card.context),
    };
    answer.checked_add(reasoning?)
}

fn thinks(request: &ChatRequest, card: &ModelCard) -> bool {
    match request.thinking {
        Thinking::Off => card.thinking.mode == Some(ThinkingMode::Forced),
        Thinking::Default => card.thinking.default_on || card.thinking.mode == Some(ThinkingMode::Forced),
        Thinking::On | Thinking::Budget(_) | Thinking::Effort(_) => true,
    }
}

/// Bounds of an amount of money; an estimate, not an invoice.
///
/// ```
/// # use polysight_core as polysight;
/// use polysight::catalog::Price;
/// use polysight::{CostRange, Count};
///
/// let prices = [Price::new("CNY", 1.0, 10.0)];
/// let cost = CostRange::of(&prices, Count::between(1_000, 2_000), Count::exact(100)).unwrap();
/// assert_eq!(cost.to_string(), "0.002000 to 0.003000 CNY");
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CostRange {
    /// Currency code.
    pub currency: String,
    /// Least amount, in units of the currency.
    pub at_least: f64,
    /// Greatest amount, in units of the currency; `None`: there is no bound.
    pub at_most: Option<f64>,
}

impl CostRange {
    /// What these tokens cost, in the first currency listed; `None` without prices.
    ///
    /// The vendor may take any of the prompt as cached: bounds hold whether it does or not, in a request without
    /// [marks](crate::Part::CacheMark). Where the bounds of the prompt lie in several tiers, each bound is that of its dearest
    /// or cheapest tier.
    #[must_use]
    pub fn of(prices: &[Price], input: Count, output: Count) -> Option<Self> {
        Self::between(prices, input, output, false)
    }

    fn between(prices: &[Price], input: Count, output: Count, has_marks: bool) -> Option<Self> {
        let cheapest = Price::tier(prices, input.at_least)?;
        let currency = cheapest.currency.clone();
        let reachable = || {
            let later = prices.iter().filter(|price| price.currency == currency).filter(|price| {
                price.above_input_tokens >= input.at_least
                    && input.at_most.is_none_or(|most| price.above_input_tokens < most)
            });
            std::iter::once(cheapest).chain(later)
        };
        let amount = |tokens: u64, price: f64| tokens as f64 * price / 1e6;
        let least = |price: &Price| {
            amount(input.at_least, price.input_bounds(has_marks).0) + amount(output.at_least, price.output)
        };
        let at_least = reachable().map(least).fold(f64::INFINITY, f64::min);
        let at_most = input.at_most.zip(output.at_most).map(|(prompt, answer)| {
            let most = |price: &Price| {
                amount(prompt, price.input_bounds(has_marks).1) + amount(answer, price.highest_output())
            };
            reachable().map(most).fold(0.0, f64::max)
        });
        Some(Self { currency, at_least, at_most })
    }

    /// Bounds that hold for both; `None` for amounts of two currencies.
    #[must_use]
    pub fn covering(&self, other: &Self) -> Option<Self> {
        (self.currency == other.currency).then(|| Self {
            currency: self.currency.clone(),
            at_least: self.at_least.min(other.at_least),
            at_most: self.at_most.zip(other.at_most).map(|(one, two)| one.max(two)),
        })
    }

    /// The greatest amount; `None` where there is no bound.
    #[must_use]
    pub fn most(&self) -> Option<Money> {
        self.at_most.map(|amount| Money::new(&self.currency, amount))
    }
}

impl fmt::Display for CostRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { currency, at_least, at_most } = self;
        match at_most {
            Some(most) if most <= at_least => write!(f, "{most:.6} {currency}"),
            Some(most) => write!(f, "{at_least:.6} to {most:.6} {currency}"),
            None => write!(f, "at least {at_least:.6} {currency}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::CacheMarkRates;
    use crate::{Effort, Image, Interval, Message, Video};

    fn card() -> ModelCard {
        let prices =
            vec![Price::new("CNY", 1.0, 3.0), Price::new("CNY", 2.0, 6.0).with_above_input_tokens(1_000)];
        ModelCard { context: Some(8_000), max_output: Some(400), prices, ..ModelCard::default() }
    }

    fn estimate(request: &ChatRequest, counts: [Count; 3], card: &ModelCard) -> Estimate {
        let [text, image, video] = counts;
        Estimate::tokens(text, image, video).bounded(request, card).priced(request, card)
    }

    fn asked(media: bool) -> ChatRequest {
        let request = ChatRequest::ask("What is it?", None::<Image>);
        if !media {
            return request;
        }
        let image = Image::from_url("https://h.example/a.png").unwrap();
        let video = Video::from_url("https://h.example/a.mp4").unwrap();
        ChatRequest::new([Message::user("What is it?").with(image.clone()).with(image).with(video)])
    }

    #[test]
    fn what_nobody_counted_is_bounded() {
        let nothing = [Count::default(); 3];
        let plain = estimate(&asked(false), nothing, &card());
        assert_eq!((plain.image_tokens, plain.video_tokens), (Count::exact(0), Count::exact(0)));
        assert!(plain.text_tokens.at_least == 3 && plain.text_tokens.at_most.is_some());
        let media = estimate(&asked(true), nothing, &card());
        assert_eq!(media.image_tokens, Count::between(2, 8_000));
        assert_eq!(media.video_tokens, Count::between(1, 8_000));
        assert_eq!(media.input_tokens(), Count::between(6, 8_000), "the context holds for all together");
        let unknown = estimate(&asked(true), nothing, &ModelCard::default());
        assert_eq!(unknown.input_tokens(), Count::at_least(6));
        assert_eq!((unknown.input_cost, unknown.cost), (None, None), "no price");
    }

    #[test]
    fn costs_are_bounds_across_the_tiers_that_the_prompt_may_reach() {
        let cost = |count| {
            let estimate = estimate(&asked(false), [count, Count::exact(0), Count::exact(0)], &card());
            [estimate.input_cost, estimate.cost].map(|cost| cost.unwrap().to_string())
        };
        assert_eq!(cost(Count::exact(1_000)), ["0.001000 CNY", "0.001000 to 0.002200 CNY"]);
        assert_eq!(cost(Count::exact(1_001)), ["0.002002 CNY", "0.002002 to 0.004402 CNY"]);
        assert_eq!(
            cost(Count::between(500, 2_000)),
            ["0.000500 to 0.004000 CNY", "0.000500 to 0.006400 CNY"]
        );
        assert_eq!(cost(Count::at_least(10)), ["0.000010 to 0.016000 CNY", "0.000010 to 0.018400 CNY"]);
    }

    #[test]
    fn a_cached_prompt_costs_less_and_one_that_is_kept_costs_more() {
        let mut card = card();
        let price = Price::new("CNY", 10.0, 0.0).with_cached_input(2.0);
        card.prices = vec![price.with_cache_mark_rates(CacheMarkRates::new(1.25, 0.1))];
        let marked = ChatRequest::new([Message::user("Hello").with_cache_mark()]);
        let cost = |request: &ChatRequest, card: &ModelCard| {
            let counts = [Count::exact(1_000), Count::exact(0), Count::exact(0)];
            estimate(request, counts, card).input_cost.unwrap().to_string()
        };
        assert_eq!(cost(&asked(false), &card), "0.002000 to 0.010000 CNY");
        assert_eq!(cost(&marked, &card), "0.002000 to 0.010000 CNY", "the mark is left out");
        card.cache_marks = Some(4);
        assert_eq!(cost(&asked(false), &card), "0.002000 to 0.010000 CNY");
        assert_eq!(cost(&marked, &card), "0.001000 to 0.012500 CNY");
    }

    #[test]
    fn the_longest_answer_holds_reasoning_where_it_has_a_budget_of_its_own() {
        let mut card = card();
        let longest = |thinking, max_tokens, card: &ModelCard| {
            let mut request = asked(false).with_thinking(thinking);
            request.max_tokens = max_tokens;
            longest_answer(&request, card)
        };
        assert_eq!(longest(Thinking::On, Some(10), &card), Some(10));
        card.thinking.budget = Some(Interval::closed(1.0, 500.0));
        assert_eq!(longest(Thinking::Default, Some(10), &card), Some(10));
        assert_eq!(longest(Thinking::Budget(50), Some(10), &card), Some(60));
        assert_eq!(longest(Thinking::Effort(Effort::High), None, &card), Some(900));
        card.thinking.default_on = true;
        assert_eq!(longest(Thinking::Default, Some(10), &card), Some(510));
        card.thinking.budget = Some(Interval::at_least(1.0));
        assert_eq!(longest(Thinking::Default, Some(10), &card), Some(8_010), "at most the context");
        card.max_output = None;
        assert_eq!(longest(Thinking::Off, None, &card), None);
    }
}
