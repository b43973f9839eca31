//! One list of behaviours that hold for every provider at every deployment, chosen by declared capability.
//!
//! `cargo test -p polysight-tests --test conformance suite -- --nocapture` prints the table.

mod acme_registration;
mod answers;
mod capability;
mod dialogue;
pub(crate) mod fixture;
mod matrix;
mod pictures;
mod planning;
mod refusals;
mod streams;
pub(crate) mod target;
mod thinking;
pub(crate) mod tools;
mod videos;

use capability::Feature;
use matrix::{Behaviour, Matrix};

macro_rules! behaviours {
    ($($feature:ident: $name:literal => $run:path;)*) => {
        &[$(Behaviour { name: $name, feature: Feature::$feature, run: |fixture| Box::pin($run(fixture)) }),*]
    };
}

static BEHAVIOURS: &[Behaviour] = behaviours! {
    Nothing: "a question in words is answered" => answers::text;
    Nothing: "instructions arrive" => answers::system;
    Nothing: "an answer ends before a stop text" => answers::stop;
    Nothing: "the caller's token limit is a good end" => answers::callers_limit;
    Nothing: "the vendor's token limit is a bad end" => answers::vendors_limit;
    Nothing: "greedy sampling is taken" => answers::greedy;
    Nothing: "usage is there and adds up" => answers::usage;
    Nothing: "every answer has an id of its own" => answers::ids;
    RequestId: "the caller's request id goes out and comes back" => answers::request_id;
    EndUserId: "the end user's id goes out" => answers::end_user_id;
    JsonObject: "an answer is a JSON object on demand" => answers::json_object;
    Nothing: "raw JSON is kept on demand only" => answers::raw;
    Nothing: "changes are recorded" => answers::adjustments;
    Nothing: "all of Unicode goes there and back" => answers::unicode;
    Nothing: "an empty answer is an answer" => answers::empty;
    Nothing: "calls at once are not mixed up" => answers::at_once;
    PictureLink: "a picture goes as a link" => pictures::link;
    PictureInline: "a picture goes as bytes" => pictures::bytes;
    PictureInline: "a picture goes as a file" => pictures::file;
    PictureInline: "a picture goes as base64" => pictures::as_base64;
    PictureInline: "a picture goes as a data URI" => pictures::data_uri;
    ManyPictures: "many pictures keep their order" => pictures::order;
    ManyPictures: "a dialogue keeps its pictures" => dialogue::with_pictures;
    TextModel: "a picture for a text model is refused before sending" => pictures::text_model;
    VideoLink: "a video goes as a link" => videos::link;
    VideoInline: "a video goes as a file" => videos::file;
    VideoFrames: "a video goes as frames" => videos::frames;
    ThinkingOn: "reasoning stands apart from the text" => thinking::on;
    ThinkingOff: "without thinking there is no reasoning" => thinking::off;
    ThinkingBudget: "a reasoning budget is taken" => thinking::budget;
    Tools: "a function is called" => tools::call;
    Tools: "functions are called in parallel" => tools::parallel;
    Tools: "a function's result is sent back" => tools::result;
    Nothing: "a stream is the same answer" => streams::text;
    PictureInline: "a stream about a picture is the same answer" => streams::picture;
    ThinkingOn: "a stream with reasoning is the same answer" => streams::reasoning;
    Tools: "a stream with calls is the same answer" => streams::calls;
    Nothing: "a stream comes in pieces and ends once" => streams::pieces;
    Nothing: "dropping a stream closes the connection" => streams::dropped_stream;
    Nothing: "dropping a call closes the connection" => streams::dropped_call;
    Nothing: "a wrong key is an authentication failure" => refusals::wrong_key;
    Nothing: "an unknown model is not found" => refusals::unknown_model;
    Nothing: "the vendor refuses too high a token limit" => refusals::too_many_tokens;
    Nothing: "too many requests are a rate limit" => refusals::rate_limited;
    Nothing: "overload is no rate limit" => refusals::overloaded;
    Nothing: "a lack of money is no rate limit" => refusals::no_balance;
    Nothing: "a refusal of the content audit is a content refusal" => refusals::content;
    Nothing: "a failure of the vendor is a server error" => refusals::failed;
    Nothing: "a withdrawn answer is an error with what had arrived" => refusals::withdrawn;
    Nothing: "plan, call and stream refuse alike and send nothing" => planning::refuse_alike;
    Nothing: "what the card denies is refused before sending" => planning::denied;
    Nothing: "what the card does not say is let through" => planning::unknown;
};

/// What is not offered, by the cards, and with a question mark what is unknown. A change of a card changes this list.
const NOT_OFFERED: &[&str] = &[
    "the caller's request id goes out and comes back: qwen-vl, qwen-vl-native, gateway qwen-vl, gateway ernie, openai",
    "the end user's id goes out: qwen-vl, qwen-vl-native, gateway qwen-vl, acme",
    "an answer is a JSON object on demand: zhipu, ernie, gateway qwen-vl?, gateway ernie?, gateway zhipu, openai?",
    "a picture for a text model is refused before sending: qwen-vl, qwen-vl-native, gateway qwen-vl, gateway ernie, openai",
    "a video goes as a link: gateway qwen-vl?, gateway ernie?, openai?",
    "a video goes as a file: gateway qwen-vl?, gateway ernie?, openai?",
    "a video goes as frames: zhipu, ernie, gateway qwen-vl, gateway ernie, gateway zhipu, openai",
    "reasoning stands apart from the text: gateway qwen-vl, gateway ernie, openai",
    "a reasoning budget is taken: zhipu, ernie, gateway qwen-vl, gateway ernie, gateway zhipu, openai, acme",
    "a function is called: gateway qwen-vl?, gateway ernie?",
    "functions are called in parallel: gateway qwen-vl?, gateway ernie?",
    "a function's result is sent back: gateway qwen-vl?, gateway ernie?",
    "a stream with reasoning is the same answer: gateway qwen-vl, gateway ernie, openai",
    "a stream with calls is the same answer: gateway qwen-vl?, gateway ernie?",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_target_passes_the_suite() {
    let matrix = Matrix::of(BEHAVIOURS).await;
    println!("{matrix}");
    let failures = matrix.failures();
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(matrix.not_run(), NOT_OFFERED, "what is not offered has changed");
}

#[test]
fn registering_a_vendor_takes_ten_lines_outside_its_module() {
    let code = include_str!("acme_registration.rs").lines().filter(|line| {
        let line = line.trim();
        !(line.is_empty() || line.starts_with("//"))
    });
    assert!(code.count() <= 10);
}
