//! `init`: a first config.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use polysight_emulator::Surface;

use crate::args::{Global, Init};
use crate::config_source::{FILE_NAME, variable};
use crate::outcome::{Failure, Outcome, Run};
use crate::{first_config, output};

const INTRODUCTION: &str = "\
# Models that `polysight` and programs with the crate polysight ask. A role is a name for a provider and a model.
# ${NAME} is a variable of the environment: keys do not stand here. `polysight check` checks this file.
";

const MORE: &str = "
# Two roles as one, the second where the first fails:
# [roles.safe]
# fallback = [\"zhipu\", \"qwen\"]
#
# More for a role: max_tokens = 1000, temperature = 0.2, deadline = 60, oversize = \"fit\", cache = true
";

/// The port in a config for an emulator.
const EMULATOR_PORT: u16 = 8181;

/// Writes a config for the keys that are in the environment, or for an emulator.
pub(crate) fn run(global: &Global, init: &Init) -> Run {
    let file = global.config.clone().unwrap_or_else(|| PathBuf::from(FILE_NAME));
    let (config, next) = match global.emulator {
        true => (
            of_emulator(),
            format!("polysight emulate --port {EMULATOR_PORT}, and beside it: polysight ask cat.jpg"),
        ),
        false => (of_keys()?, "polysight ask cat.jpg".to_owned()),
    };
    let text = format!("{INTRODUCTION}\n{config}{MORE}");
    write(&file, &text, init.force).map_err(|error| Failure::Other(problem(&file, &error)))?;
    output::lines(&format!("wrote {}\nnext: {next}", file.display()))?;
    Ok(Outcome::Done)
}

fn of_emulator() -> String {
    let base_url = |surface: Surface| format!("http://127.0.0.1:{EMULATOR_PORT}{}", surface.prefix());
    format!(
        "# Answered by: polysight emulate --port {EMULATOR_PORT}\n{}",
        first_config::of_emulator(base_url)
    )
}

fn of_keys() -> Result<String, Failure> {
    first_config::of_variables(variable).ok_or_else(|| {
        Failure::Other(format!(
            "no key is in the environment, so nothing is written: set one of {}, or write a config for the emulator: \
             polysight init --emulator",
            first_config::key_variables()
        ))
    })
}

fn write(file: &Path, text: &str, force: bool) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(!force).create(true).truncate(force);
    options.open(file)?.write_all(text.as_bytes())
}

fn problem(file: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AlreadyExists => {
            format!("{} is there already: --force overwrites it, --config names another file", file.display())
        }
        _ => format!("{} cannot be written: {error}", file.display()),
    }
}
