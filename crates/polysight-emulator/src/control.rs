//! Control of the server over HTTP, for tests in other languages: `/polysight/answers`.

use crate::chat::prepared_answer::PreparedAnswer;
use crate::http::Reply;
use crate::json::Json;
use crate::served_request::ServedRequest;

/// Puts the answers in the body at the end of the queue, or empties it with `DELETE`.
pub(crate) fn answers(served: &ServedRequest, body: &[u8]) -> Reply {
    let queue = &served.state.answers;
    let outcome = if served.head.method == "DELETE" {
        queue.clear();
        Ok(())
    } else {
        PreparedAnswer::of_json(body).and_then(|answers| queue.push(answers))
    };
    match outcome {
        Ok(()) => Reply::json(200, &Json::object([("queued", queue.len().into())])),
        Err(error) => Reply::json(400, &Json::object([("error", error.to_string().into())])),
    }
}
