//! Detectors with their patience, on drawn pictures and made scores.

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

/// Scores every picture alike; without a score, its model broke.
#[derive(Debug)]
struct Made {
    kind: IncidentKind,
    score: Option<f64>,
}

impl Detector for Made {
    fn name(&self) -> &'static str {
        "made/1"
    }

    fn kind(&self) -> IncidentKind {
        self.kind
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
        let score = self.score.ok_or(InputError::NotScored)?;
        // What is kept of a real detector's look stands for what this one saw.
        let scored = qorgan_detect::CoveredCamera::default().look(now, input)?;
        Ok(scored.map(|mut scored| {
            scored.score = Severity::clamped(score);
            scored
        }))
    }
}

/// Returns what is said of three seconds of this score.
fn said(score: f64, sensitivity: Sensitivity) -> Option<Sighting> {
    let mut watch = WatchPolicy::remote();
    assert!(watch.set(IncidentKind::SecondFace, sensitivity));
    let sure = Made {
        kind: IncidentKind::SecondFace,
        score: Some(score),
    };
    let mut looking = Looking::watching(vec![Box::new(sure)], &watch);
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

#[test]
fn a_detector_that_cannot_look_is_told_unless_it_is_left_out() {
    let broken = Made {
        kind: IncidentKind::LookingAway,
        score: None,
    };
    let mut looking = Looking::new(vec![Box::new(broken)]);
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
