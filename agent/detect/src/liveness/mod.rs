//! Whether a living face answers: the head turns as asked, and the face takes on the screen's light.
//!
//! These are measures alone: who is asked for what and when, and what follows, is decided outside.
//! Each finds what the other cannot. A print takes on the light of a screen as skin does, but turned
//! by hand it stays a plane, which the mesh does not read as a head that turns. A display or a fed
//! film shines by itself and hardly takes on light, but can show a head that turns the right way by
//! chance.
//!
//! # Invariants
//! * A score is a pure function of the numbers that are kept with it; no pixel is kept.
//! * What cannot be told is no score: it speaks for nobody, and the caller asks for something else.

mod light;
mod turn;

pub(crate) use light::{KeptLight, again as light_again};
pub use light::{LIGHT_NOT_FOLLOWED, LightAnswer, LitLook, Shade, light_score};
pub use turn::{HeadReader, TURN_DEGREES, TURN_NOT_FOLLOWED, turn_score, turned};
pub(crate) use turn::{KeptTurn, again as turn_again};

use qorgan_protocol::incident::Severity;

/// From this score on what was asked for was not followed, for both measures.
pub const LIVENESS_THRESHOLD: Severity = Severity::clamped(0.5);
