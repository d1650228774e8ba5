//! Small true values for tests.

use qorgan_protocol::{
    assessment::{Choice, Interaction, ItemPage, ResponseSeq},
    attempt::{AttemptPhase, CheckInTasks, GateMode, GatePolicy},
    crypto::Sha256,
    evidence::{SourceHealth, SourceState, StreamId, StreamKind},
    ids::{AttemptId, Epoch, InstitutionId, ItemId, PersonId},
    local::{AgentStatus, LinkState, SourceStatus},
    time::WallTime,
    wire::{
        Accommodation, AttemptView, CheckInReply, ConnectionTime, ExamCard, ExamState, GateLine,
        GateLineState, Hex, IdentityState, ItemList, ItemSlot, LeaseView, ServerHello, SignInReply,
        SignedHex, TextIn,
    },
};

use super::Toolbox;

pub(crate) fn tools() -> Toolbox {
    Toolbox {
        hash: toy_hash,
        freshness_code: |_, nonce, _, _| format!("{nonce:02X?}"),
    }
}

/// Tells inputs apart well enough for chains in tests.
pub(crate) fn toy_hash(parts: &[&[u8]]) -> Sha256 {
    let mut hash = [7u8; 32];
    for (index, byte) in parts.concat().into_iter().enumerate() {
        let place = index % 32;
        hash[place] = hash[place].rotate_left(3) ^ byte ^ hash[(place + 31) % 32];
    }
    Sha256(hash)
}

pub(crate) fn attempt() -> AttemptId {
    AttemptId::new(WallTime::from_unix_ms(1), [1; 10])
}

pub(crate) fn item(which: u8) -> ItemId {
    ItemId::new(WallTime::from_unix_ms(2), [which; 10])
}

/// A text that tells its language.
fn texts(name: &str) -> TextIn {
    TextIn {
        kk: format!("{name} kk"),
        ru: format!("{name} ru"),
        en: format!("{name} en"),
    }
}

pub(crate) fn hello() -> ServerHello {
    ServerHello {
        institution: InstitutionId::new(WallTime::from_unix_ms(1), [0; 10]),
        name_kk: "Университет".to_owned(),
        name_ru: "Университет".to_owned(),
        name_en: "University".to_owned(),
        support: "+7".to_owned(),
        version_min: 1,
        version_max: 1,
        server_key: Hex(vec![0; 32]),
        now: WallTime::from_unix_ms(0),
    }
}

pub(crate) fn signed_in() -> SignInReply {
    SignInReply {
        token: "t".to_owned(),
        expires: WallTime::from_unix_ms(9),
        candidate: PersonId::new(WallTime::from_unix_ms(1), [2; 10]),
        display_name: "Айгерім".to_owned(),
        language: "kk".to_owned(),
    }
}

pub(crate) fn card() -> ExamCard {
    ExamCard {
        attempt: attempt(),
        title: "Қалыпты физиология".to_owned(),
        discipline: "NPH 2203".to_owned(),
        opens: WallTime::from_unix_ms(0),
        closes: WallTime::from_unix_ms(9_000_000),
        duration_ms: 3_600_000,
        items: 3,
        mode: GateMode::Remote,
        phase: AttemptPhase::Scheduled,
        state: ExamState::Open,
    }
}

pub(crate) fn check_in(phase: AttemptPhase) -> CheckInReply {
    CheckInReply {
        epoch: Epoch::FIRST,
        policy: GatePolicy::remote(),
        certificate: SignedHex {
            bytes: Hex(Vec::new()),
            signature: Hex(Vec::new()),
        },
        journal_key: Hex(vec![1; 32]),
        freshness_key: Hex(vec![2; 32]),
        journal_next: ResponseSeq(0),
        journal_head: Hex(vec![0; 32]),
        consent_version: "1".to_owned(),
        consent_text: texts("consent"),
        consent_recorded: true,
        instruction_version: "1".to_owned(),
        instruction_text: texts("instruction"),
        accommodation: Accommodation::default(),
        photo_on_file: false,
        phase,
        title: "Қалыпты физиология".to_owned(),
    }
}

pub(crate) fn view(version: u64, phase: AttemptPhase) -> AttemptView {
    AttemptView {
        version,
        epoch: Epoch::FIRST,
        phase,
        tasks: CheckInTasks::default(),
        identity_reason: None,
        identity: IdentityState::Open,
        gate: [
            StreamKind::Camera,
            StreamKind::Microphone,
            StreamKind::Screen,
        ]
        .map(|source| GateLine {
            source,
            state: GateLineState::Live,
        })
        .to_vec(),
        gate_open: false,
        waits_for_proctor: false,
        lease: None,
        covered: None,
        time: ConnectionTime {
            remaining_ms: 3_600_000,
            credited_ms: 0,
            now: WallTime::from_unix_ms(1_000_000),
        },
        freshness: None,
        messages: Vec::new(),
        hand_raised: false,
        journal_next: ResponseSeq(0),
    }
}

pub(crate) fn running() -> AttemptPhase {
    AttemptPhase::Running {
        since: WallTime::from_unix_ms(0),
    }
}

pub(crate) fn running_view(version: u64, left_ms: u64, offline_grace_ms: u64) -> AttemptView {
    AttemptView {
        lease: Some(LeaseView {
            left_ms,
            offline_grace_ms,
        }),
        ..view(version, running())
    }
}

pub(crate) fn status(capturing: bool) -> AgentStatus {
    let source = |kind| SourceStatus {
        health: SourceHealth {
            source: StreamId { kind, index: 0 },
            state: SourceState::Live,
            newest: None,
        },
        label: "device".to_owned(),
        level: None,
        preview: None,
    };
    AgentStatus {
        link: LinkState::Live,
        sources: vec![
            source(StreamKind::Camera),
            source(StreamKind::Microphone),
            source(StreamKind::Screen),
        ],
        receipted: Vec::new(),
        spooled_bytes: 0,
        capturing,
    }
}

pub(crate) fn items() -> ItemList {
    ItemList {
        items: (1..=3u8)
            .map(|n| ItemSlot {
                id: item(n),
                position: n.into(),
            })
            .collect(),
    }
}

pub(crate) fn page(position: u8) -> ItemPage {
    let choice = |id: &str| Choice {
        id: id.to_owned(),
        text: id.to_owned(),
    };
    ItemPage {
        id: item(position),
        position: position.into(),
        of: 3,
        body: Vec::new(),
        prompt: "?".to_owned(),
        interaction: Interaction::SingleChoice {
            choices: vec![choice("A"), choice("B")],
        },
    }
}
