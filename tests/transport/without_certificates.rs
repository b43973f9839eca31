//! A container without certificates.

use super::child;
use super::server::{Authority, Script, Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_without_certificates_is_named_with_the_way_out() {
    let empty = tempfile::tempdir().unwrap();
    let missing = empty.path().join("missing.pem");
    let text = empty.path().join("text.pem");
    std::fs::write(&text, "no certificate").unwrap();
    let folder = empty.path().to_str().unwrap();
    for file in [&missing, &text] {
        let variables = [("SSL_CERT_FILE", file.to_str().unwrap()), ("SSL_CERT_DIR", folder)];
        let outcome = child::call("https://h.example/v1", "", &variables).await;
        for words in
            ["config no ", "no certificates to trust", "ca-certificates", "`ca_file`", "bundled-roots"]
        {
            assert!(outcome.contains(words), "{words}: {outcome}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_of_ones_own_suffices_there() {
    let authority = Authority::new();
    let server = Server::start(authority.server(None, &[]), Script::Answer(1)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let variables = [("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "/nonexistent")];
    let settings = format!("ca_file = '{}'", file.display());
    assert_eq!(child::call(&server.url(), &settings, &variables).await, "ok hello");
    let variables = [("SSL_CERT_FILE", file.to_str().unwrap()), ("SSL_CERT_DIR", "/nonexistent")];
    assert_eq!(child::call(&server.url(), "", &variables).await, "ok hello");
}
