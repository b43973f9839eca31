//! The reader of event streams against the standard, odd servers and an independent reading.

use std::time::{Duration, Instant};

use super::*;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Event { name: Option<String>, id: Option<String>, data: String },
    Comment(String),
    NonField(String),
    Error(SseError),
}

impl From<SseItem<'_>> for Item {
    fn from(item: SseItem<'_>) -> Self {
        match item {
            SseItem::Event(SseEvent { name, id, data }) => {
                Self::Event { name: name.map(text), id: id.map(text), data: text(data) }
            }
            SseItem::Comment(bytes) => Self::Comment(text(bytes)),
            SseItem::NonField(bytes) => Self::NonField(text(bytes)),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn data(data: &str) -> Item {
    Item::Event { name: None, id: None, data: text(data.as_bytes()) }
}

fn named(name: &str, data: &str) -> Item {
    Item::Event { name: Some(name.into()), id: None, data: text(data.as_bytes()) }
}

fn with_id(id: &str, data: &str) -> Item {
    Item::Event { name: None, id: Some(id.into()), data: text(data.as_bytes()) }
}

fn comment(line: &str) -> Item {
    Item::Comment(line.into())
}

fn stray(line: &str) -> Item {
    Item::NonField(text(line.as_bytes()))
}

fn drain(reader: &mut SseReader, items: &mut Vec<Item>) {
    loop {
        match reader.next_item() {
            Ok(Some(item)) => items.push(item.into()),
            Ok(None) => return,
            Err(error) => {
                if items.last() != Some(&Item::Error(error)) {
                    items.push(Item::Error(error));
                }
                return;
            }
        }
    }
}

/// The items up to the end of each chunk; the last entry is what `finish` adds.
fn read_stepwise<'a>(limit: usize, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<Item>> {
    let mut reader = SseReader::new(limit);
    let mut steps = Vec::new();
    for chunk in chunks {
        reader.push(Bytes::copy_from_slice(chunk));
        let mut items = Vec::new();
        drain(&mut reader, &mut items);
        steps.push(items);
    }
    reader.finish();
    let mut items = Vec::new();
    drain(&mut reader, &mut items);
    steps.push(items);
    steps
}

/// All items of a stream in the given chunks. An error counts once although it is repeated.
fn read<'a>(limit: usize, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Item> {
    let mut items = read_stepwise(limit, chunks).concat();
    items.dedup_by(|later, earlier| later == earlier && matches!(later, Item::Error(_)));
    items
}

fn read_text(stream: &str) -> Vec<Item> {
    read(DEFAULT_MAX_LINE, [stream.as_bytes()])
}

fn steps(chunks: &[&str]) -> Vec<Vec<Item>> {
    read_stepwise(DEFAULT_MAX_LINE, chunks.iter().map(|chunk| chunk.as_bytes()))
}

#[test]
fn reads_events_with_each_kind_of_line_end() {
    for stream in ["data: a\n\ndata: b\n\n", "data: a\r\n\r\ndata: b\r\n\r\n", "data: a\r\rdata: b\r\r"] {
        assert_eq!(read_text(stream), [data("a"), data("b")], "{stream:?}");
    }
}

#[test]
fn reads_mixed_line_ends() {
    assert_eq!(
        read_text("data: a\r\n\ndata: b\n\r\ndata: c\r\r\ndata: d\n\rdata: e\r\n\r"),
        [data("a"), data("b"), data("c"), data("d"), data("e")]
    );
}

#[test]
fn takes_lf_cr_as_two_line_ends_and_cr_lf_as_one() {
    assert_eq!(read_text("data: a\n\rdata: b\r\ndata: c\r\n"), [data("a"), data("b\nc")]);
}

#[test]
fn dispatches_at_a_final_cr_without_waiting_and_swallows_the_lf_that_follows() {
    assert_eq!(
        steps(&["data: a\r\n\r", "\ndata: b\r", "\r", "\n", "data: c\n", "\n"]),
        [vec![data("a")], vec![], vec![data("b")], vec![], vec![], vec![data("c")], vec![]]
    );
}

#[test]
fn swallows_only_one_lf_after_a_final_cr() {
    assert_eq!(steps(&["data: a\r", "\n\n"]), [vec![], vec![data("a")], vec![]]);
    assert_eq!(steps(&["data: a\r", "", "\n", "\n"]), [vec![], vec![], vec![], vec![data("a")], vec![]]);
}

#[test]
fn waits_for_the_blank_line() {
    assert_eq!(steps(&["data: a", "b\n", "\n"]), [vec![], vec![], vec![data("ab")], vec![]]);
}

#[test]
fn hands_out_comments_without_colon_and_one_space() {
    assert_eq!(
        read_text(": keep-alive\n:HTTP_STATUS/429\n:\n: \n:  two\n\n"),
        [comment("keep-alive"), comment("HTTP_STATUS/429"), comment(""), comment(""), comment(" two")]
    );
}

#[test]
fn leaves_the_event_around_a_comment_alone() {
    assert_eq!(
        read_text("id:1\nevent:result\n:HTTP_STATUS/200\ndata:{}\n: more\n\n"),
        [
            comment("HTTP_STATUS/200"),
            comment("more"),
            Item::Event { name: Some("result".into()), id: Some("1".into()), data: "{}".into() }
        ]
    );
}

#[test]
fn drops_one_byte_order_mark_at_the_very_start() {
    assert_eq!(read_text("\u{feff}data: a\n\n"), [data("a")]);
    assert_eq!(read_text("\u{feff}\ndata: a\n\n"), [data("a")]);
    assert_eq!(read_text("\u{feff}"), []);
    assert_eq!(read_text("\u{feff}: c\n"), [comment("c")]);
}

#[test]
fn drops_a_byte_order_mark_that_is_cut() {
    assert_eq!(
        read(100, [&b"\xEF"[..], b"\xBB", b"\xBFda", b"ta: a\n\n"]),
        [data("a")],
        "one byte at a time"
    );
}

#[test]
fn keeps_every_other_byte_order_mark() {
    assert_eq!(read_text("\u{feff}\u{feff}data: a\n\n"), [stray("\u{feff}data: a")]);
    assert_eq!(read_text("\n\u{feff}data: a\n\n"), [stray("\u{feff}data: a")]);
    assert_eq!(read_text("data: \u{feff}a\n\n"), [data("\u{feff}a")]);
    assert_eq!(read(100, [&b"\xEF\xBB"[..]]), [Item::NonField("\\xef\\xbb".into())]);
}

#[test]
fn removes_exactly_one_leading_space() {
    assert_eq!(
        read_text("data:a\n\ndata: a\n\ndata:  a \n\ndata:\ta\n\n"),
        [data("a"), data("a"), data(" a "), data("\ta")]
    );
}

#[test]
fn keeps_colons_in_values() {
    assert_eq!(read_text("data: a: b\n\ndata::\n\n"), [data("a: b"), data(":")]);
}

#[test]
fn joins_data_lines_by_lf() {
    assert_eq!(
        read_text("data: a\ndata: b\ndata:\ndata\ndata: c\n\ndata: d\n\n"),
        [data("a\nb\n\n\nc"), data("d")]
    );
}

#[test]
fn joins_data_lines_of_different_chunks() {
    assert_eq!(
        steps(&["data: aa\nda", "ta: bb\ndata: cc\n", "data: d", "d\n\n"]),
        [vec![], vec![], vec![], vec![data("aa\nbb\ncc\ndd")], vec![]]
    );
    assert_eq!(steps(&["data: a", "a\ndata: bb\n", "\n"]), [vec![], vec![], vec![data("aa\nbb")], vec![]]);
}

#[test]
fn dispatches_empty_data() {
    assert_eq!(read_text("data\n\n"), [data("")]);
    assert_eq!(read_text("data:\n\n"), [data("")]);
    assert_eq!(read_text("data: \n\n"), [data("")]);
    assert_eq!(read_text("data\ndata\n\n"), [data("\n")]);
}

#[test]
fn does_not_dispatch_an_event_without_data_but_resets_its_fields() {
    assert_eq!(read_text("event: ping\nid: 1\n\ndata: a\n\n\n\n"), [data("a")]);
    assert_eq!(steps(&["event: pi", "ng\n", "\ndata: a\n\n"]), [vec![], vec![], vec![data("a")], vec![]]);
}

#[test]
fn does_not_carry_name_and_id_to_the_next_event() {
    assert_eq!(
        read_text("event: x\ndata: a\n\nid: 7\ndata: b\n\ndata: c\n\n"),
        [named("x", "a"), with_id("7", "b"), data("c")]
    );
}

#[test]
fn takes_the_last_name_and_the_last_id() {
    assert_eq!(read_text("event: x\nevent: y\ndata: a\n\n"), [named("y", "a")]);
    assert_eq!(read_text("id: 1\ndata: a\nid: 2\n\n"), [with_id("2", "a")]);
}

#[test]
fn takes_an_empty_name_for_none() {
    assert_eq!(read_text("event: x\nevent:\ndata: a\n\nevent\ndata: b\n\n"), [data("a"), data("b")]);
}

#[test]
fn keeps_an_empty_id_and_ignores_one_with_nul() {
    assert_eq!(read_text("id\ndata: a\n\n"), [with_id("", "a")]);
    assert_eq!(read_text("id: 1\nid: 2\0\ndata: a\n\n"), [with_id("1", "a")]);
}

#[test]
fn keeps_name_and_id_that_outlive_their_chunk() {
    assert_eq!(
        read(100, [&b"id: 4"[..], b"2\nevent: a", b"dd\n", b"data: a\n", b"\n"]),
        [Item::Event { name: Some("add".into()), id: Some("42".into()), data: "a".into() }]
    );
}

#[test]
fn ignores_retry() {
    assert_eq!(read_text("retry: 3000\ndata: a\nretry\nretry: soon\n\nretry: 1\n\n"), [data("a")]);
}

#[test]
fn hands_out_lines_that_are_no_field() {
    assert_eq!(
        read_text(
            "{\"error\":{\"code\":\"1301\"}}\n\nDone\ndatax: a\ndat: a\nData: a\n data: a\ndata : a\nidx\n"
        ),
        [
            "{\"error\":{\"code\":\"1301\"}}",
            "Done",
            "datax: a",
            "dat: a",
            "Data: a",
            " data: a",
            "data : a",
            "idx"
        ]
        .map(stray)
    );
}

#[test]
fn leaves_the_event_around_a_stray_line_alone() {
    assert_eq!(
        read_text("event: x\ndata: a\n{\"error\":1}\ndata: b\n\n"),
        [stray("{\"error\":1}"), named("x", "a\nb")]
    );
    assert_eq!(
        steps(&["data: a\n{\"err", "or\":1}\n", "data: b\n\n"]),
        [vec![], vec![stray("{\"error\":1}")], vec![data("a\nb")], vec![]]
    );
}

#[test]
fn accepts_a_last_event_without_blank_line() {
    assert_eq!(steps(&["data: a\n"]), [vec![], vec![data("a")]]);
    assert_eq!(steps(&["event: x\ndata: a\r\n"]), [vec![], vec![named("x", "a")]]);
}

#[test]
fn accepts_a_last_line_without_line_end() {
    assert_eq!(steps(&["data: a"]), [vec![], vec![data("a")]]);
    assert_eq!(steps(&["data: a\ndata: b"]), [vec![], vec![data("a\nb")]]);
    assert_eq!(steps(&["data: a\n\n{\"error\":1}"]), [vec![data("a")], vec![stray("{\"error\":1}")]]);
    assert_eq!(steps(&["data: a\n: c"]), [vec![], vec![comment("c"), data("a")]]);
}

#[test]
fn dispatches_no_last_event_without_data() {
    assert_eq!(steps(&["event: x\nid: 1"]), [vec![], vec![]]);
    assert_eq!(steps(&["data: a\n\n"]), [vec![data("a")], vec![]]);
    assert_eq!(steps(&[]), [vec![]]);
}

#[test]
fn returns_none_for_ever_after_the_end() {
    let mut reader = SseReader::default();
    reader.push(Bytes::from_static(b"data: a"));
    reader.finish();
    assert!(matches!(reader.next_item(), Ok(Some(SseItem::Event(_)))));
    for _ in 0..3 {
        reader.push(Bytes::from_static(b"data: late\n\n"));
        reader.finish();
        assert_eq!(reader.next_item(), Ok(None));
    }
}

#[test]
fn takes_unicode_line_separators_for_ordinary_bytes() {
    let line = "a\u{2028}b\u{2029}c\u{85}d\u{b}e\u{c}f\0g";
    assert_eq!(read_text(&format!("data: {line}\n\n")), [data(line)]);
}

#[test]
fn does_not_mind_bytes_that_are_no_utf_8() {
    assert_eq!(
        read(100, [&b"data: \xff\xe4\xbd\n\n"[..]]),
        [Item::Event { name: None, id: None, data: "\\xff\\xe4\\xbd".into() }]
    );
}

#[test]
fn accepts_a_line_at_the_limit_and_refuses_one_over_it() {
    let error = SseError::LineTooLong { limit: 10 };
    assert_eq!(read(10, [&b"data: abcd\r\n\r\n"[..]]), [data("abcd")]);
    assert_eq!(read(10, [&b"data: a\n\ndata: abcde\n\n"[..]]), [data("a"), Item::Error(error)]);
    assert_eq!(read(10, [&b"data: ab"[..], b"cd\n"]), [data("abcd")]);
    assert_eq!(read(10, [&b"data: ab"[..], b"cde\n"]), [Item::Error(error)]);
}

#[test]
fn refuses_a_line_over_the_limit_before_it_ends() {
    let error = Item::Error(SseError::LineTooLong { limit: 10 });
    assert_eq!(
        read_stepwise(10, [&b"data: abcd"[..], b"e"]),
        [vec![], vec![error.clone()], vec![error.clone()]]
    );
    assert_eq!(read_stepwise(10, [&[b'x'; 11][..]]), [vec![error.clone()], vec![error]]);
}

#[test]
fn refuses_joined_data_over_the_limit() {
    assert_eq!(read(10, [&b"data:abcd\ndata:efghi\n\n"[..]]), [data("abcd\nefghi")]);
    assert_eq!(
        read(10, [&b"data:abcde\ndata:fghij\n\n"[..]]),
        [Item::Error(SseError::EventTooLong { limit: 10 })]
    );
}

#[test]
fn is_poisoned_by_an_error_and_gives_its_memory_back() {
    let error = SseError::LineTooLong { limit: 10 };
    let mut reader = SseReader::new(10);
    reader.push(Bytes::from_static(b"data: a\ndata: abcdefgh\n\ndata: b\n\n"));
    for _ in 0..3 {
        assert_eq!(reader.next_item(), Err(error));
        reader.push(Bytes::from_static(b"data: c\n\n"));
    }
    reader.finish();
    assert_eq!(reader.next_item(), Err(error));
    assert!(reader.chunk.is_empty());
    assert_eq!(reader.carry.capacity() + reader.data.buffer.capacity(), 0);
}

#[test]
fn says_in_one_line_what_is_over_the_limit() {
    assert_eq!(SseError::LineTooLong { limit: 7 }.to_string(), "a line of the event stream is over 7 bytes");
    assert_eq!(SseError::EventTooLong { limit: 7 }.to_string(), "the data of an event is over 7 bytes");
}

#[test]
fn loses_nothing_when_pushed_before_drained() {
    let mut reader = SseReader::default();
    reader.push(Bytes::from_static(b"data: a\n\nevent: x\ndata: b\ndata: c"));
    assert_eq!(reader.next_item().unwrap().map(Item::from), Some(data("a")));
    reader.push(Bytes::from_static(b"c\n"));
    reader.push(Bytes::from_static(b"\ndata: d\n\n"));
    let mut items = Vec::new();
    drain(&mut reader, &mut items);
    assert_eq!(items, [named("x", "b\ncc"), data("d")]);
}

#[test]
fn parts_documents_that_no_blank_line_parts_when_told_to() {
    let stream = "id:1\r\nevent:result\r\n:HTTP_STATUS/200\r\ndata:{\"a\":1}\r\nid:2\r\ndata:{\"b\":\r\ndata:2}\r\ndata: {\"c\":3} \r\n\
                  data: [1]\r\nid:3\r\n\r\ndata:x\r\ndata:y\r\n";
    let expected = [
        comment("HTTP_STATUS/200"),
        Item::Event { name: Some("result".into()), id: Some("1".into()), data: text(b"{\"a\":1}") },
        with_id("2", "{\"b\":\n2}"),
        data("{\"c\":3} "),
        data("[1]"),
        data("x\ny"),
    ];
    for size in 1..=stream.len() {
        let mut reader = SseReader::default().with_split_documents();
        let mut items = Vec::new();
        for piece in stream.as_bytes().chunks(size) {
            reader.push(Bytes::copy_from_slice(piece));
            drain(&mut reader, &mut items);
        }
        reader.finish();
        drain(&mut reader, &mut items);
        assert_eq!(items, expected, "{size}");
    }
    let mut reader = SseReader::default().with_split_documents();
    for piece in ["data:{}\ndata:{\"b\"", ":1}\nid:2", "\n"] {
        reader.push(Bytes::from_static(piece.as_bytes()));
    }
    reader.finish();
    let mut items = Vec::new();
    drain(&mut reader, &mut items);
    assert_eq!(items, [data("{}"), data("{\"b\":1}")]);
}

#[test]
fn borrows_an_event_from_the_chunk_it_lies_in() {
    let chunk = Bytes::from_static(b"data: 1\n\nid: 7\nevent: x\ndata: 2\n: c\n\nstray\r\n");
    let inside = |bytes: &[u8]| chunk.as_ptr_range().contains(&bytes.as_ptr());
    let mut reader = SseReader::default();
    reader.push(chunk.clone());
    let mut count = 0;
    while let Some(item) = reader.next_item().unwrap() {
        count += 1;
        match item {
            SseItem::Event(SseEvent { name, id, data }) => {
                assert!(inside(data) && name.is_none_or(inside) && id.is_none_or(inside));
            }
            SseItem::Comment(bytes) | SseItem::NonField(bytes) => assert!(inside(bytes)),
        }
    }
    assert_eq!(count, 4);
    assert_eq!(reader.carry.capacity() + reader.data.buffer.capacity(), 0, "nothing was copied");
}

#[test]
fn lets_go_of_a_chunk_that_is_read() {
    let chunk = Bytes::from(vec![b'x'; 100]);
    let mut reader = SseReader::default();
    reader.push(chunk.clone());
    assert_eq!(reader.next_item(), Ok(None));
    assert!(chunk.is_unique());
}

#[test]
fn reuses_its_buffers() {
    let stream = "id: 12345678\nevent: delta\ndata: 0123456789\ndata: abcdef\n\n".repeat(100);
    let capacities = |reader: &SseReader| {
        [&reader.carry, &reader.name.buffer, &reader.id.buffer, &reader.data.buffer].map(Vec::capacity)
    };
    let mut reader = SseReader::default();
    let mut sizes = Vec::new();
    for _ in 0..8 {
        for piece in stream.as_bytes().chunks(7) {
            reader.push(Bytes::copy_from_slice(piece));
            drain(&mut reader, &mut Vec::new());
        }
        sizes.push(capacities(&reader).iter().sum::<usize>());
    }
    assert!(sizes.iter().all(|&size| size == sizes[0] && size < 400), "{sizes:?}");
}

#[test]
fn shows_no_content_in_debug() {
    let mut reader = SseReader::default();
    reader.push(Bytes::from_static(b"data: secret\ndata: sec"));
    assert!(!format!("{reader:?}").contains("secret"));
    assert_eq!(reader.next_item(), Ok(None));
    let shown = format!("{reader:?}");
    assert!(!shown.contains("sec") && !shown.contains("115"), "{shown}");
}

#[test]
fn reads_a_line_of_9_mb_in_pieces_of_61_bytes_promptly() {
    let payload = vec![b'A'; 9_000_000];
    let stream = [b"data: ", &payload[..], b"\n\n"].concat();
    let mut reader = SseReader::default();
    let mut lengths = Vec::new();
    // Searching the carry again for each piece would take minutes.
    let start = Instant::now();
    for piece in stream.chunks(61) {
        reader.push(Bytes::copy_from_slice(piece));
        while let Some(item) = reader.next_item().unwrap() {
            let SseItem::Event(event) = item else { panic!("{item:?}") };
            assert!(event.data == payload);
            lengths.push(event.data.len());
        }
    }
    assert_eq!(lengths, [9_000_000]);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

struct XorShift(u64);

impl XorShift {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    /// Cuts at random places; some pieces are empty.
    fn cut<'a>(&mut self, stream: &'a [u8]) -> Vec<&'a [u8]> {
        let longest = 2 + self.below(40);
        let mut pieces = Vec::new();
        let mut rest = stream;
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(self.below(longest).min(rest.len()));
            pieces.push(piece);
            rest = tail;
        }
        pieces
    }

    /// A stream of fragments that meet in unforeseen ways.
    fn stream(&mut self) -> Vec<u8> {
        const FRAGMENTS: [&str; 24] = [
            "\n",
            "\n",
            "\r",
            "\r\n",
            "\n\n",
            "data",
            "data:",
            "data: ",
            "data: a",
            "event: x",
            "event",
            "id: 1",
            "id",
            "retry: 1",
            ": c",
            ":",
            " ",
            "{\"a\":1}",
            "视觉",
            "\u{feff}",
            "\u{2028}",
            "\0",
            "\u{85}",
            "data: 0123456789",
        ];
        (0..self.below(40)).flat_map(|_| FRAGMENTS[self.below(FRAGMENTS.len())].bytes()).collect()
    }
}

const SAMPLES: [&str; 9] = [
    "data: {\"choices\":[{\"delta\":{\"content\":\"你好\"}}]}\n\ndata: [DONE]\n\n",
    "\u{feff}id:1\r\nevent:result\r\n:HTTP_STATUS/200\r\ndata:{\"output\":\"图像\"}\r\n\r\nid:2\r\nevent:error\r\n\
     :HTTP_STATUS/429\r\ndata:{\"code\":\"Throttling\"}\r\n\r\n",
    "data: a\r\rdata: b\r\r: c\rdata: d\rdata: e\r\r",
    "data: a\r\n\ndata: b\n\r\ndata: c\r\r\ndata: d\n\rdata: e\r\n\r",
    "data: a\n{\"error\":{\"code\":\"1301\",\"message\":\"内容\"}}\ndata: b\n\n{\"error\":1}",
    ": keep-alive\n\n: keep-alive\n\nevent: x\n\nretry: 10\ndata\n\ndata:\ndata: \n\nid\nevent\ndata:  a",
    "data: a\u{2028}b\u{85}c\n\ndatax\ndat\nid: 1\0\nid: 2\nevent: y\ndata: 🀄\n",
    "\u{feff}\u{feff}\n\r\n\r\r\n\n",
    "data: 0123456789\ndata: 0123456789\ndata: 0123456789012345678901234567890123456789012345678901234567890\n\n",
];

fn assert_same_however_cut(stream: &[u8], random: &mut XorShift) {
    for limit in [DEFAULT_MAX_LINE, 20] {
        let whole = read(limit, [stream]);
        assert_eq!(read(limit, stream.chunks(1)), whole, "byte by byte: {}", text(stream));
        for position in 0..=stream.len() {
            let (head, tail) = stream.split_at(position);
            assert_eq!(read(limit, [head, tail]), whole, "cut at {position}: {}", text(stream));
        }
        for _ in 0..20 {
            let pieces = random.cut(stream);
            assert_eq!(read(limit, pieces.iter().copied()), whole, "{:?}", pieces.iter().map(|p| text(p)));
        }
    }
}

#[test]
fn reads_the_same_items_however_samples_are_cut() {
    let mut random = XorShift(0x9E37_79B9_7F4A_7C15);
    for sample in SAMPLES {
        assert_same_however_cut(sample.as_bytes(), &mut random);
    }
}

#[test]
fn reads_the_same_items_however_random_streams_are_cut() {
    let mut random = XorShift(0x2545_F491_4F6C_DD1D);
    for _ in 0..150 {
        let stream = random.stream();
        assert_same_however_cut(&stream, &mut random);
    }
}

/// The algorithm of the standard, written for shortness: split into lines first, then interpret.
fn read_plainly(stream: &[u8]) -> Vec<Item> {
    let stream = stream.strip_prefix(BYTE_ORDER_MARK).unwrap_or(stream);
    let stream: Vec<u8> =
        String::from_utf8(stream.to_vec()).unwrap().replace("\r\n", "\n").replace('\r', "\n").into();
    let lines = stream.split(|&byte| byte == b'\n').chain([&b""[..]]);
    let (mut items, mut name, mut id, mut data) = (Vec::new(), None, None, Vec::new());
    for line in lines {
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"" if line.is_empty() => {
                let (name, id) = (name.take(), id.take());
                if !data.is_empty() {
                    items.push(Item::Event { name, id, data: text(&mem::take(&mut data).join(&b'\n')) });
                }
            }
            b"" => items.push(Item::Comment(text(value))),
            b"data" => data.push(value),
            b"event" => name = Some(text(value)).filter(|name| !name.is_empty()),
            b"id" if value.contains(&0) => {}
            b"id" => id = Some(text(value)),
            b"retry" => {}
            _ => items.push(Item::NonField(text(line))),
        }
    }
    items
}

#[test]
fn agrees_with_a_plain_reading_of_the_standard() {
    let mut random = XorShift(0xD1B5_4A32_D192_ED03);
    let random_streams = (0..3000).map(|_| random.stream()).collect::<Vec<_>>();
    for stream in
        SAMPLES.iter().map(|sample| sample.as_bytes()).chain(random_streams.iter().map(Vec::as_slice))
    {
        assert_eq!(read(DEFAULT_MAX_LINE, [stream]), read_plainly(stream), "{}", text(stream));
    }
}
