//! One call: its secrets, and the one place where its errors are finished on their way out.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use polysight_core::media::VideoSource;
use polysight_core::{
    Catalog, ChatRequest, Error, ErrorKind, Part, Plan, ProviderId, ResponseMeta, Result, RetryAdvice,
    SecretFilter, Video, redact_name,
};

use crate::secrets::Secrets;
use crate::{Credentials, ReplyHead, Transport};

/// One call of a vendor: it puts credentials on requests, and finishes the errors that come of them.
///
/// [`DialectProvider`](crate::DialectProvider) makes one for each chat; a vendor's calls besides chat get theirs from
/// [`DialectProvider::call`](crate::DialectProvider::call).
pub struct Call {
    provider: Arc<str>,
    request_id: Option<String>,
    secrets: Secrets,
    is_renewed: bool,
}

impl Call {
    pub(crate) fn new(id: &ProviderId, credentials: &Arc<dyn Credentials>, transport: &Transport) -> Self {
        let (provider, secrets) = (Arc::clone(&id.name), Secrets::new(credentials, transport));
        Self { provider, request_id: None, secrets, is_renewed: false }
    }

    /// Names the request that errors are about where they name none.
    pub(crate) fn with_request_id(mut self, id: Option<&str>) -> Self {
        self.request_id = id.map(str::to_owned);
        self
    }

    /// Puts credentials on a request, and remembers what its errors must not show.
    ///
    /// # Errors
    /// Whatever fails while making a token.
    pub async fn authorize(&mut self, transport: &Transport, headers: &mut HeaderMap) -> Result<()> {
        self.secrets.credentials().authorize(transport, headers).await?;
        self.secrets.note(headers);
        Ok(())
    }

    /// Makes credentials anew that an error says have expired; true once a call, and only where there are any to make.
    pub(crate) fn renew(&mut self, error: &Error) -> bool {
        self.is_renewed = self.can_renew(error);
        self.is_renewed
    }

    fn can_renew(&self, error: &Error) -> bool {
        error.retry() == RetryAdvice::RefreshCredentials
            && !self.is_renewed
            && self.secrets.credentials().renew(self.secrets.authorization())
    }

    /// Keeps a text that the vendor gave out of errors, such as a ticket for an upload.
    pub fn keep_secret(&mut self, text: &str) {
        self.secrets.note_text(text);
    }

    /// Keeps the links of a request out of errors that come when its plan is no longer there.
    pub(crate) fn note_links(&mut self, request: &ChatRequest) {
        self.secrets.note_links(request);
    }

    /// What no text about any call of this provider may show.
    pub(crate) fn filter(&self) -> SecretFilter {
        self.secrets.filter()
    }

    /// Takes away the ids of an answer, and the name of its model, where they repeat what was sent: they go into logs and spans.
    pub(crate) fn hide_ids(&self, meta: &mut ResponseMeta) {
        if self.secrets.is_repeated(&meta.model) {
            "..".clone_into(&mut meta.model);
        }
        for id in [&mut meta.id, &mut meta.request_id] {
            id.take_if(|id| self.secrets.is_repeated(id));
        }
    }

    /// Finishes an error on its way to the caller: whether new credentials help, which provider and which request it is
    /// about, and nothing secret.
    #[must_use]
    pub fn finish(&self, error: Error) -> Error {
        self.finish_with(error, None)
    }

    /// The same for a call whose request is at hand, so that its links and media are known.
    pub(crate) fn finish_request(&self, error: Error, request: &ChatRequest) -> Error {
        self.finish_with(error, Some(request))
    }

    fn finish_with(&self, error: Error, request: Option<&ChatRequest>) -> Error {
        let is_stale = error.retry() == RetryAdvice::RefreshCredentials && !self.can_renew(&error);
        let error = if is_stale { error.with_retry(RetryAdvice::Never) } else { error };
        let error = with_id(self.secrets.hide(error, request), self.request_id.as_deref());
        if error.provider().is_some() { error } else { error.with_provider(&*self.provider) }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// Adds to the error of a reply what its head says, tells a medium that the vendor cannot read from one that it could not
/// fetch, and names the model where the vendor has none of that name.
pub(crate) fn replied(plan: &Plan, catalog: &Catalog, head: &ReplyHead, error: Error) -> Error {
    head.advise(with_id(model_named(plan, catalog, reachable(plan, error)), head.request_id()))
}

/// Names the model that was sent and the nearest known ones.
fn model_named(plan: &Plan, catalog: &Catalog, error: Error) -> Error {
    if error.kind() != ErrorKind::ModelNotFound {
        return error;
    }
    let sent = format!("`{}` was sent", redact_name(plan.model()));
    let what = if error.message().is_empty() { sent } else { format!("{}: {sent}", error.message()) };
    let near = catalog.nearest(plan.model());
    let hint = match near.as_slice() {
        [] if plan.card.known => {
            ", which the catalogue knows: this key, region or deployment may not have it".to_owned()
        }
        [] => String::new(),
        near => format!(", the nearest known models are {}", near.join(", ")),
    };
    error.reclassified(ErrorKind::ModelNotFound, what + &hint)
}

/// Adds an id to an error that has none.
fn with_id(error: Error, id: Option<&str>) -> Error {
    match id {
        Some(id) if error.request_id().is_none() => error.with_request_id(id),
        _ => error,
    }
}

/// What the vendor could not fetch, when it had nothing to fetch, is a medium that it could not read.
fn reachable(plan: &Plan, error: Error) -> Error {
    if error.kind() != ErrorKind::MediaFetchFailed {
        return error;
    }
    match inline_media(&plan.request) {
        Some(paths) => {
            let message = format!("the vendor cannot read what was sent along: {}", paths.join(" or "));
            error.reclassified(ErrorKind::InvalidMedia, message)
        }
        None => error,
    }
}

/// The paths of a request's media when all of them were sent along; `None` when there is none, or one by URL.
fn inline_media(request: &ChatRequest) -> Option<Vec<String>> {
    let mut paths = Vec::new();
    for (message, parts) in request.messages.iter().map(|message| &message.parts).enumerate() {
        for (part, medium) in parts.iter().enumerate() {
            match medium {
                Part::Image(image) if image.source().url().is_none() => {}
                Part::Video(video) if !by_url(video) => {}
                Part::Image(_) | Part::Video(_) => return None,
                _ => continue,
            }
            paths.push(format!("messages[{message}].parts[{part}]"));
        }
    }
    (!paths.is_empty()).then_some(paths)
}

fn by_url(video: &Video) -> bool {
    match video.source() {
        VideoSource::Whole(source) => source.url().is_some(),
        VideoSource::Frames(frames) => frames.iter().any(|frame| frame.source().url().is_some()),
        // A kind of source that this version does not know may be one.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use http::HeaderValue;

    use super::*;

    /// Credentials that can be made anew, or not.
    #[derive(Debug)]
    struct Renewable(bool);

    #[async_trait]
    impl Credentials for Renewable {
        async fn authorize(&self, _: &Transport, _: &mut HeaderMap) -> Result<()> {
            Ok(())
        }

        fn renew(&self, _: Option<&HeaderValue>) -> bool {
            self.0
        }
    }

    fn call(renewable: bool, request_id: Option<&str>) -> Call {
        let transport = Transport::builder().build().unwrap();
        let credentials: Arc<dyn Credentials> = Arc::new(Renewable(renewable));
        Call::new(&ProviderId::new("p", "v"), &credentials, &transport).with_request_id(request_id)
    }

    #[test]
    fn new_credentials_are_advised_only_where_there_are_any_and_once_a_call() {
        let expired =
            || Error::new(ErrorKind::Authentication, "").with_retry(RetryAdvice::RefreshCredentials);
        let busy = || Error::new(ErrorKind::Overloaded, "");
        assert_eq!(call(false, None).finish(expired()).retry(), RetryAdvice::Never);
        assert_eq!(call(true, None).finish(expired()).retry(), RetryAdvice::RefreshCredentials);
        assert_eq!(call(false, None).finish(busy()).retry(), RetryAdvice::After(None));
        let mut renewed = call(true, None);
        assert!(renewed.renew(&expired()) && !renewed.can_renew(&expired()));
        assert_eq!(renewed.finish(expired()).retry(), RetryAdvice::Never);
        assert!(!call(true, None).renew(&busy()));
    }

    #[test]
    fn an_error_names_its_provider_and_keeps_its_own_id() {
        let error = || Error::new(ErrorKind::Server, "");
        let named = call(false, Some("b")).finish(error());
        assert_eq!((named.provider(), named.request_id()), (Some("p"), Some("b")));
        let own = call(false, Some("b")).finish(error().with_request_id("a").with_provider("q"));
        assert_eq!((own.provider(), own.request_id()), (Some("q"), Some("a")));
        assert_eq!(call(false, None).finish(error()).request_id(), None);
    }
}
