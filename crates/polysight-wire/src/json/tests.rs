use serde_json::json;

use super::*;

fn read(text: &str) -> (Vec<String>, bool) {
    let Documents { texts, cut } = documents(text.as_bytes(), LoneHalves::Replace);
    (texts, cut.is_some())
}

fn one(text: &str) -> String {
    let (texts, is_cut) = read(text);
    assert!(texts.len() == 1 && !is_cut, "{text}: {texts:?} {is_cut}");
    texts.into_iter().next().unwrap()
}

#[test]
fn what_strict_parsers_read_is_the_same() {
    let deep = format!("{}1{}", "{\"a\":[".repeat(60), "]}".repeat(60));
    for text in [
        r#"{"a":[1,-2.5e3,true,false,null,"x\"\\\/\b\f\n\r\té😺\ud83d\ude3a"],"b":{},"c":[]}"#,
        r#"{"":0,"18446744073709551615":18446744073709551615,"x":-9223372036854775808,"y":1e-7}"#,
        " \n{\t\"a\" : [ ] , \"b\" : \"\" }\r\n",
        &deep,
    ] {
        let strict: Value = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&one(text)).unwrap(), strict, "{text}");
    }
}

#[test]
fn the_last_of_a_key_that_stands_twice_holds() {
    assert_eq!(one(r#"{"a":1,"a":2}"#), r#"{"a":2}"#);
    assert_eq!(one(r#"{"a":{"b":1,"b":[2]},"a":{"b":3,"c":4,"c":5}}"#), r#"{"a":{"b":3,"c":5}}"#);
}

#[test]
fn marks_before_a_document_are_passed_over() {
    for before in
        ["\u{feff}", "\u{feff}\u{feff}", " \u{feff}\n", "\n\u{feff} ", "data: \u{feff}", "event: x\ndata:"]
    {
        assert_eq!(one(&format!("{before}{{\"a\":1}}")), r#"{"a":1}"#, "{before:?}");
    }
}

#[test]
fn values_that_are_none_are_null() {
    for word in [
        "NaN",
        "-NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        "-1e999",
        "undefined",
        "None",
        "+1",
        "01",
        "0x1F",
        "1.",
    ] {
        assert_eq!(one(&format!(r#"{{"a":{word},"b":1}}"#)), r#"{"a":null,"b":1}"#, "{word}");
        assert_eq!(one(&format!(r#"{{"b":1,"a":[{word}]}}"#)), r#"{"a":[null],"b":1}"#, "{word}");
    }
    assert_eq!(one(r#"{"a":,"b":True,"c":[1,,2,],}"#), r#"{"a":null,"b":true,"c":[1,2]}"#);
}

#[test]
fn text_is_kept_as_far_as_it_is_text() {
    for (json, text) in [
        (r"cat \ud83d", "cat \u{fffd}"),
        (r"\ude3a cat", "\u{fffd} cat"),
        (r"\ud83d\ud83d\ude3a", "\u{fffd}😺"),
        (r"\uD83D\u0041", "\u{fffd}A"),
        (r"\ud83d\n", "\u{fffd}\n"),
        (r"\ud83dx\ude3a", "\u{fffd}x\u{fffd}"),
        ("a\u{1}b\tc\u{1b}", "a\u{1}b\tc\u{1b}"),
        ("two\nlines\r\n", "two\nlines\r\n"),
        (r"\(x\) it\'s \u00zz", r"\(x\) it's \u00zz"),
    ] {
        let value: Value = serde_json::from_str(&one(&format!("{{\"a\":\"{json}\"}}"))).unwrap();
        assert_eq!(value, json!({"a": text}), "{json}");
    }
    let invalid = documents(b"{\"a\":\"x\xf0\x9fy\xffz\"}", LoneHalves::Replace);
    assert_eq!(invalid.single(), Some("{\"a\":\"x\u{fffd}y\u{fffd}z\"}"));
}

#[test]
fn every_document_of_a_text_is_found() {
    let two = vec![r#"{"a":1}"#.to_owned(), r#"{"b":2}"#.to_owned()];
    for text in [
        "{\"a\":1}\n{\"b\":2}",
        "{\"a\":1}{\"b\":2}",
        "[{\"a\":1},{\"b\":2}]",
        "[{\"a\":1}]\n[{\"b\":2}]",
        "[7,{\"a\":1},\"x\",{\"b\":2}]",
        "data: {\"a\":1}\n\ndata: {\"b\":2}\n\ndata: [DONE]\n\n",
        "id:1\nevent: x\ndata:{\"a\":1}\n\n: on\n\ndata:{\"b\":2}",
        "{\"a\":1}, and more\n{\"b\":2}}",
    ] {
        assert_eq!(read(text), (two.clone(), false), "{text}");
    }
    for text in ["", "ping", "\"\"", "7", "null", "[DONE]", "[1,[{}]]", "<p>\n{\"a\":1}", "words {\"a\":1}"] {
        assert_eq!(read(text), (Vec::new(), false), "{text}");
    }
}

#[test]
fn what_stands_before_a_break_is_read() {
    for (text, read_so_far) in [
        (r#"{"choices":[{"message":{"content":"a ca"#, r#"{"choices":[{"message":{"content":"a ca"}}]}"#),
        (r#"{"a":1,"code":"111"#, r#"{"a":1}"#),
        (r#"{"a":1,"b":12"#, r#"{"a":1}"#),
        (r#"{"a":1,"b"#, r#"{"a":1}"#),
        (r#"{"a":1,"b":"#, r#"{"a":1}"#),
        (r#"{"a":1,b:2}"#, r#"{"a":1}"#),
        (r#"{"a":[1,2}"#, r#"{"a":[1,2]}"#),
        (r#"{"text":"x\u00"#, r#"{"text":"x"}"#),
        (r#"{"a":1,"a":"#, r#"{"a":1}"#),
        ("{", "{}"),
        ("[{\"text\":\"x", r#"{"text":"x"}"#),
        ("[", "{}"),
    ] {
        assert_eq!(documents(text.as_bytes(), LoneHalves::Replace).beginning(), Some(read_so_far), "{text}");
    }
    let character = documents("{\"text\":\"x世".as_bytes().split_last().unwrap().1, LoneHalves::Replace);
    assert_eq!(character.beginning(), Some(r#"{"text":"x"}"#));
    for text in ["{\"a\":1}\n{\"b", "[{\"a\":1},", "[{\"a\":1},{", "[{\"a\":1},7"] {
        let found = documents(text.as_bytes(), LoneHalves::Replace);
        assert_eq!((found.texts.as_slice(), found.count()), (&[r#"{"a":1}"#.to_owned()][..], 2), "{text}");
    }
}

#[test]
fn depth_and_work_are_bounded() {
    let deep = format!(r#"{{"a":{}{},"b":1}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let value: Value = serde_json::from_str(&one(&deep)).unwrap();
    assert_eq!(value["b"], 1);
    let quoted = format!(r#"{{"a":{}"]\"",{{"x":"}}"}}{},"b":1}}"#, "[".repeat(200), "]".repeat(200));
    assert_eq!(serde_json::from_str::<Value>(&one(&quoted)).unwrap()["b"], 1);
    assert!(documents("{\"a\":".repeat(100_000).as_bytes(), LoneHalves::Replace).cut.is_some());
    let wide = format!(r#"{{"text":"a cat","x":[{}0],"y":1}}"#, "0,".repeat(1_500_000));
    let begun = std::time::Instant::now();
    let text = one(&wide);
    assert!(text.starts_with(r#"{"text":"a cat","#) && text.len() < 3_000_000, "{} bytes", text.len());
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
}

#[test]
fn a_list_is_no_object() {
    #[derive(Debug, Deserialize)]
    struct Pair {
        #[expect(dead_code, reason = "it is never read")]
        first: u8,
    }
    assert!(parse::<Pair>(b" [1]").is_err() && parse::<Pair>(b" {\"first\":1}").is_ok());
    assert!(parse::<Pair>(b"").unwrap_err().is_eof());
}
