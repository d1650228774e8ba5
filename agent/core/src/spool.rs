//! Where a chunk is kept until the server has it, and what happens when there is no room.
//!
//! Disk first; when the disk refuses or the bound is reached, a bounded window in memory; when that
//! is full too, the chunk is not chained at all and a gap is recorded. A chunk that was chained is
//! kept until its receipt came.

use core::time::Duration;

use qorgan_protocol::time::Now;

/// Bounds of a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolBounds {
    /// The most bytes on disk.
    pub disk_bytes_max: u64,
    /// The most bytes kept in memory when the disk is full.
    pub memory_bytes_max: u64,
}

impl SpoolBounds {
    /// 2 GiB on disk (a day of *standard*), 32 MiB in memory (minutes of *rich*).
    pub const DEFAULT: Self = Self {
        disk_bytes_max: 2 * 1024 * 1024 * 1024,
        memory_bytes_max: 32 * 1024 * 1024,
    };
}

/// Where a chunk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On disk.
    Disk,
    /// In memory, because the disk has no room.
    Memory,
    /// Nowhere: it is dropped before it is chained.
    Nowhere,
}

/// How much room there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// The disk takes everything.
    Disk,
    /// Only memory is left.
    MemoryOnly,
    /// Chunks are dropped.
    None,
}

/// Decides where chunks are kept.
#[derive(Debug, Clone)]
pub struct SpoolPolicy {
    bounds: SpoolBounds,
    disk_bytes: u64,
    memory_bytes: u64,
    refused: Option<Now>,
    room: Room,
    said: Room,
    /// Whether the newest chunk of pictures or sound found room; the reserve is none for them.
    takes_media: bool,
}

impl SpoolPolicy {
    /// Makes the policy of a spool that holds `disk_bytes` from a former run.
    #[must_use]
    pub const fn new(bounds: SpoolBounds, disk_bytes: u64) -> Self {
        Self {
            bounds,
            disk_bytes,
            memory_bytes: 0,
            refused: None,
            room: Room::Disk,
            said: Room::Disk,
            takes_media: true,
        }
    }

    /// Decides where the next `bytes` go, without counting them; `essential` ones (observations,
    /// initialisation segments) may use a reserve that pictures may not.
    pub fn place(&mut self, now: Now, bytes: u64, essential: bool) -> Place {
        let waits = self
            .refused
            .is_some_and(|refused| now.since(refused) < RETRY_DISK_AFTER);
        let place = if !waits && self.disk_bytes.saturating_add(bytes) <= self.bounds.disk_bytes_max
        {
            Place::Disk
        } else {
            self.memory_place(bytes, essential)
        };
        self.room = match (place, self.refused) {
            // The disk is believed again only when it has taken something.
            (Place::Disk, Some(_)) => self.room,
            (Place::Disk, None) => Room::Disk,
            (Place::Memory, _) => Room::MemoryOnly,
            (Place::Nowhere, _) => Room::None,
        };
        self.placed(place, essential);
        place
    }

    /// The disk refused a write at `now`; returns where the bytes go.
    pub fn disk_refused(&mut self, now: Now, bytes: u64, essential: bool) -> Place {
        self.refused = Some(now);
        let place = self.memory_place(bytes, essential);
        self.room = match place {
            Place::Disk | Place::Memory => Room::MemoryOnly,
            Place::Nowhere => Room::None,
        };
        self.placed(place, essential);
        place
    }

    fn placed(&mut self, place: Place, essential: bool) {
        if !essential {
            self.takes_media = place != Place::Nowhere;
        }
    }

    /// Counts bytes that were kept.
    pub fn kept(&mut self, place: Place, bytes: u64) {
        match place {
            Place::Disk => {
                self.disk_bytes = self.disk_bytes.saturating_add(bytes);
                self.refused = None;
                self.room = Room::Disk;
            }
            Place::Memory => self.memory_bytes = self.memory_bytes.saturating_add(bytes),
            Place::Nowhere => {}
        }
    }

    /// Counts bytes that were freed by receipts.
    pub fn freed(&mut self, place: Place, bytes: u64) {
        match place {
            Place::Disk => self.disk_bytes = self.disk_bytes.saturating_sub(bytes),
            Place::Memory => self.memory_bytes = self.memory_bytes.saturating_sub(bytes),
            Place::Nowhere => {}
        }
    }

    /// Returns the bytes that are kept.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.disk_bytes.saturating_add(self.memory_bytes)
    }

    /// Tells whether pictures and sound are kept.
    #[must_use]
    pub const fn takes_media(&self) -> bool {
        self.takes_media
    }

    /// Returns how much room there is, where it changed since the last call.
    pub fn poll_room(&mut self) -> Option<Room> {
        (self.room != self.said).then(|| {
            self.said = self.room;
            self.room
        })
    }

    fn memory_place(&self, bytes: u64, essential: bool) -> Place {
        let reserve = if essential { 0 } else { ESSENTIAL_BYTES };
        let most = self.bounds.memory_bytes_max.saturating_sub(reserve);
        if self.memory_bytes.saturating_add(bytes) <= most {
            Place::Memory
        } else {
            Place::Nowhere
        }
    }
}

const RETRY_DISK_AFTER: Duration = Duration::from_secs(5);
/// Memory that only observations and initialisation segments may use.
const ESSENTIAL_BYTES: u64 = 2 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_full_disk_leads_to_memory_then_to_a_gap_and_back() {
        let mut policy = SpoolPolicy::new(bounds(), 0);
        assert_eq!(policy.place(at(0), 4 * MIB, false), Place::Disk);
        assert_eq!(policy.disk_refused(at(0), 4 * MIB, false), Place::Memory);
        policy.kept(Place::Memory, 4 * MIB);
        assert_eq!(policy.poll_room(), Some(Room::MemoryOnly));
        assert_eq!(policy.place(at(1), 4 * MIB, false), Place::Nowhere);
        assert_eq!(policy.poll_room(), Some(Room::None));
        assert_eq!(policy.place(at(1), MIB, true), Place::Memory);
        assert!(!policy.takes_media(), "the reserve is none for pictures");
        assert_eq!(policy.place(at(6), 4 * MIB, false), Place::Disk);
        policy.kept(Place::Disk, 4 * MIB);
        assert!(policy.takes_media());
        assert_eq!(policy.poll_room(), Some(Room::Disk));
        assert_eq!(policy.poll_room(), None);
    }

    #[test]
    fn receipts_make_room_again() {
        let mut policy = SpoolPolicy::new(bounds(), 10 * MIB);
        assert_eq!(policy.place(at(0), MIB, false), Place::Memory);
        policy.freed(Place::Disk, 10 * MIB);
        assert_eq!(policy.place(at(0), MIB, false), Place::Disk);
        assert_eq!(policy.bytes(), 0);
    }

    proptest! {
        #[test]
        fn no_bound_is_ever_passed(steps in prop::collection::vec((0_u64..3_000_000, any::<bool>(), any::<bool>()), 1..200)) {
            let mut policy = SpoolPolicy::new(bounds(), 0);
            let (mut disk, mut memory) = (0, 0);
            for (n, (bytes, refuse, essential)) in steps.into_iter().enumerate() {
                let now = at(u64::try_from(n).expect("few"));
                let mut place = policy.place(now, bytes, essential);
                if place == Place::Disk && refuse {
                    place = policy.disk_refused(now, bytes, essential);
                }
                policy.kept(place, bytes);
                match place {
                    Place::Disk => disk += bytes,
                    Place::Memory => memory += bytes,
                    Place::Nowhere => {}
                }
                prop_assert!(disk <= bounds().disk_bytes_max && memory <= bounds().memory_bytes_max);
                prop_assert_eq!(policy.bytes(), disk + memory);
            }
        }
    }

    const MIB: u64 = 1024 * 1024;

    fn bounds() -> SpoolBounds {
        SpoolBounds {
            disk_bytes_max: 10 * MIB,
            memory_bytes_max: 7 * MIB,
        }
    }

    fn at(s: u64) -> Now {
        Now::from_origin(Duration::from_secs(s))
    }
}
