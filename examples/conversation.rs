//! Several pictures over several turns, saved to a file and continued from it: each question may refer to all pictures so far.

use polysight::{
    Conversation, Error, ErrorKind, Image, MediaSource, Message, MessageRole, Result, VisionProviderExt,
};
use polysight_examples::{config, embedded, media};

#[tokio::main]
async fn main() -> Result<()> {
    let (_emulator, polysight) = embedded(config).await?;
    let role = polysight.role("default")?;

    let mut conversation = Conversation::new();
    for (question, picture) in [
        ("What is in this picture?", "cat.jpg"),
        ("What differs between this picture and the one before?", "coffee.jpg"),
    ] {
        let message = Message::new(MessageRole::User).with(Image::from_file(media(picture))?);
        conversation.push(message.with(question));
        let answer = role.chat(conversation.request()).await?;
        println!("> {question}\n{}\n", answer.text);
        conversation.push_response(&answer);
    }

    // A picture is saved as the path of its file, unless its bytes are read into the conversation first.
    let file = std::env::temp_dir().join(format!("conversation-{}.json", std::process::id()));
    save(&conversation.map_media(MediaSource::in_memory)?, &file)?;
    let mut conversation = load(&file)?;
    println!("saved and loaded: {} messages\n", conversation.messages().len());

    conversation.push(Message::user("And which of the two is taller than wide?"));
    let answer = role.chat(conversation.request()).await?;
    println!("{}\n", answer.text);
    conversation.push_response(&answer);

    // Vendors count the pictures of all turns. A long conversation can drop old ones.
    let dropped = conversation.forget_media(1);
    println!("{dropped} picture of an earlier turn dropped, {} messages kept", conversation.messages().len());
    Ok(())
}

fn save(conversation: &Conversation, file: &std::path::Path) -> Result<()> {
    let json = serde_json::to_vec(conversation)
        .map_err(|error| failed("the conversation cannot be saved", error))?;
    std::fs::write(file, json).map_err(|error| failed("the conversation cannot be saved", error))
}

/// Loads a conversation, and removes its file.
fn load(file: &std::path::Path) -> Result<Conversation> {
    let json = std::fs::read(file).map_err(|error| failed("the conversation cannot be loaded", error))?;
    std::fs::remove_file(file).map_err(|error| failed("the file cannot be removed", error))?;
    serde_json::from_slice(&json).map_err(|error| failed("the conversation cannot be loaded", error))
}

fn failed(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::InvalidMedia, what).with_source(error)
}
