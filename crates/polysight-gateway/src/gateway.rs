//! The gateway, and what it serves at a time.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use polysight::layers::Stack;
use polysight::layers::rate_limit::RateLimitStore;
use polysight::{ChatRequest, Error, ErrorKind, Polysight, Result, Role};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::refusal::Refusal;
use crate::server;
use crate::server::access::{Caller, Keys};
use crate::settings::Settings;

/// An OpenAI-compatible server over the roles of a config file. Cloning shares it.
///
/// ```no_run
/// use polysight::Polysight;
/// use polysight_gateway::{Gateway, Settings};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let text = std::fs::read_to_string("polysight.toml")?;
/// let gateway = Gateway::new(Polysight::from_toml(&text)?, Settings::from_toml(&text)?)?;
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// gateway.check_address(listener.local_addr()?)?;
/// gateway.serve(listener, std::future::pending()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Gateway {
    state: Arc<RwLock<Arc<State>>>,
}

/// What is served until the next reload. A request keeps the state that it began with.
pub(crate) struct State {
    pub(crate) polysight: Polysight,
    pub(crate) settings: Settings,
    pub(crate) keys: Keys,
    /// The roles that can be used, in alphabetical order.
    pub(crate) roles: Vec<Role>,
    /// The vendors of the file's providers.
    pub(crate) vendors: Vec<String>,
    /// When this config was read, in seconds since 1970.
    pub(crate) since: u64,
    /// Where the limits of keys are counted.
    pub(crate) store: Arc<dyn RateLimitStore>,
    /// Room for bodies, in units of [`server::body::UNIT`].
    pub(crate) room: Arc<Semaphore>,
}

impl State {
    fn new(polysight: Polysight, settings: Settings, before: Option<&Self>) -> Result<Self> {
        settings.check()?;
        settings.check_roles(&polysight)?;
        let polysight = match before {
            Some(before) => polysight.continuing(&before.polysight),
            None => polysight,
        };
        let roles = usable_roles(&polysight)?;
        let keys = Keys::new(&settings, &polysight, &roles)?;
        let vendors = polysight
            .provider_names()
            .filter_map(|name| Some(polysight.provider(name).ok()?.id().vendor.to_string()));
        let room = match before {
            Some(before) if before.settings.max_bodies_in_flight == settings.max_bodies_in_flight => {
                Arc::clone(&before.room)
            }
            _ => Arc::new(Semaphore::new(server::body::units(settings.max_bodies_in_flight) as usize)),
        };
        let store = polysight.rate_limit_store()?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Ok(Self { vendors: vendors.collect(), keys, roles, since, store, room, polysight, settings })
    }

    /// The role of this name, or the provider and model that it names where the settings allow that. Its calls are paid from the
    /// caller's budget, where there is one.
    pub(crate) fn role(&self, model: &str, caller: Caller<'_>) -> Result<Role, Refusal> {
        let visible = || self.roles.iter().filter(|role| caller.may_use(role.name()));
        if let Some(role) = visible().find(|role| role.name() == model) {
            return Ok(match caller.ledger() {
                Some(ledger) => self.polysight.role_paid_from(role.name(), ledger)?,
                None => role.clone(),
            });
        }
        if caller.may_use(model)
            && let Some(role) = self.provider_model(model, caller)?
        {
            return Ok(role);
        }
        // One that is there and may not be used is as unknown as any other.
        Err(crate::models::unknown(model, visible().map(Role::name)))
    }

    /// A model of a provider, which the budget of all roles pays for too.
    fn provider_model(&self, model: &str, caller: Caller<'_>) -> Result<Option<Role>> {
        let Some((provider, model_id)) = model.split_once('/').filter(|_| self.settings.provider_models)
        else {
            return Ok(None);
        };
        let Ok(provider) = self.polysight.provider(provider) else { return Ok(None) };
        let ledgers =
            [Some(self.polysight.ledger()?), caller.ledger().cloned()].into_iter().flatten().collect();
        let stack = Stack { ledgers, role: Some(model.to_owned()), ..Stack::default() };
        let defaults = ChatRequest::default().with_model(model_id);
        Ok(Some(Role::new(model, stack.build(provider)?, defaults)))
    }
}

/// The roles whose providers can be made. The others lack a key on this machine, and are named in the log.
fn usable_roles(polysight: &Polysight) -> Result<Vec<Role>> {
    let (mut roles, mut faults) = (Vec::new(), Vec::new());
    for name in polysight.role_names() {
        match polysight.role(name) {
            Ok(role) => roles.push(role),
            Err(error) => {
                tracing::warn!(role = name, %error, "the role is not served");
                faults.push(error.message().to_owned());
            }
        }
    }
    if roles.is_empty() {
        let problem =
            if faults.is_empty() { "the config has no roles".to_owned() } else { faults.join("; ") };
        return Err(Error::new(ErrorKind::Config, format!("there is no role to serve: {problem}")));
    }
    Ok(roles)
}

impl Gateway {
    /// Makes a gateway for the roles of a config. A role whose key is not set is left out, and named in the log.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when a setting is out of range, a key names an unknown role, or no role can be used.
    pub fn new(polysight: Polysight, settings: Settings) -> Result<Self> {
        let state = Arc::new(State::new(polysight, settings, None)?);
        server::metrics::install();
        Ok(Self { state: Arc::new(RwLock::new(state)) })
    }

    /// Serves another config from the next request on. Requests that have begun are answered by the config that they began
    /// with. What is counted in memory of rate limits and budgets goes on. Limits of headers and connections stay as they are until
    /// a restart.
    ///
    /// # Errors
    /// As [`new`](Self::new), and when the new config has no keys while the gateway may be reached from elsewhere; the old one
    /// stays then.
    pub fn reload(&self, polysight: Polysight, settings: Settings) -> Result<()> {
        let before = self.state();
        if settings.keys.is_empty() && !before.keys.is_empty() {
            let problem =
                "the new config has no keys: restart the gateway to serve without any, on loopback alone";
            return Err(Error::new(ErrorKind::Config, problem));
        }
        let state = State::new(polysight, settings, Some(&before))?;
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
        Ok(())
    }

    /// Checks that the gateway may listen there: without keys on loopback addresses only.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for any other address.
    pub fn check_address(&self, address: SocketAddr) -> Result<()> {
        if address.ip().to_canonical().is_loopback() || !self.state().keys.is_empty() {
            return Ok(());
        }
        let message = format!(
            "{address} can be reached from other machines, and the gateway has no keys: listen on 127.0.0.1, or add \
             [[gateway.keys]] with name and key to the config"
        );
        Err(Error::new(ErrorKind::Config, message))
    }

    /// Accepts connections until `shutdown` is ready. Then no new ones are accepted, and requests may go on for
    /// [`shutdown_grace`](Settings::shutdown_grace); what is left then ends with an error.
    ///
    /// # Errors
    /// When the address must not be listened on, as [`check_address`](Self::check_address) says, and when spans are to be sent and
    /// the exporter cannot be set up.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let address = listener.local_addr()?;
        self.check_address(address).map_err(std::io::Error::other)?;
        server::serve(self, listener, shutdown).await
    }

    /// What is served now.
    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let roles: Vec<&str> = state.roles.iter().map(Role::name).collect();
        f.debug_struct("Gateway")
            .field("roles", &roles)
            .field("keys", &state.settings.keys.len())
            .finish_non_exhaustive()
    }
}
