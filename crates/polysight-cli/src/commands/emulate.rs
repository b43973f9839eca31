//! `emulate`: the emulator on a port, for programs in any language.

use polysight_emulator::{Emulator, Surface};

use crate::args::Emulate;
use crate::outcome::{Failure, Outcome, Run};
use crate::{output, signals};

/// Serves until it is stopped.
pub(crate) async fn run(emulate: &Emulate) -> Run {
    let stop = signals::stop()?;
    let emulator = Emulator::builder().port(emulate.port).kept_requests(0).start().await;
    let emulator = emulator.map_err(|error| {
        Failure::Other(format!("127.0.0.1:{}: {error}; --port 0 takes a free port", emulate.port))
    })?;
    output::lines(&format!("listening on http://{}\n\n{}", emulator.address(), surfaces(&emulator)))?;
    output::aside("requests name their faults in the header x-polysight-fault; Ctrl-C stops the emulator");
    stop.await;
    emulator.shutdown().await;
    Ok(Outcome::Done)
}

/// The base URL of each interface.
fn surfaces(emulator: &Emulator) -> String {
    let row = |surface: &Surface| [surface.name().to_owned(), emulator.base_url(*surface)];
    output::columns(&Surface::ALL.iter().map(row).collect::<Vec<_>>())
}
