//! What fitting costs in memory, by counts of what is allocated: a picture that claims to be huge, and long lists.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what is not as expected must stop the test"
)]

use std::alloc::System;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use polysight::Image;
use polysight::media::fit::{FitPlan, FitSettings, ManyOptions, fit, fit_many};
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

/// One test at a time, since other threads would be counted too.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn a_bomb_costs_little() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
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

/// The most bytes that were held while a list was fitted, looked at every 100 microseconds.
fn most_held(paths: &[PathBuf], options: &ManyOptions) -> usize {
    let mut card = ImageCard::default();
    card.max_side = Some(1_000);
    let is_over = AtomicBool::new(false);
    let region = Region::new(ALLOCATOR);
    let held = || {
        let change = region.change();
        change.bytes_allocated.saturating_sub(change.bytes_deallocated)
    };
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0;
            while !is_over.load(Ordering::Relaxed) {
                most = most.max(held());
                std::thread::sleep(Duration::from_micros(100));
            }
            most
        });
        let mut done = 0;
        fit_many(paths, &card, &FitSettings::new(), options, |_, _, result| {
            assert!(result.unwrap().report.is_some());
            done += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(done, paths.len());
        is_over.store(true, Ordering::Relaxed);
        watch.join().unwrap()
    })
}

#[test]
fn a_long_list_takes_no_more_memory_than_a_short_one_and_no_more_than_is_allowed() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let photo = pictures::jpeg(&pictures::quarters(1_800, 1_400), 90);
    let paths: Vec<PathBuf> = (0..48).map(|index| folder.path().join(format!("{index:02}.jpg"))).collect();
    paths.iter().for_each(|path| std::fs::write(path, &photo).unwrap());
    let mut card = ImageCard::default();
    card.max_side = Some(1_000);
    let plan = FitPlan::new(&Image::from_bytes(photo).unwrap(), &card, &FitSettings::new()).unwrap().unwrap();
    let one = usize::try_from(plan.memory()).unwrap();

    let two_threads = ManyOptions::new().with_threads(2);
    let (short, long) = (most_held(&paths[..8], &two_threads), most_held(&paths, &two_threads));
    let alone = most_held(&paths[..8], &two_threads.with_max_memory(u32::try_from(one >> 20).unwrap() + 1));
    println!("a picture may take {one} bytes; held: 8 pictures {short}, 48 {long}, one at a time {alone}");
    assert!(long <= one * 2 && alone <= one, "{long} and {alone} of {one}");
    assert!(long <= short + short / 4, "{long} for 48, {short} for 8");
    // A picture is 7.5 MB, decoded by itself.
    assert!(short > 7_500_000 && alone > 7_500_000, "{short}, {alone}: nothing was measured");
}
