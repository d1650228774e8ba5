//! True-looking views of every screen, for pictures and for the tree that screen readers see.
#![expect(
    unreachable_pub,
    reason = "the test binary that uses it exports nothing"
)]

use std::{collections::BTreeMap, time::Duration};

use egui::{ColorImage, TextureHandle, TextureOptions, Vec2};
use qorgan_client::ui::kit::{Picture, PictureKey, Pictures};
use qorgan_client_core::{
    Private,
    book::Kept,
    event::{Language, Overlay, Reading},
    lease::CoverCause,
    view::*,
};
use qorgan_protocol::{
    assessment::{Block, Choice},
    attempt::{AttemptPhase, GateMode, PauseCause},
    evidence::{SourceState, StreamId, StreamKind},
    ids::{AttemptId, MessageId, PictureId},
    local::{Light, LivenessState, Turn, TurnHint, VoiceHint, VoiceState},
    time::WallTime,
    wire::{ExamCard, ExamState, GateLineState, IdentityState, Message, MessageFrom, ProblemCode},
};

pub fn view(language: Language, screen: ScreenView) -> View {
    View {
        language,
        reading: Reading::default(),
        institution: Some(
            match language {
                Language::Kk => "Асфендияров атындағы Қазақ ұлттық медицина университеті",
                Language::Ru => "Казахский национальный медицинский университет",
                Language::En => "Kazakh National Medical University",
            }
            .to_owned(),
        ),
        support: Some("+7 727 338 70 90".to_owned()),
        screen,
        overlay: None,
        freshness: None,
        light: None,
    }
}

pub fn screens() -> Vec<ScreenView> {
    vec![
        welcome(),
        sign_in(),
        exams(),
        consent(),
        system_check(),
        identity(),
        liveness(),
        voice(),
        instruction(),
        gate(),
        exam(),
        covered(),
        submitted(),
        ended(),
    ]
}

pub fn welcome() -> ScreenView {
    let link = "qorgan://exam.kaznmu.kz:8443/?ca=9f3c1a…".to_owned();
    ScreenView::Welcome(WelcomeView {
        link,
        busy: false,
        trouble: None,
    })
}

pub fn sign_in() -> ScreenView {
    ScreenView::SignIn(SignInView {
        login: Private("aigerim".to_owned()),
        password: Private("secret".to_owned()),
        again: false,
        busy: false,
        trouble: Some(Trouble::Problem {
            code: ProblemCode::WrongPassword,
            retry_after_s: None,
        }),
    })
}

/// The sign-in that ran out in the middle of an exam.
pub fn sign_in_again() -> ScreenView {
    ScreenView::SignIn(SignInView {
        login: Private("aigerim".to_owned()),
        password: Private(String::new()),
        again: true,
        busy: false,
        trouble: None,
    })
}

pub fn exams() -> ScreenView {
    let card = |title: &str, state| ExamCard {
        attempt: AttemptId::new(at(), [1; 10]),
        title: title.to_owned(),
        discipline: "NPH 2203".to_owned(),
        opens: at(),
        closes: at(),
        duration_ms: 90 * 60_000,
        items: 20,
        mode: GateMode::Remote,
        phase: AttemptPhase::Scheduled,
        state,
    };
    ScreenView::Exams(ExamsView {
        name: Private("Айгерім".to_owned()),
        exams: Some(vec![
            card("Қалыпты физиология", ExamState::Open),
            card("Патологиялық анатомия", ExamState::NotYet { opens: at() }),
            card(
                "Микробиология",
                ExamState::NotAdmitted {
                    reason: "ЖР 46 %".to_owned(),
                },
            ),
            card("Гистология", ExamState::Done),
        ]),
        busy: false,
        trouble: None,
    })
}

pub fn consent() -> ScreenView {
    ScreenView::Consent(text(false))
}

pub fn instruction() -> ScreenView {
    ScreenView::Instruction(text(true))
}

fn text(read: bool) -> TextView {
    let paragraph = "Емтихан кезінде камераңыз, микрофоныңыз және экраныңыз жазылады. Жазбаны проктор \
        мен тестілеу орталығы көреді; ол емтихан нәтижесі бекітілгеннен кейін белгіленген мерзімге дейін \
        сақталады. Сұрақтарыңыз болса, анықтама қызметіне хабарласыңыз.";
    TextView {
        title: "Қалыпты физиология".to_owned(),
        text: [paragraph; 6].join("\n\n"),
        read,
        refused: None,
        busy: false,
        trouble: None,
    }
}

pub fn system_check() -> ScreenView {
    let line = |check, result, found: &str, state| CheckLine {
        check,
        result,
        found: found.to_owned(),
        state,
        rule: None,
    };
    ScreenView::SystemCheck(SystemCheckView {
        lines: vec![
            line(Check::Server, CheckResult::Good, "", None),
            line(Check::Agent, CheckResult::Good, "", None),
            line(
                Check::Camera,
                CheckResult::Bad,
                "Integrated Camera",
                Some(SourceState::Busy),
            ),
            line(
                Check::Microphone,
                CheckResult::Good,
                "Built-in Audio",
                Some(SourceState::Live),
            ),
            line(
                Check::Screen,
                CheckResult::Pending,
                "",
                Some(SourceState::Opening),
            ),
            line(Check::Displays, CheckResult::Good, "1 / 1", None),
            line(Check::Disk, CheckResult::Good, "75310 MB", None),
            line(Check::RemoteSession, CheckResult::Good, "", None),
            line(Check::VirtualMachine, CheckResult::Warning, "QEMU", None),
            line(Check::Proxy, CheckResult::Good, "", None),
        ],
        ready: false,
        busy: false,
        trouble: None,
    })
}

/// The picture of a document, before it is shown.
pub fn document() -> ScreenView {
    let ScreenView::Identity(screen) = identity() else {
        return identity();
    };
    ScreenView::Identity(IdentityView {
        reason: None,
        document: DocumentState::Taken,
        state: IdentityState::Open,
        ready: false,
        ..screen
    })
}

pub fn identity() -> ScreenView {
    ScreenView::Identity(IdentityView {
        reason: None,
        photo: true,
        camera: Some(CAMERA),
        document: DocumentState::NotAsked,
        state: IdentityState::Waiting,
        must_be_approved: false,
        ready: true,
        busy: false,
        trouble: None,
    })
}

/// Turning the head, one turn done.
pub fn liveness() -> ScreenView {
    liveness_at(LivenessState::Turning {
        turn: Turn::Left,
        done: 1,
        needed: 3,
        hint: None,
    })
}

/// What else the step says, by name.
pub fn livenesses() -> Vec<(&'static str, ScreenView)> {
    let more = LivenessState::Turning {
        turn: Turn::Right,
        done: 2,
        needed: 3,
        hint: Some(TurnHint::More),
    };
    let straight = LivenessState::Straight {
        done: 1,
        needed: 3,
        hint: Some(TurnHint::NoFace),
    };
    vec![
        ("liveness-asked", liveness_at(LivenessState::NotAsked)),
        ("liveness-more", liveness_at(more)),
        ("liveness-straight", liveness_at(straight)),
        (
            "liveness-not-followed",
            liveness_at(LivenessState::NotFollowed { left: 2 }),
        ),
        (
            "liveness-not-followed-last",
            liveness_at(LivenessState::NotFollowed { left: 0 }),
        ),
        (
            "liveness-unavailable",
            liveness_at(LivenessState::Unavailable),
        ),
        ("liveness-shown", liveness_at(LivenessState::Shown)),
    ]
}

pub fn liveness_at(state: LivenessState) -> ScreenView {
    let nothing_left = matches!(
        state,
        LivenessState::Unavailable | LivenessState::NotFollowed { left: 0 }
    );
    ScreenView::Liveness(LivenessView {
        state,
        camera: Some(CAMERA),
        device: Some(SourceState::Live),
        may_begin: matches!(
            state,
            LivenessState::NotAsked | LivenessState::NotFollowed { .. }
        ),
        may_skip: nothing_left,
    })
}

/// Both lights, by name.
pub const LIGHTS: [(&str, Light); 2] = [("warm", Light::Warm), ("cool", Light::Cool)];

/// Reading aloud, half of it heard.
pub fn voice() -> ScreenView {
    voice_at(VoiceState::Listening {
        heard: 2,
        needed: 5,
        hint: None,
    })
}

/// What else the screen of reading aloud says, by name.
pub fn voices() -> Vec<(&'static str, ScreenView)> {
    let quiet = VoiceState::Listening {
        heard: 1,
        needed: 5,
        hint: Some(VoiceHint::TooQuiet),
    };
    vec![
        ("voice-asked", voice_at(VoiceState::NotAsked)),
        ("voice-quiet", voice_at(quiet)),
        ("voice-several", voice_at(VoiceState::NotOneVoice)),
        ("voice-known", voice_at(VoiceState::Known)),
    ]
}

fn voice_at(state: VoiceState) -> ScreenView {
    let trouble = match state {
        VoiceState::Listening { hint, .. } => hint.is_some(),
        VoiceState::NotOneVoice | VoiceState::Skipped | VoiceState::Unavailable => true,
        VoiceState::NotAsked | VoiceState::Known | VoiceState::NotNeeded => false,
    };
    ScreenView::Voice(VoiceView {
        text: 1,
        state,
        level: Some(if trouble { 18 } else { 62 }),
        device: Some(SourceState::Live),
        may_skip: trouble,
    })
}

pub fn gate() -> ScreenView {
    let line = |source, server, device, label: &str| GateLineView {
        source,
        server,
        device: Some(device),
        label: label.to_owned(),
        level: (source == StreamKind::Microphone).then_some(62),
        preview: (source != StreamKind::Microphone).then_some(StreamId {
            kind: source,
            index: 0,
        }),
    };
    ScreenView::Gate(GateView {
        title: "Қалыпты физиология".to_owned(),
        duration: Duration::from_secs(90 * 60),
        items: 20,
        lines: vec![
            line(
                StreamKind::Camera,
                GateLineState::Live,
                SourceState::Live,
                "Integrated Camera",
            ),
            line(
                StreamKind::Microphone,
                GateLineState::Waiting,
                SourceState::Live,
                "Built-in Audio",
            ),
            line(
                StreamKind::Screen,
                GateLineState::Lost,
                SourceState::Stalled,
                "eDP-1 1366×768",
            ),
        ],
        waits_for_proctor: false,
        waits_for_identity: true,
        agent_linked: true,
        open: false,
        busy: false,
        trouble: None,
    })
}

pub fn bar() -> BarView {
    BarView {
        title: "Қалыпты физиология".to_owned(),
        recording: Recording::On,
        connection: Connection::Good,
        remaining: Duration::from_secs(4365),
        stands_still: false,
        hand_raised: false,
        unread: 0,
    }
}

pub fn exam() -> ScreenView {
    let questions = (1..=20)
        .map(|position| QuestionView {
            position,
            answered: [1, 2, 3, 5, 8].contains(&position),
            flagged: [3, 7].contains(&position),
        })
        .collect();
    let choice = |id: &str, text: &str| Choice {
        id: id.to_owned(),
        text: text.to_owned(),
    };
    ScreenView::Exam(Box::new(ExamView {
        bar: bar(),
        questions,
        answered: 5,
        place: 4,
        flagged: false,
        item: Some(ItemView {
            body: vec![Block::Picture {
                picture: picture_id(),
                alt: "Жүректің өткізгіш жүйесінің сызбасы".to_owned(),
            }],
            prompt: "Жүректің жиырылу жиілігін қай жүйке баяулатады?".to_owned(),
            choices: vec![
                choice(
                    "A",
                    "Кезбе жүйке (n. vagus), себебі ол синус түйінінің автоматиясын тежейді",
                ),
                choice("B", "Симпатикалық жүйке"),
                choice("C", "Көкет жүйкесі"),
                choice("D", "Қайырмалы көмей жүйкесі"),
            ],
            multiple: false,
            chosen: vec!["B".to_owned()],
            kept: Some(Kept::Delivered(at())),
        }),
        item_in: None,
        message: None,
        ask: None,
        trouble: None,
    }))
}

/// The exam while something is asked beside the question.
pub fn exam_that_asks(ask: ExamAsk) -> ScreenView {
    let mut screen = exam();
    if let ScreenView::Exam(exam) = &mut screen {
        exam.ask = Some(ask);
    }
    screen
}

pub fn covered() -> ScreenView {
    ScreenView::Covered(CoveredView {
        bar: BarView {
            recording: Recording::Kept,
            connection: Connection::Weak,
            stands_still: true,
            ..bar()
        },
        cause: CoverCause::Server(PauseCause::SourceLost),
        since: Duration::from_secs(17),
        lost: vec![StreamKind::Camera],
        credited: true,
        identity_shown: false,
        answered: Some(5),
        of: 20,
        undelivered: 1,
    })
}

pub fn submitted() -> ScreenView {
    ScreenView::Submitted(SubmittedView {
        title: "Қалыпты физиология".to_owned(),
        delivery: Delivery::Delivered {
            at: at(),
            late: false,
        },
        answered: 19,
        of: 20,
        recording_left_bytes: 123_000,
        receipt: Some(ReceiptView {
            entries: 27,
            at: at(),
            code: "7F3A-09C2-E41B-D855".to_owned(),
            place: Some(
                "/opt/qorgan-client/receipts/019f2f6c-52ab-7d31-8a04-3b9e6c10d2f7.e1.json"
                    .to_owned(),
            ),
        }),
        may_leave: true,
    })
}

pub fn ended() -> ScreenView {
    ScreenView::Ended(EndedView {
        title: "Қалыпты физиология".to_owned(),
        cause: EndCause::Moved,
    })
}

pub fn overlays() -> Vec<(&'static str, OverlayView)> {
    let message = |from, text: &str| Message {
        id: MessageId::new(at(), [4; 10]),
        from,
        at: at(),
        text: text.to_owned(),
    };
    let overlay = |overlay| OverlayView {
        overlay,
        messages: vec![
            message(MessageFrom::Proctor, "Камераны сәл төмен түсіріңізші."),
            message(MessageFrom::Candidate, "Жақсы, қазір."),
        ],
        draft: "Дұрыс па?".to_owned(),
        unanswered: vec![4, 6, 9],
        flagged: vec![3, 7],
        picture: Some((
            picture_id(),
            "Жүректің өткізгіш жүйесінің сызбасы".to_owned(),
        )),
    };
    vec![
        ("help", overlay(Overlay::Help)),
        ("messages", overlay(Overlay::Messages)),
        ("confirm", overlay(Overlay::ConfirmSubmit)),
        ("picture", overlay(Overlay::Picture(picture_id()))),
        ("reading", overlay(Overlay::Reading)),
    ]
}

/// Pictures made of plain colours.
pub struct Album(BTreeMap<PictureKey, TextureHandle>);

impl Album {
    pub fn load(ctx: &egui::Context) -> Self {
        let mut album = BTreeMap::new();
        let screen = StreamId {
            kind: StreamKind::Screen,
            index: 0,
        };
        for (key, size, tint) in [
            (PictureKey::Photo, [180, 220], [150, 170, 190]),
            (PictureKey::Preview(screen), [160, 90], [90, 110, 140]),
            (PictureKey::Document, [426, 320], [200, 205, 190]),
            (PictureKey::Item(picture_id()), [480, 220], [225, 215, 205]),
        ] {
            let image =
                ColorImage::filled(size, egui::Color32::from_rgb(tint[0], tint[1], tint[2]));
            album.insert(
                key,
                ctx.load_texture("sample", image, TextureOptions::LINEAR),
            );
        }
        // The camera's picture has a darker left half, by which a mirror is told.
        let half = |at: usize| if at % 293 < 146 { 110 } else { 150 };
        let greys: Vec<u8> = (0..293 * 220).map(half).collect();
        let camera = ColorImage::from_gray([293, 220], &greys);
        let camera = ctx.load_texture("camera", camera, TextureOptions::LINEAR);
        album.insert(PictureKey::Preview(CAMERA), camera);
        Self(album)
    }
}

impl Pictures for Album {
    fn picture(&self, key: PictureKey) -> Option<Picture> {
        let texture = self.0.get(&key)?;
        let size: Vec2 = texture.size_vec2();
        Some(Picture {
            texture: texture.id(),
            size,
        })
    }
}

fn picture_id() -> PictureId {
    PictureId::new(at(), [9; 10])
}

fn at() -> WallTime {
    WallTime::from_unix_ms(1_789_800_127_000)
}

const CAMERA: StreamId = StreamId {
    kind: StreamKind::Camera,
    index: 0,
};
