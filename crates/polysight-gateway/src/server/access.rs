//! Who may call: keys of the gateway's own.

use std::fmt;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, StatusCode};
use polysight::layers::Ledger;
use polysight::layers::rate_limit::{Grant, Lease, Limits, RateLimitKey, RateLimitStore};
use polysight::{Polysight, Result, Role};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::refusal::Refusal;
use crate::settings::{KeySettings, Settings};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The keys of a config, as digests.
pub(crate) struct Keys(Vec<Key>);

/// A key, and what it may do.
pub(crate) struct Key {
    digest: [u8; 32],
    settings: KeySettings,
    /// Where what its calls cost is counted, if it has a budget.
    ledger: Option<Ledger>,
}

/// Who calls: the holder of a key, or anybody where there are no keys.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a>(Option<&'a Key>);

impl Keys {
    /// The keys of the settings; `roles` are those that are served.
    pub(crate) fn new(settings: &Settings, polysight: &Polysight, roles: &[Role]) -> Result<Self> {
        let keys = settings.keys.iter().map(|key| Key::new(key, polysight, roles));
        Ok(Self(keys.collect::<Result<_>>()?))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The caller of a request.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Result<Caller<'_>, Refusal> {
        if self.is_empty() {
            return Ok(Caller(None));
        }
        let presented = presented(headers).ok_or_else(|| {
            let message = "a key is missing: send `Authorization: Bearer ..` or `X-Api-Key: ..`";
            Refusal::new(StatusCode::UNAUTHORIZED, "missing_api_key", message)
        })?;
        self.holder(presented).map(|key| Caller(Some(key))).ok_or_else(|| {
            Refusal::new(StatusCode::UNAUTHORIZED, "invalid_api_key", "the key is not one of this gateway")
        })
    }

    /// Looks at every key, whichever fits: the time says nothing.
    fn holder(&self, presented: &[u8]) -> Option<&Key> {
        let digest: [u8; 32] = Sha256::digest(presented).into();
        self.0
            .iter()
            .fold(None, |found, key| if bool::from(key.digest.ct_eq(&digest)) { Some(key) } else { found })
    }
}

/// The key that a request carries. Of two headers the standard one holds; some clients send both.
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(key)
    });
    let key = bearer.or_else(|| headers.get(X_API_KEY).map(|value| value.as_bytes()))?.trim_ascii();
    (!key.is_empty()).then_some(key)
}

impl Key {
    fn new(settings: &KeySettings, polysight: &Polysight, roles: &[Role]) -> Result<Self> {
        let digest = match settings.key.strip_prefix("sha256:") {
            Some(hex) => from_hex(hex),
            None => Sha256::digest(settings.key.as_bytes()).into(),
        };
        let ledger = |budget| polysight.make_ledger(&format!("gateway.keys.{}", settings.name), budget);
        let ledger = settings.budget.as_ref().map(ledger).transpose()?;
        let key = Self { digest, settings: settings.clone(), ledger };
        key.make_roles(polysight, roles)?;
        Ok(key)
    }

    /// Makes the roles that its budget pays for, so that what is wrong with one is an error of the config.
    fn make_roles(&self, polysight: &Polysight, roles: &[Role]) -> Result<()> {
        let Some(ledger) = &self.ledger else { return Ok(()) };
        let mut roles = roles.iter().map(Role::name).filter(|role| self.settings.may_use(role));
        roles.try_for_each(|role| polysight.role_paid_from(role, ledger).map(drop))
    }

    fn is_limited(&self) -> bool {
        self.settings.requests_per_minute.is_some() || self.settings.concurrency.is_some()
    }
}

/// 64 hex digits, which the settings have checked.
fn from_hex(hex: &str) -> [u8; 32] {
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).unwrap_or_default();
        *byte = u8::from_str_radix(pair, 16).unwrap_or_default();
    }
    digest
}

impl<'a> Caller<'a> {
    /// What the key is called.
    pub(crate) fn name(self) -> Option<&'a str> {
        self.0.map(|key| &*key.settings.name)
    }

    /// Counts a request against the limits of the caller's key; it counts as in flight until the claim is dropped.
    ///
    /// A shared store that cannot be asked limits nothing: the vendors' own limits still hold.
    pub(crate) async fn claim(self, store: &Arc<dyn RateLimitStore>) -> Result<Option<Claim>, Refusal> {
        let Some(key) = self.0.filter(|key| key.is_limited()) else { return Ok(None) };
        let settings = &key.settings;
        let limits = Limits {
            requests: settings.requests_per_minute.map(Into::into),
            tokens: None,
            concurrency: settings.concurrency.map(Into::into),
        };
        let claim = Claim {
            store: Arc::clone(store),
            key: RateLimitKey::new("polysight-gateway", "", &*settings.name),
            lease: Lease::new(uuid::Uuid::new_v4().to_string(), 0),
        };
        match store.acquire(&claim.key, &limits, &claim.lease).await {
            Ok(Grant::Wait { after, limit }) => {
                let message = format!("the key `{}` has used up its limit of {limit} for now", settings.name);
                let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "key_rate_limit", message);
                Err(refusal.with_retry(after))
            }
            Ok(_) => Ok(Some(claim)),
            Err(error) => {
                tracing::warn!(%error, "the limits of keys cannot be counted");
                Ok(None)
            }
        }
    }

    /// Whether the caller may use a role.
    pub(crate) fn may_use(self, role: &str) -> bool {
        self.0.is_none_or(|key| key.settings.may_use(role))
    }

    /// The budget of the caller's key, if there is one.
    pub(crate) fn ledger(self) -> Option<&'a Ledger> {
        self.0?.ledger.as_ref()
    }
}

/// A request that counts against the limits of a key.
pub(crate) struct Claim {
    store: Arc<dyn RateLimitStore>,
    key: RateLimitKey,
    lease: Lease,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.store.release(&self.key, &self.lease, None);
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}
