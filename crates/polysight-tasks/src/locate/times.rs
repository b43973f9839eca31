//! Moments of a video, in seconds or as a clock shows them.

/// Most spans that are read from prose.
const MAX_SPANS: usize = 1_000;

/// A moment or a span of a video, in seconds from its begin.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct TimeSpan {
    /// Begin, in seconds.
    pub start: f64,
    /// End, in seconds; `None` for a moment.
    pub end: Option<f64>,
}

impl TimeSpan {
    /// Begin and end in order.
    pub(super) fn new(start: f64, end: Option<f64>) -> Self {
        match end {
            Some(end) if end < start => Self { start: end, end: Some(start) },
            end => Self { start, end },
        }
    }
}

/// Seconds of `12.5`, `12.5s`, `12.5 seconds`, `mm:ss`, `mm:ss.ff` and `hh:mm:ss`; `None` for other words and for what no video
/// lasts.
pub(super) fn seconds_of(word: &str) -> Option<f64> {
    const LONGEST: f64 = 1e6;
    let word = word.trim();
    let bare = ["seconds", "second", "sec", "s"]
        .iter()
        .find_map(|unit| word.strip_suffix(unit))
        .unwrap_or(word)
        .trim_end();
    let is_clock = bare.bytes().all(|byte| byte.is_ascii_digit() || b":.".contains(&byte));
    if bare.is_empty() || bare.len() > 16 || !is_clock {
        return None;
    }
    let mut seconds = 0.0;
    let mut parts = 0;
    for part in bare.split(':') {
        seconds = seconds * 60.0 + part.parse::<f64>().ok()?;
        parts += 1;
    }
    (parts <= 3 && seconds <= LONGEST).then_some(seconds)
}

/// Times in a text without objects: as a clock shows them, or seconds with their unit.
pub(super) fn in_prose(text: &str) -> Vec<TimeSpan> {
    let separators = |letter: char| letter.is_whitespace() || "-–—~,;()[]<>\"".contains(letter);
    let words: Vec<&str> = text.split(separators).filter(|word| !word.is_empty()).take(20_000).collect();
    let mut spans: Vec<TimeSpan> = Vec::new();
    let (mut open, mut skip) = (false, false);
    for (index, word) in words.iter().enumerate() {
        if std::mem::take(&mut skip) {
            continue;
        }
        let next = words.get(index + 1).copied().unwrap_or_default().trim_end_matches(['.', ':']);
        let has_unit = matches!(next, "s" | "sec" | "second" | "seconds");
        let word = word.trim_end_matches(['.', ':', '!', '?']);
        let is_time = word.contains(':') || word.ends_with('s') || has_unit;
        match seconds_of(word).filter(|_| is_time) {
            None => open = open && matches!(word, "to" | "and" | "until" | "至" | "到"),
            Some(end) => {
                skip = has_unit;
                if let Some(span) = spans.last_mut().filter(|_| open) {
                    *span = TimeSpan::new(span.start, Some(end));
                } else if spans.len() < MAX_SPANS {
                    spans.push(TimeSpan::new(end, None));
                } else {
                    break;
                }
                open = !open;
            }
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_models_write_them() {
        for (word, seconds) in [
            ("12", Some(12.0)),
            ("3.2s", Some(3.2)),
            ("0.5 seconds", Some(0.5)),
            ("01:05", Some(65.0)),
            ("12:34.56", Some(754.56)),
            ("1:00:01", Some(3_601.0)),
            ("cat", None),
            ("1:2:3:4", None),
            ("1e9", None),
            ("99999999", None),
            ("", None),
        ] {
            assert_eq!(seconds_of(word), seconds, "{word}");
        }
    }

    #[test]
    fn spans_stand_in_prose() {
        let spans = |text| in_prose(text).into_iter().map(|span| (span.start, span.end)).collect::<Vec<_>>();
        assert_eq!(spans("From 00:12.5 to 00:17, then at 3.2s."), [(12.5, Some(17.0)), (3.2, None)]);
        assert_eq!(spans("<0.5 seconds> - <2.5 seconds>"), [(0.5, Some(2.5))]);
        assert_eq!(spans("It lasts 12 cats."), []);
    }
}
