//! The text of a config for the vendors that can be reached: by keys of the environment, or an emulator.

use std::fmt::Write as _;

use polysight::{ernie, qwen_vl, zhipu};
use polysight_emulator::Surface;

/// A vendor in a config that is written here.
struct Vendor {
    role: &'static str,
    provider: &'static str,
    backend: &'static str,
    model: &'static str,
    /// Lines of its provider table, besides the backend: key and TOML value.
    settings: Vec<(&'static str, String)>,
}

/// The variables that are looked at, for messages.
pub(crate) fn key_variables() -> String {
    let one_of =
        [zhipu::API_KEY_ENV.join(" or "), qwen_vl::API_KEY_ENV.join(" or "), ernie::API_KEY_ENV.join(" or ")];
    one_of.join(", ")
}

/// A config for the vendors whose keys are in the environment, as `${NAME}`; `None` where there is none.
pub(crate) fn of_variables(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.trim().is_empty());
    let vendors = [zhipu_by_key(&is_set), alibaba_by_key(&is_set), baidu_by_key(&is_set)];
    let vendors: Vec<Vendor> = vendors.into_iter().flatten().collect();
    (!vendors.is_empty()).then(|| text(&vendors))
}

/// A config for an emulator; `base_url` gives the address of each of its interfaces.
pub(crate) fn of_emulator(base_url: impl Fn(Surface) -> String) -> String {
    let settings = |surface, key: &str| {
        // A proxy of the environment does not reach this machine's own addresses.
        vec![("base_url", quoted(&base_url(surface))), ("proxy", quoted("none")), ("api_key", quoted(key))]
    };
    text(&[
        zhipu_with(settings(Surface::Zhipu, "emulated.key")),
        alibaba_with(settings(Surface::DashScopeCompatible, "sk-emulated")),
        baidu_with(settings(Surface::Qianfan, "bce-v3/ALTAK-emulated/00")),
    ])
}

fn zhipu_by_key(is_set: &impl Fn(&str) -> bool) -> Option<Vendor> {
    let [mainland, international] = zhipu::API_KEY_ENV;
    if is_set(mainland) {
        return Some(zhipu_with(vec![("api_key", placeholder(mainland))]));
    }
    let settings = vec![("region", quoted("international")), ("api_key", placeholder(international))];
    is_set(international).then(|| zhipu_with(settings))
}

fn alibaba_by_key(is_set: &impl Fn(&str) -> bool) -> Option<Vendor> {
    let name = qwen_vl::API_KEY_ENV.into_iter().find(|name| is_set(name))?;
    Some(alibaba_with(vec![("api_key", placeholder(name))]))
}

fn baidu_by_key(is_set: &impl Fn(&str) -> bool) -> Option<Vendor> {
    if let Some(name) = ernie::API_KEY_ENV.into_iter().find(|name| is_set(name)) {
        return Some(baidu_with(vec![("api_key", placeholder(name))]));
    }
    let [access, secret] = ernie::IAM_ENV;
    let settings = vec![("access_key", placeholder(access)), ("secret_key", placeholder(secret))];
    (is_set(access) && is_set(secret)).then(|| baidu_with(settings))
}

fn zhipu_with(settings: Vec<(&'static str, String)>) -> Vendor {
    Vendor { role: "zhipu", provider: "zhipu", backend: "zhipu", model: zhipu::DEFAULT_MODEL, settings }
}

fn alibaba_with(settings: Vec<(&'static str, String)>) -> Vendor {
    Vendor { role: "qwen", provider: "alibaba", backend: "qwen-vl", model: qwen_vl::DEFAULT_MODEL, settings }
}

fn baidu_with(settings: Vec<(&'static str, String)>) -> Vendor {
    Vendor { role: "ernie", provider: "baidu", backend: "ernie", model: ernie::DEFAULT_MODEL, settings }
}

/// A TOML string; those of JSON are some.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn placeholder(variable: &str) -> String {
    quoted(&format!("${{{variable}}}"))
}

fn text(vendors: &[Vendor]) -> String {
    let mut text = String::new();
    for vendor in vendors {
        push_table(&mut text, &format!("providers.{}", vendor.provider));
        push_setting(&mut text, "backend", &quoted(vendor.backend));
        vendor.settings.iter().for_each(|(key, value)| push_setting(&mut text, key, value));
    }
    for vendor in vendors {
        push_role(&mut text, vendor.role, vendor);
    }
    if let Some(first) = vendors.first() {
        push_role(&mut text, "default", first);
    }
    text
}

fn push_role(text: &mut String, role: &str, vendor: &Vendor) {
    push_table(text, &format!("roles.{role}"));
    push_setting(text, "provider", &quoted(vendor.provider));
    push_setting(text, "model", &quoted(vendor.model));
}

fn push_table(text: &mut String, name: &str) {
    let gap = if text.is_empty() { "" } else { "\n" };
    // A `String` takes everything.
    let _ = writeln!(text, "{gap}[{name}]");
}

fn push_setting(text: &mut String, key: &str, value: &str) {
    let _ = writeln!(text, "{key} = {value}");
}

#[cfg(test)]
mod tests {
    use polysight::Polysight;

    use super::*;

    fn config(set: &[&str]) -> Option<String> {
        of_variables(|name| set.contains(&name).then(|| "a-real-key.1".to_owned()))
    }

    #[test]
    fn keys_stand_as_placeholders_alone() {
        let all = config(&["ZHIPUAI_API_KEY", "DASHSCOPE_API_KEY", "QIANFAN_API_KEY"]).unwrap();
        assert!(!all.contains("a-real-key"));
        let polysight = Polysight::from_toml(&all).unwrap();
        assert!(polysight.notes().is_empty(), "{:?}", polysight.notes());
        assert_eq!(polysight.role_names().collect::<Vec<_>>(), ["default", "ernie", "qwen", "zhipu"]);
    }

    #[test]
    fn each_way_to_give_a_key_is_a_valid_config() {
        for (set, part) in [
            (&["ZHIPUAI_API_KEY", "ZAI_API_KEY"][..], "\"${ZHIPUAI_API_KEY}\""),
            (&["ZAI_API_KEY"], "region = \"international\""),
            (&["DASHSCOPE_API_KEY"], "backend = \"qwen-vl\""),
            (&["QIANFAN_BEARER_TOKEN"], "\"${QIANFAN_BEARER_TOKEN}\""),
            (&["QIANFAN_ACCESS_KEY", "QIANFAN_SECRET_KEY"], "secret_key = \"${QIANFAN_SECRET_KEY}\""),
        ] {
            let text = config(set).unwrap();
            assert!(text.contains(part), "{text}");
            Polysight::from_toml(&text).unwrap();
        }
        assert_eq!(config(&[]), None);
        assert_eq!(config(&["QIANFAN_ACCESS_KEY"]), None);
        assert_eq!(of_variables(|_| Some(" ".to_owned())), None);
    }

    #[test]
    fn the_emulators_config_has_the_four_roles() {
        let text = of_emulator(|surface| format!("http://127.0.0.1:9{}", surface.prefix()));
        let polysight = Polysight::from_toml(&text).unwrap();
        for role in ["default", "ernie", "qwen", "zhipu"] {
            polysight.role(role).unwrap();
        }
    }
}
