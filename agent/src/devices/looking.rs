//! Detectors with their patience: scores in, sightings out; and getting to know the candidate.

use std::sync::Arc;

use qorgan_agent_core::debounce::Debouncer;
use qorgan_agent_core::sighting::Sighting;
use qorgan_detect::{
    Acquaintance, Detector, FaceFinder, Input, Known, Picture, Scored, Seen, Voices,
};
use qorgan_protocol::incident::{Edge, IncidentKind, Severity};
use qorgan_protocol::time::Now;

use crate::candidate::Candidate;

/// Every detector of one device.
#[derive(Debug)]
pub(super) struct Looking {
    eyes: Vec<Eye>,
    /// Finds faces once for every detector of faces.
    faces: Option<FaceFinder>,
    /// Who is to be known, and what was seen of them so far.
    meeting: Option<(Arc<Candidate>, Acquaintance)>,
}

#[derive(Debug)]
struct Eye {
    detector: Box<dyn Detector>,
    debouncer: Debouncer,
}

impl Looking {
    pub(super) fn new(detectors: Vec<Box<dyn Detector>>) -> Self {
        Self {
            eyes: detectors.into_iter().map(Eye::of).collect(),
            faces: None,
            meeting: None,
        }
    }

    /// Every detector of a camera; where the model of faces cannot be loaded, those without it. Who
    /// was met by an agent before this one is known at once.
    pub(super) fn camera(candidate: &Arc<Candidate>) -> Self {
        let faces = FaceFinder::load()
            .inspect_err(|error| tracing::error!(%error, "No faces are looked for"));
        let mut looking = Self {
            faces: faces.ok(),
            ..Self::new(qorgan_detect::camera_detectors())
        };
        match candidate.known() {
            Some(known) => looking.expect(&known),
            None => looking.meet(candidate),
        }
        looking
    }

    fn meet(&mut self, candidate: &Arc<Candidate>) {
        let Some(finder) = &self.faces else {
            return;
        };
        let met = Acquaintance::load().map(|mut meeting| {
            candidate.show_photo(&mut meeting, finder);
            meeting
        });
        match met {
            Ok(meeting) => self.meeting = Some((Arc::clone(candidate), meeting)),
            Err(error) => tracing::error!(%error, "The candidate cannot be met"),
        }
    }

    /// Looks from now on whether it is this candidate who sits there.
    fn expect(&mut self, known: &Known) {
        let seed = qorgan_signing::random().map_or(0, u64::from_le_bytes);
        match known.detectors(seed) {
            Ok(detectors) => self.eyes.extend(detectors.into_iter().map(Eye::of)),
            Err(error) => tracing::error!(%error, "The candidate cannot be recognised"),
        }
    }

    /// Takes a look of check-in; says so where another person checks in than the photo shows.
    fn learn(&mut self, now: Now, seen: Seen<'_>) -> Option<Sighting> {
        let (candidate, meeting) = self.meeting.as_mut()?;
        let known = match meeting.look(seen) {
            Ok(known) => known?,
            Err(error) => {
                tracing::warn!(%error, "A look of check-in does not count");
                return None;
            }
        };
        candidate.learnt(&known);
        self.meeting = None;
        self.expect(&known);
        let score = known.check_in_score()?;
        let threshold = Severity::clamped(0.5);
        (score >= threshold).then(|| Sighting {
            score,
            threshold,
            ..Sighting::fact(
                IncidentKind::Impersonation,
                Edge::Moment,
                now,
                PHOTO_ON_FILE,
                "the photo on file shows another person",
            )
        })
    }

    pub(super) fn picture(&mut self, now: Now, picture: Picture<'_>) -> Vec<Sighting> {
        let mut said = self.look(now, Input::Picture(picture));
        let found = self.faces.as_mut().map(|finder| finder.look(now, picture));
        match found {
            Some(Ok(Some(faces))) => {
                let seen = Seen {
                    picture,
                    faces: &faces,
                };
                said.extend(self.look(now, Input::Faces(seen)));
                said.extend(self.learn(now, seen));
            }
            Some(Err(error)) => tracing::warn!(%error, "A picture's faces cannot be found"),
            Some(Ok(None)) | None => {}
        }
        said
    }

    pub(super) fn sound(&mut self, now: Now, samples: &[i16]) -> Vec<Sighting> {
        self.look(now, Input::Sound(samples))
    }

    pub(super) fn voices(&mut self, now: Now, voices: &Voices) -> Vec<Sighting> {
        self.look(now, Input::Voices(voices))
    }

    fn look(&mut self, now: Now, input: Input<'_>) -> Vec<Sighting> {
        self.eyes
            .iter_mut()
            .filter_map(|eye| eye.look(now, input))
            .collect()
    }
}

impl Eye {
    fn of(detector: Box<dyn Detector>) -> Self {
        let patience = detector.patience();
        Self {
            debouncer: Debouncer::new(patience.begin_after, patience.end_after),
            detector,
        }
    }

    fn look(&mut self, now: Now, input: Input<'_>) -> Option<Sighting> {
        let scored = self.detector.look(now, input)?;
        let threshold = self.detector.threshold();
        let edge = self.debouncer.see(now, scored.score >= threshold)?;
        Some(Sighting {
            kind: self.detector.kind(),
            edge,
            at: now,
            stream: None,
            score: scored.score,
            threshold,
            detector: self.detector.name(),
            scored_input: kept(&scored),
            detail: scored.detail,
        })
    }
}

fn kept(scored: &Scored) -> Vec<u8> {
    scored.input().unwrap_or_else(|error| {
        tracing::warn!(%error, "A scored input cannot be kept");
        Vec::new()
    })
}

/// Compares the faces of check-in with the photo on file.
const PHOTO_ON_FILE: &str = "photo-on-file/1";

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use qorgan_protocol::incident::{Edge, IncidentKind};

    use super::*;

    #[test]
    fn a_covered_camera_begins_and_ends_with_the_scored_picture_in_hand() {
        let mut looking = Looking::new(qorgan_detect::camera_detectors());
        let (black, mut said) = (vec![16; 640 * 480], Vec::new());
        for n in 0..60_u8 {
            let room: Vec<u8> = (0..640_u32 * 480)
                .map(|pixel| u8::try_from((pixel * 7 + u32::from(n) * 3) % 200).expect("a byte"))
                .collect();
            let pixels = if (10..40).contains(&n) { &black } else { &room };
            let colourless = [128; 320 * 240];
            let planes = [pixels.as_slice(), &colourless, &colourless];
            let picture = Picture::i420(640, 480, planes).expect("whole");
            said.extend(looking.picture(at(u64::from(n) * 500), picture));
        }
        let edges: Vec<_> = said.iter().map(|seen| (seen.kind, seen.edge)).collect();
        assert_eq!(
            edges,
            [
                (IncidentKind::CameraCovered, Edge::Began),
                (IncidentKind::CameraCovered, Edge::Holds),
                (IncidentKind::CameraCovered, Edge::Ended)
            ]
        );
        let again = qorgan_detect::replay(said[0].detector, &said[0].scored_input);
        assert_eq!(again.expect("the same detector"), said[0].score);
    }

    fn at(ms: u64) -> Now {
        Now::from_origin(Duration::from_millis(ms))
    }
}
