//! Room on the data disk: recordings leave a reserve, for responses and the gate's writes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::RecordingError;
use super::files::Files;

/// Watches how full the disk is.
#[derive(Debug)]
pub(super) struct Room {
    root: PathBuf,
    files: Arc<dyn Files>,
    seen: Mutex<Option<(Instant, bool)>>,
}

impl Room {
    pub(super) fn new(root: &Path, files: Arc<dyn Files>) -> Self {
        Self {
            root: root.to_path_buf(),
            files,
            seen: Mutex::new(None),
        }
    }

    /// Refuses where the disk is nearly full; it is looked at once in [`LOOK_EVERY`].
    pub(super) fn take(&self) -> Result<(), RecordingError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.filter(|(at, _)| at.elapsed() < LOOK_EVERY);
        let room = match known {
            Some((_, room)) => room,
            None => {
                let room = match self.files.space(&self.root) {
                    Some((free, total)) => free > reserve(total),
                    None => true,
                };
                if !room {
                    tracing::error!("The disk is nearly full; recordings wait with the agents");
                }
                *seen = Some((Instant::now(), room));
                room
            }
        };
        if room {
            Ok(())
        } else {
            Err(RecordingError::NoRoom)
        }
    }
}

/// Returns how many bytes of a disk stay free: a fiftieth, 64 MiB at least and 2 GiB at most.
fn reserve(total: u64) -> u64 {
    (total / 50).clamp(RESERVE_MIN, RESERVE_MAX)
}

const RESERVE_MIN: u64 = 64 * 1024 * 1024;
const RESERVE_MAX: u64 = 2 * 1024 * 1024 * 1024;
const LOOK_EVERY: Duration = Duration::from_secs(1);
