//! Identifiers: UUIDv7 newtypes, made by whoever creates the thing.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::WallTime;

/// Says that a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an identifier (expected a UUID such as 0190b2c4-…)")]
pub struct IdError {
    /// The text that was refused.
    pub text: String,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Makes an identifier from the time of creation and ten random bytes (UUIDv7).
            #[must_use]
            pub fn new(at: WallTime, random: [u8; 10]) -> Self {
                let ms = u64::try_from(at.unix_ms()).unwrap_or_default();
                Self(uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid())
            }

            /// Returns the sixteen bytes, for canonical encodings and keys.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::parse_str(text).map(Self).map_err(|_bad| IdError { text: text.to_owned() })
            }
        }

        #[cfg(feature = "schema")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                crate::schema::text_schema(concat!(stringify!($name), ", a UUID"))
            }
        }

        #[cfg(feature = "schema")]
        impl utoipa::ToSchema for $name {}
    };
}

id!(
    /// The institution that holds the exam; one in use, carried by every table and signature.
    InstitutionId
);
id!(
    /// A person with an account: a candidate or a member of staff.
    PersonId
);
id!(
    /// An exam: a discipline, a date and a form (SOP 1, 3).
    ExamId
);
id!(
    /// A scheduled occurrence of an exam (SOP 8).
    SittingId
);
id!(
    /// One candidate in one sitting.
    AttemptId
);
id!(
    /// An assessment test (QTI).
    TestId
);
id!(
    /// An assessment item (QTI).
    ItemId
);
id!(
    /// A picture that an item shows.
    PictureId
);
id!(
    /// Something to look at.
    IncidentId
);
id!(
    /// A formal act (SOP 12, 17).
    ActId
);
id!(
    /// A message between proctor and candidate.
    MessageId
);

/// Which machine and key an attempt is bound to; raised by each approved move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The first epoch of every attempt.
    pub const FIRST: Self = Self(1);

    /// Returns the epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{}", self.0)
    }
}

/// Names one run of a machine's kernel; a restart changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootId(pub [u8; 16]);

#[cfg(feature = "schema")]
impl utoipa::PartialSchema for BootId {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        crate::schema::text_schema("Sixteen bytes")
    }
}

#[cfg(feature = "schema")]
impl utoipa::ToSchema for BootId {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_reads_back_from_its_text() {
        let id = AttemptId::new(WallTime::from_unix_ms(1_790_000_000_000), [7; 10]);
        assert_eq!(id.to_string().parse::<AttemptId>(), Ok(id));
    }

    #[test]
    fn a_text_that_is_no_identifier_is_named_in_the_error() {
        let error = "robot".parse::<AttemptId>().expect_err("not a UUID");
        assert!(error.to_string().contains("robot"));
    }

    #[test]
    fn identifiers_sort_by_the_time_they_were_made() {
        let early = ItemId::new(WallTime::from_unix_ms(1_000), [9; 10]);
        let late = ItemId::new(WallTime::from_unix_ms(2_000), [0; 10]);
        assert!(early < late);
    }
}
