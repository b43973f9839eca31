//! Places in answers, in every form that models write.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop, and the whole program is tests"
)]

use polysight_core::Image;
use polysight_core::catalog::Grounding;
use polysight_core::media::Orientation;
use polysight_core::plan::{GroundingFacts, PictureView};
use polysight_tasks::locate::{Located, PixelRect};
use polysight_tasks::{box_for_prompt, parse_boxes};

/// A picture of 2,000 x 1,000 px: one unit of a thousandth is 2 px by 1 px.
fn facts() -> GroundingFacts {
    GroundingFacts::new(Grounding::Relative1000, [PictureView::new((2_000, 1_000))])
}

fn read(text: &str) -> Located {
    parse_boxes(text, &facts())
}

fn boxes(located: &Located) -> Vec<[u32; 4]> {
    located.boxes.iter().map(|found| found.rect.unwrap().rounded()).collect()
}

fn labels(located: &Located) -> Vec<&str> {
    located.boxes.iter().map(|found| found.label.as_deref().unwrap_or("-")).collect()
}

#[test]
fn every_form_of_a_box_is_read() {
    let cat = [240, 88, 920, 903];
    let rows = [
        (r#"[{"bbox_2d": [120, 88, 460, 903], "label": "cat"}]"#, "cat"),
        ("Here:\n```json\n[\n\t{\"label\": \"cat\", \"bbox_2d\": [120, 88, 460, 903]}\n]\n```", "cat"),
        (r#"{"bbox_2d":[120,88,460,903],"label":"cat"}"#, "cat"),
        (r#"{"objects": [{"name": "cat", "bbox": [120.0, 88.0, 460.0, 903.0], "score": 0.9}]}"#, "cat"),
        (r#"{"cat": {"text": "cat", "pos": [120,88,460,903]}}"#, "cat"),
        (r#"[{"bbox_2d": [[120, 88], [460, 903]], "label": "cat"}]"#, "cat"),
        (r#"[{"bbox_2d": "120, 88, 460, 903", "label": "cat"}]"#, "cat"),
        (r#"[{"bbox_2d": "[120,88,460,903]", "label": "cat"}]"#, "cat"),
        (r#"[{"bbox_2d": [120, 88, 460, 903], "label": "cat"}, {"bbox_2d": [1"#, "cat"),
        (r#"[{"bbox_2d": [120, 88, 460, 903], "label": "c\u0061t"#, "-"),
        ("<ref>cat</ref><box>(120,88),(460,903)</box>", "cat"),
        ("<|object_ref_start|>cat<|object_ref_end|><|box_start|>(120,88),(460,903)<|box_end|>", "cat"),
        ("<|ref|>cat<|/ref|><|det|>[[120, 88, 460, 903]]<|/det|>", "cat"),
        ("<|begin_of_box|>[120,88,460,903]<|end_of_box|>", "-"),
        ("<|begin_of_box|>[[120,88,460,903]]<|end_of_box|>", "-"),
        ("<|begin_of_box|>(120,88,460,903)<|end_of_box|>", "-"),
        ("<|begin_of_box|><120,88,460,903><|end_of_box|>", "-"),
        ("The cat [1] is at [[120,088,460,903]].", "-"),
        ("(120, 88), (460, 903)", "-"),
        ("<think>at [[0,0,5,5]]</think>[120,88,460,903]", "-"),
        ("I think of [[0,0,5,5]].</think>\n[{\"bbox_2d\": [120,88,460,903]}]", "-"),
        // Corners in the wrong order are sorted.
        (r#"[{"bbox_2d": [460, 903, 120, 88], "label": "cat"}]"#, "cat"),
        (r#"[{"bbox_2d": [460, 88, 120, 903], "label": "cat"}]"#, "cat"),
    ];
    for (text, label) in rows {
        let located = read(text);
        assert_eq!((boxes(&located), labels(&located)), (vec![cat], vec![label]), "{text}: {located:?}");
        assert!(located.faults.is_empty() && located.points.is_empty(), "{text}: {located:?}");
        assert!(!located.boxes[0].clamped);
    }
}

#[test]
fn several_boxes_stand_in_one_answer() {
    for text in [
        r#"[{"bbox_2d":[0,0,10,10],"label":"a"},{"bbox_2d":[20,20,30,30],"label":"b"}]"#,
        "{\"bbox_2d\":[0,0,10,10],\"label\":\"a\"}\n{\"bbox_2d\":[20,20,30,30],\"label\":\"b\"}",
        "<ref>a</ref><box>(0,0),(10,10)</box> and <ref>b</ref><box>(20,20),(30,30)</box>",
    ] {
        let located = read(text);
        assert_eq!(boxes(&located), [[0, 0, 20, 10], [40, 20, 60, 30]], "{text}");
        assert_eq!(labels(&located), ["a", "b"], "{text}");
    }
    for text in
        ["[[000,000,010,010;020,020,030,030]]", "[[0,0,10,10],[20,20,30,30]]", "[0 0 10 10];[20 20 30 30]"]
    {
        assert_eq!(boxes(&read(text)), [[0, 0, 20, 10], [40, 20, 60, 30]], "{text}");
    }
    let many = r#"{"bbox_2d": [[0,0,10,10],[20,20,30,30]], "label": "cat"}"#;
    assert_eq!(labels(&read(many)), ["cat", "cat"]);
    assert_eq!(read("```json\n[]\n```"), read("[]"));
    assert!(read("[]").faults.is_empty());
}

#[test]
fn points_are_read() {
    for text in [
        r#"[{"point_2d": [120, 88], "label": "cat"}]"#,
        r#"<points x1="120" y1="88" alt="cat">cat</points>"#,
        r#"<point x="120" y="88" alt="cat"/>"#,
        r#"<ref>cat</ref>(120, 88)"#,
    ] {
        let located = read(text);
        let points: Vec<_> =
            located.points.iter().map(|point| (point.label.as_deref(), point.at.unwrap())).collect();
        assert_eq!(points.len(), 1, "{text}: {located:?}");
        assert_eq!((points[0].0, points[0].1.x, points[0].1.y), (Some("cat"), 240.0, 88.0), "{text}");
    }
    let located = read(r#"{"points": [[1, 2], [3, 4], [5, 6]], "label": "eye"}"#);
    assert_eq!((located.points.len(), located.boxes.len()), (3, 0));
}

#[test]
fn corners_of_text_are_read() {
    let pixels = GroundingFacts::new(Grounding::SentPixels, [PictureView::new((2_000, 1_000))]);
    let words = r#"{"words_info": [
        {"text": "Total", "location": [10, 20, 110, 20, 110, 60, 10, 60], "rotate_rect": [60, 40, 100, 40, 0]}]}"#;
    let located = parse_boxes(words, &pixels);
    assert_eq!((boxes(&located), labels(&located)), (vec![[10, 20, 110, 60]], vec!["Total"]));
    assert_eq!(located.boxes[0].corners.unwrap()[2].x, 110.0);
    assert_eq!(located.boxes[0].raw.len(), 8);
    let turned = parse_boxes(r#"{"text": "a", "rotate_rect": [60, 40, 100, 40, 90]}"#, &pixels);
    assert_eq!(boxes(&turned), [[40, 0, 80, 90]]);
    assert!(turned.boxes[0].clamped, "a corner lies above the picture");
    let spotted = "Total<|LOC_5|><|LOC_20|><|LOC_55|><|LOC_20|><|LOC_55|><|LOC_60|><|LOC_5|><|LOC_60|>\n\
                   23.50<|LOC_100|><|LOC_20|><|LOC_200|><|LOC_60|>";
    let located = read(spotted);
    assert_eq!(boxes(&located), [[10, 20, 110, 60], [200, 20, 400, 60]]);
    assert_eq!(labels(&located), ["Total", "23.50"]);
}

#[test]
fn times_of_videos_are_read() {
    let mut facts = facts();
    facts.videos = std::mem::take(&mut facts.pictures);
    let tracked = r#"{"0": [{"label": "car-1", "bbox_2d": [0, 0, 10, 10]}],
        "1": [{"label": "car-1", "bbox_2d": [20, 20, 30, 30]}]}"#;
    let located = parse_boxes(tracked, &facts);
    let times: Vec<_> = located.boxes.iter().map(|found| found.time.unwrap().start).collect();
    assert_eq!((times, labels(&located)), (vec![0.0, 1.0], vec!["car-1", "car-1"]));
    assert_eq!(boxes(&located), [[0, 0, 20, 10], [40, 20, 60, 30]]);
    assert!(located.times.is_empty() && located.boxes[0].picture.is_none());
    for text in [
        r#"[{"start_time": "00:12.5", "end_time": "00:17", "label": "jump"}]"#,
        r#"{"start": 12.5, "end": 17}"#,
        "It jumps from 00:12.5 to 00:17.",
        "12.5s - 17s",
        "<12.5 seconds> to <17 seconds>",
    ] {
        let located = parse_boxes(text, &facts);
        assert_eq!(located.times.len(), 1, "{text}: {located:?}");
        assert_eq!((located.times[0].start, located.times[0].end), (12.5, Some(17.0)), "{text}");
    }
    let located = parse_boxes(r#"{"time": 3.2, "bbox_2d": [0, 0, 10, 10]}"#, &facts);
    assert_eq!((located.boxes[0].time.unwrap().start, located.times.len()), (3.2, 0));
}

#[test]
fn one_of_several_pictures_is_named() {
    let views = [PictureView::new((1_000, 1_000)), PictureView::new((500, 2_000))];
    let facts = GroundingFacts::new(Grounding::Relative1000, views);
    let located = parse_boxes(
        r#"[{"image": 2, "bbox_2d": [0,0,100,100]}, {"image": "Picture 1", "bbox_2d": [0,0,100,100]}]"#,
        &facts,
    );
    assert_eq!(boxes(&located), [[0, 0, 50, 200], [0, 0, 100, 100]]);
    assert_eq!(located.boxes.iter().map(|found| found.picture).collect::<Vec<_>>(), [Some(1), Some(0)]);
    for (text, fault) in [
        (r#"[{"bbox_2d": [0,0,100,100]}]"#, "does not say in which"),
        (r#"[{"image": 3, "bbox_2d": [0,0,100,100]}]"#, "does not have"),
        (r#"[{"image": 0, "bbox_2d": [0,0,100,100]}]"#, "does not say in which"),
    ] {
        let located = parse_boxes(text, &facts);
        assert!(located.faults[0].contains(fault), "{text}: {:?}", located.faults);
        assert_eq!((located.boxes[0].rect, located.boxes[0].raw.len()), (None, 4));
    }
}

#[test]
fn what_is_wrong_is_said() {
    for (text, fault) in [
        (r#"[{"bbox_2d": [1, 2, 3, 4, 5]}]"#, "5 numbers instead of 4 or 8"),
        (r#"[{"bbox_2d": [1, 2]}]"#, "2 numbers instead of 4 or 8"),
        (r#"[{"point_2d": [1, 2, 3]}]"#, "3 numbers instead of 2"),
        (r#"[{"bbox_2d": [NaN, 2, 3, 4]}]"#, "not all finite"),
        (r#"[{"bbox_2d": [1e999, 2, 3, 4]}]"#, "not all finite"),
        (r#"[{"bbox_2d": [1, 2, "x", 4]}]"#, "text instead of numbers"),
        (r#"[{"bbox_2d": [1, 2, three, 4]}]"#, "not all finite"),
        (r#"[{"bbox_2d": "in the middle"}]"#, "text instead of numbers"),
        (r#"[{"bbox_2d": null}]"#, "text instead of numbers"),
        (r#"[{"bbox_3d": [1,2,3,4,5,6,7,8,9]}]"#, "in space"),
        ("[1, 2, 3, 4, 5]", "5 numbers instead of 2, 4 or 8"),
        ("I see a cat.", "no place stands in the answer"),
        ("", "no place stands in the answer"),
    ] {
        let located = read(text);
        assert!(located.boxes.is_empty() && located.points.is_empty(), "{text}: {located:?}");
        assert!(located.faults.iter().any(|said| said.contains(fault)), "{text}: {:?}", located.faults);
    }
    // One that is wrong does not take the others with it.
    let located = read(r#"[{"bbox_2d": [1,2,3]}, {"bbox_2d": [0,0,10,10]}, {"bbox_2d": [NaN,0,1,1]}]"#);
    assert_eq!((located.boxes.len(), located.faults.len()), (1, 2));
}

#[test]
fn what_lies_outside_is_clamped_and_kept_raw() {
    let located = read(r#"[{"bbox_2d": [-5, 10, 1e9, 1010]}, {"point_2d": [2000, 0]}]"#);
    let found = &located.boxes[0];
    assert_eq!((found.rect.unwrap().rounded(), found.clamped), ([0, 10, 2_000, 1_000], true));
    assert_eq!(found.raw, [-5.0, 10.0, 1e9, 1_010.0]);
    assert!(located.points[0].clamped);
}

#[test]
fn without_a_unit_numbers_are_raw() {
    let text = r#"[{"bbox_2d": [1,2,3,4], "label": "cat"}]"#;
    let (picture, url) = (PictureView::new((10, 10)), PictureView::default());
    let sideways = {
        let mut jpeg = Vec::from(&b"\xff\xd8\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"[..]);
        jpeg.extend(b"\xff\xc0\x00\x11\x08\x00\x0a\x00\x14\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01");
        PictureView::of(&Image::from_bytes(jpeg).unwrap())
    };
    assert_eq!((sideways.orientation, sideways.shown), (Orientation::Rotated90, Some((10, 20))));
    for (convention, view, fault) in [
        (Grounding::Unknown, picture, "unknown convention"),
        (Grounding::None, picture, "cannot say"),
        (Grounding::ResizedPixels, picture, "size to which the picture was scaled"),
        (Grounding::Relative1000, url, "size of the picture is not known"),
        (Grounding::Relative1000, sideways, "lying on its side"),
    ] {
        let located = parse_boxes(text, &GroundingFacts::new(convention, [view]));
        assert_eq!(
            (located.boxes[0].rect, located.boxes[0].raw.as_slice()),
            (None, &[1.0, 2.0, 3.0, 4.0][..])
        );
        assert_eq!(located.boxes[0].label.as_deref(), Some("cat"));
        assert!(located.faults[0].contains(fault), "{:?}", located.faults);
    }
}

#[test]
fn hostile_answers_are_read_in_bounded_time() {
    let million = "[1,2,3,4],".repeat(1_000_000);
    let million = ["[", &million, "]"].concat();
    let located = read(&million);
    assert_eq!(located.boxes.len(), 10_000);
    assert!(located.faults.iter().any(|fault| fault.contains("10000 places")), "{:?}", located.faults);
    assert!(located.faults.iter().any(|fault| fault.contains("1 MiB")), "{:?}", located.faults);
    let long = "x".repeat(400_000);
    let nested = format!("{{\"label\": \"{long}\", \"a\": [{}]}}", r#"{"bbox_2d":[1,2,3,4]},"#.repeat(9_000));
    assert!(read(&nested).boxes.iter().all(|found| found.label.as_ref().unwrap().len() <= 1_024));
    let began = std::time::Instant::now();
    for hostile in [
        "[".repeat(1 << 20),
        "{".repeat(1 << 20),
        "{\"a\":".repeat(200_000),
        ["[", &"\\\"".repeat(500_000)].concat(),
        "\"".repeat(1 << 20),
        "<ref>".repeat(200_000),
        "<point ".repeat(150_000),
        "<|LOC_1|>".repeat(110_000),
        "x<|LOC_1|>".repeat(100_000),
        "[1,".repeat(300_000),
        "[1 ".repeat(300_000),
        "(1,1),".repeat(170_000),
        "1:".repeat(500_000),
        "[1;".repeat(300_000),
        "\u{1f408}[1,2,3,4]".repeat(70_000),
        "{\"bbox_2d\":".repeat(90_000),
        format!("[{}]", "9".repeat(1_000_000)),
        format!("[{{\"bbox_2d\":[{}]}}]", "1,".repeat(500_000)),
    ] {
        let one = std::time::Instant::now();
        let located = read(&hostile);
        println!("{:.3} s for {:?}..", one.elapsed().as_secs_f64(), hostile.get(..20));
        assert!(located.boxes.len() + located.points.len() <= 10_000);
        assert!(located.faults.iter().map(String::len).sum::<usize>() < 4_096);
    }
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[test]
fn a_box_goes_into_a_prompt_and_comes_back() {
    let seen = PictureView::new((4_000, 3_000)).with_seen((1_148, 868));
    let rect = PixelRect::new(1_000.0, 300.0, 2_400.0, 2_700.0);
    for (convention, text) in [
        (Grounding::Relative1000, "[250, 100, 600, 900]"),
        (Grounding::Relative999, "[250, 100, 599, 899]"),
        (Grounding::SentPixels, "[1000, 300, 2400, 2700]"),
        (Grounding::ResizedPixels, "[287, 87, 689, 781]"),
    ] {
        assert_eq!(box_for_prompt(&rect, &seen, convention).unwrap(), text);
        let back = parse_boxes(text, &GroundingFacts::new(convention, [seen])).boxes[0].rect.unwrap();
        for (there, here) in back.rounded().into_iter().zip(rect.rounded()) {
            assert!(there.abs_diff(here) <= 3, "{convention}: {back:?}");
        }
    }
    assert!(box_for_prompt(&rect, &seen, Grounding::Unknown).is_err());
    assert!(box_for_prompt(&rect, &PictureView::default(), Grounding::Relative1000).is_err());
    let broken = PixelRect::new(f64::NAN, f64::NAN, 1.0, 1.0);
    assert!(box_for_prompt(&broken, &seen, Grounding::Relative1000).is_err());
}
