//! The emulator as a program: prints where it listens, and runs until it is killed.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use lexopt::prelude::*;
use polysight_emulator::{Emulator, EmulatorBuilder, Fault, Surface};

const USAGE: &str = "\
A local server that speaks the wire of vision-language model vendors.

Usage: polysight-emulator [OPTIONS]

Options:
  --port N           port on 127.0.0.1 (default: a free one)
  --key KEY          accept this key and no other; may be repeated (default: any well-formed key)
  --any-model        the gateway (/v1) serves any model id
  --legacy           Zhipu replies in the shape of 2024
  --delta-delay MS   pause before every delta of a stream
  --async-polls N    polls that find an asynchronous task unfinished (default: 1)
  --quotas           hold each key to the quotas of its models
  --iam AK:SK        issue Baidu's short-lived keys for this pair and no other; may be repeated
  --faults           list what the header x-polysight-fault may hold
  --help, --version
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("polysight-emulator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let Some(builder) = arguments()? else { return Ok(()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // The program has no way to show what arrived.
        let emulator = builder.kept_requests(0).start().await?;
        for surface in Surface::ALL {
            println!("{}", emulator.base_url(*surface));
        }
        std::future::pending().await
    })
}

/// Reads the command line; `None` where it only asks for information.
fn arguments() -> Result<Option<EmulatorBuilder>, lexopt::Error> {
    let mut builder = Emulator::builder();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        builder = match argument {
            Long("port") => builder.port(parser.value()?.parse()?),
            Long("key") => builder.key(&parser.value()?.string()?),
            Long("any-model") => builder.any_model(true),
            Long("legacy") => builder.legacy_shape(true),
            Long("delta-delay") => builder.delta_delay(Duration::from_millis(parser.value()?.parse()?)),
            Long("async-polls") => builder.async_polls(parser.value()?.parse()?),
            Long("quotas") => builder.quotas(true),
            Long("iam") => {
                let pair = parser.value()?.string()?;
                let (access_key, secret_key) = pair.split_once(':').ok_or("--iam takes AK:SK")?;
                builder.iam(access_key, secret_key)
            }
            Long("faults") => return Ok(inform(&fault_list())),
            Short('h') | Long("help") => return Ok(inform(USAGE)),
            Short('V') | Long("version") => {
                return Ok(inform(concat!("polysight-emulator ", env!("CARGO_PKG_VERSION"), "\n")));
            }
            other => return Err(other.unexpected()),
        };
    }
    Ok(Some(builder))
}

fn inform(text: &str) -> Option<EmulatorBuilder> {
    print!("{text}");
    None
}

fn fault_list() -> String {
    Fault::catalogue()
        .iter()
        .map(|entry| {
            let argument =
                if entry.argument.is_empty() { String::new() } else { format!("={}", entry.argument) };
            format!("{}{argument}\n    {}\n", entry.name, entry.summary)
        })
        .collect()
}
