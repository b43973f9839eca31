//! Names to addresses, and which of those are connected to.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::FetchPolicy;
use super::address::not_public;

/// Looks the addresses of a host up.
#[async_trait]
pub trait Lookup: Send + Sync + fmt::Debug {
    /// The host's addresses.
    ///
    /// # Errors
    /// What the system says when there are none.
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Gives the client only addresses that may be connected to. They are the ones that it connects to: a name is not looked
/// up a second time.
#[derive(Debug)]
pub(super) struct GuardedResolver {
    pub(super) lookup: Arc<dyn Lookup>,
    pub(super) policy: Arc<FetchPolicy>,
}

/// A host without an address that may be connected to.
#[derive(Debug)]
pub(super) struct Refused(pub(super) &'static str);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it has {} address", self.0)
    }
}

impl std::error::Error for Refused {}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (lookup, policy) = (Arc::clone(&self.lookup), Arc::clone(&self.policy));
        Box::pin(async move {
            let found = lookup.lookup(name.as_str()).await?;
            let allowed = filter(name.as_str(), found, &policy)?;
            // The client puts the URL's port in the place of 0.
            let addresses: Addrs = Box::new(allowed.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

fn filter(host: &str, found: Vec<IpAddr>, policy: &FetchPolicy) -> Result<Vec<IpAddr>, Refused> {
    if policy.allows_host(host) {
        return Ok(found);
    }
    let mut refused = None;
    let mut allowed = found;
    allowed.retain(|address| match check(*address, policy) {
        Ok(()) => true,
        Err(what) => {
            refused = refused.or(Some(what));
            false
        }
    });
    match refused {
        Some(what) if allowed.is_empty() => Err(Refused(what)),
        _ => Ok(allowed),
    }
}

/// Whether an address may be connected to; if not, what kind it is.
pub(super) fn check(address: IpAddr, policy: &FetchPolicy) -> Result<(), &'static str> {
    match not_public(address) {
        Some(what) if !policy.allow_networks.iter().any(|network| network.contains(&address)) => Err(what),
        _ => Ok(()),
    }
}
