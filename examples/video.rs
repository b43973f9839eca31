//! Videos: from disk, where the model takes them inside the request, and by URL, which the vendor fetches itself.

use polysight::{ChatRequest, Result, Tolerance, Video, VisionProvider, VisionProviderExt};
use polysight_examples::{embedded, media, video_config};

#[tokio::main]
async fn main() -> Result<()> {
    let (_emulator, polysight) = embedded(video_config).await?;
    let role = polysight.role("default")?;

    let video = Video::from_file(media("pan.mp4"))?;
    println!("the file's header says: {:?}", video.info());
    let answer = role.ask("What moves here?", [video.clone()]).await?;
    println!("{}\n", answer.text);

    // This model wants the video first; under the default tolerance it is moved there, and that is recorded.
    let request = ChatRequest::new([polysight::Message::user("What moves here?").with(video)]);
    for adjustment in role.plan(&request)?.adjustments {
        println!("changed: {adjustment}");
    }
    if let Err(error) = role.plan(&request.with_tolerance(Tolerance::Strict)) {
        println!("strict:  {error}\n");
    }

    let link = Video::from_url("https://example.com/street.mp4")?;
    let answer = role.chat(ChatRequest::ask("What happens?", [link]).with_model("glm-4.6v")).await?;
    println!("{}", answer.text);
    Ok(())
}
