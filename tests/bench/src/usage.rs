//! CPU time and resident memory of this process, as the kernel accounts them.

use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

use crate::Result;

/// CPU time so far, user and system together, in microseconds.
pub fn cpu_us() -> Result<u64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok((usage.user_time().num_microseconds() + usage.system_time().num_microseconds()).unsigned_abs())
}

/// Resident memory now, in KiB.
pub fn resident_kib() -> Result<u64> {
    status("VmRSS:")
}

/// The most resident memory since [`forget_peak`], in KiB.
pub fn peak_kib() -> Result<u64> {
    status("VmHWM:")
}

/// Sets the peak back to what is resident now.
pub fn forget_peak() -> Result<()> {
    Ok(std::fs::write("/proc/self/clear_refs", "5")?)
}

fn status(field: &str) -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.split_whitespace().next());
    Ok(value.ok_or("the kernel tells no memory sizes")?.parse()?)
}

/// The time of day in nanoseconds: the same clock for every process of this machine.
pub fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
