//! `check`: whether the config is right, and what of it can be used here.

use polysight::Polysight;

use crate::args::Global;
use crate::config_source::ConfigSource;
use crate::outcome::{Outcome, Run};
use crate::output;

/// Prints every fault; of a config without faults, what it holds. A key that is missing here is no fault of the file.
pub(crate) async fn run(global: &Global) -> Run {
    let source = ConfigSource::find(global).await?;
    let (polysight, _) = source.load_served()?;
    output::lines(&format!("{}: no faults", source.name()))?;
    output::lines(&summary(&polysight))?;
    polysight.notes().iter().for_each(output::note);
    for name in polysight.provider_names() {
        if let Err(error) = polysight.provider(name) {
            output::note(format_args!("provider {name} cannot be used here: {}", problem(&error)));
        }
    }
    Ok(Outcome::Done)
}

fn problem(error: &polysight::Error) -> String {
    let violations: Vec<String> = error.violations().iter().map(ToString::to_string).collect();
    if violations.is_empty() { error.message().to_owned() } else { violations.join("; ") }
}

fn summary(polysight: &Polysight) -> String {
    let providers = polysight.provider_names().map(|name| {
        let vendor =
            polysight.provider(name).map_or_else(|_| "-".to_owned(), |made| made.id().vendor.to_string());
        ["provider".to_owned(), name.to_owned(), vendor]
    });
    let roles = polysight.role_names().map(|name| {
        let model = polysight.role(name).ok().and_then(|role| role.model().map(str::to_owned));
        ["role".to_owned(), name.to_owned(), model.unwrap_or_else(|| "-".to_owned())]
    });
    output::columns(&providers.chain(roles).collect::<Vec<_>>())
}
