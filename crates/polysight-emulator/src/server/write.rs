//! Writing a transcript to a socket.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use crate::http::{Ending, Step, Transcript};

/// How long a client may leave the server's writes unread.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for bytes on their way before a reset overtakes them.
const BEFORE_RESET: Duration = Duration::from_millis(20);
/// How long and how much is read from a client that is still sending when the server has closed.
const LINGER: Duration = Duration::from_secs(1);

/// Takes the steps; says whether the connection can serve another request. `answered` is called before the last bytes go
/// out; while it is silent for good, the request stays unanswered.
pub(super) async fn transcript(
    socket: &mut BufReader<TcpStream>,
    transcript: &Transcript,
    answered: impl Fn(),
) -> bool {
    let last = transcript.steps.iter().rposition(|step| !matches!(step, Step::Pause(_)));
    for (place, step) in transcript.steps.iter().enumerate() {
        if Some(place) == last && !matches!(step, Step::Stall) {
            answered();
        }
        if take(socket, step).await.is_err() {
            return false;
        }
    }
    answered();
    match transcript.ending {
        Ending::KeepAlive => true,
        Ending::Close => {
            close(socket).await;
            false
        }
        Ending::Reset => {
            reset(socket).await;
            false
        }
    }
}

async fn take(socket: &mut BufReader<TcpStream>, step: &Step) -> io::Result<()> {
    match step {
        Step::Write(bytes) => self::bytes(socket, bytes).await,
        Step::WriteSplit { bytes, length } => {
            for part in bytes.chunks((*length).max(1)) {
                self::bytes(socket, part).await?;
                // A client of the same runtime can read each part alone.
                yield_now().await;
            }
            Ok(())
        }
        Step::Repeat { unit, times } => {
            for _ in 0..*times {
                bytes(socket, unit).await?;
            }
            Ok(())
        }
        Step::Pause(duration) => {
            sleep(*duration).await;
            Ok(())
        }
        Step::Stall => stall(socket).await,
    }
}

pub(super) async fn bytes(socket: &mut BufReader<TcpStream>, bytes: &[u8]) -> io::Result<()> {
    timeout(WRITE_TIMEOUT, socket.get_mut().write_all(bytes)).await?
}

/// Waits until the client goes away. What it still sends is thrown away: the connection is spent.
async fn stall(socket: &mut BufReader<TcpStream>) -> io::Result<()> {
    let mut scratch = [0; 4096];
    while socket.get_mut().read(&mut scratch).await? > 0 {}
    Err(io::ErrorKind::ConnectionAborted.into())
}

/// Sends FIN, then reads for a while: closing with unread input would send RST and destroy the reply on its way.
async fn close(socket: &mut BufReader<TcpStream>) {
    let drain = async {
        let mut scratch = [0; 16 * 1024];
        socket.get_mut().shutdown().await?;
        while socket.get_mut().read(&mut scratch).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = timeout(LINGER, drain).await;
}

/// Makes the close that follows a reset: with no time to linger, the kernel sends RST.
pub(super) async fn reset(socket: &mut BufReader<TcpStream>) {
    sleep(BEFORE_RESET).await;
    let _ = socket.get_ref().set_zero_linger();
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_split_write_arrives_part_by_part() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        socket.set_nodelay(true).unwrap();
        let reading = tokio::spawn(async move {
            let (mut client, mut reads) = (client, Vec::new());
            loop {
                let mut buffer = [0; 64];
                match client.read(&mut buffer).await.unwrap() {
                    0 => return reads,
                    length => reads.push(buffer[..length].to_vec()),
                }
            }
        });
        let steps = vec![Step::WriteSplit { bytes: b"one, two, three".to_vec(), length: 4 }];
        let transcript = Transcript { steps, ending: Ending::Close };
        super::transcript(&mut BufReader::new(socket), &transcript, || {}).await;
        let reads = reading.await.unwrap();
        assert!(reads.len() > 1, "{reads:?}");
        assert_eq!(reads.concat(), b"one, two, three");
    }
}
