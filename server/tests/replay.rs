//! Ten recordings, each with a flag of another detector: `qorgan-server replay` makes each score
//! again from the exported recording alone (decision 12).

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

#[expect(dead_code, reason = "the load bench uses the rest")]
mod common;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use common::{Agent, Provision, Server, cmaf, connector};
use qorgan_detect::{
    CoveredCamera, Detector, FaceFinder, FrozenCamera, Input, MutedMicrophone, NobodyInView,
    PRINT_PIECES_MIN, PhoneInView, Picture, Scored, SecondFace, Seen, ThingFinder, VOICE_NUMBERS,
    VoiceEmbedding, VoicePrint,
};
use qorgan_protocol::attempt::TerminationCause;
use qorgan_protocol::codec::encode;
use qorgan_protocol::evidence::StreamId;
use qorgan_protocol::ids::{Epoch, PersonId};
use qorgan_protocol::incident::{Edge, IncidentKind, Observation, Severity};
use qorgan_protocol::time::{Now, WallTime};
use qorgan_server::evidence::{ScoredInputs, export, seal};
use qorgan_server::registry::ControlAction;
use qorgan_signing::InputKey;

/// A kind, its detector, the score that was told and what was scored.
type Flag = (IncidentKind, &'static str, Severity, Vec<u8>);

#[tokio::test(flavor = "multi_thread")]
async fn ten_recordings_give_the_same_scores_again_and_name_the_chunks_that_show_them() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(&data.path().join("data")).await;
    let flags = flags();
    let provisions = server.attempts(10).await;
    assert_eq!(flags.len(), provisions.len());
    for (flag, provision) in flags.iter().zip(&provisions) {
        let out = data.path().join(flag.1.replace('/', "-"));
        recording(&server, provision, flag, &out).await;
        let said = replay(&out);
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.status.success(), "{}: {text}", flag.1);
        assert!(text.contains(flag.1) && text.contains("same"), "{text}");
        assert!(text.contains("1 scores made again"), "{text}");
        evidence_stands(flag, &out);
    }

    // A recording that tells another score than its input gives is named, and fails.
    let (kind, detector, score, input) = flags[0].clone();
    let other = Severity::clamped(score.value() - 0.1);
    let lied = (kind, detector, other, input);
    let provision = server.attempts(1).await.remove(0);
    let out = data.path().join("lied");
    recording(&server, &provision, &lied, &out).await;
    let said = replay(&out);
    assert!(!said.status.success());
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(text.contains("DIFFERS"), "{text}");
    server.stop().await;
}

/// Records eight seconds with one flag in them, seals and exports them.
async fn recording(server: &Server, provision: &Provision, flag: &Flag, out: &Path) {
    let (kind, detector, score, input) = flag.clone();
    let attempt = provision.attempt;
    let mut seen = Observation {
        kind,
        edge: Edge::Began,
        at: Now::default(),
        at_us: 6_000_000,
        stream: StreamId::from_word("camera-0"),
        score,
        threshold: Severity::clamped(0.3),
        detector: detector.to_owned(),
        detail: String::new(),
        scored_input: input,
    };
    let key = server.state.recordings.key(attempt).await.expect("a key");
    InputKey::of_attempt(&key, attempt)
        .seal((attempt, Epoch::FIRST), &mut seen)
        .expect("random bytes");
    let told = encode("observations", &vec![seen]).expect("plain data");
    let mut agent = Agent::new(&server.place, provision, &connector(&server.place.ca));
    let init: Arc<[u8]> = cmaf::init().into();
    agent.chunk("camera-0", 0, true, &init);
    for half in 0..16_u8 {
        let picture: Arc<[u8]> = cmaf::chunk(&[half; 900], &[half; 90]).into();
        agent.chunk(
            "camera-0",
            u64::from(half) * 500_000,
            half % 4 == 0,
            &picture,
        );
    }
    agent.chunk("events-0", 6_000_000, true, &told.into());
    agent.beat();
    agent.settle().await;
    agent.finish();
    agent.run(Duration::from_millis(500)).await;
    assert!(agent.finished);
    let proctor = PersonId::new(WallTime::from_unix_ms(1), [1; 10]);
    let ended = ControlAction::Terminate(TerminationCause::Proctor);
    let registry = &server.state.registry;
    registry
        .control(attempt, ended, proctor, "test")
        .await
        .expect("ended");
    seal(&server.state, attempt).await.expect("sealed");
    export(&server.state, attempt, ScoredInputs::WithKey, out)
        .await
        .expect("exported");
}

/// The export says what scored the incident, how, and which chunks show it.
fn evidence_stands((kind, detector, score, _): &Flag, out: &Path) {
    let text = std::fs::read(out.join("incidents.json")).expect("exported");
    let incidents: Vec<serde_json::Value> = serde_json::from_slice(&text).expect("JSON");
    let told = incidents.iter().find(|one| one["kind"] == kind.word());
    let told = told.expect("one incident of the kind");
    assert_eq!(told["detector"], *detector);
    let near = |key: &str, wanted: f64| {
        told[key]
            .as_f64()
            .is_some_and(|is| (is - wanted).abs() < 1e-9)
    };
    assert!(
        near("score", score.value()) && near("threshold", 0.3),
        "{told}"
    );
    let models = told["models"].as_str().expect("text");
    let files = qorgan_detect::models_of(detector);
    assert_eq!(models.is_empty(), files.is_empty());
    assert!(files.iter().all(|file| models.contains(file.sha256())));
    let clip = &told["clip"];
    assert_eq!(clip["stream"], "camera-0");
    // From two seconds on to where the recording ends: chunks 5 to 16.
    assert_eq!((&clip["first"], &clip["last"]), (&5.into(), &16.into()));
}

fn replay(out: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_qorgan-server"))
        .arg("replay")
        .arg(out)
        .output()
        .expect("it runs")
}

fn flags() -> Vec<Flag> {
    let mut flags = pictures();
    let silence = [0; 48_000];
    let mut muted = MutedMicrophone::default();
    let heard = muted.look(Now::default(), Input::Sound(&silence));
    flags.push(flag(&muted, heard.expect("it needs no model")));
    for (kind, detector, input) in [
        (
            IncidentKind::AnotherVoice,
            "another-voice/1",
            pieces(Some(print()), 1, 0),
        ),
        (
            IncidentKind::AnotherVoice,
            "several-voices/1",
            pieces(None, 4, 0),
        ),
        (IncidentKind::Whisper, "whisper/1", pieces(None, 2, 1)),
        (IncidentKind::Talking, "talking/1", minute()),
    ] {
        let score = qorgan_detect::replay(detector, &input).expect("a score");
        flags.push((kind, detector, score, input));
    }
    flags
}

fn flag(detector: &impl Detector, scored: Option<Scored>) -> Flag {
    let scored = scored.expect("it scores what it is shown");
    let input = scored.input().expect("it can be kept");
    (detector.kind(), detector.name(), scored.score, input)
}

/// What each detector of a camera scores in a drawn room without anybody.
fn pictures() -> Vec<Flag> {
    let room: Vec<u8> = (0..640_u32 * 480)
        .map(|pixel| {
            u8::try_from(pixel % 640 / 8 + pixel / 640 / 6).map_or(150, |shade| shade + 50)
        })
        .collect();
    let colourless = [128; 320 * 240];
    let dark = vec![16; 640 * 480];
    let picture = |pixels| Picture::i420(640, 480, [pixels, &colourless, &colourless]);
    let (lit, dark) = (
        picture(&room).expect("whole"),
        picture(&dark).expect("whole"),
    );
    let later = Now::from_origin(Duration::from_secs(5));

    let mut covered = CoveredCamera::default();
    let seen = covered.look(later, Input::Picture(dark));
    let mut flags = vec![flag(&covered, seen.expect("no model"))];
    let mut frozen = FrozenCamera::default();
    let first = frozen.look(Now::default(), Input::Picture(lit));
    assert!(
        first.expect("no model").is_none(),
        "one picture is not frozen"
    );
    let seen = frozen.look(later, Input::Picture(lit));
    flags.push(flag(&frozen, seen.expect("no model")));

    let finder = FaceFinder::load().expect("the model as committed");
    let faces = finder.find(lit).expect("the model runs");
    let seen = Seen {
        picture: lit,
        faces: &faces,
    };
    let nobody = NobodyInView.look(later, Input::Faces(seen));
    flags.push(flag(&NobodyInView, nobody.expect("faces are given")));
    let second = SecondFace.look(later, Input::Faces(seen));
    flags.push(flag(&SecondFace, second.expect("faces are given")));
    let mut finder = ThingFinder::load().expect("the model as committed");
    let things = finder.look(later, seen).expect("the model runs");
    let things = things.expect("the first look");
    let phone = PhoneInView.look(later, Input::Things(&things));
    flags.push(flag(&PhoneInView, phone.expect("things are given")));
    flags
}

/// Kept voices: `QV`, version 1, a print or none, and pieces of a second, clear (0) or soft (1).
fn pieces(print: Option<Vec<u8>>, count: u8, manner: u8) -> Vec<u8> {
    let mut bytes = b"QV\x01".to_vec();
    bytes.push(u8::from(print.is_some()));
    bytes.extend(print.unwrap_or_default());
    bytes.push(count);
    for piece in 0..i32::from(count) {
        bytes.push(manner);
        bytes.extend(16_000_u32.to_le_bytes());
        let samples = (0..16_000_i32).map(|n| (n * n + piece * 7 * n) % 9_000 - 4_500);
        let samples = samples.map(|sample| i16::try_from(sample).expect("small"));
        bytes.extend(samples.flat_map(i16::to_le_bytes));
    }
    bytes
}

fn print() -> Vec<u8> {
    let voice = || {
        let mut numbers = vec![0.1; VOICE_NUMBERS];
        numbers[0] = 0.7;
        VoiceEmbedding::new(numbers).expect("a direction")
    };
    let pieces: Vec<_> = (0..PRINT_PIECES_MIN).map(|_| voice()).collect();
    let print = VoicePrint::enrol(&pieces, &[]).expect("one voice");
    print.to_bytes()
}

/// A kept minute: `QT`, version 1, and a letter for each frame, half of them speech.
fn minute() -> Vec<u8> {
    let frames = (0..1_000).map(|n| if n % 2 == 0 { b's' } else { b'-' });
    b"QT\x01".iter().copied().chain(frames).collect()
}
