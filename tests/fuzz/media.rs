//! Chunks and initialisation segments that an agent sends.

use qorgan_encode::{annexb_of, frames_of, holds_idr, summary_of};

use crate::damage::{Damage, damaged};

#[test]
fn whatever_bytes_claim_to_be_a_chunk_its_samples_stay_inside() {
    let good = include_bytes!("../../agent/encode/tests/data/camera-chunk.m4s");
    bolero::check!()
        .with_type::<Vec<Damage>>()
        .for_each(|damages| {
            let bytes = damaged(good, damages);
            let Ok(samples) = frames_of(&bytes) else {
                return;
            };
            let covered: usize = samples.iter().map(|sample| sample.bytes.len()).sum();
            assert!(covered < bytes.len(), "the samples are part of the chunk");
            for sample in samples {
                // What a sample holds is foreign too: reading it ends in a value or an error.
                assert_eq!(
                    holds_idr(sample.bytes).is_ok(),
                    annexb_of(sample.bytes, None).is_ok()
                );
            }
        });
}

#[test]
fn whatever_bytes_claim_to_be_a_segment_reading_ends_in_a_value_or_an_error() {
    let good = include_bytes!("../../agent/encode/tests/data/camera-init.mp4");
    bolero::check!()
        .with_type::<Vec<Damage>>()
        .for_each(|damages| {
            if let Ok(summary) = summary_of(&damaged(good, damages)) {
                assert!(
                    summary.sound || summary.video.is_some(),
                    "a segment has a track"
                );
            }
        });
}
