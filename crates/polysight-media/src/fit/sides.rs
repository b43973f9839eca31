//! Which sides a picture gets.

/// Width and height, in pixels.
pub type Sides = (u32, u32);

/// Limits of sides.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SideLimits {
    pub(super) max_side: Option<u64>,
    pub(super) min_side: Option<u64>,
    pub(super) max_pixels: Option<u64>,
    pub(super) max_aspect: Option<f64>,
}

/// The sides of the scaled picture, and of that with its margin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) content: Sides,
    pub(super) with_margin: Sides,
}

/// Rounds of shrinking to the number of pixels: the first is off by rounding at most.
const MAX_ROUNDS: usize = 16;

impl SideLimits {
    /// What is wrong with these sides, in words.
    pub(super) fn broken_by(&self, sides: Sides) -> Vec<String> {
        let (long, short) = ordered(sides);
        let size = format!("{} x {} px", sides.0, sides.1);
        let mut broken = Vec::new();
        if let Some(limit) = self.max_side.filter(|limit| long > *limit) {
            broken.push(format!("{size}, and sides may have {limit} px at most"));
        }
        if let Some(limit) = self.min_side.filter(|limit| short < *limit) {
            broken.push(format!("{size}, and sides must have {limit} px at least"));
        }
        if let Some(limit) = self.max_pixels.filter(|limit| long * short > *limit) {
            broken.push(format!("{size}, and it may have {limit} px in all at most"));
        }
        if let Some(limit) = self.max_aspect.filter(|limit| long as f64 > short as f64 * limit) {
            broken.push(format!("{size}, and sides may be {limit} : 1 at most"));
        }
        broken
    }

    /// The largest sides within the limits, of the same shape; `None` where there are none.
    pub(super) fn target(&self, sides: Sides) -> Option<Target> {
        let (long, short) = ordered(sides);
        let mut scale = self.max_side.map_or(1.0, |limit| (limit as f64 / long as f64).min(1.0));
        if let Some(growth) = self.growth(long, short, scale) {
            scale = growth;
        }
        for _ in 0..MAX_ROUNDS {
            let content = self.scaled(sides, scale);
            let target = Target { content, with_margin: self.with_margin(content) };
            let (long, short) = ordered(target.with_margin);
            match self.max_pixels.filter(|limit| long * short > *limit) {
                Some(limit) => scale *= (limit as f64 / (long * short) as f64).sqrt() * 0.999,
                None => return self.broken_by(target.with_margin).is_empty().then_some(target),
            }
        }
        None
    }

    /// The scale at which the shorter side is long enough, where the longer one then is not too long.
    fn growth(&self, long: u64, short: u64, scale: f64) -> Option<f64> {
        let growth = self.min_side? as f64 / short as f64;
        let is_narrow = self.max_aspect.is_some_and(|limit| long as f64 > short as f64 * limit);
        let is_long = self.max_side.is_some_and(|limit| long as f64 * growth > limit as f64);
        (growth > scale && !is_narrow && !is_long).then_some(growth)
    }

    fn scaled(&self, (width, height): Sides, scale: f64) -> Sides {
        let limit = self.max_side.map_or(f64::from(u32::MAX), |limit| limit as f64);
        let side = |side: u32| (f64::from(side) * scale).round().clamp(1.0, limit) as u32;
        (side(width), side(height))
    }

    fn with_margin(&self, (width, height): Sides) -> Sides {
        let long = u64::from(width.max(height));
        let narrowest = self.max_aspect.map_or(1.0, |limit| (long as f64 / limit).ceil());
        let least = self.min_side.unwrap_or(1).max(narrowest as u64);
        let least = u32::try_from(least).unwrap_or(u32::MAX);
        (width.max(least), height.max(least))
    }
}

fn ordered((width, height): Sides) -> (u64, u64) {
    (u64::from(width.max(height)), u64::from(width.min(height)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qwen() -> SideLimits {
        SideLimits {
            min_side: Some(11),
            max_pixels: Some(33_177_600),
            max_aspect: Some(200.0),
            max_side: None,
        }
    }

    fn zhipu() -> SideLimits {
        SideLimits { max_side: Some(6_000), ..SideLimits::default() }
    }

    fn target(limits: SideLimits, sides: Sides) -> (Sides, Sides) {
        let target = limits.target(sides).unwrap();
        (target.content, target.with_margin)
    }

    #[test]
    fn large_pictures_shrink_and_keep_their_shape() {
        assert_eq!(target(zhipu(), (12_000, 9_000)), ((6_000, 4_500), (6_000, 4_500)));
        let (content, margin) = target(qwen(), (12_000, 9_000));
        assert_eq!(content, margin);
        let pixels = u64::from(content.0) * u64::from(content.1);
        assert!((33_000_000..=33_177_600).contains(&pixels), "{content:?}");
    }

    #[test]
    fn narrow_pictures_get_a_margin_and_small_ones_grow() {
        assert_eq!(target(qwen(), (6_001, 10)), ((6_001, 10), (6_001, 31)));
        assert_eq!(target(qwen(), (1, 1)), ((11, 11), (11, 11)));
        assert_eq!(target(qwen(), (10, 100)), ((11, 110), (11, 110)));
        assert_eq!(target(zhipu(), (6_001, 10)), ((6_000, 10), (6_000, 10)));
    }

    #[test]
    fn whatever_comes_out_keeps_every_limit() {
        let tight = SideLimits {
            max_side: Some(100),
            min_side: Some(10),
            max_pixels: Some(4_000),
            max_aspect: Some(3.0),
        };
        for width in (1..2_000).step_by(37) {
            for height in (1..2_000).step_by(41) {
                for limits in [tight, qwen(), zhipu()] {
                    let target = limits.target((width, height)).unwrap();
                    assert!(
                        limits.broken_by(target.with_margin).is_empty(),
                        "{width} x {height}: {target:?}"
                    );
                    let ((a, b), (c, d)) = (target.content, target.with_margin);
                    assert!(a <= c && b <= d, "{width} x {height}: {target:?}");
                }
            }
        }
    }

    #[test]
    fn limits_that_exclude_each_other_have_no_target() {
        let limits = SideLimits { min_side: Some(20), max_pixels: Some(100), ..SideLimits::default() };
        assert_eq!(limits.target((50, 50)), None);
    }
}
