//! Takes secrets out of errors, since servers repeat what they were sent.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::io::Read as _;
use std::sync::{Arc, OnceLock};

use super::spelling::Spelled;
use super::{Error, ErrorKind, redact};
use crate::media::MediaSource;

/// What is shorter is no secret, and may stand in any word. In characters.
const SHORTEST: usize = 8;
/// So many characters of a secret in a row are taken out wherever they stand.
const PIECE: usize = 12;
/// So many characters of a medium's base64 in a row are taken out wherever they stand.
const MEDIA_PIECE: usize = 24;
/// So much of each medium is known, from its beginning, in bytes; a multiple of three, for base64. Servers cut what they
/// repeat, and longer runs of base64 are taken out of each text without knowing the medium.
const MEDIA_HEAD: u64 = 12 << 10;

/// What must not be shown: keys, secrets of links, media. It takes them out of texts and errors in every spelling in which
/// servers repeat them: with escaped slashes, in percent-encoding, in base64, wrapped over lines, cut off, and in parts of 12
/// characters and more.
///
/// ```
/// # use polysight_core as polysight;
/// use polysight::SecretFilter;
///
/// let mut filter = SecretFilter::new();
/// filter.add("sk-0123456789/ab");
/// assert_eq!(filter.hide("no such key: sk-0123456789%2Fab!"), "no such key: ..!");
/// assert_eq!(filter.hide("no such key: `sk-01234 56789\\/ab`"), "no such key: `..`");
/// assert_eq!(filter.hide("no such model"), "no such model");
/// ```
#[derive(Clone, Default)]
pub struct SecretFilter {
    /// As they are, the longest first: a spelling may be ambiguous.
    verbatim: Vec<String>,
    /// Letters and digits alone.
    spelled: Vec<Vec<u8>>,
    media: Vec<MediumHead>,
}

impl SecretFilter {
    /// A filter of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// True when there is nothing to hide.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spelled.is_empty() && self.verbatim.is_empty() && self.media.is_empty()
    }

    /// Adds a key, a token or another text. What has fewer than 8 characters is no secret.
    pub fn add(&mut self, secret: &str) {
        if secret.len() < SHORTEST || self.verbatim.iter().any(|known| known == secret) {
            return;
        }
        let at = self.verbatim.partition_point(|known| known.len() >= secret.len());
        self.verbatim.insert(at, secret.to_owned());
        self.add_spelled(secret);
        // Base64 of a longer text that holds the secret begins at any of three places.
        for skipped in 0..3 {
            let bytes = secret.as_bytes().get(skipped..).unwrap_or_default();
            let whole = bytes.get(..bytes.len() / 3 * 3).unwrap_or_default();
            self.add_spelled(&base64_simd::STANDARD.encode_to_string(whole));
        }
    }

    fn add_spelled(&mut self, secret: &str) {
        let spelled = Spelled::read(secret).signs;
        if spelled.len() >= SHORTEST {
            self.spelled.push(spelled);
        }
    }

    /// Adds what may be secret of a link: user and password, the query and its values, the fragment, and parts of the path
    /// that are no words.
    pub fn add_link(&mut self, link: &url::Url) {
        self.add(link.username());
        self.add(link.password().unwrap_or_default());
        for pair in link.query().into_iter().flat_map(|query| query.split('&')) {
            let (name, value) = pair.split_once('=').unwrap_or(("", pair));
            if is_secret_name(name) || !is_ordinary(value) {
                self.add(value);
            }
        }
        self.add(link.query().unwrap_or_default());
        self.add(link.fragment().unwrap_or_default());
        let segments = link.path_segments().into_iter().flatten();
        segments.filter(|part| part.len() > 2 * PIECE && !is_ordinary(part)).for_each(|part| self.add(part));
    }

    /// Adds a medium: of a link as [`add_link`](Self::add_link), else the base64 of its first 12 KiB. A file is read when a
    /// text holds what may be of it.
    pub fn add_media(&mut self, source: &MediaSource) {
        match source.url() {
            Some(link) => self.add_link(link),
            None => self.media.push(MediumHead { source: source.clone(), signs: OnceLock::new() }),
        }
    }

    /// Whether a text shows something that is to be hidden.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        self.hide(text) != text
    }

    /// The text, with `..` in place of what is to be hidden.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        let mut hidden = text.to_owned();
        for secret in self.verbatim.iter().filter(|secret| text.contains(*secret)) {
            hidden = hidden.replace(secret, "..");
        }
        let spelled = Spelled::read(&hidden);
        let mut marks = Marks::new(&spelled.signs);
        for secret in &self.spelled {
            marks.mark(secret, PIECE);
            marks.mark_cut(secret);
        }
        if has_media_piece(&hidden) {
            for medium in &self.media {
                marks.mark(medium.signs(), MEDIA_PIECE);
            }
        }
        let found = marks.into_ranges();
        spelled.replace(&mut hidden, &found);
        hidden
    }
}

impl fmt::Debug for SecretFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretFilter(..)")
    }
}

/// Whether a text consists of words of a language, names of products and short numbers: `vision-2026`, `qwen3-vl-plus`. No
/// key looks like that, and such words stand in codes and messages.
#[must_use]
pub fn is_ordinary(text: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric()).all(|word| {
        let letters = word.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = word.len() - letters.len();
        let tail =
            letters.char_indices().nth(1).map_or("", |(second, _)| letters.get(second..).unwrap_or_default());
        let one_case = tail.chars().all(char::is_lowercase) || letters.chars().all(char::is_uppercase);
        let is_word = letters.chars().count() <= 20 && letters.chars().all(char::is_alphabetic) && one_case;
        is_word && digits <= if letters.is_empty() { 4 } else { 2 }
    })
}

/// Whether what is called so is a secret: a header, a setting, a part of a query.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["auth", "cookie", "cred", "key", "pass", "secret", "sig", "token"].iter().any(|part| name.contains(part))
}

/// A medium, and the base64 of its beginning as it is compared, once that is needed.
#[derive(Clone)]
struct MediumHead {
    source: MediaSource,
    signs: OnceLock<Vec<u8>>,
}

impl MediumHead {
    fn signs(&self) -> &[u8] {
        // What cannot be read was not sent either.
        self.signs.get_or_init(|| head_of(&self.source).unwrap_or_default())
    }
}

fn head_of(source: &MediaSource) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    source.reader()?.ok()?.take(MEDIA_HEAD).read_to_end(&mut head).ok()?;
    Some(Spelled::read(&base64_simd::STANDARD.encode_to_string(&head)).signs)
}

/// Whether a text holds so much base64 in a row, over line breaks, that it may be of a medium.
fn has_media_piece(text: &str) -> bool {
    let mut run = 0;
    text.chars().any(|c| {
        let counts = c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_' | '%' | '\\');
        run = if counts { run + 1 } else { 0 };
        run >= MEDIA_PIECE
    })
}

/// What of a text is to be hidden.
struct Marks<'t> {
    signs: &'t [u8],
    /// Where each piece of a length begins, by that length.
    places: HashMap<usize, HashMap<&'t [u8], Vec<usize>>>,
    marked: Vec<bool>,
    /// Whether a sign and the next one were found as parts of one piece.
    joined: Vec<bool>,
}

impl<'t> Marks<'t> {
    fn new(signs: &'t [u8]) -> Self {
        let (marked, joined) = (vec![false; signs.len()], vec![false; signs.len()]);
        Self { signs, places: HashMap::new(), marked, joined }
    }

    /// Marks every piece of a secret that the text holds.
    fn mark(&mut self, secret: &[u8], piece: usize) {
        let length = piece.min(secret.len());
        if length == 0 || length > self.signs.len() {
            return;
        }
        let signs = self.signs;
        let places = self.places.entry(length).or_insert_with(|| {
            let mut places: HashMap<&[u8], Vec<usize>> = HashMap::new();
            for (at, window) in signs.windows(length).enumerate() {
                places.entry(window).or_default().push(at);
            }
            places
        });
        // Most pieces of a secret are not there: their first two signs tell.
        let mut starts = vec![false; 1 << 16];
        let start_of = |window: &[u8]| match window {
            [first, second, ..] => usize::from(*first) << 8 | usize::from(*second),
            _ => 0,
        };
        for window in places.keys() {
            if let Some(start) = starts.get_mut(start_of(window)) {
                *start = true;
            }
        }
        let may_be = |window: &&[u8]| starts.get(start_of(window)).copied().unwrap_or_default();
        let windows = secret.windows(length).filter(may_be);
        let found: Vec<usize> = windows.filter_map(|window| places.get(window)).flatten().copied().collect();
        found.into_iter().for_each(|at| self.mark_at(at, length));
    }

    /// A text that was cut to its longest length may end within a secret.
    fn mark_cut(&mut self, secret: &[u8]) {
        let mut lengths = (SHORTEST..PIECE.min(secret.len())).rev();
        let cut = |length: &usize| secret.get(..*length).is_some_and(|start| self.signs.ends_with(start));
        if let Some(length) = lengths.find(cut) {
            self.mark_at(self.signs.len() - length, length);
        }
    }

    fn mark_at(&mut self, at: usize, length: usize) {
        let fill = |list: &mut Vec<bool>, length| {
            list.iter_mut().skip(at).take(length).for_each(|mark| *mark = true)
        };
        fill(&mut self.marked, length);
        fill(&mut self.joined, length - 1);
    }

    /// First and last sign of each place.
    fn into_ranges(self) -> Vec<(usize, usize)> {
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        let mut is_open = false;
        for (at, (marked, joined)) in self.marked.into_iter().zip(self.joined).enumerate() {
            match ranges.last_mut().filter(|_| is_open && marked) {
                Some((_, last)) => *last = at,
                None if marked => ranges.push((at, at)),
                None => {}
            }
            is_open = marked && joined;
        }
        ranges
    }
}

impl Error {
    /// Takes secrets out of everything that this error shows: a server may repeat a key that it was sent, in its words, its
    /// code or its id of the request. The [partial](Self::partial) answer stays as it is.
    ///
    /// ```
    /// # use polysight_core as polysight;
    /// use polysight::{Error, ErrorKind, SecretFilter};
    ///
    /// let error = Error::new(ErrorKind::Authentication, "").with_vendor_message("no such key: sk-0123456789!");
    /// let mut filter = SecretFilter::new();
    /// filter.add("sk-0123456789");
    /// assert_eq!(error.without_secrets(&filter).vendor_message(), Some("no such key: ..!"));
    /// ```
    #[must_use]
    pub fn without_secrets(mut self, filter: &SecretFilter) -> Self {
        if filter.is_empty() {
            return self;
        }
        let hide = |text: &mut String| *text = filter.hide(text);
        let inner = &mut *self.0;
        hide(&mut inner.message);
        let texts =
            [&mut inner.code, &mut inner.vendor_message, &mut inner.request_id, &mut inner.quota_reset];
        texts.into_iter().flatten().for_each(hide);
        for violation in &mut inner.violations {
            [&mut violation.path, &mut violation.problem, &mut violation.limit, &mut violation.fix]
                .into_iter()
                .for_each(hide);
        }
        for attempt in &mut inner.attempts {
            hide(&mut attempt.message);
            [&mut attempt.code, &mut attempt.request_id].into_iter().flatten().for_each(hide);
        }
        if let Some(source) = inner.source.take() {
            inner.source = Some(hide_source(source, filter));
        }
        self
    }

    /// Says that it was another kind of failure than it seemed to be, and keeps everything else that is known.
    #[must_use]
    pub fn reclassified(mut self, kind: ErrorKind, message: impl Into<String>) -> Self {
        (self.0.kind, self.0.message) = (kind, message.into());
        self
    }
}

/// A source and its sources in one line, and all that they show.
fn words_of(source: &(dyn StdError + Send + Sync)) -> (String, String) {
    let mut words = source.to_string();
    let mut shown = format!("{source:?} {words}");
    let mut cause = source.source();
    while let Some(next) = cause {
        words = format!("{words}: {next}");
        shown = format!("{shown} {next:?} {next}");
        cause = next.source();
    }
    (words, shown)
}

/// A source that shows a secret, on whatever level, is replaced by its words without the secret.
fn hide_source(
    source: Arc<dyn StdError + Send + Sync>,
    filter: &SecretFilter,
) -> Arc<dyn StdError + Send + Sync> {
    let (words, shown) = words_of(&*source);
    if filter.is_in(&shown) { Arc::new(Words(redact(&filter.hide(&words)))) } else { source }
}

/// A source whose words are long, or more than one line, is replaced by what may be shown of them.
pub(super) fn short_source(source: Box<dyn StdError + Send + Sync>) -> Arc<dyn StdError + Send + Sync> {
    /// In bytes.
    const MAX: usize = 300;
    let is_long = |error: &dyn StdError| {
        let words = error.to_string();
        words.len() > MAX || words.contains(['\n', '\r'])
    };
    let mut cause: Option<&dyn StdError> = Some(&*source);
    while let Some(next) = cause {
        if is_long(next) {
            return Arc::new(Words(redact(&next.to_string()).chars().take(MAX).collect()));
        }
        cause = next.source();
    }
    Arc::from(source)
}

/// What is left of a source that must not be shown as it is.
#[derive(Debug)]
struct Words(String);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Words {}

#[cfg(test)]
mod tests;
