//! The HTTP server: listens, reads requests, plays replies.

mod play;
mod reply;
mod request;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

pub(crate) use reply::{Body, Ending, Piece, PieceKind, Reply, Step, Transcript};
#[cfg(test)]
pub(crate) use request::BodyLength;
pub(crate) use request::{Head, Headers};
use request::{Trouble, read_body, read_exactly, read_head};

use crate::desk::{self, Declined, Order};
use crate::faults::{argument_of, wire};
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
    let _open = state.gauge.connect();
    loop {
        let proceed = match exchange(&mut socket, &state).await {
            Ok(proceed) => proceed,
            Err(Trouble::Gone) => false,
            Err(Trouble::Bad(status)) => {
                let refusal = wire::compose(&Reply::plain(status, "bad request\n"), &[], false, false);
                play::play(&mut socket, &refusal, || {}).await
            }
        };
        if !proceed {
            return;
        }
    }
}

/// One request and its reply; says whether another may follow.
async fn exchange(socket: &mut BufReader<TcpStream>, state: &Arc<State>) -> Result<bool, Trouble> {
    let Some(head) = read_head(socket).await? else { return Ok(false) };
    let order = match desk::order(head, state) {
        Ok(order) => Arc::new(order),
        Err(declined) => return Ok(decline(socket, &declined).await),
    };
    if expects_continue(&order.head) {
        play::write(socket, b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    if let Some(bytes) = argument_of!(&order.faults, ResetDuringUpload) {
        reset_during_upload(socket, &order, bytes).await;
        return Ok(false);
    }
    let body = read_body(socket, order.head.body).await?;
    let reply = desk::serve(&order, body).await;
    let transcript = wire::compose(&reply, &order.faults, false, order.head.keep_alive);
    Ok(play::play(socket, &transcript, || order.leave()).await)
}

/// Answers by the head alone. A connection with an unread body cannot be used again.
async fn decline(socket: &mut BufReader<TcpStream>, declined: &Declined) -> bool {
    let head = &declined.head;
    let keep_alive = head.keep_alive && head.body.is_empty();
    let transcript = wire::compose(&declined.reply, &[], head.method == "HEAD", keep_alive);
    play::play(socket, &transcript, || {}).await
}

async fn reset_during_upload(socket: &mut BufReader<TcpStream>, order: &Order, bytes: u64) {
    let mut body = Vec::new();
    let _ = read_exactly(socket, &mut body, bytes).await;
    desk::note(&order.head, &body, &order.state);
    play::reset(socket).await;
}

fn expects_continue(head: &Head) -> bool {
    let expects = head.headers.get("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"));
    expects && !head.body.is_empty()
}
