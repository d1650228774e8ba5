//! The machine's clocks and the run of its kernel.

cfg_select! {
    target_os = "linux" => { #[path = "imp/linux.rs"] mod imp; }
    target_os = "macos" => { #[path = "imp/macos.rs"] mod imp; }
    _ => { #[path = "imp/windows.rs"] mod imp; }
}

use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use qorgan_agent_core::clock::Clocks;
use qorgan_protocol::ids::BootId;
use qorgan_protocol::time::{Now, WallTime};

/// Sets the clock of capture from the machine's own, so that a restarted agent's times go on.
pub(crate) fn anchor() {
    let now_ns = u64::try_from(imp::monotonic().as_nanos()).unwrap_or(u64::MAX);
    if !qorgan_capture::clock::anchor(now_ns) {
        tracing::debug!("The clock of capture was running before");
    }
}

/// Returns the agent's monotonic clock, on which every capture is stamped.
pub(crate) fn now() -> Now {
    captured(qorgan_capture::clock::now_ns())
}

/// Returns the moment of a capture.
pub(crate) const fn captured(captured_ns: u64) -> Now {
    Now::from_origin(Duration::from_nanos(captured_ns))
}

/// Returns the machine's wall clock: evidence, never input.
pub(crate) fn wall() -> WallTime {
    let ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        });
    WallTime::from_unix_ms(ms)
}

/// Returns the three clocks to compare.
pub(crate) fn clocks() -> Clocks {
    Clocks {
        monotonic: Now::from_origin(imp::monotonic()),
        boot: Now::from_origin(imp::since_boot()),
        wall: wall(),
    }
}

/// Returns the run of the kernel.
pub(crate) fn boot_id() -> BootId {
    BootId(imp::boot_id())
}
