//! What the agent is told and has learnt of the candidate: the photo on file, what is watched for,
//! and how face and bearing were at check-in.
//!
//! What was learnt is sealed under the spool's key and lies beside the spool: an agent that was
//! killed and started again expects the same person, not whoever sits there then.

use std::fs;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};

use image::{ImageReader, Limits};
use qorgan_capture::{I420Frame, frame_of_rgb};
use qorgan_detect::{Acquaintance, FaceFinder, Known, Picture};
use qorgan_protocol::ids::{AttemptId, Epoch};
use qorgan_protocol::incident::WatchPolicy;
use qorgan_protocol::wire::AgentEnrolReply;
use qorgan_signing::SecretKey;

/// The candidate of one attempt and epoch.
pub(crate) struct Candidate {
    photo: Option<Vec<u8>>,
    watch: WatchPolicy,
    path: PathBuf,
    place: String,
    key: SecretKey,
}

/// A photo is personal: it is never printed.
impl core::fmt::Debug for Candidate {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("‹private›")
    }
}

impl Candidate {
    /// Names the candidate of an attempt, as the exam's rules tell.
    pub(crate) fn new(
        folder: &Path,
        key: [u8; 32],
        (attempt, epoch): (AttemptId, Epoch),
        rules: &AgentEnrolReply,
    ) -> Self {
        Self {
            photo: rules.photo.as_ref().map(|photo| photo.0.clone()),
            watch: rules.watch.clone(),
            path: folder.join(format!("{attempt}.{epoch}.known")),
            place: format!("known:{attempt}:{epoch}"),
            key: SecretKey::new(key),
        }
    }

    /// Returns what is watched for.
    pub(crate) const fn watch(&self) -> &WatchPolicy {
        &self.watch
    }

    /// Shows the photo on file to who is getting to know the candidate.
    pub(crate) fn show_photo(&self, meeting: &mut Acquaintance, finder: &FaceFinder) {
        let Some(photo) = &self.photo else {
            return;
        };
        let shown = frame_of_photo(photo).and_then(|frame| {
            let picture = Picture::i420(frame.width, frame.height, frame.yuv()).ok()?;
            meeting.photo(finder, picture).ok()
        });
        match shown {
            Some(true) => {}
            Some(false) => tracing::warn!("The photo on file shows no face, or several"),
            None => tracing::warn!("The photo on file cannot be read"),
        }
    }

    /// Returns what an agent before this one learnt.
    pub(crate) fn known(&self) -> Option<Known> {
        let sealed = match fs::read(&self.path) {
            Ok(sealed) => sealed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(%error, "What was learnt at check-in cannot be read");
                return None;
            }
        };
        let opened = self.key.open(self.place.as_bytes(), &sealed).ok();
        let known = opened.and_then(|bytes| Known::from_bytes(&bytes).ok());
        if known.is_none() {
            tracing::warn!("What was learnt at check-in was changed, and is learnt anew");
        }
        known
    }

    /// Keeps what was learnt.
    pub(crate) fn learnt(&self, known: &Known) {
        let kept = self
            .key
            .seal(self.place.as_bytes(), &known.to_bytes())
            .map_err(io::Error::other)
            .and_then(|sealed| {
                let fresh = self.path.with_extension("fresh");
                fs::write(&fresh, sealed)?;
                fs::rename(&fresh, &self.path)
            });
        if let Err(error) = kept {
            tracing::warn!(%error, "What was learnt at check-in cannot be kept");
        }
    }

    /// Forgets the candidate: the recording is delivered.
    pub(crate) fn forget(&self) {
        match fs::remove_file(&self.path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, "What was learnt at check-in stays"),
        }
    }
}

/// Decodes a photo within bounds.
fn frame_of_photo(jpeg: &[u8]) -> Option<I420Frame> {
    let mut reader = ImageReader::new(Cursor::new(jpeg))
        .with_guessed_format()
        .ok()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(PHOTO_PX_MAX);
    limits.max_image_height = Some(PHOTO_PX_MAX);
    reader.limits(limits);
    let photo = reader.decode().ok()?.into_rgb8();
    frame_of_rgb(photo.as_raw(), photo.width(), photo.height()).ok()
}

const PHOTO_PX_MAX: u32 = 4_096;
