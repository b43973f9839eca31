//! What the examples share: a config that points at the embedded emulator, and where the pictures are.

use std::path::PathBuf;

use polysight::{Polysight, Result};
use polysight_emulator::{Emulator, Surface};

/// A config whose roles are answered by an emulator in this process.
///
/// Against the real vendor the same file needs a real key and no `base_url`:
///
/// ```toml
/// [providers.zhipu]
/// backend = "zhipu"
/// api_key = "${ZHIPUAI_API_KEY}"
/// ```
#[must_use]
pub fn config(emulator: &Emulator) -> String {
    let base_url = emulator.base_url(Surface::Zhipu);
    format!(
        r#"
[providers.zhipu]
backend = "zhipu"
base_url = "{base_url}"
api_key = "example.key"

[roles.default]
provider = "zhipu"
model = "glm-4.6v-flash"
"#
    )
}

/// The same for videos from disk: of all models only this retired one is documented to take them inside a request.
#[must_use]
pub fn video_config(emulator: &Emulator) -> String {
    config(emulator).replace("glm-4.6v-flash", "glm-4v-plus")
}

/// Starts an emulator and reads a config that points at it. The emulator stops when it is dropped.
///
/// # Errors
/// When no port is free, or the config is wrong.
pub async fn embedded(config: impl Fn(&Emulator) -> String) -> Result<(Emulator, Polysight)> {
    let emulator = Emulator::start().await.map_err(|error| {
        polysight::Error::new(polysight::ErrorKind::Network, "the emulator does not start").with_source(error)
    })?;
    let sight = Polysight::from_toml(&config(&emulator))?;
    Ok((emulator, sight))
}

/// Path of a picture or video that comes with the examples.
#[must_use]
pub fn media(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("media").join(name)
}

/// Prints an error: each violation on a line of its own, or the error on one line.
pub fn complain(context: &str, error: &polysight::Error) {
    if error.violations().is_empty() {
        eprintln!("error: {context}: {error}");
    }
    for violation in error.violations() {
        eprintln!("error: {context}: {violation}");
    }
}
