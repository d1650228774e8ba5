//! What is asked.

use serde::{Deserialize, Serialize};

use crate::ids::{ItemId, PictureId, TestId};

/// One block of an item's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "block", rename_all = "snake_case")]
pub enum Block {
    /// A paragraph of text.
    Text {
        /// The text.
        text: String,
    },
    /// A picture.
    Picture {
        /// Which.
        picture: PictureId,
        /// What it shows, for those who cannot see it.
        alt: String,
    },
}

/// One choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Choice {
    /// Its identifier within the item, such as `A`.
    pub id: String,
    /// What it says.
    pub text: String,
}

/// How the candidate responds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "interaction", rename_all = "snake_case")]
pub enum Interaction {
    /// One choice is right.
    SingleChoice {
        /// The choices, in the order shown.
        choices: Vec<Choice>,
    },
    /// Any number of choices may be right.
    MultipleChoice {
        /// The choices, in the order shown.
        choices: Vec<Choice>,
        /// The most that may be chosen; 0 for no bound.
        choices_max: u8,
    },
}

/// An item with its key; never leaves the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssessmentItem {
    /// Its identifier.
    pub id: ItemId,
    /// The author's name for it (QTI `identifier`).
    pub code: String,
    /// Its title, for staff.
    pub title: String,
    /// What is shown, in order.
    pub body: Vec<Block>,
    /// The question put to the candidate (QTI `qti-prompt`).
    pub prompt: String,
    /// How it is responded to.
    pub interaction: Interaction,
    /// The right choices, sorted.
    pub correct: Vec<String>,
    /// The points for a right response.
    pub points: u16,
}

/// A picture of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Its identifier.
    pub id: PictureId,
    /// `image/png` or `image/jpeg`.
    pub media_type: String,
    /// The file's bytes.
    pub bytes: Vec<u8>,
}

/// A test in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssessmentTest {
    /// Its identifier.
    pub id: TestId,
    /// Its title.
    pub title: String,
    /// `kk`, `ru` or `en`.
    pub language: String,
    /// Its items, in order.
    pub items: Vec<AssessmentItem>,
    /// Its pictures.
    pub pictures: Vec<Picture>,
}

/// One item as the candidate gets it: no key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ItemPage {
    /// Its identifier.
    pub id: ItemId,
    /// Its place, from 1.
    pub position: u16,
    /// How many items there are.
    pub of: u16,
    /// What is shown, in order.
    pub body: Vec<Block>,
    /// The question put.
    pub prompt: String,
    /// How it is responded to.
    pub interaction: Interaction,
}

impl AssessmentItem {
    /// Returns the page for a candidate, at `position` of `of`.
    #[must_use]
    pub fn page(&self, position: u16, of: u16) -> ItemPage {
        ItemPage {
            id: self.id,
            position,
            of,
            body: self.body.clone(),
            prompt: self.prompt.clone(),
            interaction: self.interaction.clone(),
        }
    }
}
