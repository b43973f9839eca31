//! A chat request as the checks of a vendor see it, read leniently: the checks say what is wrong with it.

use std::ops::RangeInclusive;

use serde_json::Number;

use crate::auth::Authentication;
use crate::chat::message::{Message, Part, Role};
use crate::json::Json;
use crate::served_request::ServedRequest;

static NOTHING: Json = Json::Object(Vec::new());

/// A request to a vendor whose models are described by `M`; `X` is what this vendor alone looks at.
#[derive(Debug)]
pub(crate) struct ParsedRequest<'r, M: 'static, X = ()> {
    pub(crate) authentication: Authentication,
    pub(crate) json: Option<&'r Json>,
    /// Where parameters stand.
    pub(crate) parameters: &'r Json,
    pub(crate) model: Option<&'static M>,
    pub(crate) raw_messages: Option<&'r Json>,
    /// `None` where `messages` cannot be read as such.
    pub(crate) messages: Option<Vec<Message<'r>>>,
    pub(crate) forbidden: &'r [String],
    /// Whether more requests are in flight, or came within the window, than are allowed.
    pub(crate) over_limit: bool,
    pub(crate) extra: X,
}

impl<'r, M, X> ParsedRequest<'r, M, X> {
    /// A request whose parameters and messages stand at the top of its body.
    pub(crate) fn new(
        served: &'r ServedRequest,
        json: Option<&'r Json>,
        authentication: Authentication,
        model: fn(&str) -> Option<&'static M>,
        extra: X,
    ) -> Self {
        Self {
            authentication,
            json,
            parameters: json.unwrap_or(&NOTHING),
            model: json.and_then(|json| model(json.get("model")?.text()?)),
            raw_messages: json.and_then(|json| json.get("messages")),
            messages: None,
            forbidden: &served.state.settings.forbidden,
            over_limit: served.is_over_limit(),
            extra,
        }
    }

    /// The same with parameters and messages that stand elsewhere.
    pub(crate) fn with_places(self, parameters: Option<&'r Json>, messages: Option<&'r Json>) -> Self {
        Self { parameters: parameters.unwrap_or(&NOTHING), raw_messages: messages, ..self }
    }

    /// The same with its messages, read as the vendor reads them.
    pub(crate) fn with_messages(mut self, parse: impl FnOnce(&'r Json) -> Option<Vec<Message<'r>>>) -> Self {
        self.messages = self.raw_messages.and_then(parse);
        self
    }

    /// A parameter; `null` counts as absent.
    pub(crate) fn field(&self, name: &str) -> Option<&'r Json> {
        self.parameters.get(name)
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.field(name)?.bool()
    }

    /// The `type` of a parameter that is an object.
    pub(crate) fn type_of(&self, name: &str) -> Option<&'r str> {
        self.field(name)?.get("type")?.text()
    }

    pub(crate) fn model_name(&self) -> Option<&'r str> {
        self.json?.get("model")?.text().filter(|name| !name.is_empty())
    }

    pub(crate) fn messages(&self) -> &[Message<'r>] {
        self.messages.as_deref().unwrap_or_default()
    }

    pub(crate) fn parts(&self) -> impl Iterator<Item = Part<'r>> {
        self.messages().iter().flat_map(|message| message.parts.iter().copied())
    }

    pub(crate) fn is_object(&self) -> bool {
        matches!(self.json, Some(Json::Object(_)))
    }

    pub(crate) fn without_balance(&self) -> bool {
        matches!(self.authentication, Authentication::Accepted { without_balance: true, .. })
    }

    /// Whether a parameter is absent, or a number for which `fits` holds.
    pub(crate) fn number_fits(&self, name: &str, fits: impl Fn(f64) -> bool) -> bool {
        self.field(name).is_none_or(|value| value.number().and_then(Number::as_f64).is_some_and(fits))
    }

    /// Whether a parameter is absent, or a whole number in this range.
    pub(crate) fn whole_fits(&self, name: &str, range: &RangeInclusive<u64>) -> bool {
        let whole = |value: &Json| value.number().and_then(Number::as_u64);
        self.field(name).is_none_or(|value| whole(value).is_some_and(|value| range.contains(&value)))
    }

    /// The role of the first message with a text that is not allowed.
    pub(crate) fn forbidden_in(&self) -> Option<Role> {
        let forbidden = |text: &str| self.forbidden.iter().any(|word| text.contains(word));
        self.messages().iter().find(|message| message.texts().any(forbidden)).map(|message| message.role)
    }
}

/// The name of a tool that is a function.
pub(crate) fn function_name(tool: &Json) -> Option<&str> {
    let is_function = tool.get("type").and_then(Json::text) == Some("function");
    tool.get("function")?.get("name")?.text().filter(|_| is_function)
}
