//! Where the config comes from; `check`, `init` and `models`.

use serde_json::Value;

use crate::program::{Program, cat};

const KEYS: [(&str, &str); 3] = [
    ("ZHIPUAI_API_KEY", "0123456789abcdef.canary"),
    ("DASHSCOPE_API_KEY", "sk-canary0123456789"),
    ("QIANFAN_API_KEY", "bce-v3/ALTAK-canary/0123456789"),
];

fn with_keys() -> Program {
    KEYS.into_iter().fold(Program::new(), |program, (name, key)| program.with_variable(name, key))
}

const ONE_ROLE: &str =
    "[providers.a]\nbackend = \"zhipu\"\napi_key = \"k.1\"\n[roles.only]\nmodel = \"glm-4.6v\"\n";

#[test]
fn without_config_and_key_the_ways_out_are_named() {
    for arguments in
        [&["ask", "-p", "Hi"][..], &["plan", "-p", "Hi"], &["check"], &["serve", "--listen", "127.0.0.1:0"]]
    {
        let ran = Program::new().run(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{arguments:?}: {ran:?}");
        for part in
            ["no ./polysight.toml", "ZHIPUAI_API_KEY", "DASHSCOPE_API_KEY", "QIANFAN_API_KEY", "--emulator"]
        {
            assert!(ran.err.contains(part), "{arguments:?}: {ran:?}");
        }
        assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
    }
}

#[test]
fn the_config_is_the_named_file_then_the_folders_then_the_users_then_keys() {
    let role = |name: &str| ONE_ROLE.replace("only", name);
    let roles = |program: &Program, arguments: &[&str]| {
        let ran = program.run(&[&["check"], arguments].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        let roles = ran.out.lines().filter_map(|line| line.strip_prefix("role "));
        roles.map(|rest| rest.split_whitespace().next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let program = with_keys();
    assert_eq!(roles(&program, &[]), ["default", "ernie", "qwen", "zhipu"]);
    let program = program.with_file("config/polysight/polysight.toml", role("user"));
    assert_eq!(roles(&program, &[]), ["user"]);
    let program = program.with_file("polysight.toml", role("folder"));
    assert_eq!(roles(&program, &[]), ["folder"]);
    let program = program.with_file("other.toml", role("named"));
    assert_eq!(roles(&program, &["--config", "other.toml"]), ["named"]);
    assert_eq!(roles(&program, &["--emulator"]), ["default", "ernie", "qwen", "zhipu"]);
    let ran = program.run(&["check", "--config", "none.toml"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("none.toml: it cannot be read"), "{ran:?}");
}

#[test]
fn every_fault_of_a_config_is_one_line_with_its_place() {
    let wrong = "[providers.a]\nbackend = \"zhipu\"\nregion = \"moon\"\n\n[roles.default]\nmodle = \"glm-4.6v\"\ntemperature = \"hot\"\n";
    let program = Program::new().with_file("polysight.toml", wrong);
    for arguments in [&["check"][..], &["ask", "-p", "Hi"], &["plan", "-p", "Hi"]] {
        let ran = program.run(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""));
        let lines: Vec<&str> = ran.err.lines().collect();
        assert_eq!(lines.len(), 3, "{ran:?}");
        for (line, part) in
            lines.iter().zip(["polysight.toml:3: ", "polysight.toml:6: ", "polysight.toml:7: "])
        {
            assert!(line.starts_with(&format!("error: {part}")), "{ran:?}");
        }
        assert!(lines[1].contains("did you mean `model`?"), "{ran:?}");
    }
}

#[test]
fn faults_of_the_gateways_table_stand_beside_the_others() {
    let wrong = format!("{ONE_ROLE}colour = 1\n[gateway]\nmax_bdoy = 5\n");
    let program = Program::new().with_file("polysight.toml", wrong).with_file("syntax.toml", "[a\n");
    for arguments in [&["check"][..], &["serve", "--listen", "127.0.0.1:0"]] {
        let ran = program.run(arguments);
        assert_eq!(ran.code, 1);
        let lines: Vec<&str> = ran.err.lines().collect();
        assert!(lines.len() == 2 && lines[0].contains("polysight.toml:6: roles.only.colour"), "{ran:?}");
        assert!(lines[1].contains("polysight.toml") && lines[1].contains("gateway.max_bdoy"), "{ran:?}");
    }
    let ran = program.run(&["check", "--config", "syntax.toml"]);
    assert!(ran.err.lines().count() == 1 && ran.err.contains("syntax.toml:1: no valid TOML"), "{ran:?}");
}

#[test]
fn keys_of_the_gateway_are_checked_against_the_roles() {
    let key = |more: &str| {
        format!("{ONE_ROLE}[[gateway.keys]]\nname = \"ann\"\nkey = \"gateway-canary\"\n{more}\n")
    };
    for (more, words) in [
        (
            "roles = [\"onyl\"]",
            "gateway.keys[0].roles: the model `onyl` does not exist here: did you mean `only`?",
        ),
        (
            "budget = { amount = 1, currency = \"EUR\", per = \"day\" }",
            "gateway.keys[0].budget: role `only`: the budget is in EUR",
        ),
    ] {
        let ran = Program::new().with_file("polysight.toml", key(more)).run(&["check"]);
        assert!(ran.code == 1 && ran.err.contains(words) && !ran.err.contains("canary"), "{ran:?}");
    }
}

#[test]
fn check_names_what_cannot_be_used_here_and_shows_no_key() {
    let config = "[providers.a]\nbackend = \"zhipu\"\napi_key = \"${NOT_SET_HERE}\"\n[providers.b]\nbackend = \"qwen-vl\"\n\
                  api_key = \"sk-canary0123456789\"\n[roles.one]\nprovider = \"a\"\nmodel = \"glm-4.6w\"\n";
    let ran = Program::new().with_file("polysight.toml", config).run(&["check"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.starts_with("polysight.toml: no faults\n"), "{ran:?}");
    assert!(
        ran.err.contains("NOT_SET_HERE is not set") && ran.err.contains("did you mean `glm-4.6v"),
        "{ran:?}"
    );
    assert!(!format!("{ran:?}").contains("canary"), "{ran:?}");
}

#[test]
fn the_role_to_ask_is_the_default_or_the_only_one() {
    let program = Program::new().with_file("polysight.toml", ONE_ROLE);
    assert_eq!(program.run(&["plan", &cat(), "-r", "only"]).code, 0);
    let two = format!("{ONE_ROLE}[roles.other]\n");
    let ran = Program::new().with_file("polysight.toml", two).run(&["ask", "-p", "Hi"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("which role? The config has only, other"), "{ran:?}");
}

#[test]
fn init_writes_a_config_for_the_keys_and_no_key() {
    let program = with_keys();
    let ran = program.run(&["init"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let written = std::fs::read_to_string(program.path("polysight.toml")).unwrap();
    assert!(!written.contains("canary"));
    insta::assert_snapshot!(written);
    assert_eq!(program.run(&["check"]).code, 0);

    let again = program.run(&["init"]);
    assert_eq!((again.code, again.out.as_str()), (1, ""));
    assert!(again.err.contains("polysight.toml is there already: --force overwrites it"), "{again:?}");
    let program = program.with_file("polysight.toml", "# mine");
    assert_eq!(program.run(&["init"]).code, 1);
    assert_eq!(std::fs::read_to_string(program.path("polysight.toml")).unwrap(), "# mine");
    assert_eq!(program.run(&["init", "--force"]).code, 0);
    assert_eq!(std::fs::read_to_string(program.path("polysight.toml")).unwrap(), written);
    assert_eq!(program.run(&["init", "--config", "other.toml"]).code, 0);
    assert!(program.path("other.toml").exists());
}

#[test]
fn init_without_a_key_writes_nothing_but_for_the_emulator() {
    let program = Program::new();
    let ran = program.run(&["init"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("no key is in the environment") && ran.err.contains("init --emulator"),
        "{ran:?}"
    );
    assert!(!program.path("polysight.toml").exists());
    assert_eq!(program.run(&["init", "--emulator"]).code, 0);
    assert_eq!(program.run(&["check"]).code, 0);
}

#[test]
fn models_are_listed_without_any_key() {
    let ran = Program::new().run(&["models", "glm-4.6v"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    insta::assert_snapshot!(ran.out);
    let all = Program::new().run(&["models", "--json"]);
    let models: Vec<Value> = serde_json::from_str(&all.out).unwrap();
    for vendor in ["zhipu", "qwen-vl", "ernie"] {
        assert!(models.iter().any(|model| model["vendor"] == vendor), "{vendor}");
    }
    for model in &models {
        assert!(
            !model["source"].as_str().unwrap().is_empty() && !model["as_of"].as_str().unwrap().is_empty()
        );
    }
    let none = Program::new().run(&["models", "gpt"]);
    assert_eq!((none.code, none.out.as_str()), (1, ""));
}

#[test]
fn models_are_those_of_the_config_with_its_own_rows() {
    let config =
        format!("{ONE_ROLE}[[providers.a.models]]\nid = \"mine\"\ncontext = 4096\nsource = \"me\"\n");
    let ran = Program::new().with_file("polysight.toml", config).run(&["models", "mine"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.starts_with("a (zhipu)\n") && ran.out.contains("4096"), "{ran:?}");
}
