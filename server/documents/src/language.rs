//! The languages that an act can be drawn up in.

use serde::{Deserialize, Serialize};

/// Names the language of an act.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub enum Language {
    /// Kazakh, the language of the procedure's own forms.
    #[default]
    #[serde(rename = "kk")]
    Kazakh,
    /// Russian.
    #[serde(rename = "ru")]
    Russian,
    /// English.
    #[serde(rename = "en")]
    English,
}

impl Language {
    /// Every language, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::Kazakh, Self::Russian, Self::English];

    /// Returns the ISO 639-1 code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Kazakh => "kk",
            Self::Russian => "ru",
            Self::English => "en",
        }
    }
}
