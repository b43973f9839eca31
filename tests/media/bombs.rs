//! What a picture costs that claims to be huge, by counts of what is allocated.

#![allow(clippy::unwrap_used, reason = "what is not as expected must stop the test")]

use std::alloc::System;
use std::time::Duration;

use polysight::Image;
use polysight::media::fit::{FitSettings, fit};
use polysight_core::catalog::ImageCard;
use polysight_testkit::pictures;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Every pixel that is decoded takes a byte at least, so this bounds them too.
const MOST_BYTES: usize = 50_000_000;

/// Time that this thread computed, whatever else the machine does; where that is not known (it is on Linux), none.
fn computed() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}

/// One test, since other threads would be counted too.
#[test]
fn a_bomb_costs_little() {
    let mut card = ImageCard::default();
    card.max_side = Some(1_000);
    for (name, bomb) in [
        ("a PNG of 60000 x 60000", pictures::png_bomb()),
        ("a profile of 300 MB", pictures::profile_bomb(1_200, 16, 300)),
        ("a GIF of a million frames", pictures::gif(1_200, 16, 1_000_000)),
        ("a GIF of 65535 x 65535", pictures::gif(65_535, 65_535, 1)),
    ] {
        let image = Image::from_bytes(bomb).unwrap();
        let start = computed();
        let region = Region::new(ALLOCATOR);
        let outcome = fit(&image, &card, &FitSettings::new());
        let used = region.change();
        let took = computed().saturating_sub(start);
        println!("{name}: {} bytes, {} allocations, {took:?}", used.bytes_allocated, used.allocations);
        assert!(used.bytes_allocated < MOST_BYTES, "{name}: {} bytes", used.bytes_allocated);
        assert!(used.allocations < 5_000, "{name}: {} allocations", used.allocations);
        assert!(took.as_millis() < 100, "{name}: {took:?}");
        assert_eq!(outcome.is_err(), name.contains("60000") || name.contains("65535"), "{name}: {outcome:?}");
    }
}
