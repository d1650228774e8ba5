//! What the system says about time and memory.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// One line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) part: String,
    pub(crate) core_percent: f64,
}

impl Row {
    pub(crate) fn new(part: &str, busy: Duration, span: Duration) -> Self {
        let core_percent = 100.0 * busy.as_secs_f64() / span.as_secs_f64();
        Self {
            part: part.to_owned(),
            core_percent,
        }
    }
}

/// Returns what `work` gives and the time that this thread was on a core for it.
pub(crate) fn busy<T>(work: impl FnOnce() -> T) -> Result<(T, Duration)> {
    let before = on_core("/proc/thread-self/schedstat")?;
    let given = work();
    Ok((
        given,
        on_core("/proc/thread-self/schedstat")?.saturating_sub(before),
    ))
}

/// Returns the time that the threads of this process whose names begin so were on a core.
pub(crate) fn threads(name: &str) -> Result<Duration> {
    let mut sum = Duration::ZERO;
    for task in fs::read_dir("/proc/self/task")? {
        let path = task?.path();
        let comm = fs::read_to_string(path.join("comm")).unwrap_or_default();
        if comm.starts_with(name) {
            sum += on_core(path.join("schedstat").to_str().context("a plain path")?)?;
        }
    }
    Ok(sum)
}

/// Returns the time that the first thread of another process was on a core.
pub(crate) fn process(id: u32) -> Result<Duration> {
    on_core(&format!("/proc/{id}/schedstat"))
}

/// Returns the most memory that this process held.
pub(crate) fn peak_megabytes() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .context("VmHWM")?;
    let kilobytes: f64 = line
        .split_whitespace()
        .nth(1)
        .context("a number")?
        .parse()?;
    Ok(kilobytes / 1_024.0)
}

fn on_core(path: &str) -> Result<Duration> {
    let text = fs::read_to_string(path).with_context(|| path.to_owned())?;
    Ok(Duration::from_nanos(
        text.split(' ').next().context("a number")?.parse()?,
    ))
}
