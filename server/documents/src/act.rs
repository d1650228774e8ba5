//! What an act says, as types that cannot say more than was decided.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use qorgan_protocol::incident::Form1Box;
use thiserror::Error;

use crate::language::Language;
use crate::moment::Moment;

//= tests/data/sop-2-28.md#17-act
/// Holds everything that one Form 1 prints.
#[derive(Clone)]
pub struct ActData {
    /// The register's number.
    pub number: String,
    /// The language that the act is drawn up in.
    pub language: Language,
    /// The discipline examined.
    pub discipline: String,
    /// Member 1: the proctor who drew the act up, name first.
    pub proctor: String,
    /// Whom the act is about.
    pub candidate: Candidate,
    /// When the breach was seen, by the server's clock.
    pub seen_at: Moment,
    /// The form's boxes that are marked.
    pub boxes: BTreeSet<Form1Box>,
    /// What was seen and has no box of its own, one line each.
    pub other: Vec<String>,
    /// What the commission decided; until then nothing of it is printed.
    pub decision: Option<Decision>,
    /// The stills that show what was seen, in order.
    pub evidence: Vec<Evidence>,
    /// The recording that the facts come from.
    pub recording: RecordingReference,
    /// How a reader checks the act.
    pub verification: Verification,
}

/// Names the candidate as the act does.
#[derive(Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Surname, name and patronymic.
    pub name: String,
    /// The faculty.
    pub faculty: String,
    /// The year of study.
    pub year: String,
    /// The group.
    pub group: String,
}

/// Is what a commission decided, with those who signed it beside the proctor.
#[derive(Clone, PartialEq, Eq)]
pub struct Decision {
    /// What follows for the candidate.
    pub sanction: Sanction,
    /// Members 2 and 3 of the form.
    pub members: [String; 2],
}

/// Names what follows from an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sanction {
    /// The examination result is annulled.
    AnnulResult,
}

/// Is one still with what stands under it.
#[derive(Clone)]
pub struct Evidence {
    /// The picture.
    pub still: Still,
    /// When it was taken, as it shall be read.
    pub time: String,
    /// What kind of breach it shows.
    pub kind: String,
    /// What can be seen, for those who cannot see it.
    pub caption: String,
}

impl Evidence {
    /// Adds this to `evidence`; a picture that is there already gets what else it shows added to
    /// what stands under it, and is not printed again.
    pub fn add_to(self, evidence: &mut Vec<Self>) {
        let same = evidence.iter_mut().find(|other| other.still == self.still);
        match same {
            None => evidence.push(self),
            Some(other) => {
                if !other.caption.contains(&self.kind) {
                    other.caption = format!("{}; {}", other.caption, self.caption);
                }
            }
        }
    }
}

/// Is an encoded picture, PNG or JPEG.
#[derive(Clone, PartialEq, Eq)]
pub struct Still {
    bytes: Arc<[u8]>,
    format: StillFormat,
}

/// Says why bytes are no still.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StillError {
    /// The first bytes are neither of PNG nor of JPEG.
    #[error("a still of {size_bytes} bytes is neither PNG nor JPEG")]
    UnknownFormat {
        /// How many bytes were given.
        size_bytes: usize,
    },
}

/// Names how a still is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StillFormat {
    /// Lossless.
    Png,
    /// Lossy; goes into the PDF without being coded again.
    Jpeg,
}

/// Points to the recording.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordingReference {
    /// The permanent link, which asks for sign-in.
    pub link: String,
    /// The manifest's root, SHA-256.
    pub root: [u8; 32],
}

/// Says how the act itself is checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Verification {
    /// The page behind the QR code; names nobody.
    pub url: String,
    /// The hash of the registered facts, SHA-256.
    pub act_hash: [u8; 32],
    /// Whether and since when the act is in force, as it shall be read.
    pub validity: String,
}

impl Still {
    /// Takes encoded bytes whose format their first bytes tell.
    ///
    /// # Errors
    /// Returns [`StillError`] when they are neither PNG nor JPEG.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Result<Self, StillError> {
        let bytes = bytes.into();
        let format = if bytes.starts_with(PNG_SIGNATURE) {
            StillFormat::Png
        } else if bytes.starts_with(JPEG_SIGNATURE) {
            StillFormat::Jpeg
        } else {
            return Err(StillError::UnknownFormat {
                size_bytes: bytes.len(),
            });
        };
        Ok(Self { bytes, format })
    }

    /// Returns the encoded bytes.
    pub(crate) fn bytes(&self) -> Arc<[u8]> {
        Arc::clone(&self.bytes)
    }

    /// Returns how they are encoded.
    pub(crate) const fn format(&self) -> StillFormat {
        self.format
    }
}

impl StillFormat {
    /// Returns the typesetter's name of the format.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
        }
    }
}

impl fmt::Debug for ActData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActData")
            .field("number", &self.number)
            .field("language", &self.language)
            .field("candidate", &self.candidate)
            .field("boxes", &self.boxes)
            .field("decision", &self.decision)
            .field("stills", &self.evidence.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PRIVATE)
    }
}

impl fmt::Debug for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decision")
            .field("sanction", &self.sanction)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evidence")
            .field("still", &self.still)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Still {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {} bytes", self.format, self.bytes.len())
    }
}

impl fmt::Debug for RecordingReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PRIVATE)
    }
}

impl fmt::Debug for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PRIVATE)
    }
}

/// What stands in logs for personal data and for links that open something.
const PRIVATE: &str = "‹private›";

const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
const JPEG_SIGNATURE: &[u8] = b"\xff\xd8\xff";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_picture_are_refused() {
        let refused = Still::new(b"GIF89a".as_slice());

        assert_eq!(refused, Err(StillError::UnknownFormat { size_bytes: 6 }));
    }

    #[test]
    fn a_still_that_two_incidents_share_is_printed_once() {
        let one = |picture: u8, kind: &str| Evidence {
            still: Still::new([0xff, 0xd8, 0xff, picture]).expect("a JPEG's beginning"),
            time: "10:42:07".to_owned(),
            kind: kind.to_owned(),
            caption: format!("{kind}: Firefox"),
        };
        let mut evidence = Vec::new();

        for (picture, kind) in [(1, "a"), (1, "a"), (2, "a"), (1, "b"), (1, "b")] {
            one(picture, kind).add_to(&mut evidence);
        }

        let captions: Vec<_> = evidence.iter().map(|one| one.caption.as_str()).collect();
        assert_eq!(captions, ["a: Firefox; b: Firefox", "a: Firefox"]);
    }

    #[test]
    fn the_name_of_a_candidate_never_reaches_a_log() {
        let candidate = Candidate {
            name: "Сейітова Әсел".to_owned(),
            faculty: "Жалпы медицина".to_owned(),
            year: "3".to_owned(),
            group: "305".to_owned(),
        };

        let shown = format!("{candidate:?}");

        assert_eq!(shown, PRIVATE);
    }
}
