//! `ask` and `plan`: media, prompts, roles, output and exit codes.

use std::io::Read as _;
use std::process::Stdio;

use serde_json::Value;

use crate::program::{Program, Ran, cat, media};

const FACTS: &str = "JPEG, 451x300 px";

fn ask(arguments: &[&str]) -> Ran {
    Program::new().run(&[&["ask", "--emulator"], arguments].concat())
}

#[test]
fn a_picture_is_asked_about_with_nothing_but_its_path() {
    let ran = ask(&[&cat()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains(FACTS) && ran.out.contains("You asked: What do you see?"), "{ran:?}");
    assert!(ran.err.contains("glm-4.6v-flash of zhipu: stop, ") && ran.err.contains("tokens in"), "{ran:?}");
    assert!(ran.err.contains(" CNY, "), "what it cost: {ran:?}");
    let quiet = ask(&[&cat(), "-q"]);
    assert_eq!((quiet.code, quiet.err.as_str()), (0, ""));
    assert_eq!(quiet.out, ran.out);
}

#[test]
fn a_proxy_of_the_environment_does_not_come_between() {
    let program = Program::new().with_variable("HTTP_PROXY", "http://127.0.0.1:9");
    let ran = program.run(&["ask", "--emulator", &cat()]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_missing_file_and_every_other_bad_one_is_named() {
    let program = Program::new().with_file("notes.txt", "no picture");
    let ran = program.run(&["ask", "cat.jpg", "notes.txt", &cat(), "--emulator"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    let lines: Vec<&str> = ran.err.lines().collect();
    assert_eq!(lines.len(), 2, "{ran:?}");
    assert!(
        lines[0].starts_with("error: ") && lines[0].contains("cat.jpg: there is no such file"),
        "{ran:?}"
    );
    assert!(lines[1].contains("notes.txt"), "{ran:?}");
}

#[test]
fn standard_input_is_a_picture_or_a_prompt_by_its_bytes() {
    let (program, picture) = (Program::new(), std::fs::read(cat()).unwrap());
    let cat = cat();
    for (input, arguments, parts) in [
        (&picture[..], &["-"][..], &["Picture 1: JPEG", "What do you see?"][..]),
        (&picture, &[], &["Picture 1: JPEG", "What do you see?"]),
        (&picture, &["-p", "What is it?"], &["Picture 1: JPEG", "You asked: What is it?"]),
        (&picture, &[&cat, "-", "-p", "Same?"], &["Picture 1: JPEG", "Picture 2: JPEG", "You asked: Same?"]),
        ("哪只猫？\n".as_bytes(), &[&cat], &["Picture 1: JPEG", "You asked: 哪只猫？"]),
        (b"Which cat?", &[&cat, "-p", "-"], &["Picture 1: JPEG", "You asked: Which cat?"]),
        (b"Some notes.", &["-p", "Sum up:"], &["You asked: Sum up:\n\nSome notes."]),
        (b"Hello", &[], &["You asked: Hello"]),
        (b"not read", &[&cat, "-p", "Own prompt"], &["Picture 1: JPEG", "You asked: Own prompt"]),
        (cat.as_bytes(), &["-"], &["Picture 1: JPEG"]),
        (b"", &[&cat], &["You asked: What do you see?"]),
    ] {
        let ran = program.run_with(input, &[&["ask", "--emulator", "-r", "ernie"], arguments].concat());
        assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
        assert!(parts.iter().all(|part| ran.out.contains(part)), "{arguments:?}: {ran:?}");
        assert!(!ran.out.contains("not read"), "{ran:?}");
    }
}

#[test]
fn a_question_that_makes_no_sense_is_a_wrong_usage() {
    let cat = cat();
    for (arguments, part) in [
        (&[][..], "nothing to ask"),
        (&["-"], "standard input is empty"),
        (&[&cat, "-p", "-"], "standard input is empty"),
        (&["-", "-"], "read once"),
        (&["-", "-p", "-"], "read once"),
        (&[&cat, "-r", "zhippu"], "there is no role `zhippu`: the config has default, ernie, qwen, zhipu"),
        (&[&cat, "--jsno"], "--json"),
        (&[&cat, "--config", "a.toml"], "cannot be used with"),
    ] {
        let ran = ask(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(part), "{arguments:?}: {ran:?}");
    }
    assert_eq!(Program::new().run(&[]).code, 2);
    let bytes = Program::new().run_with(b"\xff\xfe\x00\x01", &["ask", "--emulator", "-p", "What?"]);
    assert_eq!(bytes.code, 1);
    assert!(bytes.err.contains("no text, picture or video"), "{bytes:?}");
}

#[test]
fn several_roles_answer_in_the_order_in_which_they_are_named() {
    let ran = ask(&[&cat(), "-r", "qwen,zhipu", "-r", "ernie", "-r", "qwen"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let heads: Vec<&str> = ran.out.lines().filter(|line| line.starts_with("==")).collect();
    assert_eq!(heads, ["== qwen ==", "== zhipu ==", "== ernie =="]);
    assert_eq!(ran.out.matches(FACTS).count(), 3);
}

#[test]
fn some_of_several_that_fail_have_a_code_of_their_own() {
    // Of these models only some take a video from disk.
    let clip = media("pan.mp4");
    let both = ask(&[&clip, "-r", "zhipu,qwen"]);
    assert_eq!(both.code, 3, "{both:?}");
    assert!(both.out.contains("== qwen ==") && both.out.contains("MP4"), "{both:?}");
    assert!(both.err.lines().any(|line| line.starts_with("error: zhipu: messages[0]")), "{both:?}");
    let alone = ask(&[&clip, "-r", "zhipu"]);
    assert_eq!((alone.code, alone.out.as_str()), (1, ""), "{alone:?}");
}

#[test]
fn roles_that_are_taken_for_media_are_pointed_out() {
    let ran = ask(&[&cat(), "-r", "zhipu", "qwen"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("`qwen` is a role"), "{ran:?}");
}

#[test]
fn json_has_one_object_a_role_for_answers_and_errors() {
    let ran = ask(&[&media("pan.mp4"), "-r", "qwen,zhipu", "--json"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let objects: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len(), 2);
    assert_eq!((&objects[0]["role"], &objects[0]["finish"]["kind"]), (&"qwen".into(), &"stop".into()));
    assert!(objects[0]["usage"]["input_tokens"].as_u64().unwrap() > 0);
    assert_eq!(objects[1]["error"]["kind"], "invalid_request");
    assert!(!objects[1]["error"]["violations"].as_array().unwrap().is_empty());
    assert_eq!(objects[1]["error"]["billed"], "no");
}

#[test]
fn an_answer_of_a_schema_is_json_that_fits_it() {
    let schema =
        r#"{"type": "object", "properties": {"format": {"type": "string"}}, "required": ["format"]}"#;
    let program = Program::new().with_file("facts.schema.json", schema).with_file("no.json", "{");
    let run = |file: &str, more: &[&str]| {
        program.run(
            &[&["ask", "--emulator", &cat(), "-p", "What?", "-r", "qwen", "--schema", file], more].concat(),
        )
    };
    let ran = run("facts.schema.json", &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let value: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(value["format"], "JPEG");
    let object: Value = serde_json::from_str(&run("facts.schema.json", &["--json"]).out).unwrap();
    assert_eq!((&object["role"], &object["repair_turns"]), (&"qwen".into(), &0.into()));
    for (file, part) in [("no.json", "it is no JSON"), ("none.json", "it cannot be read")] {
        let ran = run(file, &[]);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""));
        assert!(ran.err.contains(part), "{ran:?}");
    }
}

/// A PNG of one colour, so that its size is all that matters: wider than any model takes.
fn wide_png() -> Vec<u8> {
    let picture = image::RgbImage::from_pixel(9_000, 40, image::Rgb([200, 30, 30]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

#[test]
fn a_picture_beyond_the_limits_is_refused_with_the_way_out_and_fits_with_fit() {
    let program = Program::new().with_file("wide.png", wide_png());
    let refused = program.run(&["ask", "wide.png", "--emulator"]);
    assert_eq!((refused.code, refused.out.as_str()), (1, ""), "{refused:?}");
    assert!(
        refused.err.contains("error: messages[0].parts[0]: ") && refused.err.contains("6000"),
        "{refused:?}"
    );
    assert!(refused.err.contains("note: --fit makes pictures fit"), "{refused:?}");
    let fitted = program.run(&["ask", "wide.png", "--emulator", "--fit"]);
    assert_eq!(fitted.code, 0, "{fitted:?}");
    assert!(fitted.err.contains("changed: messages[0].parts[0]: "), "{fitted:?}");
}

#[test]
fn a_plan_is_a_table_of_roles_and_sends_nothing() {
    let program = Program::new();
    // Nothing listens there.
    let config = "[providers.a]\nbackend = \"zhipu\"\napi_key = \"k.1\"\nbase_url = \"http://127.0.0.1:9/api/paas/v4\"\n\
                  [roles.one]\nmodel = \"glm-4.6v\"\n[roles.two]\nmodel = \"glm-4v-plus\"\ntemperature = 3\n";
    let program = program.with_file("polysight.toml", config);
    let ran = program.run(&["plan", &cat()]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let rows: Vec<&str> = ran.out.lines().collect();
    assert!(
        rows[0].starts_with("name") && rows[1].starts_with("one") && rows[2].starts_with("two"),
        "{ran:?}"
    );
    assert!(ran.out.contains("two  against  temperature: "), "{ran:?}");
    assert_eq!(program.run(&["plan", &cat(), "-r", "one"]).code, 0);
    assert_eq!(program.run(&["plan", &cat(), "-r", "two"]).code, 1);
    let emulated = Program::new().run(&["plan", &cat(), "--emulator"]);
    assert_eq!(emulated.code, 0, "{emulated:?}");
    assert_eq!(emulated.out.lines().filter(|line| line.contains("  yes  ")).count(), 4, "{emulated:?}");
}

#[test]
fn a_reader_that_has_enough_ends_the_run_quietly() {
    let program = Program::new();
    for arguments in [&["models"][..], &["completions", "bash"], &["man"], &["ask", "-p", "Hi", "--emulator"]]
    {
        let mut child =
            program.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut printed = String::new();
        child.stderr.take().unwrap().read_to_string(&mut printed).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{arguments:?}: {printed}");
        assert_eq!(printed, "", "{arguments:?}");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_cancels_the_call() {
    use std::io::{BufRead as _, BufReader};
    // A server that takes the request and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = format!(
        "[providers.a]\nbackend = \"zhipu\"\napi_key = \"k.1\"\nbase_url = \"http://{}/api/paas/v4\"\n[roles.default]\n",
        silent.local_addr().unwrap()
    );
    let program = Program::new().with_file("polysight.toml", config);
    let mut running = program.spawn(&["ask", "-p", "Hello"]);
    let (mut socket, _) = silent.accept().unwrap();
    let mut line = String::new();
    BufReader::new(&mut socket).read_line(&mut line).unwrap();
    assert!(line.starts_with("POST "), "{line}");
    crate::servers::signal(&running, "INT");
    assert_eq!(running.0.wait().unwrap().code(), Some(130));
    let mut printed = String::new();
    running.0.stderr.take().unwrap().read_to_string(&mut printed).unwrap();
    assert!(printed.contains("interrupted: the call was cancelled"), "{printed}");
}
