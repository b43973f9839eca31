//! `serve`: the roles of a config as an OpenAI-compatible API.

use polysight_gateway::Gateway;
use tokio::net::TcpListener;

use crate::args::{Global, Serve};
use crate::config_source::ConfigSource;
use crate::outcome::{Failure, Outcome, Run};
use crate::{output, signals};

/// Serves until it is asked to stop; then requests that run are answered to their end, unless it is asked again.
pub(crate) async fn run(global: &Global, serve: &Serve) -> Run {
    // Before the first line is printed: a signal may come right after it.
    let (stop, hangups) = (signals::stop()?, signals::Hangups::new()?);
    let source = ConfigSource::find(global).await?;
    let (polysight, settings) = source.load_served()?;
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
        failed = reload_when_asked(hangups, &gateway, &source) => return failed,
        () = signals::stop_at_once()? => {
            output::note("stopped without waiting for the requests that run");
            return Ok(Outcome::Failed);
        }
    }
    Ok(Outcome::Done)
}

/// Reads the config again at each SIGHUP. A wrong one is refused, and the old one stays.
async fn reload_when_asked(mut hangups: signals::Hangups, gateway: &Gateway, source: &ConfigSource) -> Run {
    loop {
        hangups.next().await;
        let reloaded =
            source.load_served().and_then(|(polysight, settings)| gateway.reload(polysight, settings));
        match reloaded {
            Ok(()) => output::note(format_args!("{} was read again", source.name())),
            Err(error) => {
                output::errors(None, &error);
                output::note("the config is wrong: what was served before is served on");
            }
        }
    }
}
