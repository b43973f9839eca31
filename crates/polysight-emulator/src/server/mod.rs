//! The HTTP server: listens, reads requests, writes replies.

mod read;
mod write;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use read::{ReadError, read_body, read_exactly, read_head};

use crate::dispatch::{self, Declined};
use crate::faults::{argument_of, delivery};
use crate::http::{Head, Reply};
use crate::route::MAX_BODY;
use crate::served_request::ServedRequest;
use crate::state::State;

const READ_BUFFER: usize = 64 * 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Accepts connections until dropped; all connections end with it.
pub(crate) async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => { connections.spawn(connection(socket, Arc::clone(&state))); }
                // Out of file handles, most likely: some will be given back.
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(socket: TcpStream, state: Arc<State>) {
    // Each delta must leave at once.
    let _ = socket.set_nodelay(true);
    let mut socket = BufReader::with_capacity(READ_BUFFER, socket);
    let _open = state.concurrency.connect();
    loop {
        let proceed = match exchange(&mut socket, &state).await {
            Ok(proceed) => proceed,
            Err(ReadError::Gone) => false,
            Err(error) => {
                let refusal = delivery::compose(&refused(&error), &[], false, false);
                write::transcript(&mut socket, &refusal, || {}).await
            }
        };
        if !proceed {
            return;
        }
    }
}

/// The reply to a request that could not be read.
fn refused(error: &ReadError) -> Reply {
    match error {
        ReadError::TooLarge(most) => {
            Reply::plain(413, &format!("the body is longer than the {most} bytes that are taken here\n"))
        }
        ReadError::OutOfMemory => Reply::plain(503, "too many large bodies at once; try again later\n"),
        ReadError::Bad(status) => Reply::plain(*status, "bad request\n"),
        ReadError::Gone => Reply::plain(400, "bad request\n"),
    }
}

/// One request and its reply; says whether another may follow.
async fn exchange(socket: &mut BufReader<TcpStream>, state: &Arc<State>) -> Result<bool, ReadError> {
    let Some(head) = read_head(socket).await? else { return Ok(false) };
    let served = match dispatch::accept(head, state) {
        Ok(served) => Arc::new(served),
        Err(declined) => return Ok(decline(socket, &declined).await),
    };
    if expects_continue(&served.head) {
        write::bytes(socket, b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    if let Some(bytes) = argument_of!(&served.faults, ResetDuringUpload) {
        reset_during_upload(socket, &served, bytes).await;
        return Ok(false);
    }
    let mut held = state.body_memory.hold();
    let most = served.route.action.max_body();
    let body = read_body(socket, served.head.body, most, &mut held).await?;
    let reply = dispatch::serve(&served, body).await;
    drop(held);
    let transcript = delivery::compose(&reply, &served.faults, false, served.head.keep_alive);
    Ok(write::transcript(socket, &transcript, || served.leave()).await)
}

/// Answers by the head alone. A connection with an unread body cannot be used again.
async fn decline(socket: &mut BufReader<TcpStream>, declined: &Declined) -> bool {
    let head = &declined.head;
    let keep_alive = head.keep_alive && head.body.is_empty();
    let transcript = delivery::compose(&declined.reply, &[], head.method == "HEAD", keep_alive);
    write::transcript(socket, &transcript, || {}).await
}

async fn reset_during_upload(socket: &mut BufReader<TcpStream>, served: &ServedRequest, bytes: u64) {
    let mut body = Vec::new();
    let mut held = served.state.body_memory.hold();
    let _ = read_exactly(socket, &mut body, bytes.min(MAX_BODY), &mut held).await;
    dispatch::record(&served.head, &body, &served.state);
    write::reset(socket).await;
}

fn expects_continue(head: &Head) -> bool {
    let expects = head.headers.get("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"));
    expects && !head.body.is_empty()
}
