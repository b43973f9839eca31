//! The same program and the same dialogue with two pictures, answered by every role of a config: three vendors, two protocols, a
//! gateway.
//!
//! ```text
//! swap [--config FILE] [--role NAME]
//! ```

use lexopt::prelude::*;
use polysight::{Conversation, Image, Message, Polysight, Result, Role, VisionProvider, VisionProviderExt};
use polysight_examples::{embedded, every_deployment, media, print_error};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    match run().await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            print_error("swap", &error);
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
    let (_emulator, polysight) = match file {
        Some(file) => (None, Polysight::from_file(file)?),
        None => {
            let (emulator, polysight) = embedded(every_deployment).await?;
            (Some(emulator), polysight)
        }
    };
    let names: Vec<String> = match only {
        Some(name) => vec![name],
        None => polysight.role_names().map(str::to_owned).collect(),
    };
    for name in names {
        converse(&polysight.role(&name)?).await?;
    }
    Ok(())
}

/// Two turns, a picture each: the second question may refer to both.
async fn converse(role: &Role) -> Result<()> {
    let mut conversation = Conversation::new();
    for (picture, question) in [("cat.jpg", "What is this?"), ("coffee.jpg", "And what differs in this one?")]
    {
        conversation.push(Message::user_parts([Image::from_file(media(picture))?.into(), question.into()]));
        let answer = role.chat(conversation.request()).await?;
        conversation.push_response(&answer);
        if picture == "coffee.jpg" {
            println!("-- {}: {} of {}\n{}\n", role.name(), answer.model, role.id(), answer.text);
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
