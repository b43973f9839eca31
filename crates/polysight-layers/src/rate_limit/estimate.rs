//! How many tokens a call is expected to use.

use polysight_core::{ChatRequest, Count, Part, Plan};

/// Bytes of text to a token, where the number is not known: upwards for every language that the models speak.
const TEXT_BYTES: u64 = 2;
/// Tokens of a picture of unknown cost: somewhat above a megapixel at 28 x 28 pixels a token.
const IMAGE_TOKENS: u64 = 1_600;
/// Tokens of a video of unknown cost: a short clip; what it really used is reconciled after the call.
const VIDEO_TOKENS: u64 = 16_000;

/// Most tokens of one call to a model of unknown context.
const MOST_TOKENS: u64 = 1 << 23;

/// Tokens of the prompt, estimated upwards within the plan's bounds, and of the answer: the request's
/// `max_tokens`, else what the policy assumes.
pub(super) fn tokens(plan: &Plan, assumed_output: u32) -> u64 {
    let request = &plan.request;
    let estimate = &plan.estimate;
    let counted = |image: bool, each: u64| {
        let media = request.messages.iter().flat_map(|message| &message.parts).filter(|part| match part {
            Part::Image(_) => image,
            Part::Video(_) => !image,
            _ => false,
        });
        each.saturating_mul(media.count() as u64)
    };
    let text = within(estimate.text_tokens, || text_tokens(request));
    let image = within(estimate.image_tokens, || counted(true, IMAGE_TOKENS));
    let video = within(estimate.video_tokens, || counted(false, VIDEO_TOKENS));
    let answer = u64::from(request.max_tokens.unwrap_or(assumed_output));
    [text, image, video, answer].into_iter().fold(0, u64::saturating_add)
}

fn within(count: Count, estimate: impl FnOnce() -> u64) -> u64 {
    let most = count.at_most.unwrap_or(u64::MAX);
    count.number().unwrap_or_else(|| estimate().clamp(count.at_least.min(most), most))
}

/// Tokens that one call can have used at most: what the model's context and answer hold, or several times the largest context
/// of any model where the card does not say. A server's count above it is a mistake, and would close the limit for a minute.
pub(crate) fn most_tokens(plan: &Plan) -> u64 {
    plan.card
        .context
        .map_or(MOST_TOKENS, |context| context.saturating_add(plan.card.max_output.unwrap_or(context)))
}

fn text_tokens(request: &ChatRequest) -> u64 {
    let messages = request.messages.iter().map(|message| {
        let bytes: usize = message.parts.iter().map(text_bytes).sum();
        (bytes as u64).div_ceil(TEXT_BYTES).max(1)
    });
    let tools = request.tools.iter().map(|tool| {
        let bytes = tool.name.len() + tool.description.len() + tool.parameters.to_string().len();
        (bytes as u64).div_ceil(TEXT_BYTES)
    });
    messages.chain(tools).sum()
}

fn text_bytes(part: &Part) -> usize {
    match part {
        Part::Text(text) | Part::Reasoning(text) => text.len(),
        Part::ToolCall(call) => call.name.len() + call.arguments.len(),
        Part::ToolResult(result) => result.content.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use polysight_core::{Count, Estimate, Image, Message, Video, VisionProvider as _};

    use super::*;
    use crate::testing::mock;

    fn plan(request: &ChatRequest, estimate: Estimate) -> Plan {
        mock("a").with_model("unlisted").with_estimate(estimate).plan(request).unwrap()
    }

    #[test]
    fn known_counts_are_taken_as_they_are_and_the_answers_limit_is_added() {
        let mut request = ChatRequest::new([Message::user("What is it?")]);
        let known = Estimate::tokens(Count::exact(10), Count::exact(200), Count::exact(0));
        assert_eq!(tokens(&plan(&request, known.clone()), 1_024), 1_234);
        request.max_tokens = Some(90);
        assert_eq!(tokens(&plan(&request, known), 1_024), 300);
    }

    #[test]
    fn unknown_text_is_half_its_bytes_and_at_least_one_a_message() {
        let image = Image::from_url("https://example.com/a.jpg").unwrap();
        let wordless = Message::user_parts([image.into()]);
        let request = ChatRequest::new([Message::user("abcde"), wordless, Message::user("看图")]);
        let none = Count::exact(0);
        let known_media = Estimate::tokens(Count::default(), none, none);
        assert_eq!(tokens(&plan(&request, known_media), 0), 3 + 1 + 3);
    }

    #[test]
    fn unknown_media_cost_a_constant_each() {
        let image = || Image::from_url("https://example.com/a.jpg").unwrap();
        let video = Video::from_url("https://example.com/a.mp4").unwrap();
        let request = ChatRequest::new([Message::user("ab").with(image()).with(image()).with(video)]);
        let unknown = Estimate::default();
        assert_eq!(tokens(&plan(&request, unknown), 0), 1 + 2 * IMAGE_TOKENS + VIDEO_TOKENS);
        let bounded = Estimate::tokens(Count::at_least(50), Count::between(2, 900), Count::default());
        assert_eq!(tokens(&plan(&request, bounded), 0), 50 + 900 + VIDEO_TOKENS);
    }

    #[test]
    fn a_call_can_have_used_no_more_than_its_model_holds() {
        let mut plan = plan(&ChatRequest::new([Message::user("a")]), Estimate::default());
        assert_eq!(most_tokens(&plan), MOST_TOKENS);
        std::sync::Arc::make_mut(&mut plan.card).context = Some(8_192);
        assert_eq!(most_tokens(&plan), 16_384);
        std::sync::Arc::make_mut(&mut plan.card).max_output = Some(1_024);
        assert_eq!(most_tokens(&plan), 9_216);
        std::sync::Arc::make_mut(&mut plan.card).context = Some(u64::MAX);
        assert_eq!(most_tokens(&plan), u64::MAX);
    }
}
