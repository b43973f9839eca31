//! What a vendor's error codes mean.

use polysight_core::{Error, ErrorKind, RateLimitScope, RetryAdvice};

use crate::chat::Failure;

/// A vendor's error codes, as [`code_table!`](crate::code_table) writes them.
#[derive(Debug)]
pub struct CodeTable(&'static [Code]);

/// What one code means.
#[derive(Debug)]
pub struct Code {
    /// The code as the vendor writes it, a number as text.
    pub code: &'static str,
    /// The kind of failure.
    pub kind: ErrorKind,
    /// Whether the same request may succeed later.
    pub retry: RetryAdvice,
    /// Which limit it is about.
    pub scope: Option<RateLimitScope>,
    /// What happened, in our words.
    pub meaning: &'static str,
}

impl CodeTable {
    /// A table of these rows.
    #[must_use]
    pub const fn new(rows: &'static [Code]) -> Self {
        Self(rows)
    }

    /// The rows, in their order.
    #[must_use]
    pub fn rows(&self) -> &'static [Code] {
        self.0
    }

    /// Finds a code in any case.
    #[must_use]
    pub fn find(&self, code: &str) -> Option<&'static Code> {
        let code = code.trim();
        self.0.iter().find(|row| row.code.eq_ignore_ascii_case(code))
    }
}

impl Code {
    /// The error of a failure that has this code.
    #[must_use]
    pub fn error(&self, failure: &Failure<'_>) -> Error {
        let error = failure.describe(Error::new(self.kind, self.meaning)).with_retry(self.retry);
        match self.scope {
            Some(scope) => error.with_rate_limit_scope(scope),
            None => error,
        }
    }
}

/// Writes a [`CodeTable`](crate::vendor::CodeTable): a row is a code, the [`ErrorKind`](polysight_core::ErrorKind), what to do
/// (`never` and `later` say whether to try again, `refresh` asks for new credentials), the
/// [`RateLimitScope`](polysight_core::RateLimitScope) in parentheses where the code is about one, and the meaning.
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_wire as wire; }
/// use polysight::{ErrorKind, RateLimitScope};
///
/// polysight_wire::code_table! {
///     /// The codes of Acme's reference.
///     static CODES;
///     "4001" Authentication never "the key was refused";
///     "4002" RateLimited later (Tokens) "too many tokens a minute";
/// }
///
/// assert_eq!(CODES.find("4002").unwrap().scope, Some(RateLimitScope::Tokens));
/// assert_eq!(CODES.find("4001").unwrap().kind, ErrorKind::Authentication);
/// ```
#[macro_export]
macro_rules! code_table {
    (
        $(#[$meta:meta])*
        static $name:ident;
        $($code:literal $kind:ident $advice:ident $(($scope:ident))? $meaning:literal;)*
    ) => {
        $(#[$meta])*
        static $name: $crate::vendor::CodeTable = $crate::vendor::CodeTable::new(&[$(
            $crate::vendor::Code {
                code: $code,
                kind: $crate::forward::core::ErrorKind::$kind,
                retry: $crate::code_table!(@$advice),
                scope: $crate::code_table!(@scope $($scope)?),
                meaning: $meaning,
            },
        )*]);
    };
    (@never) => { $crate::forward::core::RetryAdvice::Never };
    (@later) => { $crate::forward::core::RetryAdvice::After(None) };
    (@refresh) => { $crate::forward::core::RetryAdvice::RefreshCredentials };
    (@scope) => { None };
    (@scope $scope:ident) => { Some($crate::forward::core::RateLimitScope::$scope) };
}
