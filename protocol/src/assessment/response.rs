//! What the candidate gives, and what it is worth.

use serde::{Deserialize, Serialize};

use super::item::{AssessmentItem, Interaction};
use crate::crypto::Sha256;
use crate::ids::{AttemptId, Epoch, ItemId};
use crate::time::Now;

/// The place of an entry in an attempt's journal within an epoch, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct ResponseSeq(pub u64);

/// A response to one item; tagged from outside, for postcard reads no inner tags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// The chosen identifiers, sorted; empty where a choice was taken back.
    Choices {
        /// The identifiers.
        choices: Vec<String>,
    },
}

impl Response {
    /// Returns a response of these choices.
    #[must_use]
    pub fn choices(mut choices: Vec<String>) -> Self {
        choices.sort_unstable();
        choices.dedup();
        Self::Choices { choices }
    }

    /// Tells whether nothing is chosen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Choices { choices } => choices.is_empty(),
        }
    }

    /// Tells whether the item offers what is chosen.
    #[must_use]
    pub fn fits(&self, interaction: &Interaction) -> bool {
        let Self::Choices { choices } = self;
        let (offered, most) = match interaction {
            Interaction::SingleChoice { choices } => (choices, 1),
            Interaction::MultipleChoice {
                choices,
                choices_max: 0,
            } => (choices, choices.len()),
            Interaction::MultipleChoice {
                choices,
                choices_max,
            } => (choices, usize::from(*choices_max)),
        };
        choices.len() <= most && choices.iter().all(|id| offered.iter().any(|c| c.id == *id))
    }
}

/// One line of the candidate's journal; idempotent by (attempt, epoch, seq).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseEntry {
    /// Whose attempt.
    pub attempt: AttemptId,
    /// On which machine.
    pub epoch: Epoch,
    /// Its place.
    pub seq: ResponseSeq,
    /// Which item.
    pub item: ItemId,
    /// What was given.
    pub response: Response,
    /// Whether the candidate flagged the item for later.
    pub flagged: bool,
    /// When, on the client's monotonic clock.
    pub at: Now,
    /// How long before the client's lease ended, in milliseconds; negative after its end. What the
    /// client says, and evidence only: the server judges by its own record.
    pub lease_left_ms: i64,
    /// Hash of the entry before, [`Sha256::ZERO`] for the first.
    pub previous: Sha256,
}

/// Returns the points for a response: all for exactly the right choices, else none.
#[must_use]
pub fn score(item: &AssessmentItem, response: &Response) -> u16 {
    let Response::Choices { choices } = response;
    if *choices == item.correct && !choices.is_empty() {
        item.points
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use crate::time::WallTime;

    #[test]
    fn a_journal_entry_reads_back_from_its_canonical_bytes() {
        let entry = ResponseEntry {
            attempt: AttemptId::new(WallTime::from_unix_ms(1), [1; 10]),
            epoch: Epoch::FIRST,
            seq: ResponseSeq(0),
            item: ItemId::new(WallTime::from_unix_ms(1), [2; 10]),
            response: Response::choices(vec!["B".to_owned(), "A".to_owned()]),
            flagged: false,
            at: Now::default(),
            lease_left_ms: -3,
            previous: Sha256::ZERO,
        };
        let bytes = codec::encode("response entry", &entry).expect("plain data");
        assert_eq!(codec::decode("response entry", &bytes), Ok(entry));
    }
}
