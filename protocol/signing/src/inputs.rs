//! Scored inputs (decision 12), sealed before they enter the recording: they hold the template of a
//! face or the print of a voice, which no change of password makes harmless.
//!
//! # Invariants
//! * The key follows from the attempt's own key alone: who destroys that one destroys this one, and
//!   who is given this one cannot tell that one.
//! * A sealed input opens for its attempt, epoch, moment and detector only, and names itself as
//!   sealed, so that nothing takes it for an input in the clear.

use qorgan_protocol::ids::{AttemptId, Epoch};
use qorgan_protocol::incident::Observation;

use crate::sealed::{SealError, SecretKey};
use crate::signing::hmac_sha256;

/// The key that the scored inputs of one attempt are sealed under.
#[derive(Debug)]
pub struct InputKey(SecretKey);

impl InputKey {
    /// Derives the key from the attempt's own.
    #[must_use]
    pub fn of_attempt(key: &SecretKey, attempt: AttemptId) -> Self {
        Self::new(hmac_sha256(key.expose(), &[PURPOSE, attempt.as_bytes()]))
    }

    /// Wraps the bytes of a key that was handed out.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(SecretKey::new(bytes))
    }

    /// Returns the key's bytes, to be handed out.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// Seals what was scored, in place; a fact, with nothing scored, stays as it is.
    ///
    /// # Errors
    /// Where the system gives no random bytes; the input is left out then, never in the clear.
    pub fn seal(
        &self,
        whose: (AttemptId, Epoch),
        observation: &mut Observation,
    ) -> Result<(), SealError> {
        if observation.scored_input.is_empty() {
            return Ok(());
        }
        let plain = core::mem::take(&mut observation.scored_input);
        let sealed = self.0.seal(&place(whose, observation), &plain)?;
        observation.scored_input = [MAGIC, sealed.as_slice()].concat();
        Ok(())
    }

    /// Returns what was scored.
    ///
    /// # Errors
    /// `DoesNotOpen` where a bit, the key, or what was observed of whom and when differs.
    pub fn open(
        &self,
        whose: (AttemptId, Epoch),
        observation: &Observation,
    ) -> Result<Vec<u8>, SealError> {
        let sealed = observation.scored_input.strip_prefix(MAGIC);
        let sealed = sealed.ok_or(SealError::DoesNotOpen)?;
        self.0.open(&place(whose, observation), sealed)
    }
}

/// Tells whether a scored input is sealed; recordings of before inputs were sealed hold others.
#[must_use]
pub fn is_sealed(input: &[u8]) -> bool {
    input.starts_with(MAGIC)
}

fn place((attempt, epoch): (AttemptId, Epoch), observation: &Observation) -> Vec<u8> {
    let (at_us, detector) = (observation.at_us, &observation.detector);
    format!("input:{attempt}:{epoch}:{at_us}:{detector}").into_bytes()
}

const PURPOSE: &[u8] = b"qorgan scored inputs 1";
/// Begins a sealed input: neither a picture nor sound nor pieces of speech begin so.
const MAGIC: &[u8] = b"qorgan sealed 1\n";

#[cfg(test)]
mod tests {
    use qorgan_protocol::incident::{Edge, IncidentKind, Severity};
    use qorgan_protocol::time::{Now, WallTime};

    use super::*;

    #[test]
    fn a_sealed_input_hides_what_was_scored_and_opens_whole_in_its_place() {
        let key = InputKey::of_attempt(&SecretKey::new([7; 32]), attempt(1));
        let whose = (attempt(1), Epoch::FIRST);
        let mut seen = observation(b"the numbers of a face");
        key.seal(whose, &mut seen).expect("random bytes");
        assert!(is_sealed(&seen.scored_input) && !is_sealed(b"\x89PNG"));
        let shows = |part: &[u8]| part == b"numbers";
        assert!(!seen.scored_input.windows(7).any(shows));
        let again = key.open(whose, &seen);
        assert_eq!(again.as_deref(), Ok(b"the numbers of a face".as_slice()));
        key.open((attempt(2), Epoch::FIRST), &seen)
            .expect_err("another attempt's");
        key.open((attempt(1), Epoch::FIRST.next()), &seen)
            .expect_err("another epoch's");
        let mut later = seen.clone();
        later.at_us += 1;
        key.open(whose, &later).expect_err("another moment's");
        let mut other = seen.clone();
        other.detector = "whisper/1".to_owned();
        key.open(whose, &other).expect_err("another detector's");
        for bit in 0..seen.scored_input.len() * 8 {
            let mut bad = seen.clone();
            bad.scored_input[bit / 8] ^= 1 << (bit % 8);
            key.open(whose, &bad).expect_err("a flipped bit");
        }
    }

    #[test]
    fn the_key_follows_from_the_attempts_own_and_from_no_other() {
        let (own, other) = (SecretKey::new([7; 32]), SecretKey::new([8; 32]));
        let key = InputKey::of_attempt(&own, attempt(1));
        assert_eq!(
            key.expose(),
            InputKey::of_attempt(&own, attempt(1)).expose()
        );
        assert_ne!(key.expose(), own.expose());
        assert_ne!(
            key.expose(),
            InputKey::of_attempt(&own, attempt(2)).expose()
        );
        assert_ne!(
            key.expose(),
            InputKey::of_attempt(&other, attempt(1)).expose()
        );
        assert!(!format!("{key:?}").contains('['), "a key is never printed");
    }

    #[test]
    fn a_fact_has_nothing_to_seal() {
        let key = InputKey::new([1; 32]);
        let mut fact = observation(b"");
        key.seal((attempt(1), Epoch::FIRST), &mut fact)
            .expect("nothing to do");
        assert!(fact.scored_input.is_empty());
    }

    fn attempt(last: u8) -> AttemptId {
        AttemptId::new(WallTime::from_unix_ms(5), [last; 10])
    }

    fn observation(input: &[u8]) -> Observation {
        Observation {
            kind: IncidentKind::Impersonation,
            edge: Edge::Began,
            at: Now::default(),
            at_us: 61,
            stream: None,
            score: Severity::clamped(0.9),
            threshold: Severity::clamped(0.5),
            detector: "impersonation/1".to_owned(),
            detail: String::new(),
            scored_input: input.to_vec(),
        }
    }
}
