//! HEIF items and properties (ISO/IEC 23008-12), against `imagesize`.

use polysight_core::Image;
use polysight_core::media::Orientation;

use super::{Exception, Made, boxed, damage, full, level, orientation, shuffled};
use crate::input::Input;

/// What `imagesize` reads otherwise.
const EXCEPTIONS: &[Exception] = &[
    (
        "a larger item",
        "the largest `ispe` of all items is taken; the primary item has its own (6.6.2.3, 9.3.1)",
    ),
    ("a crop", "`clap` is not read"),
    ("a turn of another item", "any `irot` is taken, associated with the primary item or not"),
    ("several turns", "the last `irot` is taken alone, not what all of them make together"),
];

/// Width and height as shown, and the orientation.
type Says = (u32, u32, Orientation);

pub(crate) fn check(data: &[u8]) {
    compare(data);
}

pub(super) fn compare(data: &[u8]) -> bool {
    let made = make(&mut Input::new(data));
    let ours = Image::from_bytes(made.bytes.clone()).ok().and_then(|image| image.info());
    let ours = ours.map(|info| (info.shown().0, info.shown().1, info.orientation));
    let other = imagesize::blob_size(&made.bytes).ok().map(|size| (size.width as u32, size.height as u32));
    made.check(EXCEPTIONS, ours.as_ref(), |says| (says.0, says.1), other)
}

/// A property, and which items have it.
enum Property {
    Size(u32, u32),
    /// Width and height of a crop, as fractions.
    Crop([u32; 4]),
    /// Quarter turns against the clock.
    Turn(u8),
    /// 0: top and bottom change places; 1: left and right.
    Mirror(u8),
    Other([u8; 4]),
}

struct Item {
    id: u32,
    /// Places in the list of properties.
    properties: Vec<usize>,
}

fn make(input: &mut Input<'_>) -> Made<Says> {
    let wide_ids = input.flag();
    let mut properties = Vec::new();
    let mut items: Vec<Item> = Vec::new();
    for place in 0..1 + input.below(4) as u32 {
        let id = if wide_ids { 70_000 * (place + 1) } else { 1 + 3 * place };
        items.push(Item { id, properties: own_properties(input, &mut properties) });
    }
    let primary = input.below(items.len());
    let mut odd = Vec::new();
    let says = shown(&items[primary], &properties);
    let is_own = |place: usize| items[primary].properties.contains(&place);
    let turns = properties.iter().enumerate().filter(|(_, property)| matches!(property, Property::Turn(_)));
    let (own, others): (Vec<_>, Vec<_>) = turns.partition(|(place, _)| is_own(*place));
    let area = |place: &usize| match properties[*place] {
        Property::Size(width, height) => u64::from(width) * u64::from(height),
        _ => 0,
    };
    let areas: Vec<u64> = items.iter().map(|item| item.properties.iter().map(area).sum()).collect();
    let has_larger = areas.iter().enumerate().any(|(item, area)| item != primary && *area >= areas[primary]);
    let crops = properties.iter().any(|property| matches!(property, Property::Crop(_)));
    for (piece, is_there) in [
        ("a larger item", has_larger),
        ("a crop", crops),
        ("a turn of another item", !others.is_empty()),
        ("several turns", own.len() > 1),
    ] {
        odd.extend(is_there.then_some(piece));
    }
    let brand = input.pick(&[*b"heic", *b"heix", *b"avif", *b"mif1"]);
    let coding = if brand == *b"avif" { *b"av01" } else { *b"hvc1" };
    let id = items[primary].id;
    let meta = meta(input, &items, &properties, id, coding);
    let ftyp = [&brand[..], &[0; 4], &brand, b"mif1", &brand].concat();
    let padding = if input.below(8) == 7 { boxed_short(b"free", &[7; 9]) } else { Vec::new() };
    let rest = level(input, vec![meta, boxed_short(b"mdat", &[0; 9])]);
    let mut bytes = [padding, boxed_short(b"ftyp", &ftyp), rest].concat();
    let mut says = Some(says);
    if damage(input, &mut bytes) < usize::MAX {
        says = None;
    }
    Made { bytes, says, odd }
}

fn boxed_short(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32 + 8).to_be_bytes()[..], kind, content].concat()
}

/// An item's size and a few more properties, in the order in which they are applied.
fn own_properties(input: &mut Input<'_>, properties: &mut Vec<Property>) -> Vec<usize> {
    let (width, height) = (1 + input.number() as u32 % 9_000, 1 + input.number() as u32 % 9_000);
    let mut own = vec![Property::Size(width, height)];
    for _ in 0..input.below(4) {
        own.push(match input.below(5) {
            0 => Property::Other(input.pick(&[*b"hvcC", *b"colr", *b"pixi", *b"pasp"])),
            1 => Property::Mirror(input.below(2) as u8),
            2 if !own.iter().any(|one| matches!(one, Property::Crop(_))) => {
                let scale = 1 + input.below(3) as u32;
                // A crop is within the picture whichever way up that is.
                let (width, height) = (width.min(height) / 2 + 1, width.min(height) / 3 + 1);
                Property::Crop([width * scale, scale, height * scale, scale])
            }
            _ => Property::Turn(input.below(4) as u8),
        });
    }
    let first = properties.len();
    properties.extend(own);
    let mut places: Vec<usize> = (first..properties.len()).collect();
    if input.below(5) == 4 {
        // Descriptions need not come first in the list of properties.
        properties.insert(first, Property::Other(*b"free"));
        places = (first + 1..properties.len()).collect();
    }
    places
}

/// What is seen of an item when its properties are applied in order.
fn shown(item: &Item, properties: &[Property]) -> Says {
    let (mut width, mut height) = (0, 0);
    let (mut right, mut down) = ((1, 0), (0, 1));
    for place in &item.properties {
        match properties[*place] {
            Property::Size(w, h) => (width, height) = (w, h),
            Property::Crop([w, w_by, h, h_by]) => (width, height) = (w / w_by, h / h_by),
            Property::Turn(turns) => {
                for _ in 0..turns {
                    (width, height) = (height, width);
                    // Against the clock: what pointed right points up, what pointed down points right.
                    let turn = |(x, y): (i32, i32)| (y, -x);
                    (right, down) = (turn(right), turn(down));
                }
            }
            Property::Mirror(axis) => {
                let mirror = |(x, y): (i32, i32)| if axis == 0 { (x, -y) } else { (-x, y) };
                (right, down) = (mirror(right), mirror(down));
            }
            Property::Other(_) => {}
        }
    }
    (width, height, orientation(right, down))
}

fn meta(
    input: &mut Input<'_>,
    items: &[Item],
    properties: &[Property],
    primary: u32,
    coding: [u8; 4],
) -> Vec<u8> {
    let wide = items.iter().any(|item| item.id > 0xffff) || input.flag();
    let id = |number: u32| {
        if wide { number.to_be_bytes().to_vec() } else { (number as u16).to_be_bytes().to_vec() }
    };
    let pitm = [full(u8::from(wide), 0), id(primary)].concat();
    let version = if wide { 3 } else { 2 };
    let entries: Vec<_> = items
        .iter()
        .map(|item| {
            let entry = [&full(version, 0)[..], &id(item.id), &[0; 2], &coding, b"\0"].concat();
            boxed(input, b"infe", &entry)
        })
        .collect();
    let many = input.flag();
    let count = if many {
        (items.len() as u32).to_be_bytes().to_vec()
    } else {
        (items.len() as u16).to_be_bytes().to_vec()
    };
    let iinf = [full(u8::from(many), 0), count, shuffled(input, entries).concat()].concat();
    let listed = properties.iter().map(|property| property_box(input, property)).collect::<Vec<_>>().concat();
    let iprp = vec![boxed_short(b"ipco", &listed), associations(input, items, wide)];
    let iprp = level(input, iprp);
    let boxes = vec![
        boxed_short(b"pitm", &pitm),
        boxed(input, b"iinf", &iinf),
        boxed(input, b"iprp", &iprp),
        boxed_short(b"iref", &full(0, 0)),
    ];
    let boxes = shuffled(input, boxes);
    let hdlr = boxed_short(b"hdlr", &[&full(0, 0)[..], &[0; 4], b"pict", &[0; 13]].concat());
    let content = level(input, [vec![hdlr], boxes].concat());
    boxed(input, b"meta", &[full(0, 0), content].concat())
}

fn property_box(input: &mut Input<'_>, property: &Property) -> Vec<u8> {
    let long = |numbers: &[u32]| numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>();
    match property {
        Property::Size(width, height) => boxed_short(b"ispe", &long(&[0, *width, *height])),
        Property::Crop(fractions) => boxed_short(b"clap", &long(&[&fractions[..], &[0, 1, 0, 1]].concat())),
        Property::Turn(turns) => boxed_short(b"irot", &[*turns]),
        Property::Mirror(axis) => boxed_short(b"imir", &[*axis]),
        Property::Other(kind) => boxed_short(kind, &vec![input.byte(); input.below(30)]),
    }
}

/// `ipma`, in one box or in two.
fn associations(input: &mut Input<'_>, items: &[Item], wide_ids: bool) -> Vec<u8> {
    let wide = input.flag();
    let entry = |input: &mut Input<'_>, item: &Item| {
        let id =
            if wide_ids { item.id.to_be_bytes().to_vec() } else { (item.id as u16).to_be_bytes().to_vec() };
        let mut entry = [&id[..], &[item.properties.len() as u8]].concat();
        for place in &item.properties {
            let (number, essential) = (*place as u16 + 1, input.flag());
            match wide {
                true => entry.extend((number | u16::from(essential) << 15).to_be_bytes()),
                false => entry.push(number as u8 | u8::from(essential) << 7),
            }
        }
        entry
    };
    let list = |input: &mut Input<'_>, items: &[Item]| {
        let entries: Vec<_> = items.iter().map(|item| entry(input, item)).collect();
        let count = (items.len() as u32).to_be_bytes();
        boxed_short(
            b"ipma",
            &[&full(u8::from(wide_ids), u32::from(wide))[..], &count, &entries.concat()].concat(),
        )
    };
    let cut = if input.below(4) == 3 { input.below(items.len()) } else { 0 };
    let (first, second) = items.split_at(cut);
    let mut bytes = if first.is_empty() { Vec::new() } else { list(input, first) };
    bytes.extend(list(input, second));
    bytes
}
