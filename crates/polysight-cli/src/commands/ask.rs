//! `ask`: media in, answers out, of one or several roles.

use std::path::Path;
use std::time::{Duration, Instant};

use polysight::tasks::{Extracted, Extractor, Schema};
use polysight::{
    Billed, ChatRequest, ChatResponse, Error, ErrorKind, FinishKind, Polysight, ResponseMeta, Role,
    StreamEvent, VisionProvider as _,
};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::json;
use crate::args::{Ask, Global};
use crate::config_source::ConfigSource;
use crate::outcome::{Failure, Outcome, Run};
use crate::{output, request};

/// Longest schema file that is read, in bytes; schemas of 64 KiB are taken.
const MAX_SCHEMA: u64 = 1 << 20;

/// What came of one role.
pub(super) struct Reply {
    pub(super) outcome: Result<Answer, Error>,
    notes: Vec<String>,
    took: Duration,
}

/// An answer: a text, or a value of a schema.
pub(super) enum Answer {
    Text(Box<ChatResponse>),
    Value(Extracted<Value>),
}

/// Asks, prints the answers, and says whether all answered. Ctrl-C drops the calls, which closes their connections.
pub(crate) async fn run(global: &Global, ask: &Ask) -> Run {
    tokio::select! {
        run = ask_roles(global, ask) => run,
        Ok(()) = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
    }
}

async fn ask_roles(global: &Global, ask: &Ask) -> Run {
    let source = ConfigSource::find(global).await?;
    let polysight = source.load()?;
    let names = request::role_names(&ask.question, &polysight)?;
    let extractor = ask.schema.as_deref().map(extractor).transpose()?;
    let request = request::of(&ask.question, &polysight).await?;
    if !ask.quiet {
        polysight.notes().iter().for_each(output::note);
    }
    match names.as_slice() {
        [only] if output::is_terminal() && !ask.json && extractor.is_none() => {
            let role = request::role(&polysight, only, ask.question.fit);
            show_stream(role, request, ask).await
        }
        _ => ask_at_once(&polysight, &names, &request, extractor, ask).await,
    }
}

/// Asks every role at the same time, and prints what they say in the order of the roles.
async fn ask_at_once(
    polysight: &Polysight,
    names: &[String],
    request: &ChatRequest,
    extractor: Option<Extractor>,
    ask: &Ask,
) -> Run {
    // Calls that still run are cancelled when the set is dropped.
    let mut calls = JoinSet::new();
    let mut replies = Vec::new();
    for name in names {
        let role = request::role(polysight, name, ask.question.fit);
        let (request, extractor, (sender, reply)) = (request.clone(), extractor.clone(), oneshot::channel());
        calls.spawn(async move { sender.send(call(role, request, extractor).await) });
        replies.push((name, reply));
    }
    let (mut failed, mut is_below) = (0, false);
    for (name, reply) in replies {
        let reply = reply.await.map_err(|_| Failure::Other(format!("{name}: the call broke off")))?;
        failed += usize::from(reply.outcome.is_err());
        let title = (names.len() > 1).then_some(name.as_str());
        if ask.json {
            output::lines(&json::reply(name, &reply)?)?;
        } else if let Some(text) = text(&reply)? {
            if let Some(title) = title {
                output::head(&format!("{}== {title} ==", if is_below { "\n" } else { "" }))?;
            }
            output::lines(&text)?;
            is_below = true;
        }
        show_rest(&reply, title, ask);
    }
    Ok(Outcome::of(failed, names.len()))
}

async fn call(role: polysight::Result<Role>, request: ChatRequest, extractor: Option<Extractor>) -> Reply {
    let (start, mut notes) = (Instant::now(), Vec::new());
    let outcome = match (role, extractor) {
        (Err(error), _) => Err(error),
        (Ok(role), None) => {
            send(&role, &request, &mut notes).await.map(|response| Answer::Text(Box::new(response)))
        }
        (Ok(role), Some(extractor)) => {
            extractor.extract(&role, request).await.map(Answer::Value).map_err(Error::from)
        }
    };
    Reply { outcome, notes, took: start.elapsed() }
}

async fn send(
    role: &Role,
    request: &ChatRequest,
    notes: &mut Vec<String>,
) -> polysight::Result<ChatResponse> {
    let plan = role.plan(request)?;
    notes.clone_from(&plan.notes);
    role.send(plan).await
}

/// Shows the answer of one role while it arrives.
async fn show_stream(role: polysight::Result<Role>, request: ChatRequest, ask: &Ask) -> Run {
    let start = Instant::now();
    match stream(role, request, ask).await {
        Ok(meta) => {
            if !ask.quiet {
                show_meta(&meta, start.elapsed());
            }
            Ok(Outcome::Done)
        }
        Err(Failure::Error(error)) => {
            report(&error, None, ask);
            Ok(Outcome::Failed)
        }
        Err(other) => Err(other),
    }
}

async fn stream(
    role: polysight::Result<Role>,
    request: ChatRequest,
    ask: &Ask,
) -> Result<ResponseMeta, Failure> {
    let role = role?;
    let plan = role.plan(&request)?;
    if !ask.quiet {
        plan.notes.iter().for_each(output::note);
    }
    let mut stream = role.stream(plan).await?;
    let (mut is_thinking, mut line_is_open) = (false, false);
    while let Some(event) = stream.next_event().await {
        match event {
            Ok(StreamEvent::Reasoning(piece)) if !ask.quiet => {
                is_thinking = true;
                output::dimmed(&piece);
            }
            Ok(StreamEvent::Text(piece)) => {
                if std::mem::take(&mut is_thinking) {
                    output::dimmed("\n\n");
                }
                line_is_open = !piece.ends_with('\n');
                output::piece(&piece)?;
            }
            Ok(StreamEvent::End(end)) => {
                close_line(line_is_open || is_thinking)?;
                return Ok(*end);
            }
            Ok(_) => {}
            Err(error) => {
                close_line(line_is_open || is_thinking)?;
                return Err(error.into());
            }
        }
    }
    Err(Error::new(ErrorKind::Interrupted, "the stream stopped without an end").into())
}

fn close_line(is_open: bool) -> Result<(), Failure> {
    if is_open {
        output::piece("\n")?;
    }
    Ok(())
}

/// What a reply holds for stdout.
fn text(reply: &Reply) -> Result<Option<String>, Failure> {
    Ok(match &reply.outcome {
        Ok(Answer::Text(response)) => Some(response.text.clone()),
        Ok(Answer::Value(extracted)) => Some(json::pretty(&extracted.value)?),
        Err(error) => partial_text(error),
    })
}

/// Prints what is known of a reply besides its text; of JSON, which holds it, only the error.
fn show_rest(reply: &Reply, role: Option<&str>, ask: &Ask) {
    match &reply.outcome {
        Err(error) => report(error, role, ask),
        Ok(_) if ask.quiet || ask.json => {}
        Ok(answer) => {
            reply.notes.iter().for_each(output::note);
            show_answer_meta(answer, reply.took);
        }
    }
}

fn show_answer_meta(answer: &Answer, took: Duration) {
    match answer {
        Answer::Text(response) => show_meta(&response.meta, took),
        Answer::Value(extracted) => {
            if let Some(last) = extracted.responses.last() {
                show_meta(&last.meta, took);
            }
            output::aside(format_args!("by {}, {} repair turns", extracted.rung, extracted.repair_turns()));
        }
    }
}

/// What had arrived of an answer that failed; none of one that the vendor withdrew.
fn partial_text(error: &Error) -> Option<String> {
    let partial = error.partial().filter(|_| error.kind() != ErrorKind::ContentRefused)?;
    Some(partial.text.clone()).filter(|text| !text.is_empty())
}

/// Prints one line of what is known about an answer, and one for each change, failed attempt and oddity.
fn show_meta(meta: &ResponseMeta, took: Duration) {
    let usage = meta.usage.map_or_else(
        || "tokens unknown".to_owned(),
        |usage| format!("{} tokens in, {} out", usage.input_tokens, usage.output_tokens),
    );
    let cost = meta.cost.as_ref().map(|cost| format!(", {cost}")).unwrap_or_default();
    let cached = if meta.cached { ", from the cache" } else { "" };
    output::aside(format_args!(
        "{} of {}: {}, {usage}{cost}, {:.1} s{cached}",
        meta.model,
        meta.provider,
        meta.finish.kind,
        took.as_secs_f64()
    ));
    meta.adjustments.iter().for_each(|change| output::aside(format_args!("changed: {change}")));
    meta.attempts.iter().for_each(|attempt| output::aside(format_args!("failed before: {attempt}")));
    if meta.finish.kind == FinishKind::Length {
        output::note("the answer was cut at max_tokens of the role");
    }
}

/// Prints an error and what else helps.
fn report(error: &Error, role: Option<&str>, ask: &Ask) {
    output::errors(role, error);
    if ask.quiet {
        return;
    }
    if !ask.question.fit {
        output::hint_at_fit(error);
    }
    error.attempts().iter().for_each(|attempt| output::aside(format_args!("failed before: {attempt}")));
    match error.billed() {
        Billed::No => {}
        _ => output::aside("the failed call may be billed"),
    }
}

fn extractor(file: &Path) -> Result<Extractor, Failure> {
    let unusable = |problem: String| Failure::Other(format!("schema {}: {problem}", file.display()));
    let cannot = |error| unusable(format!("it cannot be read: {error}"));
    let length = std::fs::metadata(file).map_err(cannot)?.len();
    if length > MAX_SCHEMA {
        return Err(unusable(format!("it has {length} bytes, schemas have at most 65536")));
    }
    let text = std::fs::read_to_string(file).map_err(cannot)?;
    let schema = serde_json::from_str(&text).map_err(|error| unusable(format!("it is no JSON: {error}")))?;
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let schema = Schema::from_json(name.trim_end_matches(".schema"), schema);
    schema.map(Extractor::new).map_err(|error| unusable(error.to_string()))
}
