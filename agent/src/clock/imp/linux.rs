//! Linux: `clock_gettime` and the kernel's boot id.

use core::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

pub(crate) fn monotonic() -> Duration {
    duration(clock_gettime(ClockId::Monotonic))
}

pub(crate) fn since_boot() -> Duration {
    duration(clock_gettime(ClockId::Boottime))
}

pub(crate) fn boot_id() -> [u8; 16] {
    let mut id = [0; 16];
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    for (place, byte) in id.iter_mut().enumerate() {
        let pair = digits.get(place * 2..place * 2 + 2).unwrap_or("0");
        *byte = u8::from_str_radix(pair, 16).unwrap_or_default();
    }
    id
}

fn duration(time: Timespec) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}
