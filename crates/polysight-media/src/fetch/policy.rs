//! What may be fetched, and how much of it.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use polysight_core::{Error, ErrorKind, Result};
use serde::Deserialize;

use crate::config::seconds;

/// Who fetches media behind URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FetchMode {
    /// The vendor; what it does not fetch is refused.
    Vendor,
    /// This side, always.
    Us,
    /// The vendor; this side where the model takes no URLs, and once more after the vendor's own word that it could not reach
    /// a medium ([`ErrorKind::MediaFetchFailed`]).
    #[default]
    Auto,
}

/// Limits of what is fetched from URLs, and exceptions for addresses of the inside.
///
/// In a config file the keys are the fields' names; times are seconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FetchPolicy {
    /// Who fetches, where a layer is made of this; default [`FetchMode::Auto`].
    pub mode: FetchMode,
    /// Largest medium, in bytes; above zero, default 200 MiB.
    pub max_bytes: u64,
    /// What is larger than this goes into a temporary file, in bytes; default 8 MiB.
    pub max_memory_bytes: u64,
    /// Longest time of a fetch, redirects included; above zero, default 60 s.
    #[serde(deserialize_with = "seconds")]
    pub total: Duration,
    /// Longest time to connect, and between two pieces of the reply; above zero, default 10 s.
    #[serde(deserialize_with = "seconds")]
    pub idle: Duration,
    /// Most redirects that are followed, at most 10; default 3.
    pub max_redirects: u8,
    /// Ports that are fetched from; default 80, 443, 8080 and 8443.
    pub ports: Vec<u16>,
    /// Hosts that may have any address, loopback and private ones too, such as `media.intranet`. Default: none.
    pub allow_hosts: Vec<String>,
    /// Networks that are fetched from though they are not public, such as `10.1.0.0/16` or `127.0.0.1/32`. Default: none.
    pub allow_networks: Vec<IpNet>,
    /// Where temporary files are made; default: the system's folder.
    pub folder: Option<PathBuf>,
}

impl Default for FetchPolicy {
    fn default() -> Self {
        Self {
            mode: FetchMode::Auto,
            max_bytes: 200 << 20,
            max_memory_bytes: 8 << 20,
            total: Duration::from_secs(60),
            idle: Duration::from_secs(10),
            max_redirects: 3,
            ports: vec![80, 443, 8080, 8443],
            allow_hosts: Vec::new(),
            allow_networks: Vec::new(),
            folder: None,
        }
    }
}

impl FetchPolicy {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says who fetches.
    #[must_use]
    pub fn with_mode(mut self, mode: FetchMode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets the largest medium, in bytes.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets what goes into a temporary file: what is larger than this, in bytes.
    #[must_use]
    pub fn with_max_memory_bytes(mut self, bytes: u64) -> Self {
        self.max_memory_bytes = bytes;
        self
    }

    /// Sets the longest time of a fetch, and of a pause in it.
    #[must_use]
    pub fn with_times(mut self, total: Duration, idle: Duration) -> Self {
        (self.total, self.idle) = (total, idle);
        self
    }

    /// Fetches from this port too.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.ports.push(port);
        self
    }

    /// Lets a host have any address.
    #[must_use]
    pub fn with_allowed_host(mut self, host: impl Into<String>) -> Self {
        self.allow_hosts.push(host.into());
        self
    }

    /// Fetches from a network though it is not public.
    #[must_use]
    pub fn with_allowed_network(mut self, network: impl Into<IpNet>) -> Self {
        self.allow_networks.push(network.into());
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a size or time of zero, more than 10 redirects, no port, and a malformed host.
    pub fn check(&self) -> Result<()> {
        let wrong = |problem: &str| Err(Error::new(ErrorKind::Config, problem));
        if self.max_bytes == 0 {
            return wrong("`max_bytes` is 0, but must be above zero");
        }
        if self.total.is_zero() || self.idle.is_zero() {
            return wrong("`total` and `idle` must be above zero");
        }
        if self.max_redirects > 10 {
            return wrong("`max_redirects` must be at most 10");
        }
        if self.ports.is_empty() {
            return wrong("`ports` is empty: name at least one");
        }
        let is_host = |host: &String| !host.is_empty() && !host.contains(['/', ':', '@', '*']);
        match self.allow_hosts.iter().find(|host| !is_host(host)) {
            Some(_) => wrong("`allow_hosts` takes names of hosts, without scheme, port, path or wildcard"),
            None => Ok(()),
        }
    }

    pub(super) fn allows_host(&self, host: &str) -> bool {
        self.allow_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_checked() {
        let read = |text: &str| serde_json::from_str::<FetchPolicy>(text);
        let policy = read(r#"{"total": 2.5, "allow_networks": ["10.1.0.0/16"], "ports": [9000]}"#).unwrap();
        assert_eq!((policy.total, policy.ports.as_slice()), (Duration::from_millis(2_500), &[9_000][..]));
        assert!(policy.check().is_ok() && FetchPolicy::new().check().is_ok());
        for bad in [r#"{"total": -1}"#, r#"{"allow_networks": ["10.1.0.0/99"]}"#, r#"{"prots": [1]}"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
        for wrong in [
            r#"{"max_bytes": 0}"#,
            r#"{"idle": 0}"#,
            r#"{"max_redirects": 11}"#,
            r#"{"ports": []}"#,
            r#"{"allow_hosts": ["http://h.example"]}"#,
        ] {
            assert_eq!(read(wrong).unwrap().check().unwrap_err().kind(), ErrorKind::Config, "{wrong}");
        }
    }
}
