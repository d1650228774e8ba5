//! Detectors with their patience: scores in, sightings out; and getting to know the candidate.
//!
//! The exam says how readily each kind is raised. A kind that does not count is still told, as it was
//! measured, so that a person can look again; what was scored is then not kept, for nothing is made
//! of it, and a helper's face is nobody's business.

use qorgan_detect::{
    Acquaintance, Cadence, DetectError, Detector, FaceFinder, HeadReader, Input, Known, LitLook,
    ModelError, Picture, Seen, ThingFinder, Voices,
};
use qorgan_protocol::incident::{Edge, IncidentKind, Sensitivity, Severity, WatchPolicy};
use qorgan_protocol::local::{DrawnScreen, LivenessAsk};
use qorgan_protocol::time::Now;

use crate::debounce::Debouncer;
use crate::liveness::{Glance, Liveness, Wants};
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
    /// Asks for a living face, and reads heads.
    alive: Option<(Liveness, Option<HeadReader>)>,
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
            alive: None,
            effort: Effort::Full,
        }
    }

    /// Looks at so much from here on; what was said of a part that is left out stands until it is
    /// back.
    pub fn spend(&mut self, effort: Effort) {
        self.effort = effort;
        self.pace();
    }

    fn pace(&mut self) {
        let asks = self
            .alive
            .as_ref()
            .is_some_and(|(live, _)| live.is_asking());
        let by_effort = match self.effort {
            Effort::Full | Effort::NoThings => Cadence::Full,
            Effort::QuickFaces | Effort::NoAttention | Effort::NoIdentity => Cadence::Quick,
            Effort::SeldomFaces => Cadence::Seldom,
        };
        if let Some(finder) = &mut self.faces {
            finder.pace(if asks { Cadence::Close } else { by_effort });
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

    /// Asks for a living face too; without a reader, or where no faces are looked for, it says that
    /// it cannot.
    #[must_use]
    pub fn with_liveness(mut self, mut liveness: Liveness, reader: Option<HeadReader>) -> Self {
        if reader.is_none() || self.faces.is_none() {
            liveness.cannot();
        }
        self.alive = Some((liveness, reader));
        self
    }

    /// Returns who asks for a living face.
    #[must_use]
    pub fn liveness(&self) -> Option<&Liveness> {
        self.alive.as_ref().map(|(liveness, _)| liveness)
    }

    /// Says where the recording ends without a living face that was seen at check-in.
    pub fn not_alive(&mut self, now: Now) -> Option<Sighting> {
        self.alive.as_mut()?.0.missing(now)
    }

    /// Takes what the client did about showing a living face.
    pub fn liveness_asked(&mut self, now: Now, ask: LivenessAsk) -> Option<Sighting> {
        let said = self.alive.as_mut()?.0.asked(now, ask);
        self.pace();
        said
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
                self.learn(now, seen, &mut looked);
                self.things(now, seen, &mut looked);
                self.living(now, seen, &mut looked);
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
        let turning = self.wants(now) == Wants::Head;
        let spared = |eye: &&mut Eye| {
            let kind = eye.detector.kind();
            !(effort.leaves_out(kind) || turning && follows_head(kind))
        };
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

    fn wants(&self, now: Now) -> Wants {
        self.liveness()
            .map_or(Wants::Nothing, |liveness| liveness.wants(now))
    }

    /// Reads what is wanted to see a living face.
    fn living(&mut self, now: Now, seen: Seen<'_>, looked: &mut Looked) {
        let Some((liveness, reader)) = &mut self.alive else {
            return;
        };
        let glance = match (liveness.wants(now), seen.faces.main()) {
            (Wants::Nothing, _) => Glance::Nothing,
            (Wants::Head | Wants::Lit(_), None) => Glance::Nobody,
            (Wants::Head, Some(face)) => {
                let read = reader.as_ref().map(|reader| reader.yaw(seen.picture, face));
                match read.transpose() {
                    Ok(yaw) => yaw.flatten().map_or(Glance::Unread, Glance::Head),
                    Err(error) => {
                        looked.failed.push(error);
                        Glance::Unread
                    }
                }
            }
            (Wants::Lit(light), Some(face)) => {
                LitLook::of(seen, face, light).map_or(Glance::Unread, Glance::Lit)
            }
        };
        looked.said.extend(liveness.see(now, glance));
        self.pace();
    }

    /// Takes a look of check-in; a head that turns as asked is no look of its own.
    fn learn(&mut self, now: Now, seen: Seen<'_>, looked: &mut Looked) {
        if self.wants(now) == Wants::Head {
            return;
        }
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

/// Tells whether a detector would take a head that turns as asked for something else.
fn follows_head(kind: IncidentKind) -> bool {
    matches!(
        kind,
        IncidentKind::LookingAway | IncidentKind::Impersonation
    )
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
mod tests;
