//! Why an act is not rendered, and the bounds that it is refused beyond.

use thiserror::Error;

/// How many stills one act can show; more is refused, for an act is read by people.
pub const STILLS_MAX: usize = 48;

/// How many lines of other facts one act can hold; more is refused.
pub const OTHER_LINES_MAX: usize = 200;

/// Says why an act cannot be rendered.
#[derive(Debug, Error)]
pub enum DocumentError {
    /// The act has more stills than can be shown.
    #[error("an act shows at most {STILLS_MAX} stills, this one has {stills}")]
    TooManyStills {
        /// How many the act has.
        stills: usize,
    },
    /// The act has more other facts than can be printed.
    #[error("an act holds at most {OTHER_LINES_MAX} other lines, this one has {lines}")]
    TooManyLines {
        /// How many the act has.
        lines: usize,
    },
    /// The verification link does not fit into a code.
    #[error("the verification link does not fit into a QR code")]
    Code(#[source] qrcode::types::QrError),
    /// The values cannot be handed to the template.
    #[error("the act's values cannot be handed to the form")]
    Values(#[source] serde_json::Error),
    /// The moment cannot be written into the document.
    #[error("the act's moment cannot be written into a PDF")]
    Moment,
    /// The standards exclude one another.
    #[error("the document standards exclude one another: {message}")]
    Standards {
        /// What the PDF writer says.
        message: String,
    },
    /// The typesetter refuses the form.
    #[error("the form cannot be set: {message}")]
    Form {
        /// What the typesetter says.
        message: String,
    },
    /// The result would break PDF/A-3a or PDF/UA-1.
    #[error("the act would break PDF/A-3a or PDF/UA-1: {message}")]
    Conformance {
        /// What the PDF writer's checks say.
        message: String,
    },
}
