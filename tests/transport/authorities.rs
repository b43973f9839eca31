//! Authorities of one's own, and certificates of this side.

use std::path::{Path, PathBuf};

use polysight::{Billed, ErrorKind};
use rcgen::ExtendedKeyUsagePurpose::ClientAuth;
use tempfile::TempDir;

use super::server::{Authority, Script, Server};
use super::{ask, hello, line, role, upload};

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn key(name: &str, path: &Path) -> String {
    format!("{name} = '{}'\n", path.display())
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_where_it_is_named() {
    let (authority, other, files) = (Authority::new(), Authority::new(), Files::new());
    let ca = files.write("ca.pem", &authority.pem());
    // As such files are in practice: other text around it, several authorities.
    let noted =
        format!("Subject: CN=x\n{}\r\n# another\n{}\n", other.pem(), authority.pem().replace('\n', "\r\n"));
    let bundle = files.write("bundle.pem", &noted);
    let server = Server::start(authority.server(None, &[]), Script::Answer(1)).await;
    for file in [&ca, &bundle] {
        for host in ["127.0.0.1", "localhost"] {
            let role = role(&server.url_at(host), &key("ca_file", file)).unwrap();
            assert_eq!(ask(&role, upload(100_000)).await.unwrap(), "hello", "{host}");
        }
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_named_with_the_way_out() {
    let (authority, other, files) = (Authority::new(), Authority::new(), Files::new());
    let server = Server::start(authority.server(None, &[]), Script::Answer(1)).await;
    let wrong_name = Server::start(authority.server_for(&["h.example"], None, &[]), Script::Answer(1)).await;
    let ca = key("ca_file", &files.write("ca.pem", &authority.pem()));
    let unrelated = key("ca_file", &files.write("other.pem", &other.pem()));
    for (url, settings, words) in [
        (server.url(), "", "`ca_file`"),
        (server.url(), &*unrelated, "`ca_file`"),
        (wrong_name.url(), &*ca, "not valid for name"),
        (server.url().replace("https", "http"), &*ca, "no reply from"),
    ] {
        let error = ask(&role(&url, settings).unwrap(), hello()).await.unwrap_err();
        let shown = line(&error);
        assert_eq!(error.kind(), ErrorKind::Network, "{shown}");
        assert!(shown.contains("127.0.0.1:") && shown.contains(words), "{shown}");
        assert_eq!(error.billed(), if words.starts_with("no reply") { Billed::Perhaps } else { Billed::No });
    }
    assert!(server.heads().is_empty() && wrong_name.heads().is_empty());
}

#[tokio::test]
async fn a_client_certificate_is_shown_from_one_file_or_two() {
    let (authority, clients, files) = (Authority::new(), Authority::new(), Files::new());
    let server = Server::start(authority.server(Some(&clients), &[]), Script::Answer(1)).await;
    let client = clients.issue(&["client.example"], ClientAuth);
    let ca = key("ca_file", &files.write("ca.pem", &authority.pem()));
    let certificate = files.write("client.pem", &client.certificate);
    let private = files.write("client.key", &client.key);
    let both = files.write("both.pem", &format!("{}{}", client.key, client.certificate));
    for own in [
        key("client_cert_file", &certificate) + &key("client_key_file", &private),
        key("client_cert_file", &both),
        key("client_cert_file", &both) + &key("client_key_file", &private),
    ] {
        let role = role(&server.url(), &format!("{ca}{own}")).unwrap();
        assert_eq!(ask(&role, upload(100_000)).await.unwrap(), "hello", "{own}");
    }
}

#[tokio::test]
async fn a_server_that_wants_another_certificate_says_so() {
    let (authority, clients, others, files) =
        (Authority::new(), Authority::new(), Authority::new(), Files::new());
    let server = Server::start(authority.server(Some(&clients), &[]), Script::Answer(1)).await;
    let ca = key("ca_file", &files.write("ca.pem", &authority.pem()));
    let other = others.issue(&["client.example"], ClientAuth);
    let other = files.write("other.pem", &(other.certificate + &other.key));
    for (own, request) in [
        (String::new(), hello()),
        (String::new(), upload(3_000_000)),
        (key("client_cert_file", &other), hello()),
        (key("client_cert_file", &other), upload(3_000_000)),
    ] {
        let error = ask(&role(&server.url(), &format!("{ca}{own}")).unwrap(), request).await.unwrap_err();
        let shown = line(&error);
        assert!(shown.contains("TLS: received fatal alert") && shown.contains("127.0.0.1:"), "{shown}");
        assert_eq!((error.kind(), error.billed()), (ErrorKind::Network, Billed::No), "{shown}");
    }
}

#[test]
fn a_file_that_holds_no_certificate_is_a_fault_of_the_config() {
    let (authority, files) = (Authority::new(), Files::new());
    let (one, two) = (authority.issue(&["a"], ClientAuth), authority.issue(&["b"], ClientAuth));
    let text = files.write("text.pem", "canary text");
    let empty = files.write("empty.pem", "");
    let broken =
        files.write("broken.pem", "-----BEGIN CERTIFICATE-----\nY2FuYXJ5\n-----END CERTIFICATE-----\n");
    let cut = files.write("cut.pem", &one.certificate[..one.certificate.len() - 40]);
    let only_key = files.write("key.pem", &one.key);
    let certificate = files.write("one.pem", &one.certificate);
    let other_key = files.write("two.key", &two.key);
    let encrypted = files.write(
        "locked.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nY2FuYXJ5\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let large = files.write("large.pem", &"#".repeat(5 << 20));
    let missing = files.0.path().join("missing.pem");
    let pair = |certificate: &Path, private: &Path| {
        key("client_cert_file", certificate) + &key("client_key_file", private)
    };
    for (settings, path, words) in [
        (key("ca_file", &missing), "ca_file", "missing.pem"),
        (key("ca_file", files.0.path()), "ca_file", "not a file"),
        (key("ca_file", &text), "ca_file", "text.pem"),
        (key("ca_file", &empty), "ca_file", "no certificate"),
        (key("ca_file", &broken), "ca_file", "broken.pem"),
        (key("ca_file", &cut), "ca_file", "cut.pem"),
        (key("ca_file", &only_key), "ca_file", "no certificate"),
        (key("ca_file", &large), "ca_file", "larger than"),
        (key("client_cert_file", &certificate), "client_cert_file", "no private key"),
        (key("client_cert_file", &only_key), "client_cert_file", "no client certificate"),
        (pair(&certificate, &other_key), "client_cert_file", "cannot be used together"),
        (pair(&certificate, &encrypted), "client_cert_file", "without a password"),
        (pair(&certificate, &missing), "client_cert_file", "missing.pem"),
        (key("client_key_file", &only_key), "client_key_file", "client_cert_file is missing"),
    ] {
        let error = role("https://h.example/v1", &settings).unwrap_err();
        let [fault] = error.violations() else { panic!("{settings}: {error:?}") };
        let shown = fault.to_string();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(shown.contains(&format!("providers.p.{path}")) && shown.contains(words), "{shown}");
        assert!(!shown.contains("canary") && !shown.contains("Y2Fu") && !shown.contains("BEGIN"), "{shown}");
    }
}
