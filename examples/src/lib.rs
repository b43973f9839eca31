//! What the examples share: a config that points at the embedded emulator, and where the pictures are.

use std::path::PathBuf;
use std::process::ExitCode;

use polysight::{Polysight, Result};
use polysight_emulator::{Emulator, Surface};

/// The programs of the READMEs compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[doc = include_str!("../../README.zh-CN.md")]
pub struct Readmes;

/// A config with one role a vendor, each answered by an emulator in this process.
///
/// Against the real vendors the same file needs real keys, such as `${ZHIPUAI_API_KEY}`, and no `base_url`.
#[must_use]
pub fn config(emulator: &Emulator) -> String {
    let base_url = |surface| emulator.base_url(surface);
    let (zhipu, qwen, ernie) =
        (base_url(Surface::Zhipu), base_url(Surface::DashScopeCompatible), base_url(Surface::Qianfan));
    format!(
        r#"
[providers.zhipu]
backend = "zhipu"
base_url = "{zhipu}"
api_key = "example.key"

[providers.alibaba]
backend = "qwen-vl"
base_url = "{qwen}"
api_key = "sk-0123456789abcdef0123456789abcdef"

[providers.baidu]
backend = "ernie"
base_url = "{ernie}"
api_key = "bce-v3/ALTAK-example/0123456789abcdef0123456789abcdef01234567"

[roles.default]
provider = "zhipu"
model = "glm-4.6v-flash"

[roles.ernie]
provider = "baidu"
model = "ernie-4.5-turbo-vl"

[roles.qwen]
provider = "alibaba"
model = "qwen3-vl-plus"
"#
    )
}

/// The same for videos from disk: of Zhipu's models only this retired one is documented to take them inside a request.
#[must_use]
pub fn video_config(emulator: &Emulator) -> String {
    config(emulator).replace("glm-4.6v-flash", "glm-4v-plus")
}

/// More deployments of the same models: the vendor's other protocol, and a gateway to models of all three.
#[must_use]
pub fn every_deployment(emulator: &Emulator) -> String {
    let (native, gateway) =
        (emulator.base_url(Surface::DashScopeNative), emulator.base_url(Surface::Gateway));
    config(emulator)
        + &format!(
            r#"
[providers.alibaba-native]
backend = "qwen-vl"
protocol = "native"
base_url = "{native}"
api_key = "sk-0123456789abcdef0123456789abcdef"

[providers.gateway-qwen]
backend = "qwen-vl"
deployment = "gateway"
base_url = "{gateway}"
api_key = "sk-gateway"

[providers.gateway-glm]
backend = "zhipu"
deployment = "gateway"
base_url = "{gateway}"
api_key = "sk-gateway"

[providers.gateway-ernie]
backend = "ernie"
deployment = "gateway"
base_url = "{gateway}"
api_key = "sk-gateway"

[roles.gateway-ernie]
provider = "gateway-ernie"
model = "ERNIE-4.5-Turbo-32K"           # in spite of its name the model that sees

[roles.gateway-glm]
provider = "gateway-glm"
model = "GLM-4V-Plus"

[roles.gateway-qwen]
provider = "gateway-qwen"
model = "Qwen2.5-VL-72B-Instruct"

[roles.qwen-native]
provider = "alibaba-native"
model = "qwen3-vl-plus"
"#
        )
}

/// Starts an emulator and reads a config that points at it. The emulator stops when it is dropped.
///
/// # Errors
/// When no port is free, or the config is wrong.
pub async fn embedded(config: impl Fn(&Emulator) -> String) -> Result<(Emulator, Polysight)> {
    let emulator = Emulator::start().await.map_err(|error| {
        polysight::Error::new(polysight::ErrorKind::Network, "the emulator does not start").with_source(error)
    })?;
    let polysight = Polysight::from_toml(&config(&emulator))?;
    Ok((emulator, polysight))
}

/// Path of a picture or video that comes with the examples.
#[must_use]
pub fn media(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("media").join(name)
}

/// Prints an error: each of its violations on a line of its own, or the error on one line.
pub fn print_error(context: &str, error: &polysight::Error) {
    if error.violations().is_empty() {
        eprintln!("error: {context}: {error}");
    }
    for violation in error.violations() {
        eprintln!("error: {context}: {violation}");
    }
}

/// Runs a program with a command line. The exit code is 0 when all went well, 1 when something failed, 2 for a wrong usage.
pub async fn run_program<O>(
    name: &str,
    usage: &str,
    options: std::result::Result<Option<O>, lexopt::Error>,
    run: impl AsyncFnOnce(O) -> Result<bool>,
) -> ExitCode {
    let options = match options {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{usage}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("error: {error}\nusage: {usage}");
            return ExitCode::from(2);
        }
    };
    match run(options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            print_error(name, &error);
            ExitCode::FAILURE
        }
    }
}
