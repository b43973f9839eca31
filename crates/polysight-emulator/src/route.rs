//! Which path means what.

use crate::emulator::Surface;

/// What a request wants.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Route {
    pub(crate) surface: Surface,
    pub(crate) action: Action,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    Chat,
    AsyncChat,
    AsyncResult(String),
    Models,
}

/// Why there is no route.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum NoRoute {
    UnknownPath,
    /// The path exists, for this method.
    OnlyFor(&'static str),
}

impl Action {
    fn method(&self) -> &'static str {
        match self {
            Self::Chat | Self::AsyncChat => "POST",
            Self::AsyncResult(_) | Self::Models => "GET",
        }
    }

    /// Faults are for requests that ask for an answer.
    pub(crate) fn is_chat(&self) -> bool {
        matches!(self, Self::Chat | Self::AsyncChat)
    }
}

pub(crate) fn find(method: &str, path: &str) -> Result<Route, NoRoute> {
    let route = by_path(path).ok_or(NoRoute::UnknownPath)?;
    let expected = route.action.method();
    if method == expected { Ok(route) } else { Err(NoRoute::OnlyFor(expected)) }
}

fn by_path(path: &str) -> Option<Route> {
    for surface in Surface::ALL.iter().copied() {
        let Some(rest) = path.strip_prefix(surface.prefix()) else { continue };
        let action = match (surface, rest) {
            (_, "/chat/completions") => Action::Chat,
            (_, "/models") => Action::Models,
            (Surface::Zhipu, "/async/chat/completions") => Action::AsyncChat,
            (Surface::Zhipu, _) => {
                let id = rest.strip_prefix("/async-result/")?;
                (!id.is_empty() && !id.contains('/')).then(|| Action::AsyncResult(id.to_owned()))?
            }
            _ => return None,
        };
        return Some(Route { surface, action });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_paths_and_methods() {
        let route = |method, path| find(method, path).map(|route| (route.surface, route.action));
        assert_eq!(route("POST", "/api/paas/v4/chat/completions"), Ok((Surface::Zhipu, Action::Chat)));
        assert_eq!(route("POST", "/v1/chat/completions"), Ok((Surface::Gateway, Action::Chat)));
        assert_eq!(
            route("GET", "/api/paas/v4/async-result/12"),
            Ok((Surface::Zhipu, Action::AsyncResult("12".into())))
        );
        assert_eq!(route("GET", "/v1/chat/completions"), Err(NoRoute::OnlyFor("POST")));
        for path in [
            "/",
            "/chat/completions",
            "/v1/async/chat/completions",
            "/api/paas/v4/async-result/",
            "/v1/models/",
        ] {
            assert_eq!(route("GET", path), Err(NoRoute::UnknownPath), "{path}");
        }
    }
}
