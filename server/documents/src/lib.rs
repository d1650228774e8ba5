//! Acts as sealed PDF: typed data in, bytes out.
//!
//! Invariants: no clock, file or socket is read here; the moment, the key and the randomness are
//! handed in, and equal input gives equal bytes from [`ActRenderer::render`]. What a person typed
//! reaches the typesetter as data, never as markup. An act without a [`Decision`] cannot print
//! an annulment, for only a decision carries the sanction and the further members.

mod act;
mod error;
mod form1;
mod language;
mod moment;
mod qr;
mod render;
pub mod seal;
mod settings;
mod texts;
mod world;

pub use act::{
    ActData, Candidate, Decision, Evidence, RecordingReference, Sanction, Still, StillError,
    Verification,
};
pub use error::{DocumentError, OTHER_LINES_MAX, STILLS_MAX};
pub use language::Language;
pub use moment::{Moment, MomentError};
pub use qorgan_protocol::incident::Form1Box;
pub use qr::{QrPath, qr_path};
pub use render::ActRenderer;
pub use seal::{SealError, SealMeta, Sealer};
pub use settings::{ActSettings, Institution};
pub use texts::{Form1TextChanges, Form1Texts};
