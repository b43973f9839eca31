//! How vendors fail under load, for every soak.

use std::time::Duration;

use polysight_emulator::Fault;

/// What goes wrong, each as often as the others. No throttling: one that the rate limit did not expect teaches it to go slower for
/// minutes, as it should.
pub(crate) fn faults() -> Vec<Fault> {
    vec![
        Fault::status(500, ""),
        Fault::status(503, "").with_header("retry-after-ms", "40"),
        Fault::status(503, ""),
        Fault::Html502,
        Fault::Empty500,
        Fault::CloseBeforeHead,
        Fault::ResetBeforeHead,
        Fault::ResetInHead,
        Fault::ResetAfterHead,
        Fault::ResetInBody(40),
        Fault::TruncateAfter(60),
        Fault::ChunkedCut,
        Fault::InvalidJson,
        Fault::NoFinish,
        Fault::Delay(Duration::from_millis(30)),
    ]
}
