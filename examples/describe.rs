//! The main job: pictures and videos in, an answer out, for every role of a config.
//!
//! ```text
//! describe [--config FILE] [--role NAME]... [--prompt TEXT] [--fit] [--fetch] [--allow HOST[:PORT]]...
//!          [--stream] [--json] [MEDIA...]
//! ```
//!
//! `--fit` makes pictures fit the limits of each role's model; with `--fetch` this side fetches media behind URLs, of public
//! addresses and of what `--allow` names. Without `--config` an emulator answers in this process, without `MEDIA` a photograph
//! of a cat is sent. Several media go into one request. Errors go to stderr, one line for each fault of the config or violation
//! of the request, and the exit code is 1.

use std::io::Write as _;
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::Arc;

use lexopt::prelude::*;
use polysight::media::fetch::{Fetch, FetchMode, FetchPolicy, Fetcher};
use polysight::media::fit::{Fit, FitSettings, Oversize};
use polysight::{
    ChatRequest, ChatResponse, Error, ErrorKind, Media, Plan, Polysight, Result, Role, StreamEvent,
    VisionProvider,
};
use polysight_examples::{config, embedded, media, print_error, run_program, video_config};
use serde_json::json;

const USAGE: &str = "describe [--config FILE] [--role NAME]... [--prompt TEXT] [--fit] [--fetch] [--allow HOST[:PORT]]... [--stream] [--json] [MEDIA: FILE, URL or data URI]...";

#[derive(Default)]
struct Options {
    config: Option<String>,
    roles: Vec<String>,
    prompt: Option<String>,
    fit: bool,
    fetch: bool,
    allow: Vec<String>,
    stream: bool,
    json: bool,
    media: Vec<String>,
}

fn options() -> std::result::Result<Option<Options>, lexopt::Error> {
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("config") => options.config = Some(parser.value()?.string()?),
            Long("role") => options.roles.push(parser.value()?.string()?),
            Long("prompt") => options.prompt = Some(parser.value()?.string()?),
            Long("fit") => options.fit = true,
            Long("fetch") => options.fetch = true,
            Long("allow") => options.allow.push(parser.value()?.string()?),
            Long("stream") => options.stream = true,
            Long("json") => options.json = true,
            Long("help") | Short('h') => return Ok(None),
            Value(location) => options.media.push(location.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

#[tokio::main]
async fn main() -> ExitCode {
    run_program("describe", USAGE, options(), async |options: Options| run(&options).await).await
}

/// Asks every role; says whether all answered.
async fn run(options: &Options) -> Result<bool> {
    let media = open_media(&options.media)?;
    let has_local_video =
        media.iter().any(|medium| matches!(medium, Media::Video(video) if video.info().is_some()));
    let (_emulator, polysight) = match &options.config {
        Some(file) => (None, Polysight::from_file(file)?),
        None => {
            let (emulator, polysight) = embedded(if has_local_video { video_config } else { config }).await?;
            (Some(emulator), polysight)
        }
    };
    for note in polysight.notes() {
        eprintln!("note: {note}");
    }
    let names: Vec<String> = match options.roles.as_slice() {
        [] => polysight.role_names().map(str::to_owned).collect(),
        names => names.to_vec(),
    };
    if names.is_empty() {
        return Err(Error::new(ErrorKind::Config, "the config has no role to ask"));
    }
    let policy = policy(&options.allow)?;
    let question = options.prompt.as_deref().unwrap_or("What do you see?");
    let mut all_answered = true;
    for (index, name) in names.iter().enumerate() {
        if index > 0 && !options.json {
            println!();
        }
        let request = ChatRequest::ask(question, media.clone());
        // A role without its key does not stop the others.
        let role = polysight.role(name);
        let role = if options.fit { role.and_then(fitting) } else { role };
        let role = if options.fetch { role.and_then(|role| fetching(role, &policy)) } else { role };
        let answered = match role {
            Ok(role) => ask(&role, request, options).await,
            Err(error) => Err(error),
        };
        if let Err(error) = answered {
            print_error(name, &error);
            all_answered = false;
        }
    }
    Ok(all_answered)
}

/// The same role, with pictures made to fit. A config file says `oversize = "fit"` instead.
fn fitting(role: Role) -> Result<Role> {
    let name = role.name().to_owned();
    let fit = Fit::new(Arc::new(role), Oversize::Fit, FitSettings::new())?;
    Ok(Role::new(name, Arc::new(fit), ChatRequest::default()))
}

/// Opens every medium, so that one bad file does not hide another.
fn open_media(locations: &[String]) -> Result<Vec<Media>> {
    if locations.is_empty() {
        return Ok(vec![Media::open(&media("cat.jpg").to_string_lossy())?]);
    }
    let (opened, failed): (Vec<_>, Vec<_>) =
        locations.iter().map(|location| Media::open(location)).partition(Result::is_ok);
    let mut failed: Vec<Error> = failed.into_iter().filter_map(Result::err).collect();
    match failed.pop() {
        None => Ok(opened.into_iter().flatten().collect()),
        Some(last) => {
            for error in &failed {
                print_error("describe", error);
            }
            Err(last)
        }
    }
}

/// What is fetched: from public addresses, and from these hosts, names or addresses, whatever they are.
fn policy(allowed: &[String]) -> Result<FetchPolicy> {
    let mut policy = FetchPolicy::new().with_mode(FetchMode::Us);
    for place in allowed {
        let wrong = || Error::new(ErrorKind::Config, format!("--allow {place}: it is no HOST or HOST:PORT"));
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !host.ends_with(':') => (host, Some(port.parse().map_err(|_| wrong())?)),
            _ => (place.as_str(), None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        policy = match host.parse::<IpAddr>() {
            Ok(address) => policy.with_allowed_network(address),
            Err(_) => policy.with_allowed_host(host),
        };
        policy = port.into_iter().fold(policy, FetchPolicy::with_port);
    }
    policy.check().map(|()| policy)
}

/// The same role, with media behind URLs fetched by this side. A config file says `fetch = "us"` instead.
fn fetching(role: Role, policy: &FetchPolicy) -> Result<Role> {
    let name = role.name().to_owned();
    let fetch = Fetch::new(Arc::new(role), Fetcher::new(policy.clone())?);
    Ok(Role::new(name, Arc::new(fetch), ChatRequest::default()))
}

/// Plans the request, shows the plan, and sends that very plan.
async fn ask(role: &Role, request: ChatRequest, options: &Options) -> Result<()> {
    let plan = role.plan(&request)?;
    if options.json {
        let response = if options.stream {
            role.stream(plan).await?.collect_response().await?
        } else {
            role.send(plan).await?
        };
        println!("{}", as_json(role, &response));
        return Ok(());
    }
    println!("role       {}", role.name());
    println!("provider   {} ({})", role.id().name, role.id().vendor);
    println!("model      {}", plan.model());
    for note in &plan.notes {
        println!("note       {note}");
    }
    println!("answer");
    let response = if options.stream { streamed(role, plan).await? } else { plain(role, plan).await? };
    print_rest(&response);
    Ok(())
}

async fn plain(role: &Role, plan: Plan) -> Result<ChatResponse> {
    let response = role.send(plan).await?;
    println!("{}", response.text);
    Ok(response)
}

/// Prints the text as it arrives.
async fn streamed(role: &Role, plan: Plan) -> Result<ChatResponse> {
    let mut stream = role.stream(plan).await?;
    let mut out = std::io::stdout();
    while let Some(event) = stream.next_event().await {
        match event? {
            StreamEvent::Text(piece) => {
                let _ = write!(out, "{piece}").and_then(|()| out.flush());
            }
            StreamEvent::End(end) => {
                println!();
                return Ok(ChatResponse::from(*end));
            }
            _ => {}
        }
    }
    Err(Error::new(ErrorKind::Interrupted, "the stream stopped without an end"))
}

fn print_rest(response: &ChatResponse) {
    println!("finish     {} (as {:?})", response.finish.kind, response.finish.raw);
    match response.usage {
        Some(usage) => println!(
            "usage      {} tokens in, {} out, {} together",
            usage.input_tokens, usage.output_tokens, usage.total_tokens
        ),
        None => println!("usage      unknown"),
    }
    match &response.cost {
        Some(cost) => println!("cost       {cost}"),
        None => println!("cost       unknown"),
    }
    let none = || "none".to_owned();
    println!("request    {}", response.request_id.clone().unwrap_or_else(none));
    println!("answer id  {}", response.id.clone().unwrap_or_else(none));
    if response.adjustments.is_empty() {
        println!("changed    nothing");
    }
    for adjustment in &response.adjustments {
        println!("changed    {adjustment}");
    }
}

fn as_json(role: &Role, response: &ChatResponse) -> serde_json::Value {
    let usage = response.usage.map(|usage| {
        json!({"input": usage.input_tokens, "output": usage.output_tokens, "total": usage.total_tokens})
    });
    json!({
        "role": role.name(),
        "provider": response.provider,
        "model": response.model,
        "text": response.text,
        "finish": {"kind": response.finish.kind.to_string(), "raw": response.finish.raw},
        "usage": usage,
        "cost": response.cost,
        "request_id": response.request_id,
        "adjustments": response.adjustments.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
