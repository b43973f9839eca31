//! The same program and the same dialogue with two pictures, answered by whoever the config names: three vendors, two
//! protocols, a gateway.
//!
//! ```text
//! swap [--config FILE] [--role NAME]
//! ```

use lexopt::prelude::*;
use polysight::{Conversation, Image, Message, Polysight, Result, RoleProvider, VisionProvider};
use polysight_examples::{complain, embedded, every_place, media};

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
            let (emulator, sight) = embedded(every_place).await?;
            (Some(emulator), sight)
        }
    };
    let names: Vec<String> = match only {
        Some(name) => vec![name],
        None => sight.role_names().map(str::to_owned).collect(),
    };
    for name in names {
        talk(&sight.role(&name)?).await?;
    }
    Ok(())
}

/// Two turns, a picture each: the second question may refer to both.
async fn talk(eye: &RoleProvider) -> Result<()> {
    let mut talk = Conversation::new();
    for (picture, question) in [("cat.jpg", "What is this?"), ("coffee.jpg", "And what differs in this one?")]
    {
        talk.push(Message::user_parts([Image::from_file(media(picture))?.into(), question.into()]));
        let answer = eye.chat(talk.request()).await?;
        talk.push_response(&answer);
        if picture == "coffee.jpg" {
            println!("-- {}: {} of {}\n{}\n", eye.name(), answer.model, eye.id(), answer.text);
        }
    }
    Ok(())
}

fn usage(error: lexopt::Error) -> polysight::Error {
    polysight::Error::new(
        polysight::ErrorKind::Config,
        format!("{error}; usage: swap [--config FILE] [--role NAME]"),
    )
}
