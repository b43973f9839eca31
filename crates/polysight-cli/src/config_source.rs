//! Where the config comes from.

use std::path::{Path, PathBuf};

use polysight::{Error, ErrorKind, Polysight, Result, Violation, redact_name};
use polysight_emulator::Emulator;
use polysight_gateway::Settings;

use crate::args::Global;
use crate::first_config;

/// The usual name of a config file.
pub(crate) const FILE_NAME: &str = "polysight.toml";

/// Where the config comes from.
#[derive(Debug)]
pub(crate) enum ConfigSource {
    /// A file.
    File(PathBuf),
    /// The vendors' key variables: the text names them.
    Keys(String),
    /// An emulator in this process, which stops when it is dropped; and the text that points at it.
    Emulator {
        /// Held, so that it runs.
        _running: Box<Emulator>,
        text: String,
    },
}

impl ConfigSource {
    /// Finds the config: what the command line names, else a file at its usual places, else the vendors' key variables.
    pub(crate) async fn find(global: &Global) -> Result<Self> {
        if global.emulator {
            return Self::emulator().await;
        }
        if let Some(file) = &global.config {
            return Ok(Self::File(file.clone()));
        }
        let usual = [Some(PathBuf::from(FILE_NAME)), user_file()];
        if let Some(file) = usual.into_iter().flatten().find(|file| file.exists()) {
            return Ok(Self::File(file));
        }
        first_config::of_variables(variable).map(Self::Keys).ok_or_else(no_config)
    }

    async fn emulator() -> Result<Self> {
        let emulator = Emulator::builder().kept_requests(0).start().await;
        let emulator = emulator.map_err(|error| {
            let message = format!("the emulator does not start: {error}");
            Error::new(ErrorKind::Network, message).with_source(error)
        })?;
        let text = first_config::of_emulator(|surface| emulator.base_url(surface));
        Ok(Self::Emulator { _running: Box::new(emulator), text })
    }

    /// Reads and checks the config.
    pub(crate) fn load(&self) -> Result<Polysight> {
        match self {
            Self::File(file) => Polysight::from_file(file),
            Self::Keys(text) | Self::Emulator { text, .. } => Polysight::from_toml(text),
        }
    }

    /// Reads and checks the config with the table of the gateway: the faults of both are in one error.
    pub(crate) fn load_served(&self) -> Result<(Polysight, Settings)> {
        let models = self.load();
        match (models, Settings::from_toml(&self.text()?)) {
            (Err(models), Err(own)) if !models.violations().is_empty() => {
                let mut faults = models.violations().to_vec();
                // A syntax error is found by both.
                faults.extend(
                    self.faults(&own).into_iter().filter(|fault| !models.violations().contains(fault)),
                );
                Err(models.with_violations(faults))
            }
            (Ok(_), Err(own)) if !own.violations().is_empty() => {
                let faults = self.faults(&own);
                Err(own.with_violations(faults))
            }
            (models, own) => {
                let (models, own) = (models?, own?);
                own.check_roles(&models)?;
                Ok((models, own))
            }
        }
    }

    fn text(&self) -> Result<String> {
        match self {
            Self::File(file) => std::fs::read_to_string(file).map_err(|error| {
                let message = format!("{}: it cannot be read: {error}", file.display());
                Error::new(ErrorKind::Config, message).with_source(error)
            }),
            Self::Keys(text) | Self::Emulator { text, .. } => Ok(text.clone()),
        }
    }

    /// Faults that were found in the text, with the file's name.
    fn faults(&self, error: &Error) -> Vec<Violation> {
        let mut faults = error.violations().to_vec();
        if let Self::File(file) = self {
            let name = redact_name(&file.display().to_string());
            for fault in &mut faults {
                if let Some(rest) = fault.path.strip_prefix("config:") {
                    fault.path = format!("{name}:{rest}");
                }
            }
        }
        faults
    }

    /// What it is, for people.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(file) => file.display().to_string(),
            Self::Keys(_) => "key variables of the environment".to_owned(),
            Self::Emulator { .. } => "emulator".to_owned(),
        }
    }
}

/// A variable of the environment.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The config file in the user's config folder.
pub(crate) fn user_file() -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let own = if cfg!(windows) { folder("APPDATA") } else { folder("XDG_CONFIG_HOME") };
    let own = own.or_else(|| Some(std::env::home_dir()?.join(".config")))?;
    Some(own.join("polysight").join(FILE_NAME))
}

fn no_config() -> Error {
    let user_file = user_file().map(|file| format!(" and no {}", shown(&file))).unwrap_or_default();
    let message = format!(
        "no model can be asked: there is no ./{FILE_NAME}{user_file}, and no key in the environment ({}). Set a key, \
         name a file with --config, or try it without a key: --emulator",
        first_config::key_variables()
    );
    Error::new(ErrorKind::Config, message)
}

/// A path in the user's folder as it is usually written.
fn shown(path: &Path) -> String {
    let inside = std::env::home_dir().and_then(|home| path.strip_prefix(home).ok().map(Path::to_path_buf));
    match inside {
        Some(inside) => Path::new("~").join(inside).display().to_string(),
        None => path.display().to_string(),
    }
}
