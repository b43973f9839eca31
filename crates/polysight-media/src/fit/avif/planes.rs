//! Colours of brightness and two differences (ITU-T H.273, 8.3).

use rusty_av1d::pixel::YUVRange;
use rusty_av1d::{Picture, PixelLayout, PlanarImageComponent};

use super::container::Colours;
use crate::fit::decode::Channels;

/// What the samples of a picture mean.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signal {
    matrix: u16,
    is_full_range: bool,
}

impl Signal {
    /// By the container, else by the data themselves.
    pub(super) fn new(picture: &Picture, colours: Option<Colours>) -> Self {
        match colours {
            Some(colours) => Self { matrix: colours.matrix, is_full_range: colours.is_full_range },
            None => Self {
                matrix: picture.matrix_coefficients() as u16,
                is_full_range: picture.color_range() == YUVRange::Full,
            },
        }
    }

    /// The shares of red and blue in brightness; `None` for a matrix of another kind.
    fn shares(self) -> Option<(f32, f32)> {
        match self.matrix {
            1 => Some((0.2126, 0.0722)),
            4 => Some((0.30, 0.11)),
            // Without a word of it, what pictures have.
            2 | 5 | 6 => Some((0.299, 0.114)),
            7 => Some((0.212, 0.087)),
            9 => Some((0.2627, 0.0593)),
            _ => None,
        }
    }
}

/// A decoded picture and how its samples are read.
pub(super) struct Frame<'a> {
    planes: [Plane<'a>; 3],
    sides: (usize, usize),
    layout: PixelLayout,
    bits: u32,
    signal: Signal,
}

impl<'a> Frame<'a> {
    pub(super) fn new(picture: &'a Picture, signal: Signal) -> Self {
        let (luma, blue, red) = (PlanarImageComponent::Y, PlanarImageComponent::U, PlanarImageComponent::V);
        let layout = picture.pixel_layout();
        let plane = |component: PlanarImageComponent, is_there: bool| Plane {
            bytes: if is_there { picture.plane(component) } else { &[] },
            stride: picture.stride(component) as usize,
            is_wide: picture.bit_depth() > 8,
        };
        let has_colours = layout != PixelLayout::I400;
        Self {
            planes: [plane(luma, true), plane(blue, has_colours), plane(red, has_colours)],
            sides: (picture.width() as usize, picture.height() as usize),
            layout,
            bits: picture.bit_depth().try_into().unwrap_or(8),
            signal,
        }
    }

    /// Whether samples have more than 8 bits.
    pub(super) fn is_deep(&self) -> bool {
        self.bits > 8
    }

    /// Grey or RGB.
    pub(super) fn colours(&self) -> Result<(Channels, Vec<u8>), String> {
        if self.layout == PixelLayout::I400 {
            return Ok((Channels::Grey, self.grey()));
        }
        match (self.signal.matrix, self.signal.shares()) {
            (0, _) => Ok((Channels::Rgb, self.green_blue_red())),
            (_, Some((red, blue))) => Ok((Channels::Rgb, self.by_shares(red, blue))),
            (matrix, None) => Err(format!(
                "its colours are stored by matrix {matrix}, which is not read: save it as JPEG or PNG"
            )),
        }
    }

    /// Brightness alone.
    pub(super) fn grey(&self) -> Vec<u8> {
        let (width, height) = self.sides;
        let [luma, ..] = &self.planes;
        let rows = (0..height).map(|y| luma.row(y));
        rows.flat_map(|row| (0..width).map(move |x| to_byte(self.light(row.sample(x))))).collect()
    }

    fn green_blue_red(&self) -> Vec<u8> {
        self.each(|green, blue, red| [red, green, blue].map(|value| self.light(value)))
    }

    fn by_shares(&self, red_share: f32, blue_share: f32) -> Vec<u8> {
        let green_share = 1.0 - red_share - blue_share;
        self.each(|luma, blue, red| {
            let luma = self.light(luma);
            let red = luma + 2.0 * (1.0 - red_share) * self.difference(red);
            let blue = luma + 2.0 * (1.0 - blue_share) * self.difference(blue);
            [red, (luma - red_share * red - blue_share * blue) / green_share, blue]
        })
    }

    /// The colours of each pixel by its samples; several pixels may share their differences.
    fn each(&self, colour: impl Fn(f32, f32, f32) -> [f32; 3]) -> Vec<u8> {
        let (width, height) = self.sides;
        let (across, down) = match self.layout {
            PixelLayout::I420 => (1, 1),
            PixelLayout::I422 => (1, 0),
            _ => (0, 0),
        };
        let [luma, blue, red] = &self.planes;
        let mut data = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            let (luma, blue, red) = (luma.row(y), blue.row(y >> down), red.row(y >> down));
            let pixel = |x: usize| colour(luma.sample(x), blue.sample(x >> across), red.sample(x >> across));
            data.extend((0..width).flat_map(|x| pixel(x).map(to_byte)));
        }
        data
    }

    /// Brightness, from 0 to 1.
    fn light(&self, sample: f32) -> f32 {
        match self.signal.is_full_range {
            true => sample / self.largest(),
            false => (sample - self.of_eight_bits(16.0)) / self.of_eight_bits(219.0),
        }
    }

    /// A difference, from -0.5 to 0.5.
    fn difference(&self, sample: f32) -> f32 {
        let zero = self.of_eight_bits(128.0);
        (sample - zero) / if self.signal.is_full_range { self.largest() } else { self.of_eight_bits(224.0) }
    }

    fn largest(&self) -> f32 {
        self.of_eight_bits(256.0) - 1.0
    }

    fn of_eight_bits(&self, value: f32) -> f32 {
        value * (1u32 << (self.bits.clamp(8, 16) - 8)) as f32
    }
}

struct Plane<'a> {
    bytes: &'a [u8],
    stride: usize,
    is_wide: bool,
}

impl<'a> Plane<'a> {
    fn row(&self, y: usize) -> Row<'a> {
        Row { bytes: self.bytes.get(y * self.stride..).unwrap_or_default(), is_wide: self.is_wide }
    }
}

#[derive(Clone, Copy)]
struct Row<'a> {
    bytes: &'a [u8],
    is_wide: bool,
}

impl Row<'_> {
    fn sample(self, x: usize) -> f32 {
        if self.is_wide {
            let sample = self.bytes.get(2 * x..).and_then(|rest| rest.first_chunk());
            sample.map_or(0.0, |sample| u16::from_ne_bytes(*sample).into())
        } else {
            self.bytes.get(x).map_or(0.0, |sample| (*sample).into())
        }
    }
}

fn to_byte(value: f32) -> u8 {
    // Out of range it saturates.
    (value * 255.0 + 0.5) as u8
}

/// Colours with transparency; `is_premultiplied` where they were multiplied by it.
pub(super) fn with_alpha(
    channels: Channels,
    colours: &[u8],
    alpha: &[u8],
    is_premultiplied: bool,
) -> Vec<u8> {
    let full = |value: u8, alpha: u8| match alpha {
        1.. if is_premultiplied => (u32::from(value) * 255 / u32::from(alpha)).min(255) as u8,
        _ => value,
    };
    let rgba = |[r, g, b]: [u8; 3], a: u8| [full(r, a), full(g, a), full(b, a), a];
    if channels == Channels::Grey {
        return colours.iter().zip(alpha).flat_map(|(grey, alpha)| rgba([*grey; 3], *alpha)).collect();
    }
    let (colours, _) = colours.as_chunks::<3>();
    colours.iter().zip(alpha).flat_map(|(colour, alpha)| rgba(*colour, *alpha)).collect()
}
