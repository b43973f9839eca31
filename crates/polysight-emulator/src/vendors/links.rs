//! Links to media.

/// A web address. The scheme may be missing, as it is in one of the vendor's own samples.
pub(crate) fn is_link(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let rest = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://")).unwrap_or(&lower);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let web = rest.len() < lower.len();
    let name = host.split(':').next().unwrap_or_default();
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-_[]".contains(&byte);
    let named = !name.is_empty() && name.bytes().all(legal);
    named && (web || (host.contains('.') && rest.contains('/') && !lower.contains("://")))
}

#[cfg(test)]
mod tests {
    use super::is_link;

    #[test]
    fn tells_links_from_other_text() {
        for link in
            ["https://a.example/b.jpg?x=y", "http://localhost:8080/p", "HTTP://A/b", "cdn.example.cn/p/x.jpg"]
        {
            assert!(is_link(link), "{link}");
        }
        for text in [
            "",
            "file:///etc/passwd",
            "ftp://a.b/c",
            "oss://a.b/c",
            "data:image/png;base64,!",
            "photo.jpg",
            "/a.b/c",
        ] {
            assert!(!is_link(text), "{text}");
        }
    }
}
