//! The link between agent and server, and the requests of the client.

use core::time::Duration;

use qorgan_protocol::codec::{decode, encode};
use qorgan_protocol::crypto::Sha256;
use qorgan_protocol::evidence::{ChunkHeader, ChunkSeq, StreamId, StreamKind};
use qorgan_protocol::ids::{AttemptId, Epoch};
use qorgan_protocol::link::{
    AgentFrame, RefusalReason, ResumePoint, ServerFrame, SourceKind, SourceStatement,
};
use qorgan_protocol::time::{Now, WallTime};
use qorgan_protocol::wire::{ClientEvents, ConsentRequest, ResponsesRequest, SignInRequest};
use serde::{Serialize, de::DeserializeOwned};

use crate::damage::{Damage, damaged};

#[test]
fn whatever_bytes_an_agent_sends_only_canonical_frames_are_read() {
    let good = agent_frames();
    bolero::check!()
        .with_type::<(u8, Vec<Damage>)>()
        .for_each(|(which, damages)| {
            assert_only_canonical::<AgentFrame>(&damaged(pick(&good, *which), damages));
        });
}

#[test]
fn whatever_bytes_a_server_sends_only_canonical_frames_are_read() {
    let good = server_frames();
    bolero::check!()
        .with_type::<(u8, Vec<Damage>)>()
        .for_each(|(which, damages)| {
            assert_only_canonical::<ServerFrame>(&damaged(pick(&good, *which), damages));
        });
}

#[test]
fn whatever_bytes_claim_to_be_a_chunk_header_only_its_canonical_form_is_read() {
    let good = encode("chunk header", &header()).expect("plain data");
    bolero::check!()
        .with_type::<Vec<Damage>>()
        .for_each(|damages| {
            assert_only_canonical::<ChunkHeader>(&damaged(&good, damages));
        });
}

#[test]
fn whatever_text_a_client_sends_reading_it_ends_in_a_value_or_an_error() {
    let good: [&[u8]; 4] = [
        br#"{"login":"a","password":"b","key":"00","challenge":"00","proof":"00"}"#,
        br#"{"version":"1","language":"kk","agreed":true}"#,
        br#"{"epoch":1,"entries":["00ff"]}"#,
        br#"{"events":[{"kind":"window_switch","ago_ms":1,"at":2,"detail":"x"}]}"#,
    ];
    bolero::check!()
        .with_type::<(u8, Vec<Damage>)>()
        .for_each(|(which, damages)| {
            let place = usize::from(*which) % good.len();
            let bytes = damaged(
                good.get(place).expect("the place is below the length"),
                damages,
            );
            assert_reads_back::<SignInRequest>(&bytes);
            assert_reads_back::<ConsentRequest>(&bytes);
            assert_reads_back::<ResponsesRequest>(&bytes);
            assert_reads_back::<ClientEvents>(&bytes);
        });
}

pub(crate) fn assert_only_canonical<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    if let Ok(value) = decode::<T>("frame", bytes) {
        assert_eq!(
            encode("frame", &value).expect("what was read can be written"),
            bytes
        );
    }
}

pub(crate) fn pick(frames: &[Vec<u8>], which: u8) -> &[u8] {
    frames
        .get(usize::from(which) % frames.len())
        .expect("the place is below the length")
}

fn assert_reads_back<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(bytes) else {
        return;
    };
    let text = serde_json::to_string(&value).expect("what was read can be written");
    let again = serde_json::from_str::<T>(&text).expect("what was written can be read");
    let once_more = serde_json::to_string(&again).expect("what was read can be written");
    assert_eq!(text, once_more);
}

fn header() -> ChunkHeader {
    ChunkHeader {
        attempt: AttemptId::new(WallTime::from_unix_ms(1_790_000_000_000), [7; 10]),
        epoch: Epoch::FIRST,
        stream: StreamId {
            kind: StreamKind::Screen,
            index: 1,
        },
        seq: ChunkSeq(300),
        start_us: 150_000_000,
        duration_us: 500_000,
        sync: true,
        payload_len: 3,
        payload: Sha256::ZERO,
        previous: Sha256::ZERO,
    }
}

fn agent_frames() -> Vec<Vec<u8>> {
    let stream = StreamId {
        kind: StreamKind::Camera,
        index: 0,
    };
    let statement = SourceStatement {
        source: stream,
        kind: SourceKind::Device,
        driver: "v4l2/uvcvideo".to_owned(),
        label: "Камера".to_owned(),
    };
    written(&[
        AgentFrame::Sources(vec![statement]),
        AgentFrame::Chunk {
            header: header(),
            payload: vec![1, 2, 3],
        },
        AgentFrame::Thumbnail {
            stream,
            jpeg: vec![0xff, 0xd8, 0xff, 0xd9],
        },
        AgentFrame::Finish {
            last: vec![resume_point(stream)],
        },
        AgentFrame::Clock {
            at: Now::from_origin(Duration::from_secs(86_400)),
        },
    ])
}

fn server_frames() -> Vec<Vec<u8>> {
    let stream = StreamId {
        kind: StreamKind::Screen,
        index: 0,
    };
    written(&[
        ServerFrame::Welcome {
            version: 1,
            now: WallTime::from_unix_ms(1_790_000_000_000),
            resume: vec![resume_point(stream)],
            beat_next: 12,
            beat_head: Sha256::ZERO,
        },
        ServerFrame::KeyFrame { stream },
        ServerFrame::Watch { stream, live: true },
        ServerFrame::End {
            reason: "submitted".to_owned(),
        },
        ServerFrame::Refused {
            reason: RefusalReason::OldEpoch,
            detail: "moved".to_owned(),
        },
    ])
}

fn resume_point(stream: StreamId) -> ResumePoint {
    ResumePoint {
        stream,
        next: ChunkSeq(9),
        head: Sha256::ZERO,
    }
}

fn written<T: Serialize>(values: &[T]) -> Vec<Vec<u8>> {
    values
        .iter()
        .map(|value| encode("frame", value).expect("plain data"))
        .collect()
}
