//! Chunks and initialisation segments that an agent sends, by the reader that the server runs.

use qorgan_protocol::media::{annexb_of, nals_of, parameter_sets, summary_of};

use crate::damage::{Damage, damaged};

#[test]
fn whatever_bytes_claim_to_be_a_chunk_its_samples_stay_inside() {
    let init = include_bytes!("../../protocol/src/media/data/camera-init.mp4");
    let good = include_bytes!("../../protocol/src/media/data/camera-chunk.m4s");
    let segment = summary_of(init).expect("a segment");
    bolero::check!()
        .with_type::<Vec<Damage>>()
        .for_each(|damages| {
            let bytes = damaged(good, damages);
            let Ok(samples) = segment.frames_of(&bytes) else {
                return;
            };
            assert_eq!(
                segment.frames_of_all(&bytes).as_ref(),
                Ok(&samples),
                "one chunk is a file of one"
            );
            let covered: usize = samples.iter().map(|sample| sample.bytes.len()).sum();
            assert!(covered < bytes.len(), "the samples are part of the chunk");
            for sample in samples {
                // What a sample holds is foreign too: reading it ends in a value or an error.
                assert_eq!(
                    nals_of(sample.bytes).is_ok(),
                    annexb_of(sample.bytes, None).is_ok()
                );
            }
        });
}

#[test]
fn whatever_bytes_claim_to_be_a_file_of_chunks_their_samples_stay_inside() {
    let init = include_bytes!("../../protocol/src/media/data/camera-init.mp4");
    let chunk = include_bytes!("../../protocol/src/media/data/camera-chunk.m4s");
    let segment = summary_of(init).expect("a segment");
    let good = [chunk.as_slice(), chunk].concat();
    bolero::check!()
        .with_type::<Vec<Damage>>()
        .for_each(|damages| {
            let bytes = damaged(&good, damages);
            if let Ok(samples) = segment.frames_of_all(&bytes) {
                let covered: usize = samples.iter().map(|sample| sample.bytes.len()).sum();
                assert!(covered < bytes.len(), "the samples are part of the file");
            }
        });
}

#[test]
fn whatever_bytes_claim_to_be_a_segment_reading_ends_in_a_value_or_an_error() {
    let good = include_bytes!("../../protocol/src/media/data/camera-init.mp4");
    bolero::check!()
        .with_type::<Vec<Damage>>()
        .for_each(|damages| {
            if let Ok(summary) = summary_of(&damaged(good, damages)) {
                assert!(
                    summary.sound || summary.video.is_some(),
                    "a segment has a track"
                );
                if let Some(video) = summary.video {
                    parameter_sets(&video.avcc).expect("what a segment gave is readable");
                }
            }
        });
}
