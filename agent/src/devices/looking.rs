//! Detectors with their patience: scores in, sightings out.

use qorgan_agent_core::debounce::Debouncer;
use qorgan_agent_core::sighting::Sighting;
use qorgan_detect::{Detector, FaceFinder, Input, Picture, Scored, Seen};
use qorgan_protocol::time::Now;

/// Every detector of one device.
#[derive(Debug)]
pub(super) struct Looking {
    eyes: Vec<Eye>,
    /// Finds faces once for every detector of faces.
    faces: Option<FaceFinder>,
}

#[derive(Debug)]
struct Eye {
    detector: Box<dyn Detector>,
    debouncer: Debouncer,
}

impl Looking {
    pub(super) fn new(detectors: Vec<Box<dyn Detector>>) -> Self {
        let eyes = detectors.into_iter().map(|detector| {
            let patience = detector.patience();
            Eye {
                debouncer: Debouncer::new(patience.begin_after, patience.end_after),
                detector,
            }
        });
        Self {
            eyes: eyes.collect(),
            faces: None,
        }
    }

    /// Every detector of a camera; where the model of faces cannot be loaded, those without it.
    pub(super) fn camera() -> Self {
        let faces = FaceFinder::load()
            .inspect_err(|error| tracing::error!(%error, "No faces are looked for"));
        Self {
            faces: faces.ok(),
            ..Self::new(qorgan_detect::camera_detectors())
        }
    }

    pub(super) fn picture(&mut self, now: Now, picture: Picture<'_>) -> Vec<Sighting> {
        let mut said = self.look(now, Input::Picture(picture));
        let found = self.faces.as_mut().map(|finder| finder.look(now, picture));
        match found {
            Some(Ok(Some(faces))) => {
                let faces = &faces;
                said.extend(self.look(now, Input::Faces(Seen { picture, faces })));
            }
            Some(Err(error)) => tracing::warn!(%error, "A picture's faces cannot be found"),
            Some(Ok(None)) | None => {}
        }
        said
    }

    pub(super) fn sound(&mut self, now: Now, samples: &[i16]) -> Vec<Sighting> {
        self.look(now, Input::Sound(samples))
    }

    fn look(&mut self, now: Now, input: Input<'_>) -> Vec<Sighting> {
        self.eyes
            .iter_mut()
            .filter_map(|eye| eye.look(now, input))
            .collect()
    }
}

impl Eye {
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
