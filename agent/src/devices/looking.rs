//! What a device's detectors say, with what was learnt of the candidate kept, and failures logged.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use qorgan_agent_core::liveness::Liveness;
use qorgan_agent_core::looking::{self, Looked};
use qorgan_agent_core::sighting::Sighting;
use qorgan_agent_core::vigil::Vigil;
use qorgan_detect::{
    Acquaintance, DetectError, Detector, FaceFinder, HeadReader, Known, Picture, ThingFinder,
    Voices,
};
use qorgan_protocol::incident::WatchPolicy;
use qorgan_protocol::local::LivenessAsk;
use qorgan_protocol::time::Now;

use crate::candidate::Candidate;

/// What a device and the thread of its detectors know of how well they keep up.
#[derive(Debug, Clone)]
pub(super) struct SharedVigil(Arc<Mutex<Vigil>>);

impl SharedVigil {
    pub(super) fn new(vigil: Vigil) -> Self {
        Self(Arc::new(Mutex::new(vigil)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Vigil> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every detector of one device.
#[derive(Debug)]
pub(super) struct Looking {
    looking: looking::Looking,
    vigil: SharedVigil,
    /// Who is to be known.
    candidate: Option<Arc<Candidate>>,
}

impl Looking {
    pub(super) fn new(
        detectors: Vec<Box<dyn Detector>>,
        watch: &WatchPolicy,
        vigil: &SharedVigil,
    ) -> Self {
        Self {
            looking: looking::Looking::watching(detectors, watch),
            vigil: vigil.clone(),
            candidate: None,
        }
    }

    /// Every detector of a camera; where the model of faces cannot be loaded, those without it. Who
    /// was met by an agent before this one is known at once.
    pub(super) fn camera(candidate: &Arc<Candidate>, vigil: &SharedVigil) -> Self {
        let mut looking = Self::new(qorgan_detect::camera_detectors(), candidate.watch(), vigil);
        match FaceFinder::load() {
            Ok(finder) => looking.looking = looking.looking.with_faces(finder),
            Err(error) => {
                tracing::error!(%error, "No faces are looked for");
                looking.cannot("faces");
            }
        }
        match ThingFinder::load() {
            Ok(finder) => looking.looking = looking.looking.with_things(finder),
            Err(error) => {
                tracing::error!(%error, "No things are looked for");
                looking.cannot("things in the hand");
            }
        }
        let reader = HeadReader::load()
            .inspect_err(|error| tracing::error!(%error, "No head can be read"))
            .ok();
        let chance = seed();
        if reader.is_none() || chance.is_none() {
            looking.cannot("a living face");
        }
        looking.looking = looking
            .looking
            .with_liveness(liveness_of(candidate, chance), reader);
        match candidate.known() {
            Some(known) => looking.expect(&known),
            None => looking.meet(candidate),
        }
        looking
    }

    fn meet(&mut self, candidate: &Arc<Candidate>) {
        let Some(finder) = self.looking.finder() else {
            return;
        };
        let met = Acquaintance::load().map(|mut meeting| {
            candidate.show_photo(&mut meeting, finder);
            meeting
        });
        match met {
            Ok(meeting) => {
                self.looking.meet(meeting);
                self.candidate = Some(Arc::clone(candidate));
            }
            Err(error) => {
                tracing::error!(%error, "The candidate cannot be met");
                self.cannot("identity and attention");
            }
        }
    }

    /// Looks from now on whether it is this candidate who sits there.
    fn expect(&mut self, known: &Known) {
        let Some(chance) = seed() else {
            self.cannot("identity and attention");
            return;
        };
        if let Err(error) = self.looking.expect(known, chance) {
            tracing::error!(%error, "The candidate cannot be recognised");
            self.cannot("identity and attention");
        }
    }

    /// Says that a detector cannot run, by what it looks for.
    pub(super) fn cannot(&self, what: &'static str) {
        self.vigil.lock().cannot(what);
    }

    /// Says that something could not be looked at, or listened to.
    pub(super) fn failed(&self, now: Now, error: &DetectError) {
        tracing::warn!(%error, "A picture or sound cannot be looked at or kept");
        self.vigil.lock().failed(now);
    }

    pub(super) fn picture(&mut self, now: Now, picture: Picture<'_>) -> Vec<Sighting> {
        let began = Instant::now();
        let mut looked = self.looking.picture(now, picture);
        if let Some(known) = looked.learnt.take() {
            if let Some(candidate) = self.candidate.take() {
                candidate.learnt(&known);
            }
            self.expect(&known);
            looked.said.extend(self.looking.photo_on_file(now, &known));
        }
        let said = self.said(now, looked);
        let effort = self.vigil.lock().looked(now, began.elapsed());
        self.looking.spend(effort);
        said
    }

    /// Takes what the client did about showing a living face.
    pub(super) fn liveness_asked(&mut self, now: Now, ask: LivenessAsk) -> Option<Sighting> {
        self.looking.liveness_asked(now, ask)
    }

    /// Returns who asks for a living face.
    pub(super) fn liveness(&self) -> Option<&Liveness> {
        self.looking.liveness()
    }

    /// Says where the recording ends without a living face that was seen at check-in.
    pub(super) fn not_alive(&mut self, now: Now) -> Option<Sighting> {
        self.looking.not_alive(now)
    }

    pub(super) fn sound(&mut self, now: Now, samples: &[i16]) -> Vec<Sighting> {
        let looked = self.looking.sound(now, samples);
        self.said(now, looked)
    }

    pub(super) fn voices(&mut self, now: Now, voices: &Voices) -> Vec<Sighting> {
        let looked = self.looking.voices(now, voices);
        self.said(now, looked)
    }

    fn said(&self, now: Now, looked: Looked) -> Vec<Sighting> {
        for error in &looked.failed {
            self.failed(now, error);
        }
        looked.said
    }
}

/// Asks for a living face, unless an agent before this one has seen it. Without chance nothing is
/// asked, for what can be foreseen proves nothing.
fn liveness_of(candidate: &Candidate, chance: Option<u64>) -> Liveness {
    let seed = chance.unwrap_or_default();
    let mut liveness = Liveness::new(candidate.watch(), candidate.allowances(), seed);
    if chance.is_none() {
        liveness.cannot();
    }
    if let Some(usual) = candidate.alive() {
        liveness.resume(usual);
    }
    liveness
}

/// Chance that nobody can foresee; `None` where the system gives none.
fn seed() -> Option<u64> {
    qorgan_signing::random()
        .inspect_err(|error| tracing::error!(%error, "No randomness for what is asked"))
        .map(u64::from_le_bytes)
        .ok()
}
