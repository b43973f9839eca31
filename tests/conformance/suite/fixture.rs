//! A server, and the provider that talks to it.

use polysight::{ModelCard, Polysight, Registry, RoleProvider, VisionProvider};
use polysight_emulator::{Emulator, Fault};
use polysight_tests::toy::{ToyFault, ToyServer};

use super::glue;
use super::target::Target;

enum Server {
    Emulator(Emulator),
    Toy(ToyServer),
}

/// What goes wrong with the next request, whoever serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    RateLimited,
    Overloaded,
    NoBalance,
    Refused,
    Failed,
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
pub(crate) struct Arrived {
    /// Headers and body as text, media left out or not.
    pub(crate) text: String,
    /// SHA-256 of inline media, in order.
    pub(crate) media: Vec<String>,
}

/// A target with its server running.
pub(crate) struct Stage {
    pub(crate) target: &'static Target,
    server: Server,
    sight: Polysight,
}

pub(crate) fn registry() -> Registry {
    glue::registry()
}

fn read(target: &Target, base_url: &str, key: &str, more: &str) -> Polysight {
    Polysight::from_toml_with(&target.config(base_url, key, more), registry()).unwrap()
}

impl Stage {
    pub(crate) async fn of(target: &'static Target) -> Self {
        let server = match target.surface {
            Some(_) => Server::Emulator(Emulator::builder().key(target.key).start().await.unwrap()),
            None => Server::Toy(ToyServer::start().await.unwrap()),
        };
        let base_url = base_url(&server, target);
        let sight = read(target, &base_url, target.key, "");
        Self { target, server, sight }
    }

    pub(crate) fn base_url(&self) -> String {
        base_url(&self.server, self.target)
    }

    fn role(&self, name: &str) -> RoleProvider {
        self.sight.role(name).unwrap()
    }

    pub(crate) fn text(&self) -> RoleProvider {
        self.role("text")
    }

    pub(crate) fn vision(&self) -> RoleProvider {
        self.role("vision")
    }

    pub(crate) fn video(&self) -> RoleProvider {
        self.role("video")
    }

    pub(crate) fn thinking(&self) -> RoleProvider {
        self.role("thinking")
    }

    pub(crate) fn tools(&self) -> RoleProvider {
        self.role("tools")
    }

    /// The part `text` of the same server by another key, another address or with more in its config.
    pub(crate) fn otherwise(&self, base_url: &str, key: &str, more: &str) -> RoleProvider {
        read(self.target, base_url, key, more).role("text").unwrap()
    }

    /// Lets the next request go wrong.
    pub(crate) fn script(&self, trouble: Trouble) {
        match &self.server {
            Server::Emulator(emulator) => emulator.script(self.fault(trouble)),
            Server::Toy(toy) => toy.script(self.toy_fault(trouble)),
        }
    }

    /// The vendor's code of a trouble that has one.
    pub(crate) fn code(&self, trouble: Trouble) -> &'static str {
        let codes = &self.target.codes;
        match trouble {
            Trouble::RateLimited => codes.rate_limited,
            Trouble::Overloaded => codes.overloaded,
            Trouble::NoBalance => codes.no_balance,
            Trouble::Refused => codes.refused,
            Trouble::Failed => codes.failed,
            other => panic!("{other:?} has no code"),
        }
    }

    fn fault(&self, trouble: Trouble) -> Fault {
        match trouble {
            // The gateway speaks OpenAI's words, not those of the vendor behind it.
            Trouble::Withdrawn if self.target.name.starts_with("gateway") => {
                Fault::FinishReason("content_filter".to_owned())
            }
            Trouble::Withdrawn => Fault::Sensitive,
            Trouble::CutShort => Fault::FinishReason("length".to_owned()),
            Trouble::Empty => Fault::EmptyAnswer,
            Trouble::Silence => Fault::StallBeforeHead,
            Trouble::Stall => Fault::StallBetweenDeltas(2),
            coded => Fault::Code(self.code(coded).to_owned()),
        }
    }

    fn toy_fault(&self, trouble: Trouble) -> ToyFault {
        match trouble {
            Trouble::Withdrawn => ToyFault::Hide,
            Trouble::CutShort => ToyFault::Cut,
            Trouble::Empty => ToyFault::SayNothing,
            Trouble::Silence => ToyFault::Silence,
            Trouble::Stall => ToyFault::Stall,
            coded => ToyFault::Refuse(self.code(coded).parse().unwrap()),
        }
    }

    /// Forgets the requests so far.
    pub(crate) fn clear(&self) {
        match &self.server {
            Server::Emulator(emulator) => emulator.clear_requests(),
            Server::Toy(toy) => toy.clear_requests(),
        }
    }

    /// The requests so far, oldest first.
    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        match &self.server {
            Server::Emulator(emulator) => emulator.requests().into_iter().map(of_emulator).collect(),
            Server::Toy(toy) => toy.requests().into_iter().map(of_toy).collect(),
        }
    }
}

/// What the catalogue says of the model behind a part.
pub(crate) fn card(role: &RoleProvider) -> ModelCard {
    ModelCard::clone(&role.catalog().card(role.model().unwrap()))
}

fn base_url(server: &Server, target: &Target) -> String {
    match (server, target.surface) {
        (Server::Emulator(emulator), Some(surface)) => emulator.base_url(surface),
        (Server::Toy(toy), _) => toy.base_url(),
        (Server::Emulator(_), None) => panic!("{} has no surface", target.name),
    }
}

fn of_emulator(request: polysight_emulator::RecordedRequest) -> Arrived {
    let text = format!("{:?} {}", request.headers, request.body.unwrap_or_default());
    Arrived { text, media: request.media.into_iter().map(|medium| medium.sha256).collect() }
}

fn of_toy(request: polysight_tests::toy::ToyRequest) -> Arrived {
    Arrived { text: request.body.to_string(), media: request.media }
}
