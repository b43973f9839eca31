//! What a reply is, by its first bytes: servers send events where a document was asked for, documents where events were, and label
//! either as the other.

use crate::json;

/// What a reply's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON, or a page.
    Document,
    /// An event stream.
    Events,
    /// Neither, as far as its beginning says: the content type decides.
    Unclear,
}

const FIELDS: [&[u8]; 4] = [b"data", b"event", b"id", b"retry"];

/// What a body is that begins so; `None` when more of it is needed.
pub(crate) fn form_of(first: &[u8]) -> Option<Form> {
    let first = json::begin(first);
    match first.first()? {
        b'{' | b'[' | b'<' => return Some(Form::Document),
        b':' => return Some(Form::Events),
        _ => {}
    }
    if json::BYTE_ORDER_MARK.starts_with(first) || FIELDS.iter().any(|field| field.starts_with(first)) {
        return None;
    }
    let is_field = |field: &&[u8]| {
        first.strip_prefix(*field).is_some_and(|rest| matches!(rest.first(), Some(b':' | b'\n' | b'\r')))
    };
    Some(if FIELDS.iter().any(is_field) { Form::Events } else { Form::Unclear })
}

/// The documents of a body as events, where it holds several: they are the chunks of a stream without its framing. One that lacks
/// its end is left out, as a stream's is.
pub(crate) fn events_in(body: &[u8]) -> Option<Vec<u8>> {
    let documents = json::documents(body, json::LoneHalves::Replace);
    if documents.count() < 2 {
        return None;
    }
    let events = documents.texts.iter().flat_map(|text| [b"data: ", text.as_bytes(), b"\n\n"]);
    Some(events.flatten().copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_decide() {
        for (first, form) in [
            ("{\"id\"", Some(Form::Document)),
            ("\u{feff} \n[", Some(Form::Document)),
            ("\n\n<!doctype html>", Some(Form::Document)),
            ("data: {}", Some(Form::Events)),
            ("\u{feff}data:", Some(Form::Events)),
            ("event: x", Some(Form::Events)),
            ("id\n", Some(Form::Events)),
            ("retry:1", Some(Form::Events)),
            (": on", Some(Form::Events)),
            ("", None),
            (" \r\n", None),
            ("da", None),
            ("data", None),
            ("\u{feff}", None),
            ("ideas", Some(Form::Unclear)),
            ("date: today", Some(Form::Unclear)),
            ("upstream connect error", Some(Form::Unclear)),
        ] {
            assert_eq!(form_of(first.as_bytes()), form, "{first:?}");
        }
        assert_eq!((form_of(b"\xEF"), form_of(b"\xEF\xBB")), (None, None));
    }

    #[test]
    fn documents_in_lines_and_in_a_list_are_events() {
        let events = "data: {\"a\":1}\n\ndata: {\"b\":2}\n\n";
        for body in ["{\"a\":1}\n{\"b\":2}\n", "[{\"a\":1},{\"b\":2}]", "{\"a\":1}{\"b\":2}{\"c\"", events] {
            assert_eq!(events_in(body.as_bytes()).as_deref(), Some(events.as_bytes()), "{body}");
        }
        for body in ["{\"a\":1}", "{\"a\":1}\n\ndata: [DONE]\n\n", "[{\"a\":1}]", "<p>{}\n{}", ""] {
            assert_eq!(events_in(body.as_bytes()), None, "{body}");
        }
    }
}
