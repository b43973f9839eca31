//! `${NAME}` in texts of the config file.

use std::sync::Arc;
use std::sync::{Mutex, PoisonError};

use polysight_core::redact;

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
        hidden
    }
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
}
