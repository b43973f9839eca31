//! Forms with a file (`multipart/form-data`, RFC 7578), read as an object store reads them.

use memchr::memmem;

/// The text fields of a form.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Form {
    /// Fields before the file, in order. What follows the file is not looked at.
    pub(crate) fields: Vec<(String, String)>,
    /// Whether fields followed the file.
    pub(crate) file_is_last: bool,
}

impl Form {
    /// The form and the bytes of its file; `None` where the body is no form.
    pub(crate) fn parse<'b>(content_type: &str, body: &'b [u8]) -> Option<(Self, Option<&'b [u8]>)> {
        let delimiter = format!("--{}", boundary(content_type)?);
        let mut form = Self { fields: Vec::new(), file_is_last: true };
        let mut file = None;
        for part in parts(body, delimiter.as_bytes()) {
            let end = memmem::find(part, b"\r\n\r\n")?;
            let (head, content) = (part.get(..end)?, part.get(end + 4..)?);
            let name = name_of(&String::from_utf8_lossy(head))?;
            if file.is_some() {
                form.file_is_last = false;
            } else if name == "file" {
                file = Some(content);
            } else {
                form.fields.push((name, String::from_utf8_lossy(content).into_owned()));
            }
        }
        Some((form, file))
    }

    /// The value of a field; names are compared without case, as object stores compare them.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

fn boundary(content_type: &str) -> Option<&str> {
    let (kind, rest) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let (_, value) = rest.split_once("boundary=")?;
    let value = value.split(';').next()?.trim().trim_matches('"');
    (!value.is_empty()).then_some(value)
}

/// The parts between the delimiters, each from its headers to its last byte.
fn parts<'b>(body: &'b [u8], delimiter: &[u8]) -> Vec<&'b [u8]> {
    let mut parts = Vec::new();
    let Some(start) = memmem::find(body, delimiter) else { return parts };
    let mut rest = body.get(start + delimiter.len()..).unwrap_or_default();
    let separator = [b"\r\n".as_slice(), delimiter].concat();
    // Two hyphens after a delimiter end the form.
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let Some(end) = memmem::find(part, &separator) else { break };
        parts.push(part.get(..end).unwrap_or_default());
        rest = part.get(end + separator.len()..).unwrap_or_default();
    }
    parts
}

fn name_of(head: &str) -> Option<String> {
    let disposition =
        head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    let parameter = disposition.split(';').map(str::trim).find_map(|part| part.strip_prefix("name="))?;
    Some(parameter.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=xyz";

    fn part(name: &str, content: &str) -> String {
        format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{content}\r\n")
    }

    #[test]
    fn reads_fields_and_file() {
        let body = part("key", "a/b") + &part("file", "x\r\n--xy\r\ny") + "--xyz--\r\n";
        let (form, file) = Form::parse(TYPE, body.as_bytes()).unwrap();
        assert_eq!((form.get("Key"), file), (Some("a/b"), Some(b"x\r\n--xy\r\ny".as_slice())));
        assert!(form.file_is_last);
    }

    #[test]
    fn ignores_what_follows_the_file() {
        let body = part("file", "x") + &part("key", "a/b") + "--xyz--\r\n";
        let (form, _) = Form::parse(TYPE, body.as_bytes()).unwrap();
        assert_eq!((form.get("key"), form.file_is_last), (None, false));
    }

    #[test]
    fn other_bodies_are_no_forms() {
        assert!(Form::parse("application/json", b"{}").is_none());
        assert!(Form::parse("multipart/form-data", b"--xyz--").is_none());
        assert!(Form::parse(TYPE, b"--xyz\r\nno head\r\n--xyz--").is_none());
    }
}
