//! A call in a process of its own, since environment variables hold for a whole process.

use std::process::Command;

use super::{ask, hello, role};

const URL: &str = "POLYSIGHT_CHILD_URL";
const SETTINGS: &str = "POLYSIGHT_CHILD_SETTINGS";

/// Makes one call in a process with these variables, and gives its outcome in one line.
pub(crate) async fn call(url: &str, settings: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "child::one_call", "--nocapture", "--test-threads=1"]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.envs(variables.iter().copied()).env(URL, url).env(SETTINGS, settings);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let outcome =
        text.lines().find_map(|line| line.split_once("OUTCOME ")).map(|(_, outcome)| outcome.to_owned());
    outcome.unwrap_or_else(|| panic!("no outcome: {output:?}"))
}

#[tokio::test]
#[ignore = "other tests run it, in a process of its own"]
async fn one_call() {
    let variable = |name| std::env::var(name).expect("set by the test that runs this");
    let result = match role(&variable(URL), &variable(SETTINGS)) {
        Ok(role) => ask(&role, hello()).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(text) => println!("\nOUTCOME ok {text}"),
        Err(error) => println!("\nOUTCOME {} {} {error}", error.kind().name(), error.billed()),
    }
}
