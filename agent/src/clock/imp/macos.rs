//! macOS: the clock that stands still in sleep, and the time of the boot.

use core::time::Duration;

use rustix::time::{ClockId, clock_gettime};

pub(crate) fn monotonic() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// The monotonic clock of macOS counts on in sleep, so sleep shows as a pause of the pictures.
pub(crate) fn since_boot() -> Duration {
    monotonic()
}

pub(crate) fn boot_id() -> [u8; 16] {
    let mut id = [0; 16];
    id[..8].copy_from_slice(
        &sysinfo::System::boot_time()
            .unwrap_or_default()
            .to_be_bytes(),
    );
    id
}
