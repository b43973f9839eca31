//! The JSON reader against `serde_json`, and against text that models might write and worse.

use std::time::Instant;

use polysight_tasks::json::{FieldReader, JsonRepair, find_json};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Value};

/// Words that mean something to the reader.
const WORDS: [&str; 22] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u00",
    "```json\n",
    "```",
    "<think>",
    "</think>",
    "{\"a\":1}",
    "<|begin_of_box|>",
    "<|end_of_box|>",
    "null",
    "-1e9",
    "99999999999999999999",
    "\u{1f63a}",
    "\n",
    " ",
];

fn text() -> impl Strategy<Value = String> {
    let character = prop_oneof![4 => any::<char>(), 1 => Just('"'), 1 => Just('\\')].prop_map(String::from);
    let word = proptest::sample::select(&WORDS[..]).prop_map(str::to_owned);
    vec(prop_oneof![3 => character, 1 => word], 0..6).prop_map(|pieces| pieces.concat())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 6, |inner| {
        prop_oneof![vec(inner.clone(), 0..6).prop_map(Value::from), fields(inner).prop_map(Value::from)]
    })
}

fn fields(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    btree_map(text(), value, 0..6).prop_map(|fields| fields.into_iter().collect())
}

/// A valid object, changed at some places.
fn mutated() -> impl Strategy<Value = String> {
    let changes = vec((any::<prop::sample::Index>(), 0..6_usize, text()), 1..5);
    (fields(value()), changes).prop_map(|(object, changes)| {
        let mut characters: Vec<char> = Value::from(object).to_string().chars().collect();
        for (place, removed, added) in changes {
            let from = place.index(characters.len() + 1);
            let to = (from + removed).min(characters.len());
            characters.splice(from..to, added.chars());
        }
        characters.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_valid_object_is_read_as_serde_json_reads_it(object in fields(value()), pretty: bool) {
        let object = Value::from(object);
        let text = if pretty { format!("{object:#}") } else { object.to_string() };
        for text in [text.clone(), format!("```json\n{text}\n```"), format!("<think>{{}}</think> It is {text}")] {
            let found = find_json(&text).unwrap().pop().unwrap();
            prop_assert_eq!(&found.value, &serde_json::from_str::<Value>(&text[found.span.clone()]).unwrap());
            prop_assert_eq!(&found.value, &serde_json::from_str::<Value>(&object.to_string()).unwrap());
            prop_assert!(found.repairs.is_empty());
        }
    }

    #[test]
    fn a_lost_bracket_and_a_comma_too_much_change_no_value(object in fields(value())) {
        prop_assume!(!object.is_empty());
        let object = Value::from(object).to_string();
        let inner = object.strip_suffix('}').unwrap();
        let wanted: Value = serde_json::from_str(&object).unwrap();
        let repaired = [(format!("{inner},}}"), JsonRepair::TrailingComma), (inner.to_owned(), JsonRepair::MissingBracket)];
        for (text, repair) in repaired {
            let found = find_json(&text).unwrap().pop().unwrap();
            prop_assert_eq!((&found.value, &found.repairs[..]), (&wanted, &[repair][..]));
        }
    }

    #[test]
    fn mutated_text_never_panics_and_values_are_where_they_are_said_to_be(text in mutated(), size in 1..9_usize) {
        for found in find_json(&text).unwrap_or_default() {
            let opened = text.get(found.span.clone()).is_some_and(|value| value.starts_with(['{', '[']));
            prop_assert!(opened, "{:?}", found.span);
            if found.repairs.is_empty() {
                prop_assert_eq!(&found.value, &serde_json::from_str::<Value>(&text[found.span]).unwrap());
            }
        }
        let mut fields = FieldReader::new();
        let characters: Vec<char> = text.chars().collect();
        characters.chunks(size).for_each(|piece| drop(fields.push(&piece.iter().collect::<String>())));
    }

    #[test]
    fn fields_of_a_valid_object_come_in_order(object in fields(value()), size in 1..9_usize) {
        let characters: Vec<char> = Value::from(object.clone()).to_string().chars().collect();
        let mut reader = FieldReader::new();
        let given: Map<String, Value> = characters
            .chunks(size)
            .flat_map(|piece| reader.push(&piece.iter().collect::<String>()))
            .collect();
        let wanted: Value = serde_json::from_str(&Value::from(object).to_string()).unwrap();
        prop_assert_eq!(Value::from(given), wanted);
    }
}

/// Every pair of words, repeated up to 32 KiB: a reader whose work grows with the square of the length takes minutes.
#[test]
fn work_is_bounded_by_the_length_of_the_text() {
    let began = Instant::now();
    for first in WORDS {
        for second in WORDS {
            let pair = format!("{first}{second}");
            let count = 32 * 1024 / pair.len();
            let _ = find_json(&pair.repeat(count));
            let _ = find_json(&format!("{}{}", first.repeat(count / 2), second.repeat(count / 2)));
        }
    }
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}
