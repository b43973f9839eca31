//! An answer piece by piece: reasoning, text, and the one end.

use polysight::{ChatRequest, Image, Result, StreamEvent, VisionProviderExt};
use polysight_examples::{config, embedded, media};
use tokio_stream::StreamExt;

#[tokio::main]
async fn main() -> Result<()> {
    let (_emulator, polysight) = embedded(config).await?;
    let role = polysight.role("default")?;

    let request = ChatRequest::ask("What is in this picture?", [Image::from_file(media("cat.jpg"))?]);
    let mut stream = role.chat_stream(request).await?;
    let (mut pieces, mut text) = (0, String::new());
    while let Some(event) = stream.next().await {
        match event? {
            StreamEvent::Reasoning(piece) => eprint!("{piece}"),
            StreamEvent::Text(piece) => {
                pieces += 1;
                text.push_str(&piece);
            }
            StreamEvent::End(end) => {
                println!("{text}");
                println!("-- {pieces} pieces, finish {}, usage {:?}", end.finish.raw, end.usage);
            }
            _ => {}
        }
    }
    assert!(stream.next().await.is_none(), "nothing follows the end");
    Ok(())
}
