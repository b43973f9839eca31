//! The command `polysight`.

mod args;
mod commands;
mod config_source;
mod first_config;
mod logs;
mod outcome;
mod output;
mod request;
mod signals;
mod stdin;

use std::process::ExitCode;

use clap::Parser as _;
use tokio::runtime::Runtime;

use crate::args::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    logs::start(&cli.global, &cli.command);
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return outcome::exit_code(Err(error.into())),
    };
    let run = runtime.block_on(commands::run(cli));
    // A pipe that is still being read would be waited for.
    runtime.shutdown_background();
    outcome::exit_code(run)
}
