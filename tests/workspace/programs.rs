//! The examples and the emulator's binary, run as a user runs them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};

use image::ImageFormat;
use polysight_testkit::{example_file, picture, sha256};
use serde_json::Value;

/// The folder of built programs: this test program stands in `deps` of it.
fn built() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent().and_then(|deps| deps.parent()).unwrap().to_path_buf()
}

/// An example, built now if the command that runs these tests did not build it.
fn example(name: &str) -> Command {
    let path = built().join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if !path.exists() {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let mut build = Command::new(cargo);
        build.args(["build", "--locked", "-p", "polysight-examples", "--example", name]);
        assert!(build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
    }
    Command::new(path)
}

fn run(name: &str, arguments: &[&str]) -> Output {
    example(name).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn cat() -> Vec<u8> {
    std::fs::read(example_file("cat.jpg")).unwrap()
}

#[test]
fn describe_states_the_facts_of_the_bundled_photograph_plain_and_streamed() {
    for arguments in [&[][..], &["--stream"]] {
        let output = run("describe", arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let shown = text(&output.stdout);
        let facts = ["JPEG, 451x300 px".to_owned(), format!("{} bytes", cat().len()), sha256(&cat())];
        for fact in facts {
            assert!(shown.contains(&fact), "{fact} is not in: {shown}");
        }
        for label in ["role ", "provider ", "model ", "finish ", "usage ", "request ", "changed "] {
            assert!(shown.lines().any(|line| line.starts_with(label)), "{label} is not in: {shown}");
        }
    }
}

#[test]
fn describe_prints_one_json_object_a_role() {
    let objects = |arguments: &[&str]| -> Vec<Value> {
        let shown = text(&run("describe", arguments).stdout);
        shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (plain, streamed) = (objects(&["--json"]), objects(&["--json", "--stream"]));
    assert_eq!(plain.len(), 3, "one vendor each");
    for (object, streamed) in plain.iter().zip(&streamed) {
        for key in
            ["role", "provider", "model", "text", "finish", "usage", "cost", "request_id", "adjustments"]
        {
            assert!(object.get(key).is_some(), "{key}");
        }
        assert!(object["text"].as_str().unwrap().contains(&sha256(&cat())));
        assert_eq!(object["text"], streamed["text"]);
    }
    assert_eq!(objects(&["--json", "--role", "ernie"]).len(), 1);
}

#[test]
fn describe_takes_several_media_in_one_request_and_videos() {
    let folder = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for (format, ending) in
        [(ImageFormat::Png, "png"), (ImageFormat::WebP, "webp"), (ImageFormat::Jpeg, "dat")]
    {
        let path = folder.path().join(format!("picture.{ending}"));
        std::fs::write(&path, picture(format, 60, 40)).unwrap();
        paths.push(path.to_string_lossy().into_owned());
    }
    let output = run("describe", &paths.iter().map(String::as_str).collect::<Vec<_>>());
    let shown = text(&output.stdout);
    let places: Vec<usize> = ["Picture 1: PNG", "Picture 2: WebP", "Picture 3: JPEG"]
        .iter()
        .map(|part| shown.find(part).unwrap_or_else(|| panic!("{part} is not in: {shown}")))
        .collect();
    assert!(places.is_sorted());
    let clip = example_file("pan.mov").to_string_lossy().into_owned();
    let output = run("describe", &[clip.as_str(), "--role", "qwen"]);
    assert!(text(&output.stdout).contains("MOV, 2.6"), "{}", text(&output.stdout));
    let output = run("describe", &[clip.as_str(), "--role", "default"]);
    assert_eq!(output.status.code(), Some(1), "that model takes MP4 only");
    assert!(text(&output.stderr).contains("the video is MOV"), "{}", text(&output.stderr));
    let clip = example_file("pan.mp4").to_string_lossy().into_owned();
    let output = run("describe", &[clip.as_str(), "--prompt", "What moves?"]);
    assert!(text(&output.stdout).contains("MP4, 2.6"), "{}", text(&output.stdout));
}

#[test]
fn describe_prints_each_violation_on_stderr_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("polysight.toml");
    std::fs::write(
        &config,
        "[providers.zhipu]\nbackend = \"zhipu\"\napi_key = \"a.b\"\nbase_url = \"http://127.0.0.1:9/v1\"\n\
         [roles.default]\nmodel = \"glm-4v-plus\"\ntemperature = 1.5\ntop_p = 2\nmax_tokens = 0\nend_user_id = \"abc\"",
    )
    .unwrap();
    let long = folder.path().join("long.png");
    std::fs::write(&long, picture(ImageFormat::Png, 7_000, 10)).unwrap();
    let output = run("describe", &["--config", &config.to_string_lossy(), &long.to_string_lossy()]);
    assert_eq!(output.status.code(), Some(1));
    let printed = text(&output.stderr);
    assert_eq!(printed.lines().filter(|line| line.starts_with("error: default: ")).count(), 5, "{printed}");

    for (arguments, part) in [
        (vec!["missing.jpg"], "no such file"),
        (vec!["--role", "defalt"], "did you mean `default`?"),
        (vec!["--config", "none.toml"], "cannot be read"),
    ] {
        let output = run("describe", &arguments);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(part), "{}", text(&output.stderr));
        assert!(output.stdout.is_empty());
    }
    assert_eq!(run("describe", &["--colour"]).status.code(), Some(2));
}

/// Serves a picture on a free port of loopback, until the tests end; gives the port.
fn serve(picture: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(&stream).lines();
            lines.take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty())).for_each(drop);
            let head = "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nConnection: close";
            let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n", picture.len());
            let _ = stream.write_all(&picture);
        }
    });
    port
}

#[test]
fn describe_fetches_from_an_allowed_host_alone() {
    let port = serve(cat());
    let url = format!("http://127.0.0.1:{port}/cat.jpg");
    let allowed = format!("127.0.0.1:{port}");
    let output = run("describe", &["--fetch", "--fit", "--allow", &allowed, &url]);
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(shown.matches(&sha256(&cat())).count(), 3, "one vendor each: {shown}");
    assert!(shown.lines().any(|line| line.starts_with("changed ") && line.contains("fetched")), "{shown}");

    let elsewhere = format!("h.example:{port}");
    for (arguments, part) in [
        (vec!["--fetch", &url], "add it to `ports`"),
        (vec!["--fetch", "--allow", &elsewhere, &url], "loopback address, which is not fetched from"),
        (vec!["--fetch", "--allow", "127.0.0.1:none", &url], "it is no HOST or HOST:PORT"),
    ] {
        let output = run("describe", &arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(text(&output.stderr).contains(part), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn the_other_examples_run() {
    for (name, part) in [
        ("stream", "pieces, finish stop"),
        ("receipt", "-- qwen-ocr: asked by ocr_task, 0 repair turns"),
        ("tools", "the model calls get_weather({\"city\":\"Beijing\"})"),
        ("conversation", "1 picture of an earlier turn dropped"),
        ("video", "video moved to the front"),
        ("resilient", "cached, from zhipu"),
        ("swap", "-- qwen-native: qwen3-vl-plus of alibaba-native"),
        ("compare_plans", "rounded to 0.12"),
    ] {
        let output = run(name, &[]);
        let shown = text(&output.stdout);
        assert!(output.status.success() && shown.contains(part), "{name}: {shown}{}", text(&output.stderr));
    }
}

#[test]
fn locate_draws_the_boxes_of_every_vendor_where_the_rectangles_are() {
    let folder = tempfile::tempdir().unwrap();
    let output = run("locate", &["--out", folder.path().to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    assert!(shown.contains("relative_1000") && shown.contains("resized_pixels"), "{shown}");
    for role in ["default", "qwen", "qwen-pixels", "ernie"] {
        let picture = image::open(folder.path().join(format!("{role}.png"))).unwrap().into_rgb8();
        assert_eq!(picture.dimensions(), (1_300, 731), "{role}");
        // The pen stands beside the edges, and nowhere in the rectangles or in the green one, which was not asked for.
        for (x, y, drawn) in
            [(148, 250, true), (621, 250, true), (759, 500, true), (300, 300, false), (418, 580, false)]
        {
            assert_eq!(picture.get_pixel(x, y).0 == [255, 0, 255], drawn, "{role}: {x}, {y}");
        }
    }
}
