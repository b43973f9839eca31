//! The head of a request.

/// Request line and headers.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: String,
    /// Path without the query.
    pub(crate) path: String,
    /// What follows the `?`, as it was sent.
    pub(crate) query: String,
    pub(crate) headers: Headers,
    pub(crate) keep_alive: bool,
    pub(crate) body: BodyLength,
}

/// Headers in order of arrival, names in lower case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Headers(pub(crate) Vec<(String, String)>);

impl Headers {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn all<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name).flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
    }
}

/// How the length of the body is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum BodyLength {
    Exact(u64),
    Chunked,
}

impl BodyLength {
    pub(crate) fn is_empty(self) -> bool {
        self == Self::Exact(0)
    }
}

impl Head {
    /// The first field of the query with this name.
    pub(crate) fn query_field(&self, name: &str) -> Option<String> {
        super::query::parse(&self.query).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}
