//! Several pictures over several turns: each question may refer to all pictures so far.

use polysight::{Conversation, Image, Message, Result, Role, VisionProvider};
use polysight_examples::{config, embedded, media};

#[tokio::main]
async fn main() -> Result<()> {
    let (_emulator, sight) = embedded(config).await?;
    let eye = sight.role("default")?;

    let mut talk = Conversation::new();
    for (question, picture) in [
        ("What is in this picture?", Some("cat.jpg")),
        ("What differs between this picture and the one before?", Some("coffee.jpg")),
        ("And which of the two is taller than wide?", None),
    ] {
        let mut message = Message::new(Role::User);
        if let Some(name) = picture {
            message = message.with(Image::from_file(media(name))?);
        }
        talk.push(message.with(question));
        let answer = eye.chat(talk.request()).await?;
        println!("> {question}\n{}\n", answer.text);
        talk.push_response(&answer);
    }

    // Vendors count the pictures of all turns. A long dialogue can let go of old ones.
    let dropped = talk.forget_media(1);
    println!("{dropped} picture of an earlier turn forgotten, {} messages kept", talk.messages().len());
    Ok(())
}
