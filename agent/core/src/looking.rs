//! Detectors with their patience: scores in, sightings out; and getting to know the candidate.
//!
//! The exam says how readily each kind is raised. A kind that does not count is still told, as it was
//! measured, so that a person can look again; what was scored is then not kept, for nothing is made
//! of it, and a helper's face is nobody's business.

use qorgan_detect::{
    Acquaintance, Cadence, DetectError, Detector, FaceFinder, Input, Known, ModelError, Picture,
    Seen, ThingFinder, Voices,
};
use qorgan_protocol::incident::{Edge, IncidentKind, Sensitivity, Severity, WatchPolicy};
use qorgan_protocol::local::DrawnScreen;
use qorgan_protocol::time::Now;

use crate::debounce::Debouncer;
use crate::sighting::Sighting;
use crate::vigil::Effort;

/// Every detector of one device.
#[derive(Debug)]
pub struct Looking {
    eyes: Vec<Eye>,
    /// How readily each kind is raised.
    watch: WatchPolicy,
    /// Finds faces once for every detector of faces.
    faces: Option<FaceFinder>,
    /// Finds things around the candidate.
    things: Option<ThingFinder>,
    meeting: Option<Acquaintance>,
    effort: Effort,
}

/// What one input brought.
#[derive(Debug, Default)]
pub struct Looked {
    /// What is to be said.
    pub said: Vec<Sighting>,
    /// The candidate, once they are known: [`Looking::expect`] them from here on.
    pub learnt: Option<Known>,
    /// What could not be looked at or kept.
    pub failed: Vec<DetectError>,
}

#[derive(Debug)]
struct Eye {
    detector: Box<dyn Detector>,
    debouncer: Debouncer,
    sensitivity: Sensitivity,
}

impl Looking {
    /// Looks with these detectors, as they were measured.
    #[must_use]
    pub fn new(detectors: Vec<Box<dyn Detector>>) -> Self {
        Self::watching(detectors, &WatchPolicy::remote())
    }

    /// Looks with these detectors for what an exam watches for.
    #[must_use]
    pub fn watching(detectors: Vec<Box<dyn Detector>>, watch: &WatchPolicy) -> Self {
        let eyes = detectors.into_iter();
        Self {
            eyes: eyes.map(|detector| Eye::of(detector, watch)).collect(),
            watch: watch.clone(),
            faces: None,
            things: None,
            meeting: None,
            effort: Effort::Full,
        }
    }

    /// Looks at so much from here on; what was said of a part that is left out stands until it is
    /// back.
    pub fn spend(&mut self, effort: Effort) {
        self.effort = effort;
        if let Some(finder) = &mut self.faces {
            finder.pace(match effort {
                Effort::Full | Effort::NoThings => Cadence::Full,
                Effort::QuickFaces | Effort::NoAttention | Effort::NoIdentity => Cadence::Quick,
                Effort::SeldomFaces => Cadence::Seldom,
            });
        }
    }

    /// Looks for faces too.
    #[must_use]
    pub fn with_faces(mut self, finder: FaceFinder) -> Self {
        self.faces = Some(finder);
        self
    }

    /// Looks for things around the candidate too, where faces are looked for.
    #[must_use]
    pub fn with_things(mut self, finder: ThingFinder) -> Self {
        self.things = Some(finder);
        self
    }

    /// Returns who finds faces.
    #[must_use]
    pub const fn finder(&self) -> Option<&FaceFinder> {
        self.faces.as_ref()
    }

    /// Gets to know the candidate from the next looks on.
    pub fn meet(&mut self, meeting: Acquaintance) {
        self.meeting = Some(meeting);
    }

    /// Looks from here on whether it is this candidate who sits there; the moments of looking
    /// follow from `seed`.
    ///
    /// # Errors
    /// As [`qorgan_detect::Model::load`].
    pub fn expect(&mut self, known: &Known, seed: u64) -> Result<(), ModelError> {
        self.meeting = None;
        let detectors = known.detectors(seed)?.into_iter();
        let watch = &self.watch;
        self.eyes
            .extend(detectors.map(|detector| Eye::of(detector, watch)));
        Ok(())
    }

    /// Returns what to say where another person checked in than the photo on file shows.
    #[must_use]
    pub fn photo_on_file(&self, now: Now, known: &Known) -> Option<Sighting> {
        let score = known.check_in_score()?;
        let sensitivity = self.watch.sensitivity(IncidentKind::Impersonation);
        let threshold = sensitivity.threshold(Severity::clamped(0.5));
        (score >= threshold).then(|| Sighting {
            score,
            threshold,
            ..Sighting::fact(
                IncidentKind::Impersonation,
                Edge::Moment,
                now,
                qorgan_detect::PHOTO_ON_FILE,
                "the photo on file shows another person",
            )
        })
    }

    /// Looks at a picture as captured.
    pub fn picture(&mut self, now: Now, picture: Picture<'_>) -> Looked {
        let mut looked = Looked::default();
        self.look(now, Input::Picture(picture), &mut looked);
        match self.faces.as_mut().map(|finder| finder.look(now, picture)) {
            Some(Ok(Some(faces))) => {
                let seen = Seen {
                    picture,
                    faces: &faces,
                };
                self.look(now, Input::Faces(seen), &mut looked);
                self.learn(seen, &mut looked);
                self.things(now, seen, &mut looked);
            }
            Some(Err(error)) => looked.failed.push(error),
            Some(Ok(None)) | None => {}
        }
        looked
    }

    /// Listens to mono samples at 48 kHz.
    pub fn sound(&mut self, now: Now, samples: &[i16]) -> Looked {
        let mut looked = Looked::default();
        self.look(now, Input::Sound(samples), &mut looked);
        looked
    }

    /// Takes what a listener heard.
    pub fn voices(&mut self, now: Now, voices: &Voices) -> Looked {
        let mut looked = Looked::default();
        self.look(now, Input::Voices(voices), &mut looked);
        looked
    }

    /// Holds a display against what the kiosk drew on it.
    pub fn screen(&mut self, now: Now, drawn: &DrawnScreen, shown: &DrawnScreen) -> Looked {
        let mut looked = Looked::default();
        self.look(now, Input::Screen { drawn, shown }, &mut looked);
        looked
    }

    fn look(&mut self, now: Now, input: Input<'_>, looked: &mut Looked) {
        let effort = self.effort;
        let spared = |eye: &&mut Eye| !effort.leaves_out(eye.detector.kind());
        for eye in self.eyes.iter_mut().filter(spared) {
            eye.look(now, input, looked);
        }
    }

    fn things(&mut self, now: Now, seen: Seen<'_>, looked: &mut Looked) {
        if self.effort.leaves_out(IncidentKind::PhoneInView) {
            return;
        }
        match self.things.as_mut().map(|finder| finder.look(now, seen)) {
            Some(Ok(Some(things))) => self.look(now, Input::Things(&things), looked),
            Some(Err(error)) => looked.failed.push(error),
            Some(Ok(None)) | None => {}
        }
    }

    /// Takes a look of check-in.
    fn learn(&mut self, seen: Seen<'_>, looked: &mut Looked) {
        let Some(meeting) = &mut self.meeting else {
            return;
        };
        match meeting.look(seen) {
            Ok(known) => looked.learnt = known,
            Err(error) => looked.failed.push(error),
        }
        if looked.learnt.is_some() {
            self.meeting = None;
        }
    }
}

impl Eye {
    fn of(detector: Box<dyn Detector>, watch: &WatchPolicy) -> Self {
        let sensitivity = watch.sensitivity(detector.kind());
        let patience = detector.patience();
        let begin_after = sensitivity.patience(patience.begin_after);
        Self {
            debouncer: Debouncer::new(begin_after, patience.end_after),
            detector,
            sensitivity,
        }
    }

    fn look(&mut self, now: Now, input: Input<'_>, looked: &mut Looked) {
        let scored = match self.detector.look(now, input) {
            Ok(Some(scored)) => scored,
            Ok(None) => return,
            Err(error) => return looked.failed.push(error),
        };
        let threshold = self.sensitivity.threshold(self.detector.threshold());
        let Some(edge) = self.debouncer.see(now, scored.score >= threshold) else {
            return;
        };
        let scored_input = if self.sensitivity == Sensitivity::Off {
            Vec::new()
        } else {
            scored.input().unwrap_or_else(|error| {
                looked.failed.push(error.into());
                Vec::new()
            })
        };
        looked.said.push(Sighting {
            kind: self.detector.kind(),
            edge,
            at: now,
            stream: None,
            score: scored.score,
            threshold,
            detector: self.detector.name(),
            scored_input,
            detail: scored.detail,
        });
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use qorgan_detect::{InputError, Patience, Scored};

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
            said.extend(looking.picture(at(u64::from(n) * 500), picture).said);
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

    /// Scores every picture alike.
    #[derive(Debug)]
    struct Sure(f64);

    impl Detector for Sure {
        fn name(&self) -> &'static str {
            "sure/1"
        }

        fn kind(&self) -> IncidentKind {
            IncidentKind::SecondFace
        }

        fn threshold(&self) -> Severity {
            Severity::clamped(0.4)
        }

        fn patience(&self) -> Patience {
            Patience {
                begin_after: Duration::from_secs(2),
                end_after: Duration::ZERO,
            }
        }

        fn look(&mut self, now: Now, input: Input<'_>) -> Result<Option<Scored>, DetectError> {
            // What is kept of a real detector's look stands for what this one saw.
            let scored = qorgan_detect::CoveredCamera::default().look(now, input)?;
            Ok(scored.map(|mut scored| {
                scored.score = Severity::clamped(self.0);
                scored
            }))
        }
    }

    /// Returns what is said of three seconds of this score.
    fn said(score: f64, sensitivity: Sensitivity) -> Option<Sighting> {
        let mut watch = WatchPolicy::remote();
        assert!(watch.set(IncidentKind::SecondFace, sensitivity));
        let mut looking = Looking::watching(vec![Box::new(Sure(score))], &watch);
        let (grey, colourless) = (vec![90; 640 * 480], [128; 320 * 240]);
        let planes = [grey.as_slice(), &colourless, &colourless];
        let picture = Picture::i420(640, 480, planes).expect("whole");
        let mut said = (0..=6).flat_map(|n| looking.picture(at(n * 500), picture).said);
        said.next()
    }

    #[test]
    fn the_exams_sensitivity_moves_threshold_and_patience() {
        let normal = said(0.45, Sensitivity::Normal).expect("over 0.4 for two seconds");
        assert_eq!(
            (normal.at, normal.threshold),
            (at(2_000), Severity::clamped(0.4))
        );
        assert_eq!(said(0.35, Sensitivity::Normal), None);
        assert_eq!(said(0.45, Sensitivity::Low), None, "below 0.6");
        assert_eq!(
            said(0.95, Sensitivity::Low),
            None,
            "four seconds are asked for"
        );
        let high = said(0.35, Sensitivity::High).expect("over 0.3 for a second");
        assert_eq!(high.at, at(1_000));
        assert!((high.threshold.value() - 0.3).abs() < 1e-9);
    }

    #[test]
    fn what_does_not_count_is_told_and_nothing_of_it_is_kept() {
        let told = said(0.9, Sensitivity::Off).expect("a person can look again");
        assert_eq!((told.edge, told.at), (Edge::Began, at(2_000)));
        assert!(told.scored_input.is_empty());
        let counted = said(0.9, Sensitivity::Normal).expect("it counts");
        assert!(!counted.scored_input.is_empty());
    }

    /// A detector whose model broke.
    #[derive(Debug)]
    struct Broken;

    impl Detector for Broken {
        fn name(&self) -> &'static str {
            "broken/1"
        }

        fn kind(&self) -> IncidentKind {
            IncidentKind::LookingAway
        }

        fn threshold(&self) -> Severity {
            Severity::clamped(0.5)
        }

        fn patience(&self) -> Patience {
            Patience {
                begin_after: Duration::ZERO,
                end_after: Duration::ZERO,
            }
        }

        fn look(&mut self, _now: Now, _input: Input<'_>) -> Result<Option<Scored>, DetectError> {
            Err(DetectError::Input(InputError::NotScored))
        }
    }

    #[test]
    fn a_detector_that_cannot_look_is_told_unless_it_is_left_out() {
        let mut looking = Looking::new(vec![Box::new(Broken)]);
        let looked = looking.sound(at(0), &[]);
        assert!(looked.said.is_empty() && looked.failed.len() == 1);
        looking.spend(Effort::NoAttention);
        assert!(looking.sound(at(1), &[]).failed.is_empty());
        looking.spend(Effort::Full);
        assert_eq!(looking.sound(at(2), &[]).failed.len(), 1);
    }

    fn at(ms: u64) -> Now {
        Now::from_origin(Duration::from_millis(ms))
    }
}
