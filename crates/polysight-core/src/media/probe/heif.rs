//! HEIF (HEIC and AVIF): the properties of the primary item (ISO/IEC 23008-12; AV1 Image File Format 1.1).

use std::io::{Read, Seek};

use super::Size;
use super::blocks::{Blocks, Fault, Found};
use super::boxes::{BoxHeader, Level};
use crate::media::{ImageFormat, Orientation};

/// Most bytes of a list of items or of their properties.
const MAX_LIST: usize = 1 << 20;

/// Size, orientation and coding of the primary item. `by_brand` is the format of files whose primary item is put together
/// from others, such as a grid of tiles.
pub(super) fn size<R: Read + Seek + ?Sized>(
    blocks: &mut Blocks<'_, R>,
    by_brand: ImageFormat,
) -> Found<(ImageFormat, Size)> {
    let length = blocks.length()?;
    let meta = Level::new(0, length).find(blocks, *b"meta")?.ok_or(Fault::Damaged)?;
    let parts = Parts::read(blocks, &meta)?;
    let primary = primary(blocks, &parts.primary.ok_or(Fault::Damaged)?)?;
    let format = match item_kind(blocks, parts.items.as_ref(), primary)?.as_ref() {
        Some(b"hvc1" | b"hev1") => ImageFormat::Heic,
        Some(b"av01") => ImageFormat::Avif,
        Some(b"grid" | b"iovl" | b"iden") | None => by_brand,
        Some(_) => {
            return Err(Fault::Refused("its coding is neither HEVC nor AV1: save it as JPEG or PNG"));
        }
    };
    let properties = parts.properties.ok_or(Fault::Damaged)?;
    Ok((format, Item::read(blocks, &properties, primary)?.size()?))
}

/// The boxes of the `meta` box that say where everything is.
#[derive(Default)]
struct Parts {
    primary: Option<BoxHeader>,
    items: Option<BoxHeader>,
    properties: Option<BoxHeader>,
}

impl Parts {
    fn read<R: Read + Seek + ?Sized>(blocks: &mut Blocks<'_, R>, meta: &BoxHeader) -> Found<Self> {
        let mut parts = Self::default();
        let mut level = meta.children(4);
        while let Some(found) = level.next_whole(blocks)? {
            match &found.kind {
                b"pitm" => parts.primary = parts.primary.or(Some(found)),
                b"iinf" => parts.items = parts.items.or(Some(found)),
                b"iprp" => parts.properties = parts.properties.or(Some(found)),
                _ => {}
            }
        }
        Ok(parts)
    }
}

/// `pitm`: the primary item's id, wider from version 1 on.
fn primary<R: Read + Seek + ?Sized>(blocks: &mut Blocks<'_, R>, pitm: &BoxHeader) -> Found<u32> {
    let mut content = Content::of(blocks, pitm)?;
    let version = content.version()?;
    content.number(if version == 0 { 2 } else { 4 })
}

/// `iinf`: the kind of an item, which says how it is coded; `None` where it is not listed.
fn item_kind<R: Read + Seek + ?Sized>(
    blocks: &mut Blocks<'_, R>,
    iinf: Option<&BoxHeader>,
    id: u32,
) -> Found<Option<[u8; 4]>> {
    let Some(iinf) = iinf else { return Ok(None) };
    let count = if blocks.u8(iinf.body)? == 0 { 2 } else { 4 };
    let mut entries = iinf.children(4 + count);
    while let Some(entry) = entries.find(blocks, *b"infe")? {
        let mut content = Content::start(entry.content(blocks, 16)?);
        let version = content.version()?;
        let entry_id = content.number(if version < 3 { 2 } else { 4 })?;
        let _protection = content.number(2)?;
        if entry_id == id && version >= 2 {
            return content.number(4).map(|kind| Some(kind.to_be_bytes()));
        }
    }
    Ok(None)
}

/// An item's properties, applied in the order in which they are associated with it.
#[derive(Default)]
struct Item {
    shown: Option<(u32, u32)>,
    orientation: Orientation,
}

impl Item {
    fn read<R: Read + Seek + ?Sized>(blocks: &mut Blocks<'_, R>, iprp: &BoxHeader, id: u32) -> Found<Self> {
        let mut container = None;
        let mut indices = Vec::new();
        let mut level = iprp.children(0);
        while let Some(found) = level.next_whole(blocks)? {
            match &found.kind {
                b"ipco" => container = container.or(Some(found)),
                b"ipma" if indices.is_empty() => indices = associated(&mut Content::of(blocks, &found)?, id)?,
                _ => {}
            }
        }
        let properties = listed(blocks, &container.ok_or(Fault::Damaged)?)?;
        let mut item = Self::default();
        for index in indices {
            // Zero stands for no property.
            let Some(place) = index.checked_sub(1) else { continue };
            // Without a property that belongs to it, such as a turn, the item would be taken for another one.
            item.apply(blocks, properties.get(place).ok_or(Fault::Damaged)?)?;
        }
        Ok(item)
    }

    fn apply<R: Read + Seek + ?Sized>(
        &mut self,
        blocks: &mut Blocks<'_, R>,
        property: &BoxHeader,
    ) -> Found<()> {
        match &property.kind {
            b"ispe" => self.shown = Some((blocks.u32(property.body + 4)?, blocks.u32(property.body + 8)?)),
            b"clap" => {
                let mut content = Content::of(blocks, property)?;
                let (width, height) = (content.rounded()?, content.rounded()?);
                self.shown = self.shown.map(|(w, h)| (w.min(width), h.min(height)));
            }
            // Quarter turns against the clock.
            b"irot" => self.turn(4 - (blocks.u8(property.body)? & 3)),
            // Top and bottom change places, or left and right.
            b"imir" => {
                self.orientation = match blocks.u8(property.body)? & 1 {
                    0 => self.orientation.then_mirrored().then_turned(2),
                    _ => self.orientation.then_mirrored(),
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn turn(&mut self, turns: u8) {
        self.orientation = self.orientation.then_turned(turns);
        if turns % 2 == 1 {
            self.shown = self.shown.map(|(width, height)| (height, width));
        }
    }

    fn size(self) -> Found<Size> {
        let (width, height) = self.shown.ok_or(Fault::Damaged)?;
        let (width, height) = self.orientation.oriented(width, height);
        Ok(Size::new(width, height).with(self.orientation))
    }
}

/// `ipma`: the numbers of an item's properties, counted from one.
fn associated(content: &mut Content, id: u32) -> Found<Vec<usize>> {
    let version = content.version()?;
    let is_wide = content.flags & 1 == 1;
    for _ in 0..content.number(4)? {
        let item = content.number(if version == 0 { 2 } else { 4 })?;
        let count = content.number(1)?;
        let indices: Vec<usize> = (0..count).map(|_| content.index(is_wide)).collect::<Found<_>>()?;
        if item == id {
            return Ok(indices);
        }
    }
    Ok(Vec::new())
}

/// `ipco`: every property, in order.
fn listed<R: Read + Seek + ?Sized>(blocks: &mut Blocks<'_, R>, ipco: &BoxHeader) -> Found<Vec<BoxHeader>> {
    let mut level = ipco.children(0);
    let mut properties = Vec::new();
    while let Some(property) = level.next_whole(blocks)? {
        properties.push(property);
    }
    Ok(properties)
}

/// The content of a box, read from its start on.
struct Content {
    bytes: std::vec::IntoIter<u8>,
    flags: u32,
}

impl Content {
    fn of<R: Read + Seek + ?Sized>(blocks: &mut Blocks<'_, R>, header: &BoxHeader) -> Found<Self> {
        header.content(blocks, MAX_LIST).map(Self::start)
    }

    fn start(bytes: Vec<u8>) -> Self {
        Self { bytes: bytes.into_iter(), flags: 0 }
    }

    /// The version; the flags behind it are kept.
    fn version(&mut self) -> Found<u8> {
        let version = self.number(1)?;
        self.flags = self.number(3)?;
        u8::try_from(version).map_err(|_| Fault::Damaged)
    }

    /// The next number, of at most four bytes.
    fn number(&mut self, length: usize) -> Found<u32> {
        (0..length).try_fold(0, |number: u32, _| match self.bytes.next() {
            Some(byte) => Ok(number << 8 | u32::from(byte)),
            None => Err(Fault::Damaged),
        })
    }

    /// The number of a property, without the bit above it that says whether it is essential.
    fn index(&mut self, is_wide: bool) -> Found<usize> {
        let index = if is_wide { self.number(2)? & 0x7fff } else { self.number(1)? & 0x7f };
        usize::try_from(index).map_err(|_| Fault::Damaged)
    }

    /// A fraction, to the nearest whole number.
    fn rounded(&mut self) -> Found<u32> {
        let (numerator, denominator) = (u64::from(self.number(4)?), u64::from(self.number(4)?));
        let rounded = (numerator + denominator / 2).checked_div(denominator).ok_or(Fault::Damaged)?;
        u32::try_from(rounded).map_err(|_| Fault::Damaged)
    }
}
