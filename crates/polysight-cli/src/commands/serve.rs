//! `serve`: the roles of a config as an OpenAI-compatible API.

use polysight::{Polysight, Result};
use polysight_gateway::{Gateway, Settings};
use tokio::net::TcpListener;

use crate::args::{Global, Serve};
use crate::config_source::ConfigSource;
use crate::outcome::{Failure, Outcome, Run};
use crate::{output, signals};

/// Serves until it is asked to stop; then requests that run are answered to their end.
pub(crate) async fn run(global: &Global, serve: &Serve) -> Run {
    let stop = signals::stop()?;
    let source = ConfigSource::find(global).await?;
    let (polysight, settings) = load(&source)?;
    polysight.notes().iter().for_each(output::note);
    let gateway = Gateway::new(polysight, settings)?;
    gateway.check_address(serve.listen)?;
    let listener = TcpListener::bind(serve.listen).await.map_err(|error| {
        Failure::Other(format!("{}: {error}; --listen 127.0.0.1:0 takes a free port", serve.listen))
    })?;
    output::lines(&format!("listening on http://{}", listener.local_addr()?))?;
    output::aside(format_args!("roles of the {}; Ctrl-C stops the gateway", source.name()));
    tokio::select! {
        served = gateway.clone().serve(listener, stop) => served?,
        failed = reload_when_asked(&gateway, &source) => return failed,
    }
    Ok(Outcome::Done)
}

/// Reads what the gateway serves: models, and its own settings from the same text.
fn load(source: &ConfigSource) -> Result<(Polysight, Settings)> {
    // Both are checked, so that the faults of the one do not hide those of the other.
    match (source.load(), Settings::from_toml(&source.text()?)) {
        (Err(models), Err(own)) => {
            let faults = [models.violations(), own.violations()].concat();
            Err(models.with_violations(faults))
        }
        (models, own) => Ok((models?, own?)),
    }
}

/// Reads the config again at each SIGHUP. A wrong one is refused, and the old one stays.
async fn reload_when_asked(gateway: &Gateway, source: &ConfigSource) -> Run {
    let mut hangups = signals::Hangups::new()?;
    loop {
        hangups.next().await;
        let reloaded = load(source).and_then(|(polysight, settings)| gateway.reload(polysight, settings));
        match reloaded {
            Ok(()) => output::note(format_args!("{} was read again", source.name())),
            Err(error) => {
                output::errors(None, &error);
                output::note("the config is wrong: what was served before is served on");
            }
        }
    }
}
