//! The prefix to which a protocol's path is appended.

use std::fmt;
use std::str::FromStr;

use polysight_core::{Error, ErrorKind, Result, redact_name};
use url::Url;

/// A base URL, such as `https://open.bigmodel.cn/api/paas/v4`.
///
/// Joining appends to its path, whether or not it ends in a slash; `Url::join` alone would drop the last segment.
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_wire as wire; }
/// use polysight::wire::BaseUrl;
///
/// let base: BaseUrl = "https://proxy.example/v1".parse().unwrap();
/// assert_eq!(base.join("chat/completions").unwrap().as_str(), "https://proxy.example/v1/chat/completions");
/// assert!("proxy.example/v1".parse::<BaseUrl>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// Appends a path.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the result is no URL.
    pub fn join(&self, path: &str) -> Result<Url> {
        self.0.join(path.trim_start_matches('/')).map_err(|error| {
            Error::new(ErrorKind::Config, format!("`{path}` cannot be appended to {self}")).with_source(error)
        })
    }

    /// Host and port, the latter where it is not the scheme's own: what a key is valid for.
    #[must_use]
    pub fn endpoint(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The URL, ending in a slash.
    #[must_use]
    pub fn as_url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl FromStr for BaseUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let bad = |problem: &str| {
            Err(Error::new(ErrorKind::Config, format!("base_url `{}` {problem}", redact_name(text))))
        };
        let mut url = match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
            _ if !text.contains("://") && text.contains('@') => return Err(holds_a_user()),
            _ if !text.contains("://") => return bad("has no scheme: write https:// in front"),
            Ok(url) if url.has_host() => return bad("is neither http nor https"),
            _ => return bad("is not a URL"),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(holds_a_user());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return bad("has a query or fragment: leave it out");
        }
        if url.path().trim_end_matches('/').ends_with("/chat/completions") {
            return bad("ends in chat/completions: leave that off, it is appended");
        }
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        Ok(Self(url))
    }
}

fn holds_a_user() -> Error {
    Error::new(ErrorKind::Config, "base_url holds a user or password: keys belong in api_key")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        text.parse::<BaseUrl>().unwrap_err().to_string()
    }

    #[test]
    fn joins_with_and_without_a_slash_at_the_end() {
        for text in [
            "https://h.example/api/paas/v4",
            "https://h.example/api/paas/v4/",
            " https://h.example/api/paas/v4\n",
        ] {
            let base: BaseUrl = text.parse().unwrap();
            assert_eq!(base.join("/chat/completions").unwrap().path(), "/api/paas/v4/chat/completions");
            assert_eq!(base.to_string(), "https://h.example/api/paas/v4");
        }
    }

    #[test]
    fn an_endpoint_is_the_same_under_any_path_and_spelling() {
        let endpoint = |text: &str| text.parse::<BaseUrl>().unwrap().endpoint();
        assert_eq!(endpoint("https://H.example/api/v1/"), "h.example");
        assert_eq!(endpoint("https://h.example:443/compatible-mode/v1"), "h.example");
        assert_eq!(endpoint("http://h.example:8000"), "h.example:8000");
    }

    #[test]
    fn says_what_is_wrong() {
        assert!(problem("open.bigmodel.cn/api").contains("no scheme"));
        assert!(problem("localhost:8080/v1").contains("no scheme"));
        assert!(problem("ftp://h.example/").contains("neither http nor https"));
        assert!(problem("https://").contains("not a URL"));
        assert!(problem("https://h.example/v1?key=1").contains("query"));
        assert!(problem("https://h.example/v1/chat/completions").contains("leave that off"));
        for text in ["https://user:canary@h.example/v1", "user:canary@h.example/v1"] {
            let secret = problem(text);
            assert!(secret.contains("keys belong in api_key") && !secret.contains("canary"), "{secret}");
        }
    }
}
