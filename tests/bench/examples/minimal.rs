//! The smallest program that asks one vendor about one picture: what it weighs is what the library weighs.
//!
//! `minimal PICTURE`, with the key in `ZHIPUAI_API_KEY`.

use std::error::Error;

use polysight::zhipu::Zhipu;
use polysight::{Image, VisionProviderExt};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name a picture")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(async {
        Zhipu::from_env()?.ask("What is in this picture?", [Image::from_file(path)?]).await
    })?;
    println!("{}", answer.text);
    Ok(())
}
