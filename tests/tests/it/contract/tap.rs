//! A wire tap: passes bytes on, and knows how many connections the client keeps open.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub(crate) struct Tap {
    /// The server's base URL, by way of the tap.
    pub(crate) base_url: String,
    open: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Tap {
    pub(crate) async fn before(base_url: &str) -> Self {
        let behind = base_url.strip_prefix("http://").unwrap();
        let (server, path) = behind.split_once('/').unwrap_or((behind, ""));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base_url = format!("http://{}/{path}", listener.local_addr().unwrap());
        let open = Arc::new(AtomicUsize::new(0));
        let (server, counter) = (server.to_owned(), Arc::clone(&open));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let (server, counter) = (server.clone(), Arc::clone(&counter));
                tokio::spawn(async move {
                    pass_on(client, &server).await;
                    counter.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { base_url, open, task }
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Waits until this many connections are open, for two seconds at most.
    pub(crate) async fn comes_to(&self, count: usize) -> bool {
        for _ in 0..400 {
            if self.open() == count {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Ends when the client hangs up, or when both sides have.
async fn pass_on(client: TcpStream, server: &str) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let back = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
    back.abort();
}
