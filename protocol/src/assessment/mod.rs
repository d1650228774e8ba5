//! Tests, items, responses and scoring, in QTI's words.

mod item;
mod response;

pub use item::{AssessmentItem, AssessmentTest, Block, Choice, Interaction, ItemPage, Picture};
pub use response::{Response, ResponseEntry, ResponseSeq, score};
