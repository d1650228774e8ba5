//! Learning the candidate's voice from what is read aloud at check-in.
//!
//! # Invariants
//! * A voice that is known stays: no later reading puts another in its place.
//! * A recording without a known voice says so, whatever the client did: when the candidate goes on
//!   without, when none was learnt for long, and at the end.

use core::time::Duration;
use std::sync::Arc;

use qorgan_agent_core::reading::Reading;
use qorgan_agent_core::sighting::Sighting;
use qorgan_detect::{Listener, PRINT_PIECES_MIN};
use qorgan_protocol::incident::{Edge, IncidentKind};
use qorgan_protocol::local::{VoiceHint, VoiceState};
use qorgan_protocol::time::Now;

use super::DeviceParts;
use crate::board::Board;
use crate::candidate::Candidate;

/// Learns one voice.
#[derive(Debug)]
pub(super) struct Enrolment {
    candidate: Arc<Candidate>,
    board: Arc<Board>,
    reading: Option<Reading>,
    first: Option<Now>,
    /// Whether the recording says that no voice is known.
    said: bool,
}

impl Enrolment {
    /// Expects the voice that an agent before this one learnt, where it did.
    pub(super) fn open(parts: &DeviceParts, listener: Option<&mut Listener>) -> Self {
        let state = match listener {
            None => VoiceState::Unavailable,
            Some(listener) => match parts.candidate.voice() {
                Some(print) => {
                    listener.compare_with(Arc::new(print));
                    VoiceState::Known
                }
                None if parts.candidate.watch().counts(IncidentKind::AnotherVoice) => {
                    VoiceState::NotAsked
                }
                None => VoiceState::NotNeeded,
            },
        };
        parts.board.set_voice(state);
        Self {
            candidate: Arc::clone(&parts.candidate),
            board: Arc::clone(&parts.board),
            reading: None,
            first: None,
            said: false,
        }
    }

    /// Follows what the listener hears; says once where no voice is learnt for long.
    pub(super) fn follow(
        &mut self,
        now: Now,
        listener: &mut Listener,
        samples: &[i16],
    ) -> Option<Sighting> {
        let first = *self.first.get_or_insert(now);
        let known = matches!(
            self.board.voice(),
            VoiceState::Known | VoiceState::NotNeeded
        );
        if self.board.take_reading_wish() && !known {
            listener.begin_reading();
            self.reading = Some(Reading::begin(now));
            self.board.set_voice(listening(0, None));
        }
        if let Some(mut reading) = self.reading.take()
            && self.goes_on(now, &mut reading, listener, samples)
        {
            self.reading = Some(reading);
        }
        let late = now.since(first) >= LATE_AFTER;
        late.then(|| self.missing(now)).flatten()
    }

    /// Says where the recording ends without a known voice.
    pub(super) fn missing(&mut self, now: Now) -> Option<Sighting> {
        let already = core::mem::replace(&mut self.said, true);
        let sighting = gone_without(now, self.board.voice())?;
        (!already).then_some(sighting)
    }

    /// Tells whether the reading goes on.
    fn goes_on(
        &self,
        now: Now,
        reading: &mut Reading,
        listener: &mut Listener,
        samples: &[i16],
    ) -> bool {
        let heard = listener.read_pieces();
        let hint = reading.see(now, samples, heard);
        let goes_on = self.board.reading_goes(listening(heard, hint));
        if !goes_on || heard < PIECES {
            return goes_on;
        }
        match listener.end_reading() {
            Ok(print) => {
                self.candidate.learnt_voice(&print);
                self.board.set_voice(VoiceState::Known);
            }
            Err(error) => {
                tracing::info!(%error, "What was read aloud gives no voice print");
                self.board.set_voice(VoiceState::NotOneVoice);
            }
        }
        false
    }
}

/// Says that no voice is known, with how far learning it has come; nothing where one is, or where it
/// was said before.
pub(crate) fn gone_without(now: Now, stands: VoiceState) -> Option<Sighting> {
    let detail = match stands {
        VoiceState::Known | VoiceState::Skipped | VoiceState::NotNeeded => return None,
        VoiceState::NotAsked => "nothing was read aloud".to_owned(),
        VoiceState::Listening { heard, needed, .. } => {
            format!("{heard} of {needed} pieces of speech were heard")
        }
        VoiceState::NotOneVoice => "several voices, or much noise, were heard".to_owned(),
        VoiceState::Unavailable => "the models of voices cannot be loaded".to_owned(),
    };
    let kind = IncidentKind::VoiceNotEnrolled;
    Some(Sighting::fact(kind, Edge::Moment, now, ENROLMENT, detail))
}

fn listening(heard: usize, hint: Option<VoiceHint>) -> VoiceState {
    VoiceState::Listening {
        heard: counted(heard),
        needed: counted(PIECES),
        hint,
    }
}

fn counted(pieces: usize) -> u8 {
    u8::try_from(pieces).unwrap_or(u8::MAX)
}

/// 7.5 s of speech. One more than a print takes: among four pieces a second reader may stand alone,
/// and only two pairs are told apart.
const PIECES: usize = PRINT_PIECES_MIN + 1;
const ENROLMENT: &str = "voice-enrolment/1";
/// Check-in with a proctor who approves takes minutes; a short exam is over by then.
const LATE_AFTER: Duration = Duration::from_secs(30 * 60);
