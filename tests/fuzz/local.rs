//! The local socket between client and agent: any process may connect.

use qorgan_protocol::codec::encode;
use qorgan_protocol::evidence::{SourceHealth, SourceState, StreamId, StreamKind};
use qorgan_protocol::local::{
    AgentFrame, AgentStatus, ClientFrame, DrawnScreen, LinkState, LocalRefusal, SourceStatus,
    VoiceAsk, VoiceHint, VoiceState,
};

use crate::damage::{Damage, damaged};
use crate::wire::{assert_only_canonical, pick};

#[test]
fn whatever_bytes_come_over_the_local_socket_only_canonical_frames_are_read() {
    let good = frames();
    bolero::check!()
        .with_type::<(u8, Vec<Damage>)>()
        .for_each(|(which, damages)| {
            let bytes = damaged(pick(&good, *which), damages);
            assert_only_canonical::<ClientFrame>(&bytes);
            assert_only_canonical::<AgentFrame>(&bytes);
        });
}

fn frames() -> Vec<Vec<u8>> {
    let source = StreamId {
        kind: StreamKind::Microphone,
        index: 0,
    };
    let health = SourceHealth {
        source,
        state: SourceState::Unplugged,
        newest: None,
    };
    let status = AgentStatus {
        link: LinkState::Lost,
        sources: vec![SourceStatus {
            health,
            label: "Микрофон".to_owned(),
            level: Some(40),
            preview: Some(vec![0xff, 0xd8]),
        }],
        receipted: vec![source],
        spooled_bytes: 1 << 20,
        capturing: true,
    };
    let agent = [
        AgentFrame::Hello {
            version_min: 1,
            version_max: 1,
            nonce: [7; 32],
            bound: None,
        },
        AgentFrame::Refused {
            reason: LocalRefusal::SecondClient,
            detail: "busy".to_owned(),
        },
        AgentFrame::Status(Box::new(status)),
        AgentFrame::Voice(VoiceState::Listening {
            heard: 2,
            needed: 4,
            hint: Some(VoiceHint::TooQuiet),
        }),
    ];
    let client = [
        ClientFrame::Preview(true),
        ClientFrame::OpenDevices,
        ClientFrame::Finish,
        ClientFrame::Voice(VoiceAsk::Begin),
        ClientFrame::Drawn(DrawnScreen::of(96, 54, |x, y| {
            u8::try_from((x + y) % 256).unwrap_or_default()
        })),
    ];
    let agent = agent.iter().map(|frame| encode("frame", frame));
    let client = client.iter().map(|frame| encode("frame", frame));
    agent
        .chain(client)
        .map(|bytes| bytes.expect("plain data"))
        .collect()
}
