//! Who may begin an attempt, and when (SOP 7 and 8).

use crate::time::WallTime;

/// What an office says of one candidate and sitting, read anew whenever it decides something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Whether the candidate is admitted.
    pub admitted: bool,
    /// When the sitting opens.
    pub opens: WallTime,
    /// Until when it can be begun.
    pub closes: WallTime,
}

/// Says why nobody may begin now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryRefused {
    /// The candidate is not admitted, or no longer.
    #[error("the candidate is not admitted")]
    NotAdmitted,
    /// The sitting has not opened.
    #[error("the sitting has not opened")]
    TooEarly,
    /// The sitting is closed.
    #[error("the sitting is closed")]
    TooLate,
}

impl Entry {
    /// Tells whether an attempt may be begun at `now`.
    ///
    /// # Errors
    /// Says why not.
    //= tests/data/sop-2-28.md#7-admission
    //= tests/data/sop-2-28.md#8-sitting-times
    pub fn at(self, now: WallTime) -> Result<(), EntryRefused> {
        if !self.admitted {
            Err(EntryRefused::NotAdmitted)
        } else if now < self.opens {
            Err(EntryRefused::TooEarly)
        } else if now > self.closes {
            Err(EntryRefused::TooLate)
        } else {
            Ok(())
        }
    }
}
