//! A server, and the provider that talks to it.

use std::time::Duration;

use polysight::{ModelCard, Polysight, Registry, Role, VisionProvider};
use polysight_emulator::{Emulator, Fault, Surface};
use polysight_testkit::acme::{AcmeFault, AcmeServer};

use super::acme_registration;
use super::target::Target;

enum Server {
    Emulator(Emulator),
    Acme(AcmeServer),
}

/// What happens to the next request, at whatever server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    RateLimited,
    Overloaded,
    NoBalance,
    Refused,
    Failed,
    /// The model does not exist; for servers that take every model.
    UnknownModel,
    /// The answer is withdrawn halfway.
    Withdrawn,
    /// The answer meets the vendor's own limit of length.
    CutShort,
    /// The answer holds no text.
    Empty,
    /// Nothing is sent, and the connection stays open.
    Silence,
    /// A stream stops for good after two deltas.
    Stall,
}

/// A request as it arrived.
pub(crate) struct SentRequest {
    /// Headers and body as text, media left out or not.
    pub(crate) text: String,
    /// SHA-256 of inline media, in order.
    pub(crate) media: Vec<String>,
}

/// A target with its server running.
pub(crate) struct Fixture {
    pub(crate) target: &'static Target,
    server: Server,
    polysight: Polysight,
}

pub(crate) fn registry() -> Registry {
    acme_registration::registry()
}

fn read(target: &Target, base_url: &str, key: &str, more: &str) -> Polysight {
    Polysight::from_toml_with(&target.config(base_url, key, more), registry()).unwrap()
}

impl Fixture {
    pub(crate) async fn of(target: &'static Target) -> Self {
        let server = match target.surface {
            Some(_) => Server::Emulator(
                Emulator::builder().key(target.key).any_model(target.is_openai()).start().await.unwrap(),
            ),
            None => Server::Acme(AcmeServer::start().await),
        };
        let base_url = base_url(&server, target);
        let polysight = read(target, &base_url, target.key, "");
        Self { target, server, polysight }
    }

    fn role(&self, name: &str) -> Role {
        self.polysight.role(name).unwrap()
    }

    pub(crate) fn text(&self) -> Role {
        self.role("text")
    }

    pub(crate) fn vision(&self) -> Role {
        self.role("vision")
    }

    pub(crate) fn video(&self) -> Role {
        self.role("video")
    }

    pub(crate) fn thinking(&self) -> Role {
        self.role("thinking")
    }

    pub(crate) fn tools(&self) -> Role {
        self.role("tools")
    }

    /// The role `text` at the same server with another key or with more in its config.
    pub(crate) fn reconfigured(&self, key: &str, more: &str) -> Role {
        read(self.target, &base_url(&self.server, self.target), key, more).role("text").unwrap()
    }

    /// Makes the next request meet a scenario.
    pub(crate) fn script(&self, scenario: Scenario) {
        match &self.server {
            Server::Emulator(emulator) => emulator.script(self.fault(scenario)),
            Server::Acme(acme) => acme.script(self.acme_fault(scenario)),
        }
    }

    /// The vendor's code of a scenario that has one.
    pub(crate) fn code(&self, scenario: Scenario) -> &'static str {
        let codes = &self.target.codes;
        match scenario {
            Scenario::RateLimited => codes.rate_limited,
            Scenario::Overloaded => codes.overloaded,
            Scenario::NoBalance => codes.no_balance,
            Scenario::Refused => codes.refused,
            Scenario::Failed => codes.failed,
            Scenario::UnknownModel => "model_not_found",
            other => panic!("{other:?} has no code"),
        }
    }

    fn fault(&self, scenario: Scenario) -> Fault {
        match scenario {
            // The gateway speaks OpenAI's words, not those of the vendor behind it.
            Scenario::Withdrawn if self.target.surface == Some(Surface::Gateway) => {
                Fault::FinishReason("content_filter".to_owned())
            }
            Scenario::Withdrawn => Fault::Sensitive,
            Scenario::CutShort => Fault::FinishReason("length".to_owned()),
            Scenario::Empty => Fault::EmptyAnswer,
            Scenario::Silence => Fault::StallBeforeHead,
            Scenario::Stall => Fault::StallBetweenDeltas(2),
            coded if self.target.is_openai() => Fault::status(openai_status(coded), self.code(coded)),
            coded => Fault::Code(self.code(coded).to_owned()),
        }
    }

    fn acme_fault(&self, scenario: Scenario) -> AcmeFault {
        match scenario {
            Scenario::Withdrawn => AcmeFault::Hide,
            Scenario::CutShort => AcmeFault::Cut,
            Scenario::Empty => AcmeFault::SayNothing,
            Scenario::Silence => AcmeFault::Silence,
            Scenario::Stall => AcmeFault::Stall,
            coded => AcmeFault::Refuse(self.code(coded).parse().unwrap()),
        }
    }

    /// How many connections the client keeps open.
    pub(crate) fn open_connections(&self) -> usize {
        match &self.server {
            Server::Emulator(emulator) => emulator.load().connections,
            Server::Acme(acme) => acme.open_connections(),
        }
    }

    /// Waits until this many connections are open, for two seconds at most.
    pub(crate) async fn wait_for_connections(&self, count: usize) -> bool {
        for _ in 0..400 {
            if self.open_connections() == count {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }

    /// Forgets the requests so far.
    pub(crate) fn clear(&self) {
        match &self.server {
            Server::Emulator(emulator) => emulator.clear_requests(),
            Server::Acme(acme) => acme.clear_requests(),
        }
    }

    /// The requests so far, oldest first.
    pub(crate) fn arrived(&self) -> Vec<SentRequest> {
        match &self.server {
            Server::Emulator(emulator) => emulator.requests().into_iter().map(of_emulator).collect(),
            Server::Acme(acme) => acme.requests().into_iter().map(of_acme).collect(),
        }
    }
}

/// The statuses with which OpenAI sends its codes.
fn openai_status(scenario: Scenario) -> u16 {
    match scenario {
        Scenario::RateLimited | Scenario::NoBalance => 429,
        Scenario::Overloaded => 503,
        Scenario::UnknownModel => 404,
        Scenario::Refused => 400,
        _ => 500,
    }
}

/// What the catalogue says of the model of a role.
pub(crate) fn card(role: &Role) -> ModelCard {
    ModelCard::clone(&role.catalog().card(role.model().unwrap()))
}

fn base_url(server: &Server, target: &Target) -> String {
    match (server, target.surface) {
        (Server::Emulator(emulator), Some(surface)) => emulator.base_url(surface),
        (Server::Acme(acme), _) => acme.base_url(),
        (Server::Emulator(_), None) => panic!("{} has no surface", target.name),
    }
}

fn of_emulator(request: polysight_emulator::RecordedRequest) -> SentRequest {
    let text = format!("{:?} {}", request.headers, request.body.unwrap_or_default());
    SentRequest { text, media: request.media.into_iter().map(|medium| medium.sha256).collect() }
}

fn of_acme(request: polysight_testkit::acme::AcmeRequest) -> SentRequest {
    SentRequest { text: request.body.to_string(), media: request.media }
}
