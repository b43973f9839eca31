//! The same program, another role: who answers is the config's business.
//!
//! ```text
//! swap [--config FILE] [--role NAME]
//! ```

use lexopt::prelude::*;
use polysight::{Image, Polysight, Result, VisionProvider, VisionProviderExt};
use polysight_emulator::Emulator;
use polysight_examples::{complain, config, embedded, media};

/// Two roles of the embedded config; a real one would name two vendors.
fn two_roles(emulator: &Emulator) -> String {
    let careful = "\n[roles.careful]\nprovider = \"zhipu\"\nmodel = \"glm-5v-turbo\"\ngreedy = true\n";
    config(emulator) + careful
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    match run().await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            complain("swap", &error);
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let (mut file, mut only) = (None, None);
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next().map_err(usage)? {
        match argument {
            Long("config") => file = Some(parser.value().and_then(|value| value.string()).map_err(usage)?),
            Long("role") => only = Some(parser.value().and_then(|value| value.string()).map_err(usage)?),
            other => return Err(usage(other.unexpected())),
        }
    }
    let (_emulator, sight) = match file {
        Some(file) => (None, Polysight::from_file(file)?),
        None => {
            let (emulator, sight) = embedded(two_roles).await?;
            (Some(emulator), sight)
        }
    };
    let names: Vec<String> = match only {
        Some(name) => vec![name],
        None => sight.role_names().map(str::to_owned).collect(),
    };
    for name in names {
        let eye = sight.role(&name)?;
        let answer = eye.ask("What is in this picture?", [Image::from_file(media("cat.jpg"))?]).await?;
        println!("-- {name}: {} of {}\n{}\n", answer.model, eye.id(), answer.text);
    }
    Ok(())
}

fn usage(error: lexopt::Error) -> polysight::Error {
    polysight::Error::new(
        polysight::ErrorKind::Config,
        format!("{error}; usage: swap [--config FILE] [--role NAME]"),
    )
}
