//! Which path means what.

use crate::surface::Surface;

/// What a request wants.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Route {
    /// `None` for paths of the emulator's own.
    pub(crate) surface: Option<Surface>,
    pub(crate) action: Action,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    Chat,
    /// DashScope's path for models that take text alone.
    TextChat,
    AsyncChat,
    AsyncResult(String),
    /// The vendor's counter of tokens.
    Tokenizer,
    Models,
    /// A ticket for an upload.
    UploadPolicy,
    /// The upload itself.
    Upload,
    /// A short-lived key for a signature.
    Token,
    /// The queue of prepared answers.
    Answers,
}

/// Why there is no route.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum NoRoute {
    UnknownPath,
    /// The path exists on this surface, for this method.
    OnlyFor(Option<Surface>, &'static str),
}

/// Where files are posted to, as tickets say.
pub(crate) const UPLOAD_PATH: &str = "/dashscope-upload";
/// Where answers are queued and, with `DELETE`, forgotten.
const ANSWERS_PATH: &str = "/polysight/answers";
/// Longest body of a request, in bytes.
pub(crate) const MAX_BODY: u64 = 256 * 1024 * 1024;
/// Longest body with prepared answers: several of the longest.
const MAX_ANSWERS_BODY: u64 = 4 * 1024 * 1024;

impl Action {
    fn method(&self) -> &'static str {
        match self {
            Self::Chat
            | Self::TextChat
            | Self::AsyncChat
            | Self::Tokenizer
            | Self::Upload
            | Self::Answers => "POST",
            Self::AsyncResult(_) | Self::Models | Self::UploadPolicy | Self::Token => "GET",
        }
    }

    fn takes(&self, method: &str) -> bool {
        method == self.method() || (*self == Self::Answers && method == "DELETE")
    }

    /// Longest body, in bytes.
    pub(crate) fn max_body(&self) -> u64 {
        if *self == Self::Answers { MAX_ANSWERS_BODY } else { MAX_BODY }
    }

    /// Faults and prepared answers are for requests that ask for an answer.
    pub(crate) fn is_chat(&self) -> bool {
        matches!(self, Self::Chat | Self::TextChat | Self::AsyncChat)
    }
}

pub(crate) fn find(method: &str, path: &str) -> Result<Route, NoRoute> {
    let route = by_path(path).ok_or(NoRoute::UnknownPath)?;
    if route.action.takes(method) {
        Ok(route)
    } else {
        Err(NoRoute::OnlyFor(route.surface, route.action.method()))
    }
}

fn by_path(path: &str) -> Option<Route> {
    match path.trim_end_matches('/') {
        UPLOAD_PATH => {
            return Some(Route { surface: Some(Surface::DashScopeNative), action: Action::Upload });
        }
        ANSWERS_PATH => return Some(Route { surface: None, action: Action::Answers }),
        _ => {}
    }
    Surface::ALL.iter().copied().find_map(|surface| {
        let action = action(surface, path.strip_prefix(surface.prefix())?)?;
        Some(Route { surface: Some(surface), action })
    })
}

fn action(surface: Surface, rest: &str) -> Option<Action> {
    match (surface, rest) {
        (Surface::DashScopeNative, "/services/aigc/multimodal-generation/generation") => Some(Action::Chat),
        (Surface::DashScopeNative, "/services/aigc/text-generation/generation") => Some(Action::TextChat),
        (Surface::DashScopeNative, "/uploads") => Some(Action::UploadPolicy),
        (Surface::DashScopeNative, "/models") => Some(Action::Models),
        (Surface::QianfanIam, "/v1/BCE-BEARER/token") => Some(Action::Token),
        (Surface::DashScopeNative | Surface::QianfanIam, _) => None,
        (_, "/chat/completions") => Some(Action::Chat),
        (_, "/models") => Some(Action::Models),
        (Surface::Zhipu, "/async/chat/completions") => Some(Action::AsyncChat),
        (Surface::Zhipu, "/tokenizer") => Some(Action::Tokenizer),
        (Surface::Zhipu, _) => {
            let id = rest.strip_prefix("/async-result/")?;
            (!id.is_empty() && !id.contains('/')).then(|| Action::AsyncResult(id.to_owned()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_paths_and_methods() {
        let route = |method, path| find(method, path).map(|route| (route.surface, route.action));
        assert_eq!(route("POST", "/api/paas/v4/chat/completions"), Ok((Some(Surface::Zhipu), Action::Chat)));
        assert_eq!(route("POST", "/v1/chat/completions"), Ok((Some(Surface::Gateway), Action::Chat)));
        assert_eq!(route("POST", "/v2/chat/completions"), Ok((Some(Surface::Qianfan), Action::Chat)));
        assert_eq!(route("GET", "/v1/BCE-BEARER/token"), Ok((Some(Surface::QianfanIam), Action::Token)));
        assert_eq!(
            route("GET", "/api/v1/uploads"),
            Ok((Some(Surface::DashScopeNative), Action::UploadPolicy))
        );
        assert_eq!(
            route("POST", "/compatible-mode/v1/chat/completions"),
            Ok((Some(Surface::DashScopeCompatible), Action::Chat))
        );
        assert_eq!(
            route("GET", "/api/paas/v4/async-result/12"),
            Ok((Some(Surface::Zhipu), Action::AsyncResult("12".into())))
        );
        assert_eq!(route("POST", "/api/paas/v4/tokenizer"), Ok((Some(Surface::Zhipu), Action::Tokenizer)));
        assert_eq!(
            route("GET", "/v1/chat/completions"),
            Err(NoRoute::OnlyFor(Some(Surface::Gateway), "POST"))
        );
        assert_eq!(route("DELETE", "/polysight/answers"), Ok((None, Action::Answers)));
        assert_eq!(route("GET", "/polysight/answers"), Err(NoRoute::OnlyFor(None, "POST")));
        for path in [
            "/",
            "/chat/completions",
            "/models",
            "/api/v1/chat/completions",
            "/v1/async/chat/completions",
            "/api/paas/v4/async-result/",
            "/v1/models/",
        ] {
            assert_eq!(route("GET", path), Err(NoRoute::UnknownPath), "{path}");
        }
    }
}
