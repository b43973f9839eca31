//! `limit`: a reverse proxy that does nothing but pass on what comes, in pieces as they come.

use std::io::Write as _;

use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

use crate::Result;

type Http = Client<HttpConnector, Incoming>;

/// Prints its port, and passes requests on to `upstream`, as `http://ADDRESS`, until the process ends.
pub fn serve(upstream: &str) -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?.port());
        std::io::stdout().flush()?;
        accept(&listener, upstream).await
    })
}

async fn accept(listener: &TcpListener, upstream: &str) -> Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let http: Http = Client::builder(TokioExecutor::new()).build(connector);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (http, upstream) = (http.clone(), upstream.to_owned());
        let service = service_fn(move |request| pass_on(http.clone(), upstream.clone(), request));
        // A client that hangs up is no fault of the proxy's.
        tokio::spawn(async move {
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await)
        });
    }
}

async fn pass_on(http: Http, upstream: String, mut request: Request<Incoming>) -> Result<Response<Incoming>> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = format!("{upstream}{path}").parse::<Uri>()?;
    Ok(http.request(request).await?)
}

#[cfg(test)]
mod tests {
    use super::super::cases::CASES;
    use super::super::load::Load;
    use super::*;

    #[test]
    fn requests_and_answers_pass_and_a_bad_answer_ends_the_run() {
        let upstream = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", upstream.local_addr().unwrap());
        std::thread::spawn(move || crate::server::serve(&upstream));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move { accept(&listener, &base).await });
        for name in ["small", "photo", "deltas"] {
            let case = CASES.iter().find(|case| case.name == name).unwrap();
            let body = case.body(&crate::corpus::jpeg(case.picture_bytes));
            let load = Load::new(&address, &format!("/{}/chat/completions", case.segment()), &body);
            load.closed(2, 4).unwrap();
            let (p50, p99) = load.paced(100.0, 4).unwrap();
            assert!(0.0 < p50 && p50 <= p99, "{name}: {p50} {p99}");
        }
        assert!(Load::new(&address, "/no-such-scenario", "{}").closed(1, 1).is_err());
    }
}
