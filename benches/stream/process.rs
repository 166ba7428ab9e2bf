//! What the system says of a process.

use std::path::PathBuf;

/// Seconds of CPU that it took so far, in user and system mode, all threads.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name, in parentheses, may hold anything.
    let fields = text.rsplit_once(')').unwrap().1.split_whitespace().collect::<Vec<_>>();
    let ticks = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    // sysconf(_SC_CLK_TCK) is 100 on every Linux that this runs on.
    ticks / 100.0
}

/// `VmHWM` in MiB: it only grows.
pub(crate) fn peak_mib(pid: u32) -> f64 {
    let status = PathBuf::from(format!("/proc/{pid}/status"));
    let text = std::fs::read_to_string(status).unwrap();
    let line = text.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

pub(crate) fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}
