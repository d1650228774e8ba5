//! Several voices among pieces of speech: two that are alike, and two that are unlike those.

use qorgan_protocol::incident::Severity;

use super::speaker::VoiceEmbedding;

/// Half at the bound, 1 from 0.3 above it, 0 from 0.3 below it; the likeness between certainly
/// another voice and certainly the same spans about 0.6.
pub(super) fn scaled(margin: f32) -> Severity {
    Severity::clamped(0.5 + f64::from(margin) / (2.0 * SCALE))
}

/// Scores two and two voices: as unlike across as [`UNLIKE_BELOW`] asks and as alike within as
/// [`ALIKE_ABOVE`] does.
pub(super) fn score(a: [&VoiceEmbedding; 2], b: [&VoiceEmbedding; 2]) -> Severity {
    let ([a, again_a], [b, again_b]) = (a, b);
    let within = a.likeness(again_a).min(b.likeness(again_b));
    let across = [
        a.likeness(b),
        a.likeness(again_b),
        again_a.likeness(b),
        again_a.likeness(again_b),
    ];
    let nearest = across.iter().fold(-1.0_f32, |most, one| most.max(*one));
    scaled((UNLIKE_BELOW - nearest).min(within - ALIKE_ABOVE))
}

/// Returns the highest score and the places of its four voices: of any two with the nearest other
/// of each. Where there are fewer than four, there is none.
pub(super) fn most_apart(voices: &[&VoiceEmbedding]) -> Option<(Severity, [usize; 4])> {
    let mut best: Option<(Severity, [usize; 4])> = None;
    for (at, a) in voices.iter().enumerate() {
        for (from, b) in voices.iter().enumerate().skip(at + 1) {
            let others = || {
                let others = voices.iter().enumerate();
                others.filter(|(place, _)| *place != at && *place != from)
            };
            let nearest = |to: &VoiceEmbedding| {
                others().max_by(|(_, one), (_, two)| to.likeness(one).total_cmp(&to.likeness(two)))
            };
            let (Some((near_a, again_a)), Some((near_b, again_b))) = (nearest(a), nearest(b))
            else {
                continue;
            };
            if near_a == near_b {
                continue;
            }
            let score = score([a, again_a], [b, again_b]);
            if best.is_none_or(|(most, _)| score > most) {
                best = Some((score, [at, near_a, from, near_b]));
            }
        }
    }
    best
}

const SCALE: f64 = 0.3;
/// Pieces of two readers were alike by up to 0.41 with a print, by less with each other.
const UNLIKE_BELOW: f32 = 0.35;
const ALIKE_ABOVE: f32 = 0.45;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voices::speaker::VOICE_NUMBERS;

    #[test]
    fn two_pairs_are_found_among_pieces_of_two_voices_and_none_in_one() {
        let (one, two) = (voice(0), voice(1));
        assert!(most_apart(&[&one, &two, &one]).is_none());
        let (score, places) = most_apart(&[&one, &two, &one, &two]).expect("four pieces");
        assert_eq!(places, [0, 2, 1, 3]);
        assert!(score.value() > 0.99);
        for single in [[&one, &one, &one, &one], [&one, &one, &one, &two]] {
            let apart = most_apart(&single).is_some_and(|(score, _)| score.value() >= 0.5);
            assert!(!apart, "one odd piece is no voice");
        }
    }

    fn voice(place: usize) -> VoiceEmbedding {
        let mut numbers = vec![0.0; VOICE_NUMBERS];
        numbers[place] = 1.0;
        VoiceEmbedding::new(numbers).expect("a direction")
    }
}
