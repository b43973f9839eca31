//! `${NAME}` in texts of the config file.

use std::sync::Arc;
use std::sync::{Mutex, PoisonError};

use polysight_core::{ApiKey, SecretFilter, is_ordinary, redact};

use super::file::{Node, Table, Value};

/// Looks a variable up.
pub(crate) type Lookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The variables of one provider, and what was found, so that it can be kept out of errors.
pub(crate) struct Variables<'a> {
    lookup: &'a Lookup,
    found: Mutex<Vec<(String, String)>>,
}

impl<'a> Variables<'a> {
    pub(crate) fn new(lookup: &'a Lookup) -> Self {
        Self { lookup, found: Mutex::default() }
    }

    /// Replaces `${NAME}` by variables; `$${` stands for `${` itself.
    pub(crate) fn expand(&self, text: &str) -> Result<String, String> {
        walk(text, |name| {
            let value =
                (self.lookup)(name).ok_or_else(|| format!("the environment variable {name} is not set"))?;
            let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            found.push((name.to_owned(), value.clone()));
            Ok(value)
        })
    }

    /// A text in which values of variables are their names.
    pub(crate) fn hide(&self, text: &str) -> String {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hidden = text.to_owned();
        for (name, value) in &*found {
            for shown in [value.clone(), value.trim().to_owned(), redact(value)] {
                if !shown.is_empty() && !name.contains(&shown) {
                    hidden = hidden.replace(&shown, &format!("${{{name}}}"));
                }
            }
        }
        // In other spellings: as a host, in a path, as a part.
        let mut filter = SecretFilter::new();
        found.iter().filter(|(_, value)| !is_ordinary(value)).for_each(|(_, value)| filter.add(value.trim()));
        filter.hide(&hidden)
    }

    /// Looks up every variable that a table names, so that all are known before anything is made of them. What is missing is
    /// said where it is used.
    pub(crate) fn look_up(&self, table: &Table) {
        table.values().for_each(|node| self.look_up_in(node));
    }

    fn look_up_in(&self, node: &Node) {
        match &node.value {
            Value::Text(text) => drop(self.expand(text)),
            Value::List(items) => items.iter().for_each(|item| self.look_up_in(item)),
            Value::Table(fields) => self.look_up(fields),
            _ => {}
        }
    }

    /// The values that may be keys, which nothing shows that is made of them. Names of models and hosts are none.
    pub(crate) fn secrets(&self) -> Vec<ApiKey> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = found.iter().filter(|(_, value)| is_like_a_key(value));
        keys.filter_map(|(_, value)| ApiKey::new(value.as_str()).ok()).collect()
    }

    /// The variable in a text that stands for a key, where the text is the address of a server.
    pub(crate) fn key_in_host(&self, text: &str, host: &str) -> Option<String> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let is_named = |name: &str| text.contains(&format!("${{{name}}}"));
        let key = found.iter().find(|(name, value)| {
            let mut filter = SecretFilter::new();
            filter.add(value.trim());
            is_named(name) && is_like_a_key(value) && !is_host(value) && filter.is_in(host)
        });
        key.map(|(name, _)| name.clone())
    }
}

/// Whether a value may be a key: a part of it between signs is long, and not of letters alone.
fn is_like_a_key(value: &str) -> bool {
    value.split(|c: char| !c.is_alphanumeric()).any(|part| {
        let length = part.chars().count();
        length > 24 || (length > 8 && part.chars().any(|c| c.is_ascii_digit()))
    })
}

/// Whether a value may be a host or a URL: it has a scheme, a port, or a last label of letters.
fn is_host(value: &str) -> bool {
    let (host, port) = value.split_once(':').unwrap_or((value, ""));
    let top = host.rsplit_once('.').map_or("", |(_, top)| top);
    value.contains("://")
        || (!port.is_empty() && port.chars().all(|c| c.is_ascii_digit()))
        || (top.len() > 1 && top.chars().all(|c| c.is_ascii_alphabetic()))
}

/// The name of a variable that is written as elsewhere: `$NAME`, `%NAME%`, `$(NAME)`, `$env:NAME`, `env:NAME`, `{NAME}`.
fn foreign_variable(text: &str) -> Option<&str> {
    let text = text.trim();
    let between = |open: &str, close: &str| text.strip_prefix(open)?.strip_suffix(close);
    let forms = [("$env:", ""), ("env:", ""), ("$(", ")"), ("%", "%"), ("{{", "}}"), ("{", "}"), ("$", "")];
    let name = forms.into_iter().find_map(|(open, close)| between(open, close))?.trim();
    let legal = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let is_name = (2..=64).contains(&name.len()) && name.starts_with(|c: char| c.is_ascii_uppercase());
    (is_name && name.chars().all(legal)).then_some(name)
}

/// Whether a text names a variable.
pub(crate) fn has_variable(text: &str) -> bool {
    let mut names = false;
    let walked = walk(text, |_| {
        names = true;
        Ok(String::new())
    });
    names || walked.is_err()
}

/// The text without variables: `$${` is `${`.
///
/// # Errors
/// When `${` is not closed.
pub(crate) fn check(text: &str) -> Result<String, String> {
    walk(text, |name| Ok(format!("${{{name}}}")))
}

fn walk(text: &str, mut value: impl FnMut(&str) -> Result<String, String>) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    if let Some(name) = foreign_variable(text) {
        return Err(format!("a variable is written `${{{name}}}` here"));
    }
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        let after = from.strip_prefix("${").unwrap_or_default();
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = after;
            continue;
        }
        let (name, behind) = after.split_once('}').ok_or("`${` is not closed by `}`")?;
        expanded.push_str(before);
        expanded.push_str(&value(name)?);
        rest = behind;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_anywhere_in_a_text() {
        let lookup: Lookup = Arc::new(|name| (name == "KEY").then(|| "secret".to_owned()));
        let variables = Variables::new(&lookup);
        assert_eq!(variables.expand("${KEY}").unwrap(), "secret");
        assert_eq!(variables.expand("a-${KEY}-${KEY}").unwrap(), "a-secret-secret");
        assert_eq!(variables.expand("$${KEY} $5").unwrap(), "${KEY} $5");
        assert!(variables.expand("${NONE}").unwrap_err().contains("NONE is not set"));
        assert!(variables.expand("${KEY").unwrap_err().contains("not closed"));
        assert_eq!(variables.hide("no secret here"), "no ${KEY} here");
        assert!(has_variable("a-${KEY}") && !has_variable("$${KEY} $5"));
        assert_eq!(check("$${KEY} ${A}").unwrap(), "${KEY} ${A}");
    }

    #[test]
    fn other_forms_of_variables_are_refused_with_the_one_that_works() {
        for text in ["$KEY_1", "%KEY_1%", "$(KEY_1)", "$env:KEY_1", "env:KEY_1", "{KEY_1}", "{{ KEY_1 }}"] {
            assert_eq!(check(text).unwrap_err(), "a variable is written `${KEY_1}` here", "{text}");
        }
        for text in ["$5", "$", "50%", "$key", "a$KEY", "%20%", "${KEY_1}"] {
            assert!(check(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn keys_are_told_from_models_and_hosts() {
        for key in
            ["sk-canary01234", "0123456789abcdef0123.x", "bce-v3/ALTAK-a/0123456789ab", &"x".repeat(32)]
        {
            assert!(is_like_a_key(key), "{key}");
        }
        for name in
            ["qwen3-vl-235b-a22b-instruct", "glm-4.6v", "inference-server:8000", "10.0.0.5", "cn-beijing"]
        {
            assert!(!is_like_a_key(name), "{name}");
        }
        for host in ["https://h2345678.example", "gw01234567.example", "gateway01234:80"] {
            assert!(is_host(host), "{host}");
        }
        assert!(!is_host("0123456789.0123456789a") && !is_host("sk-0123456789"));
    }
}
