//! Roles that an emulator answers.

use polysight::{Polysight, Role};
use polysight_emulator::{Emulator, Surface};

/// A config with one role of a model, answered by an emulator.
#[must_use]
pub fn zhipu_config(emulator: &Emulator, model: &str) -> String {
    let base_url = emulator.base_url(Surface::Zhipu);
    format!(
        r#"
        [providers.zhipu]
        backend = "zhipu"
        base_url = "{base_url}"
        api_key = "test.key"

        [roles.default]
        provider = "zhipu"
        model = "{model}"
        "#
    )
}

/// A running emulator and a role of a model that it answers.
///
/// # Panics
/// When the emulator does not start, or the config is wrong, which are defects of the test.
pub async fn zhipu_role(model: &str) -> (Emulator, Role) {
    let emulator = Emulator::start().await.expect("the emulator starts");
    let polysight = Polysight::from_toml(&zhipu_config(&emulator, model)).expect("the config is good");
    let role = polysight.role("default").expect("the role exists");
    (emulator, role)
}
