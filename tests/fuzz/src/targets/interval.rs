//! Intervals as text.

use polysight_core::Interval;
use polysight_core::interval::End;

use crate::input::Input;

/// A text that is an interval is one after being written again; what is written as an interval is read with its ends, and
/// holds the numbers that it says.
pub(crate) fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match text.parse::<Interval>() {
        Ok(interval) => check_text(interval),
        Err(error) => assert!(error.to_string().chars().count() < 200, "{error}"),
    }
    let mut input = Input::new(data);
    let (low, high) = (end(&mut input), end(&mut input));
    let space = input.pick(&["", " ", "  ", "\t"]);
    let text = format!(
        "{space}{}{space}{}{space},{space}{}{space}{}{space}",
        if matches!(low, Some(End::Open(_))) { '(' } else { '[' },
        number(low, &mut input),
        number(high, &mut input),
        if matches!(high, Some(End::Open(_))) { ')' } else { ']' },
    );
    let Ok(interval) = text.parse::<Interval>() else {
        let bad = |end: Option<End>| end.is_some_and(|end| !end.value().is_finite());
        assert!(bad(low) || bad(high) || is_empty(low, high), "{text:?} is refused");
        return;
    };
    assert!(!is_empty(low, high), "{text:?} is empty");
    assert_eq!((interval.low(), interval.high()), (low, high), "{text:?}");
    check_text(interval);
    check_members(interval, &mut input);
}

fn end(input: &mut Input<'_>) -> Option<End> {
    let value = input.maybe(Input::float)?;
    Some(if input.flag() { End::Open(value) } else { End::Closed(value) })
}

fn number(end: Option<End>, input: &mut Input<'_>) -> String {
    match end.map(End::value) {
        None => String::new(),
        Some(value) if input.flag() => format!("{value:e}"),
        Some(value) => value.to_string(),
    }
}

fn is_empty(low: Option<End>, high: Option<End>) -> bool {
    match (low, high) {
        (Some(End::Closed(low)), Some(End::Closed(high))) => low > high,
        (Some(low), Some(high)) => low.value() >= high.value(),
        _ => false,
    }
}

fn check_text(interval: Interval) {
    let again: Interval = interval.to_string().parse().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again, interval, "{interval}");
    let json = serde_json::to_string(&interval).expect("text");
    assert_eq!(serde_json::from_str::<Interval>(&json).expect("an interval"), interval);
}

fn check_members(interval: Interval, input: &mut Input<'_>) {
    let ends = [interval.low(), interval.high()].into_iter().flatten().map(End::value);
    let mut values: Vec<f64> =
        ends.flat_map(|end| [end, end.next_up(), end.next_down(), end + 1.0, -end]).collect();
    values.extend([0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, input.float(), input.float()]);
    for value in values {
        let outside = |end: Option<End>, beyond: fn(f64, f64) -> bool| match end {
            None => false,
            Some(End::Closed(end)) => beyond(value, end),
            Some(End::Open(end)) => beyond(value, end) || value == end,
        };
        let inside = value.is_finite()
            && !outside(interval.low(), |value, low| value < low)
            && !outside(interval.high(), |value, high| value > high);
        assert_eq!(interval.contains(value), inside, "{value:?} and {interval}");
        check_clamp(interval, value);
    }
}

fn check_clamp(interval: Interval, value: f64) {
    let clamped = interval.clamp(value, 0.01);
    if interval.contains(value) {
        assert_eq!(clamped, value, "what is inside stays");
    }
    // Ends that a step does not move, and ends with no number between, leave nothing to choose.
    let coarse = |end: Option<End>| end.is_some_and(|end| end.value().abs() > 1e12);
    let narrow = |low: End, high: End| high.value() - low.value() < 1e-9;
    let narrow = interval.low().zip(interval.high()).is_some_and(|(low, high)| narrow(low, high));
    if !coarse(interval.low()) && !coarse(interval.high()) && !narrow {
        assert!(interval.contains(clamped), "{value:?} becomes {clamped:?}, outside {interval}");
    }
}
