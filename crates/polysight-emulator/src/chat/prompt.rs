//! What a prompt costs.

/// Tokens of a prompt by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Prompt {
    /// Words, and whatever is not counted apart.
    pub(crate) text: u64,
    /// Pictures, where the vendor counts them apart and there are any.
    pub(crate) image: Option<u64>,
    /// Videos, likewise.
    pub(crate) video: Option<u64>,
    /// How much of it is in the vendor's cache.
    pub(crate) cache: CacheUse,
}

/// Tokens of a prompt that a cache had, and that it keeps from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct CacheUse {
    pub(crate) read: u64,
    pub(crate) written: u64,
}

impl Prompt {
    pub(crate) fn total(self) -> u64 {
        self.text + self.image.unwrap_or(0) + self.video.unwrap_or(0)
    }
}
