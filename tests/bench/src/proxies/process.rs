//! CPU time and memory of other processes with all their children, as the kernel accounts them.

use std::fs;

use crate::Result;

/// What a process and its children use.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    /// User and system together, since they were started.
    pub cpu_us: u64,
    pub resident_kib: u64,
    pub peak_kib: u64,
}

/// Microseconds of a clock tick of `/proc`: 100 in a second, on every Linux.
const TICK_US: u64 = 10_000;

pub fn usage(pid: u32) -> Result<Usage> {
    let mut all = Usage::default();
    for pid in tree(pid) {
        all.cpu_us += cpu_us(pid).ok_or("a process has ended")?;
        all.resident_kib += status(pid, "VmRSS:").unwrap_or(0);
        all.peak_kib += status(pid, "VmHWM:").unwrap_or(0);
    }
    Ok(all)
}

/// Sets the peaks back to what is resident now.
pub fn forget_peak(pid: u32) {
    for pid in tree(pid) {
        // One that has just ended has no peak.
        let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
    }
}

fn tree(root: u32) -> Vec<u32> {
    let all: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            Some((pid, field(pid, 1)?.try_into().ok()?))
        })
        .collect();
    let mut tree = vec![root];
    let mut at = 0;
    while let Some(parent) = tree.get(at).copied() {
        tree.extend(all.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    tree
}

fn cpu_us(pid: u32) -> Option<u64> {
    Some((field(pid, 11)? + field(pid, 12)?) * TICK_US)
}

/// A number of `/proc/PID/stat`, counted behind the name, which may hold blanks; 0 is the state.
fn field(pid: u32, number: usize) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(") ")?.1.split(' ').nth(number)?.parse().ok()
}

fn status(pid: u32, name: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next())?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_time_and_memory() {
        let own = usage(std::process::id()).unwrap();
        assert!(own.peak_kib >= own.resident_kib && own.resident_kib > 0);
        assert!(tree(std::process::id()).contains(&std::process::id()));
    }
}
