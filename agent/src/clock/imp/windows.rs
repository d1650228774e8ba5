//! Windows: the uptime at the start of the agent, counted on by the performance counter.

use core::time::Duration;
use std::sync::OnceLock;
use std::time::Instant;

pub(crate) fn monotonic() -> Duration {
    static ORIGIN: OnceLock<(Instant, Duration)> = OnceLock::new();
    let (origin, uptime) = ORIGIN.get_or_init(|| {
        (
            Instant::now(),
            Duration::from_secs(sysinfo::System::uptime().unwrap_or_default()),
        )
    });
    *uptime + origin.elapsed()
}

/// The performance counter of Windows counts on in sleep, so sleep shows as a pause of the
/// pictures.
pub(crate) fn since_boot() -> Duration {
    monotonic()
}

pub(crate) fn boot_id() -> [u8; 16] {
    let mut id = [0; 16];
    // The boot time is derived from two clocks and may be a second off between two reads.
    id[..8].copy_from_slice(&(sysinfo::System::boot_time().unwrap_or_default() / 10).to_be_bytes());
    id
}
