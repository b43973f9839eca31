//! One file a command.

mod ask;
mod check;
mod emulate;
mod init;
mod json;
mod models;
mod pages;
mod plan;
mod serve;

use crate::args::{Cli, Command};
use crate::outcome::Run;

/// Carries a command out.
pub(crate) async fn run(cli: Cli) -> Run {
    let global = &cli.global;
    match &cli.command {
        Command::Ask(ask) => ask::run(global, ask).await,
        Command::Plan(plan) => plan::run(global, plan).await,
        Command::Models(models) => models::run(global, models).await,
        Command::Check => check::run(global).await,
        Command::Init(init) => init::run(global, init),
        Command::Serve(serve) => serve::run(global, serve).await,
        Command::Emulate(emulate) => emulate::run(emulate).await,
        Command::Completions { shell } => pages::completions(*shell),
        Command::Man { dir } => pages::manual(dir.as_deref()),
    }
}
