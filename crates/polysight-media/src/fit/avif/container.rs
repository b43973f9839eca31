//! Where the picture is in a file (ISO/IEC 14496-12 and 23008-12; AV1 Image File Format 1.1). Its sides and how it is to be turned
//! are known from elsewhere.

/// Kinds of auxiliary pictures that are transparency.
const ALPHA: [&[u8]; 2] = [b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0"];

/// The primary picture of a file.
#[derive(Debug)]
pub(super) struct Still<'a> {
    /// AV1 data.
    pub(super) coded: Vec<u8>,
    /// AV1 data of the transparency.
    pub(super) alpha: Option<Vec<u8>>,
    /// Whether colours were multiplied by the transparency.
    pub(super) is_premultiplied: bool,
    pub(super) colours: Option<Colours>,
    pub(super) profile: Option<&'a [u8]>,
    pub(super) is_of_sequence: bool,
}

/// Colours by the numbers of ITU-T H.273.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Colours {
    pub(super) primaries: u16,
    pub(super) transfer: u16,
    pub(super) matrix: u16,
    pub(super) is_full_range: bool,
}

impl<'a> Still<'a> {
    pub(super) fn read(file: &'a [u8]) -> Result<Self, String> {
        let damaged = "it cannot be decoded: its container is damaged";
        let meta = Meta::read(file).ok_or(damaged)?;
        match meta.kind(meta.primary) {
            Some(b"av01") => {}
            Some(b"grid") => return Err("it is put together from tiles: save it as JPEG or PNG".to_owned()),
            _ => return Err("its coding is not AV1: save it as JPEG or PNG".to_owned()),
        }
        let alpha = meta.alpha().map(|id| meta.data(id).ok_or(damaged)).transpose()?;
        let mut still = Self {
            coded: meta.data(meta.primary).ok_or(damaged)?,
            is_premultiplied: alpha.is_some()
                && meta.references(b"prem").any(|(from, _)| from == meta.primary),
            alpha,
            colours: None,
            profile: None,
            is_of_sequence: file.get(8..12) == Some(b"avis"),
        };
        for (kind, content) in meta.properties(meta.primary) {
            match &kind {
                b"colr" => still.take_colours(content),
                b"clap" => return Err("it is cropped by its header: save it as JPEG or PNG".to_owned()),
                _ => {}
            }
        }
        Ok(still)
    }

    fn take_colours(&mut self, colr: &'a [u8]) {
        match colr.split_at_checked(4) {
            Some((b"prof" | b"rICC", profile)) => self.profile = Some(profile),
            Some((b"nclx", numbers)) => self.colours = Colours::read(numbers),
            _ => {}
        }
    }
}

impl Colours {
    fn read(numbers: &[u8]) -> Option<Self> {
        let mut reader = Reader(numbers);
        let mut number = |length| reader.number(length).and_then(|number| u16::try_from(number).ok());
        let (primaries, transfer, matrix) = (number(2)?, number(2)?, number(2)?);
        Some(Self { primaries, transfer, matrix, is_full_range: number(1)? & 0x80 != 0 })
    }
}

/// The boxes that say where everything is.
struct Meta<'a> {
    file: &'a [u8],
    content: &'a [u8],
    primary: u64,
}

impl<'a> Meta<'a> {
    fn read(file: &'a [u8]) -> Option<Self> {
        let content = find(file, b"meta")?.get(4..)?;
        let mut reader = Reader(find(content, b"pitm")?);
        let length = if reader.version()?.0 == 0 { 2 } else { 4 };
        Some(Self { file, content, primary: reader.number(length)? })
    }

    /// How an item is coded.
    fn kind(&self, id: u64) -> Option<&'a [u8; 4]> {
        let mut reader = Reader(find(self.content, b"iinf")?);
        let count = if reader.version()?.0 == 0 { 2 } else { 4 };
        reader.number(count)?;
        boxes(reader.0).filter(|(kind, _)| kind == b"infe").find_map(|(_, entry)| {
            let mut reader = Reader(entry);
            let (version, _) = reader.version()?;
            let entry_id = reader.number(if version < 3 { 2 } else { 4 })?;
            reader.number(2)?;
            let kind = reader.take(4)?.first_chunk()?;
            (entry_id == id && version >= 2).then_some(kind)
        })
    }

    /// References of a kind: from one item to another.
    fn references(&self, kind: &'static [u8; 4]) -> impl Iterator<Item = (u64, u64)> {
        let mut reader = Reader(find(self.content, b"iref").unwrap_or_default());
        let length = if reader.version().is_none_or(|(version, _)| version == 0) { 2 } else { 4 };
        let lists = boxes(reader.0).filter(move |(found, _)| found == kind);
        lists.flat_map(move |(_, list)| {
            let mut reader = Reader(list);
            let from = reader.number(length).zip(reader.number(2)).map(|(from, _)| from);
            std::iter::from_fn(move || Some((from?, reader.number(length)?)))
        })
    }

    /// The item that is the transparency of the primary one.
    fn alpha(&self) -> Option<u64> {
        let is_alpha = |(kind, content): ([u8; 4], &[u8])| {
            &kind == b"auxC"
                && content.get(4..).is_some_and(|urn| ALPHA.iter().any(|alpha| urn.starts_with(alpha)))
        };
        let of_primary = self.references(b"auxl").filter(|(_, to)| *to == self.primary);
        of_primary.map(|(from, _)| from).find(|id| self.properties(*id).into_iter().any(is_alpha))
    }

    /// The properties of an item, in order.
    fn properties(&self, id: u64) -> Vec<([u8; 4], &'a [u8])> {
        let properties = find(self.content, b"iprp").unwrap_or_default();
        let all: Vec<_> = find(properties, b"ipco").map(boxes).into_iter().flatten().collect();
        let numbers = find(properties, b"ipma").and_then(|list| associated(list, id)).unwrap_or_default();
        // Counted from one.
        numbers.into_iter().filter_map(|number| all.get(number.checked_sub(1)?).copied()).collect()
    }

    /// The data of an item, put together: not empty, and never longer than the file, wherever its pieces are.
    fn data(&self, id: u64) -> Option<Vec<u8>> {
        let mut reader = Reader(find(self.content, b"iloc")?);
        let (version, _) = reader.version()?;
        let (sizes, more) = (reader.number(1)? as usize, reader.number(1)? as usize);
        let index_size = if version == 0 { 0 } else { more & 15 };
        let wide = if version < 2 { 2 } else { 4 };
        for _ in 0..reader.number(wide)? {
            let item = reader.number(wide)?;
            let method = if version == 0 { 0 } else { reader.number(2)? & 15 };
            reader.number(2)?;
            let base = reader.number(more >> 4)?;
            let mut data = Vec::new();
            for _ in 0..reader.number(2)? {
                reader.number(index_size)?;
                let (offset, length) = (reader.number(sizes >> 4)?, reader.number(sizes & 15)?);
                if item == id {
                    data.extend(self.piece(method, base.checked_add(offset)?, length)?);
                    if data.len() > self.file.len() {
                        return None;
                    }
                }
            }
            if item == id {
                return (!data.is_empty()).then_some(data);
            }
        }
        None
    }

    /// A piece of the file, or of the data inside of the box. Without a length it goes to the end.
    fn piece(&self, method: u64, offset: u64, length: u64) -> Option<&'a [u8]> {
        let space = match method {
            0 => self.file,
            1 => find(self.content, b"idat")?,
            _ => return None,
        };
        let rest = space.get(usize::try_from(offset).ok()?..)?;
        if length == 0 { Some(rest) } else { rest.get(..usize::try_from(length).ok()?) }
    }
}

/// `ipma`: the numbers of an item's properties.
fn associated(list: &[u8], id: u64) -> Option<Vec<usize>> {
    let mut reader = Reader(list);
    let (version, flags) = reader.version()?;
    let (length, mask) = if flags & 1 == 1 { (2, 0x7fff) } else { (1, 0x7f) };
    for _ in 0..reader.number(4)? {
        let item = reader.number(if version == 0 { 2 } else { 4 })?;
        let count = reader.number(1)?;
        let numbers = (0..count).map(|_| reader.number(length).map(|number| (number & mask) as usize));
        let numbers: Vec<usize> = numbers.collect::<Option<_>>()?;
        if item == id {
            return Some(numbers);
        }
    }
    None
}

/// The boxes of a content, up to one that is cut off.
fn boxes(mut rest: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let mut reader = Reader(rest);
        let size = reader.number(4)?;
        let kind = *reader.take(4)?.first_chunk()?;
        let size = match size {
            0 => rest.len(),
            1 => usize::try_from(reader.number(8)?).ok()?,
            size => usize::try_from(size).ok()?,
        };
        let content = rest.get(rest.len() - reader.0.len()..size)?;
        rest = rest.get(size..)?;
        Some((kind, content))
    })
}

fn find<'a>(content: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(content).find(|(found, _)| found == kind).map(|(_, content)| content)
}

/// Reads from the start on.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next number, of at most eight bytes; zero where it has none.
    fn number(&mut self, length: usize) -> Option<u64> {
        let bytes = self.take(length)?;
        (length <= 8).then(|| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Version and flags.
    fn version(&mut self) -> Option<(u64, u64)> {
        Some((self.number(1)?, self.number(3)?))
    }
}
