//! Standard input: a picture, a video or a text, by what its bytes are.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use polysight::{Bytes, Error, ErrorKind, Media, MediaSource, Result};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::output;

/// Most bytes that are taken, since they are held in memory; a file is streamed.
const MAX_BYTES: u64 = 256 << 20;
/// How long a pipe may say nothing where the command line does not ask for it: some programs are started with a pipe that stays
/// open and empty.
const PATIENCE: Duration = Duration::from_secs(10);
/// After this time it is said that something is waited for.
const SAY_SO: Duration = Duration::from_secs(1);

/// What stands on standard input.
#[derive(Debug)]
pub(crate) enum Piped {
    /// Nothing at all.
    Nothing,
    /// A picture or a video.
    Medium(Media),
    /// A text.
    Text(String),
}

/// Reads standard input to its end.
///
/// # Errors
/// When it cannot be read, is too large, or is neither text nor a medium that is known.
pub(crate) async fn read() -> Result<Piped> {
    of_bytes(read_all(tokio::io::stdin(), Vec::new()).await?)
}

/// Reads standard input where it is no terminal. A pipe that says nothing for some time counts as nothing.
///
/// # Errors
/// As [`read`].
pub(crate) async fn read_if_piped() -> Result<Piped> {
    if io::stdin().is_terminal() {
        return Ok(Piped::Nothing);
    }
    let mut stdin = tokio::io::stdin();
    let mut start = Vec::with_capacity(64 << 10);
    let first = stdin.read_buf(&mut start);
    tokio::pin!(first);
    let first = match tokio::time::timeout(SAY_SO, &mut first).await {
        Ok(read) => Ok(read),
        Err(_) => {
            output::note(format_args!(
                "waiting for a prompt or a picture on standard input, {} s at most; </dev/null says that there is none",
                PATIENCE.as_secs()
            ));
            tokio::time::timeout(PATIENCE.saturating_sub(SAY_SO), first).await
        }
    };
    match first {
        Ok(read) => {
            read.map_err(unreadable)?;
            of_bytes(read_all(stdin, start).await?)
        }
        Err(_) => {
            output::note("nothing came on standard input: it is not read");
            Ok(Piped::Nothing)
        }
    }
}

async fn read_all(input: impl AsyncRead + Unpin, mut bytes: Vec<u8>) -> Result<Vec<u8>> {
    input.take(MAX_BYTES + 1).read_to_end(&mut bytes).await.map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        let message = "standard input is larger than 256 MiB: give it as a file, which is not held in memory";
        return Err(Error::new(ErrorKind::InvalidMedia, message));
    }
    Ok(bytes)
}

fn unreadable(error: io::Error) -> Error {
    Error::new(ErrorKind::InvalidMedia, format!("standard input cannot be read: {error}")).with_source(error)
}

fn of_bytes(bytes: Vec<u8>) -> Result<Piped> {
    if bytes.is_empty() {
        return Ok(Piped::Nothing);
    }
    let bytes = Bytes::from(bytes);
    match (Media::from_source(MediaSource::Bytes(bytes.clone())), std::str::from_utf8(&bytes)) {
        (Ok(medium), _) => Ok(Piped::Medium(medium)),
        (Err(_), Ok(text)) => of_text(text),
        (Err(error), Err(_)) => {
            let message =
                format!("standard input is no text, picture or video that is known: {}", error.message());
            Err(Error::new(ErrorKind::InvalidMedia, message))
        }
    }
}

fn of_text(text: &str) -> Result<Piped> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if text.is_empty() {
        return Ok(Piped::Nothing);
    }
    if text.starts_with("data:image/") || text.starts_with("data:video/") {
        return Media::open(text).map(Piped::Medium);
    }
    Ok(Piped::Text(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A GIF of one pixel.
    const GIF: &[u8] = b"GIF89a\x01\x00\x01\x00\x00\x00\x00;";

    #[test]
    fn bytes_say_what_they_are() {
        assert!(matches!(of_bytes(GIF.to_vec()).unwrap(), Piped::Medium(Media::Image(_))));
        assert!(
            matches!(of_bytes("猫在哪里？\n".into()).unwrap(), Piped::Text(text) if text == "猫在哪里？")
        );
        assert!(matches!(of_bytes(b" \n".to_vec()).unwrap(), Piped::Nothing));
        assert!(matches!(of_bytes(Vec::new()).unwrap(), Piped::Nothing));
        let uri = b"data:image/gif;base64,R0lGODlhAQABAAAAADs=\n".to_vec();
        assert!(matches!(of_bytes(uri).unwrap(), Piped::Medium(_)));
    }

    #[test]
    fn what_is_neither_text_nor_medium_is_refused() {
        let error = of_bytes(b"\xff\xd8\xff cut".to_vec()).unwrap_err().to_string();
        assert!(error.contains("standard input is no text, picture or video"), "{error}");
    }
}
