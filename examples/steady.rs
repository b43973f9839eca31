//! Answers in spite of everything: one role that tries again, falls back on another vendor, keeps to its quotas and remembers,
//! and vendors that stumble on purpose.
//!
//! ```text
//! steady
//! ```

use polysight::{Attempt, ChatRequest, Image, Result, RoleProvider, VisionProvider};
use polysight_emulator::{Emulator, Fault};
use polysight_examples::{complain, config, embedded, media};

/// The layers are a matter of the file: the program below knows nothing of them.
fn steady(emulator: &Emulator) -> String {
    config(emulator)
        .replace("[roles.default]", "[roles.default]\nretry = { attempts = 3, first_pause = 0.05 }")
        .replace(
            "[providers.zhipu]",
            "[providers.zhipu]\nquota = { requests_per_minute = 60, concurrency = 4 }",
        )
        + r#"
[roles.steady]
fallback = ["default", "qwen"]
route = { order = "given", breaker = { consecutive = 3 } }
deadline = 60
greedy = true
cache = true
"#
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    match run().await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            complain("steady", &error);
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let (emulator, sight) = embedded(steady).await?;
    let eye = sight.role("steady")?;

    let (cat, coffee) = (picture("cat.jpg")?, picture("coffee.jpg")?);
    ask(&eye, "nothing goes wrong", &cat).await;
    ask(&eye, "the same question again", &cat).await;

    emulator.script(Fault::Html502);
    emulator.script(Fault::ResetBeforeHead);
    ask(&eye, "a bad gateway, then a connection that breaks", &coffee).await;

    for _ in 0..3 {
        emulator.script(Fault::status(503, ""));
    }
    ask(&eye, "the first vendor is down", &coffee.clone().with_max_tokens(500)).await;

    emulator.script(Fault::Code("1301".to_owned()));
    ask(&eye, "the first vendor's audit refuses the picture", &cat.clone().with_max_tokens(500)).await;
    Ok(())
}

fn picture(name: &str) -> Result<ChatRequest> {
    Ok(ChatRequest::ask("What is in this picture?", [Image::from_file(media(name))?]))
}

/// Asks, and says who answered, or why nobody did, and what was tried before.
async fn ask(eye: &RoleProvider, what: &str, request: &ChatRequest) {
    println!("-- {what}");
    match eye.chat(request.clone()).await {
        Ok(answer) => {
            tell(&answer.attempts);
            let from = if answer.cached { "remembered from" } else { "answered by" };
            println!("   {from} {} ({})", answer.provider, answer.model);
        }
        Err(error) => {
            tell(error.attempts());
            println!("   no answer: {error}");
        }
    }
}

fn tell(attempts: &[Attempt]) {
    for attempt in attempts {
        println!("   failed: {attempt}");
    }
}
