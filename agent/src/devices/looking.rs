//! What a device's detectors say, with what was learnt of the candidate kept, and failures logged.

use std::sync::Arc;

use qorgan_agent_core::looking::{self, Looked};
use qorgan_agent_core::sighting::Sighting;
use qorgan_detect::{Acquaintance, Detector, FaceFinder, Known, Picture, ThingFinder, Voices};
use qorgan_protocol::incident::WatchPolicy;
use qorgan_protocol::time::Now;

use crate::candidate::Candidate;

/// Every detector of one device.
#[derive(Debug)]
pub(super) struct Looking {
    looking: looking::Looking,
    /// Who is to be known.
    candidate: Option<Arc<Candidate>>,
}

impl Looking {
    pub(super) fn new(detectors: Vec<Box<dyn Detector>>, watch: &WatchPolicy) -> Self {
        Self {
            looking: looking::Looking::watching(detectors, watch),
            candidate: None,
        }
    }

    /// Every detector of a camera; where the model of faces cannot be loaded, those without it. Who
    /// was met by an agent before this one is known at once.
    pub(super) fn camera(candidate: &Arc<Candidate>) -> Self {
        let mut looking = Self::new(qorgan_detect::camera_detectors(), candidate.watch());
        match FaceFinder::load() {
            Ok(finder) => looking.looking = looking.looking.with_faces(finder),
            Err(error) => tracing::error!(%error, "No faces are looked for"),
        }
        match ThingFinder::load() {
            Ok(finder) => looking.looking = looking.looking.with_things(finder),
            Err(error) => tracing::error!(%error, "No things are looked for"),
        }
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
            Err(error) => tracing::error!(%error, "The candidate cannot be met"),
        }
    }

    /// Looks from now on whether it is this candidate who sits there.
    fn expect(&mut self, known: &Known) {
        let seed = qorgan_signing::random().map_or(0, u64::from_le_bytes);
        if let Err(error) = self.looking.expect(known, seed) {
            tracing::error!(%error, "The candidate cannot be recognised");
        }
    }

    pub(super) fn picture(&mut self, now: Now, picture: Picture<'_>) -> Vec<Sighting> {
        let mut looked = self.looking.picture(now, picture);
        if let Some(known) = looked.learnt.take() {
            if let Some(candidate) = self.candidate.take() {
                candidate.learnt(&known);
            }
            self.expect(&known);
            looked.said.extend(self.looking.photo_on_file(now, &known));
        }
        said(looked)
    }

    pub(super) fn sound(&mut self, now: Now, samples: &[i16]) -> Vec<Sighting> {
        said(self.looking.sound(now, samples))
    }

    pub(super) fn voices(&mut self, now: Now, voices: &Voices) -> Vec<Sighting> {
        said(self.looking.voices(now, voices))
    }
}

fn said(looked: Looked) -> Vec<Sighting> {
    for error in looked.failed {
        tracing::warn!(%error, "A picture or sound cannot be looked at or kept");
    }
    looked.said
}
