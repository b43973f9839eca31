//! After which failures the next target is asked.

use std::collections::HashMap;

use polysight_core::{Billed, Error, ErrorKind, Result, TimeoutPhase};
use serde::de::{Deserialize, Deserializer, Error as _};
use strum::IntoEnumIterator as _;

use crate::setting::require;

/// After which failures a route asks the next target.
///
/// | failure | moves on | because |
/// | --- | --- | --- |
/// | found before sending ([`violations`](Error::violations)) | yes | another model may take what this one does not |
/// | `invalid_request` by the vendor | yes | the plan found nothing, so this vendor has a limit that others may not have; nothing was billed |
/// | `media` | no | a local file is as unreadable for all |
/// | `media_fetch_failed` | yes | another vendor's servers stand elsewhere |
/// | `authentication`, `permission`, `billing`, `quota_exhausted` | yes | another target has another account |
/// | `rate_limited`, `overloaded`, `server` | yes | the other may be well |
/// | `model_not_found` | yes | another target has another model |
/// | `context_too_long` | yes | another model may have a larger window |
/// | `content_refused` | if [`after_refusal`](Self::after_refusal) | a refused prompt is not hawked from vendor to vendor |
/// | `interrupted`, `network`, `protocol`, `timeout` | by the bill | see [`repeat`](Self::repeat) |
/// | `unsupported` | yes | the other may have it |
/// | `config` | no | it is for the operator to mend |
///
/// Whatever says "yes" stays within [`repeat`](Self::repeat) too: a failure that may have been billed beyond it is
/// final. [`with_kind`](Self::with_kind) overrides single kinds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MoveOn {
    /// How much the failed call may have cost, at most. Default [`Billed::Perhaps`]: a broken connection moves on, a
    /// timeout while the vendor was at work or an answer that broke off does not, since that would be paid twice.
    pub repeat: Billed,
    /// Whether a prompt that one vendor refused is shown to the next. Default false.
    pub after_refusal: bool,
    /// Kinds that are decided otherwise, whatever the bill: true moves on. A config names them in `snake_case`;
    /// `timeout` stands for all its phases there.
    #[serde(deserialize_with = "by_name")]
    pub kinds: HashMap<ErrorKind, bool>,
}

impl Default for MoveOn {
    fn default() -> Self {
        Self { repeat: Billed::Perhaps, after_refusal: false, kinds: HashMap::new() }
    }
}

impl MoveOn {
    /// The table above.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how much the failed call may have cost.
    #[must_use]
    pub fn with_repeat(mut self, repeat: Billed) -> Self {
        self.repeat = repeat;
        self
    }

    /// Says whether a prompt that one vendor refused is shown to the next.
    #[must_use]
    pub fn with_after_refusal(mut self, after_refusal: bool) -> Self {
        self.after_refusal = after_refusal;
        self
    }

    /// Decides a kind otherwise than the table, whatever the bill.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind, moves_on: bool) -> Self {
        self.kinds.insert(kind, moves_on);
        self
    }

    /// Checks the policy.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when `config` is told to move on.
    pub fn check(&self) -> Result<()> {
        let config = self.kinds.get(&ErrorKind::Config).copied().unwrap_or(false);
        require(!config, "move_on.kinds.config", config, "false: a wrong configuration must be seen")
    }

    /// True when the next target is asked after this failure.
    #[must_use]
    pub fn moves_on(&self, error: &Error) -> bool {
        if !error.violations().is_empty() {
            return true;
        }
        match (error.kind(), self.kinds.get(&error.kind())) {
            (ErrorKind::Config, _) => false,
            (_, Some(decided)) => *decided,
            (kind, None) => self.of_kind(kind) && error.billed() <= self.repeat,
        }
    }

    fn of_kind(&self, kind: ErrorKind) -> bool {
        match kind {
            ErrorKind::InvalidRequest
            | ErrorKind::MediaFetchFailed
            | ErrorKind::Authentication
            | ErrorKind::Permission
            | ErrorKind::Billing
            | ErrorKind::QuotaExhausted
            | ErrorKind::RateLimited
            | ErrorKind::Overloaded
            | ErrorKind::ModelNotFound
            | ErrorKind::ContextTooLong
            | ErrorKind::Interrupted
            | ErrorKind::Timeout(_)
            | ErrorKind::Network
            | ErrorKind::Server
            | ErrorKind::Protocol
            | ErrorKind::Unsupported => true,
            ErrorKind::ContentRefused => self.after_refusal,
            _ => false,
        }
    }
}

/// Reads kinds by their names; `timeout` stands for every time limit.
fn by_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HashMap<ErrorKind, bool>, D::Error> {
    let mut decided = HashMap::new();
    for (name, moves_on) in HashMap::<String, bool>::deserialize(deserializer)? {
        let Some(kind) = ErrorKind::iter().find(|kind| kind.name() == name) else {
            let names: Vec<_> = ErrorKind::iter().map(ErrorKind::name).collect();
            return Err(D::Error::custom(format!("no failure is called `{name}`: {}", names.join(", "))));
        };
        match kind {
            ErrorKind::Timeout(_) => {
                decided.extend(TimeoutPhase::iter().map(|phase| (ErrorKind::Timeout(phase), moves_on)));
            }
            kind => decided.extend([(kind, moves_on)]),
        }
    }
    Ok(decided)
}

#[cfg(test)]
mod tests {
    use polysight_core::{ChatRequest, VisionProvider};

    use super::*;
    use crate::fake::Fake;

    /// Every kind, each phase of a timeout on its own.
    fn kinds() -> impl Iterator<Item = ErrorKind> {
        ErrorKind::iter().flat_map(|kind| match kind {
            ErrorKind::Timeout(_) => TimeoutPhase::iter().map(ErrorKind::Timeout).collect(),
            kind => vec![kind],
        })
    }

    fn moving(policy: &MoveOn) -> String {
        let said = |kind| if policy.moves_on(&Error::new(kind, "")) { "moves on" } else { "final" };
        kinds().map(|kind| format!("{kind}: {}\n", said(kind))).collect()
    }

    #[test]
    fn decides_every_kind_as_the_table_says() {
        let table = "\
invalid request: moves on
unusable media: final
media unreachable for the vendor: moves on
authentication failed: moves on
not permitted: moves on
no balance: moves on
quota exhausted: moves on
rate limited: moves on
overloaded: moves on
model not found: moves on
context too long: moves on
content refused: final
answer interrupted: final
timeout while connecting: moves on
timeout before the first byte: final
timeout between two pieces of the reply: final
timeout of the whole call: final
network failure: moves on
server failure: moves on
reply not understood: moves on
configuration: final
unsupported: moves on
";
        assert_eq!(moving(&MoveOn::new()), table);
    }

    #[test]
    fn what_may_be_billed_moves_on_only_within_the_threshold() {
        let protocol = Error::new(ErrorKind::Protocol, "").with_billed(Billed::Likely);
        let network = Error::new(ErrorKind::Network, "");
        let moved = |repeat| {
            let policy = MoveOn::new().with_repeat(repeat);
            (policy.moves_on(&network), policy.moves_on(&protocol))
        };
        assert_eq!(moved(Billed::No), (false, false));
        assert_eq!(moved(Billed::Perhaps), (true, false));
        assert_eq!(moved(Billed::Likely), (true, true));
    }

    #[test]
    fn a_refused_prompt_moves_on_only_when_allowed() {
        let refused = Error::new(ErrorKind::ContentRefused, "");
        assert!(!MoveOn::new().with_repeat(Billed::Likely).moves_on(&refused));
        assert!(MoveOn::new().with_after_refusal(true).moves_on(&refused));
    }

    #[test]
    fn single_kinds_can_be_decided_otherwise_whatever_the_bill() {
        let idle = ErrorKind::Timeout(TimeoutPhase::Idle);
        let policy = MoveOn::new().with_kind(ErrorKind::Server, false).with_kind(idle, true);
        assert!(!policy.moves_on(&Error::new(ErrorKind::Server, "")));
        assert!(policy.moves_on(&Error::new(idle, "")));
        assert!(!policy.moves_on(&Error::new(ErrorKind::Timeout(TimeoutPhase::Total), "")));
    }

    #[test]
    fn a_request_refused_before_sending_always_moves_on() {
        let empty = Fake::new("a", []).plan(ChatRequest::default()).unwrap_err();
        assert!(!empty.violations().is_empty());
        let policy = MoveOn::new().with_kind(ErrorKind::InvalidRequest, false);
        assert!(policy.moves_on(&empty));
        assert!(!policy.moves_on(&Error::new(ErrorKind::InvalidRequest, "")));
    }

    #[test]
    fn every_kind_has_its_name_in_a_config() {
        let read = |text: &str| serde_json::from_str::<MoveOn>(text);
        let policy = read(r#"{"repeat": "likely", "kinds": {"timeout": false, "server": true}}"#).unwrap();
        let timeouts = TimeoutPhase::iter().map(ErrorKind::Timeout);
        let expected = timeouts
            .fold(MoveOn::new().with_repeat(Billed::Likely), |policy, kind| policy.with_kind(kind, false));
        assert_eq!(policy, expected.with_kind(ErrorKind::Server, true));
        let unknown = read(r#"{"kinds": {"timeouts": true}}"#).unwrap_err().to_string();
        assert!(unknown.contains("`timeouts`: invalid_request, media,"), "{unknown}");
    }

    #[test]
    fn a_wrong_configuration_never_moves_on() {
        let policy = MoveOn::new().with_kind(ErrorKind::Config, true);
        assert!(!policy.moves_on(&Error::new(ErrorKind::Config, "")));
        assert!(policy.check().unwrap_err().message().contains("`move_on.kinds.config`"));
        assert!(MoveOn::new().check().is_ok());
    }
}
