//! What the agent is told and has learnt of the candidate: the photo on file, what is watched for,
//! how face and bearing were at check-in, that the face was a living one, and the voice that read
//! aloud there.
//!
//! What was learnt is sealed under the spool's key and lies beside the spool: an agent that was
//! killed and started again expects the same person, not whoever sits there then.

use std::fs;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use image::{ImageReader, Limits};
use qorgan_capture::{I420Frame, frame_of_rgb};
use qorgan_detect::{Acquaintance, FaceFinder, Known, LightAnswer, Picture, VoicePrint};
use qorgan_protocol::ids::{AttemptId, Epoch};
use qorgan_protocol::incident::{Allowance, WatchPolicy};
use qorgan_protocol::wire::AgentEnrolReply;
use qorgan_signing::SecretKey;

use crate::spool::Learnt;

/// The candidate of one attempt and epoch.
pub(crate) struct Candidate {
    photo: Option<Vec<u8>>,
    watch: WatchPolicy,
    allowances: Vec<Allowance>,
    /// How face and bearing were.
    known: Kept,
    /// How the voice was.
    voice: Kept,
    /// That a living face was seen, and how much light it takes on.
    alive: Kept,
    key: SecretKey,
}

/// Where something that was learnt lies, and the name that it is sealed under.
struct Kept {
    path: PathBuf,
    place: String,
    /// Whether it was learnt, here or by an agent before this one.
    learnt: AtomicBool,
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
        let kept = |what: &str| Kept {
            path: folder.join(format!("{attempt}.{epoch}.{what}")),
            place: format!("{what}:{attempt}:{epoch}"),
            learnt: AtomicBool::new(false),
        };
        let candidate = Self {
            photo: rules.photo.as_ref().map(|photo| photo.0.clone()),
            watch: rules.watch.clone(),
            allowances: rules.allowances.clone(),
            known: kept("known"),
            voice: kept("voice"),
            alive: kept("alive"),
            key: SecretKey::new(key),
        };
        for kept in candidate.all_kept() {
            let there = candidate.read(kept, |_bytes| Some(())).is_some();
            kept.learnt.store(there, Ordering::Relaxed);
        }
        candidate
    }

    /// Returns what was learnt, here or by an agent before this one.
    pub(crate) fn learnt_so_far(&self) -> Learnt {
        let learnt = |kept: &Kept| kept.learnt.load(Ordering::Relaxed);
        Learnt {
            face: learnt(&self.known),
            voice: learnt(&self.voice),
            alive: learnt(&self.alive),
        }
    }

    /// Returns what an agent before this one had learnt and is gone, or does not open: whoever sits
    /// there now would be taken for the candidate. It counts as learnt all the same, so that each
    /// agent that lacks it says so.
    pub(crate) fn forgotten(&self, before: Learnt) -> Vec<&'static str> {
        [
            ("face and bearing", &self.known, before.face),
            ("the voice", &self.voice, before.voice),
            ("that the face is a living one", &self.alive, before.alive),
        ]
        .into_iter()
        .filter(|(_what, kept, before)| *before && !kept.learnt.swap(true, Ordering::Relaxed))
        .map(|(what, _kept, _before)| what)
        .collect()
    }

    const fn all_kept(&self) -> [&Kept; 3] {
        [&self.known, &self.voice, &self.alive]
    }

    /// Returns what is watched for.
    pub(crate) const fn watch(&self) -> &WatchPolicy {
        &self.watch
    }

    /// Returns what the candidate is granted.
    pub(crate) fn allowances(&self) -> &[Allowance] {
        &self.allowances
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

    /// Returns what an agent before this one learnt of face and bearing.
    pub(crate) fn known(&self) -> Option<Known> {
        self.read(&self.known, |bytes| Known::from_bytes(bytes).ok())
    }

    /// Returns what an agent before this one learnt of the voice.
    pub(crate) fn voice(&self) -> Option<VoicePrint> {
        self.read(&self.voice, |bytes| VoicePrint::from_bytes(bytes).ok())
    }

    /// Keeps what was learnt of face and bearing.
    pub(crate) fn learnt(&self, known: &Known) {
        self.keep(&self.known, &known.to_bytes());
    }

    /// Keeps what was learnt of the voice.
    pub(crate) fn learnt_voice(&self, voice: &VoicePrint) {
        self.keep(&self.voice, &voice.to_bytes());
    }

    /// Returns whether an agent before this one saw a living face, and how much light it takes on.
    pub(crate) fn alive(&self) -> Option<Option<LightAnswer>> {
        self.read(&self.alive, |bytes| match bytes.as_chunks::<4>() {
            ([], []) => Some(None),
            ([follows, doubt], []) => Some(Some(LightAnswer {
                follows: f32::from_le_bytes(*follows),
                doubt: f32::from_le_bytes(*doubt),
            })),
            _ => None,
        })
    }

    /// Keeps that a living face was seen.
    pub(crate) fn seen_alive(&self, usual: Option<LightAnswer>) {
        let numbers = usual.map(|usual| [usual.follows, usual.doubt]);
        let numbers = numbers.iter().flatten();
        let bytes: Vec<u8> = numbers.flat_map(|number| number.to_le_bytes()).collect();
        self.keep(&self.alive, &bytes);
    }

    /// Forgets the candidate: the recording is delivered.
    pub(crate) fn forget(&self) {
        for kept in self.all_kept() {
            match fs::remove_file(&kept.path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => tracing::warn!(%error, "What was learnt at check-in stays"),
            }
        }
    }

    fn read<T>(&self, kept: &Kept, parse: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
        let sealed = match fs::read(&kept.path) {
            Ok(sealed) => sealed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(%error, "What was learnt at check-in cannot be read");
                return None;
            }
        };
        let opened = self.key.open(kept.place.as_bytes(), &sealed).ok();
        let learnt = opened.and_then(|bytes| parse(&bytes));
        if learnt.is_none() {
            tracing::warn!("What was learnt at check-in was changed, and is learnt anew");
        }
        learnt
    }

    fn keep(&self, kept: &Kept, bytes: &[u8]) {
        let written = self
            .key
            .seal(kept.place.as_bytes(), bytes)
            .map_err(io::Error::other)
            .and_then(|sealed| qorgan_files::replace(&kept.path, &sealed));
        match written {
            Ok(()) => kept.learnt.store(true, Ordering::Relaxed),
            Err(error) => {
                tracing::warn!(%error, "What was learnt at check-in cannot be kept");
            }
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
