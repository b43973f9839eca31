//! One role with retry, fallback to another vendor, rate limit and cache, and vendors that are made to fail.
//!
//! ```text
//! resilient
//! ```

use polysight::{Attempt, CallEvent, ChatRequest, Image, Result, Role, VisionProviderExt};
use polysight_emulator::{Emulator, Fault};
use polysight_examples::{config, embedded, media, print_error};

/// The layers stand in the file: the program below does not know of them.
fn resilient(emulator: &Emulator) -> String {
    config(emulator).replace("[roles.default]", "[roles.default]\nretry = { base_delay = 0.05 }").replace(
        "[providers.zhipu]",
        "[providers.zhipu]\nrate_limit = { requests_per_minute = 60, concurrency = 4 }",
    ) + r#"
[roles.resilient]
fallback = ["default", "qwen"]
router = { breaker = { consecutive_failures = 3 } }
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
            print_error("resilient", &error);
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let (emulator, polysight) = embedded(resilient).await?;
    let polysight = polysight.with_observer(show);
    let role = polysight.role("resilient")?;

    let (cat, coffee) = (picture("cat.jpg")?, picture("coffee.jpg")?);
    ask(&role, "nothing goes wrong", &cat).await;
    ask(&role, "the same question again", &cat).await;

    emulator.script(Fault::Html502);
    emulator.script(Fault::ResetBeforeHead);
    ask(&role, "a bad gateway, then a connection that breaks", &coffee).await;

    for _ in 0..3 {
        emulator.script(Fault::status(503, ""));
    }
    ask(&role, "the first vendor is down", &coffee.clone().with_max_tokens(500)).await;

    emulator.script(Fault::Code("1301".to_owned()));
    ask(&role, "the first vendor's audit refuses the picture", &cat.clone().with_max_tokens(500)).await;
    Ok(())
}

/// What a program can show while a call waits.
fn show(event: &CallEvent<'_>) {
    match event {
        CallEvent::AttemptFailed { attempt, next_in } => {
            println!("   .. {}, again in {:.2} s", attempt.kind, next_in.as_secs_f64());
        }
        CallEvent::Ended { cost: Some(cost), .. } => println!("   .. cost {cost}"),
        _ => {}
    }
}

fn picture(name: &str) -> Result<ChatRequest> {
    Ok(ChatRequest::ask("What is in this picture?", [Image::from_file(media(name))?]))
}

/// Asks, and prints failed attempts and the answer or the error.
async fn ask(role: &Role, what: &str, request: &ChatRequest) {
    println!("-- {what}");
    match role.chat(request.clone()).await {
        Ok(answer) => {
            print_attempts(&answer.attempts);
            let from = if answer.cached { "cached, from" } else { "answered by" };
            println!("   {from} {} ({})", answer.provider, answer.model);
        }
        Err(error) => {
            print_attempts(error.attempts());
            println!("   no answer: {error}");
        }
    }
}

fn print_attempts(attempts: &[Attempt]) {
    for attempt in attempts {
        println!("   failed: {attempt}");
    }
}
