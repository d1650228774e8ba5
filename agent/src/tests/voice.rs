//! The voice that reads aloud at check-in is learnt, kept, and told from others.

use core::time::Duration;
use std::process::Command;

use qorgan_protocol::ids::Epoch;
use qorgan_protocol::incident::{IncidentKind, Observation};
use qorgan_protocol::local::{VoiceHint, VoiceState};
use qorgan_signing::InputKey;

use super::server::{INPUT_KEY, attempt};
use super::wait_for;
use super::witness::{Sitting, seen};
use crate::clock;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voice_that_read_aloud_is_expected_by_the_next_agent_too_and_another_is_flagged() {
    let own = [spoken(CANDIDATE, READING), spoken(CANDIDATE, TALK)].concat();
    let before_other = seconds(&own);
    let sound = [own, spoken(OTHER, TALK), spoken(OTHER, READING)].concat();
    let sitting = Sitting::hearing(&wav(&sound)).await;
    let opened = clock::now();
    sitting.bound.board().begin_reading();
    wait_for(|| voice(&sitting) == VoiceState::Known).await;
    assert!(clock::now().since(opened) < Duration::from_secs(15));
    let kept = sitting.learnt("voice");
    let [sealed] = kept.as_slice() else {
        panic!("{} files", kept.len())
    };
    qorgan_detect::VoicePrint::from_bytes(sealed).expect_err("it lies sealed");

    wait_for(|| another(&sitting).is_some()).await;
    let flagged = another(&sitting).expect("it was there");
    let after = flagged.at.since(opened).as_secs_f64();
    assert!(
        after > before_other,
        "{after} s, the other came at {before_other} s"
    );
    let whose = (attempt(), Epoch::FIRST);
    let input = InputKey::new(INPUT_KEY).open(whose, &flagged);
    let input = input.expect("sealed");
    let again = qorgan_detect::replay(&flagged.detector, &input).expect("kept");
    assert!((again.value() - flagged.score.value()).abs() < 1e-3);

    // Another reading, as by a client that was changed, teaches no other voice.
    sitting.bound.board().begin_reading();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(voice(&sitting), VoiceState::Known);
    assert_eq!(sitting.learnt("voice"), kept);

    let sitting = sitting.killed().await;
    wait_for(|| voice(&sitting) == VoiceState::Known).await;
    let kinds: Vec<_> = sitting
        .ended()
        .await
        .into_iter()
        .map(|seen| seen.kind)
        .collect();
    assert!(
        !kinds.contains(&IncidentKind::VoiceNotEnrolled),
        "{kinds:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_by_two_voices_teaches_none_and_going_on_without_is_recorded() {
    let mut sound = spoken("en-us+klatt4", READING);
    sound.truncate(3 * RATE);
    sound.extend([spoken(OTHER, READING), spoken(OTHER, TALK)].concat());
    let sitting = Sitting::hearing(&wav(&sound)).await;
    sitting.bound.board().begin_reading();
    wait_for(|| voice(&sitting) == VoiceState::NotOneVoice).await;
    assert!(sitting.learnt("voice").is_empty());

    sitting.bound.go_without_voice();
    sitting.bound.go_without_voice();
    assert_eq!(voice(&sitting), VoiceState::Skipped);
    assert_eq!(
        missing(&sitting.ended().await),
        ["several voices, or much noise, were heard"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_told_and_a_client_that_asks_for_nothing_hides_nothing() {
    let sitting = Sitting::hearing(&wav(&[0; 4 * RATE])).await;
    sitting.bound.board().begin_reading();
    wait_for(|| {
        let silent = Some(VoiceHint::NoSound);
        matches!(voice(&sitting), VoiceState::Listening { heard: 0, hint, .. } if hint == silent)
    })
    .await;
    assert_eq!(
        missing(&sitting.ended().await),
        ["0 of 5 pieces of speech were heard"]
    );
}

fn voice(sitting: &Sitting) -> VoiceState {
    sitting.bound.board().voice()
}

fn another(sitting: &Sitting) -> Option<Observation> {
    let all = seen(&sitting.server).into_iter();
    let mut another = all.filter(|seen| seen.kind == IncidentKind::AnotherVoice);
    another.next()
}

/// Returns what the recording says of a voice that is not known.
fn missing(seen: &[Observation]) -> Vec<&str> {
    let missing = seen
        .iter()
        .filter(|seen| seen.kind == IncidentKind::VoiceNotEnrolled);
    missing.map(|seen| seen.detail.as_str()).collect()
}

/// Returns what espeak-ng, which set-up installs, says: mono, 16 bits, [`RATE`].
fn spoken(voice: &str, text: &str) -> Vec<i16> {
    let output = Command::new("espeak-ng")
        .args(["-v", voice, "--stdout", text])
        .output();
    let stdout = output.expect("set-up has installed it").stdout;
    let (_, pcm) = stdout.split_at_checked(44).expect("a header");
    let (pairs, _) = pcm.as_chunks::<2>();
    pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect()
}

fn seconds(samples: &[i16]) -> f64 {
    let milliseconds = u32::try_from(samples.len() * 1_000 / RATE).expect("short");
    f64::from(milliseconds) / 1_000.0
}

fn wav(samples: &[i16]) -> Vec<u8> {
    let rate = u32::try_from(RATE).expect("small");
    let length = u32::try_from(samples.len() * 2).expect("short");
    let mut wav = b"RIFF".to_vec();
    wav.extend((length + 36).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(rate.to_le_bytes());
    wav.extend((rate * 2).to_le_bytes());
    wav.extend(b"\x02\0\x10\0data");
    wav.extend(length.to_le_bytes());
    wav.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    wav
}

const RATE: usize = 22_050;
const CANDIDATE: &str = "kk";
const OTHER: &str = "en+f5";
const READING: &str = "Таңертең ерте тау бөктерінде ауа таза болады, ал өзен бойында құстардың әні \
    естіледі. Күн көтерілгенде қала оянып, көшелер біртіндеп жанданады.";
const TALK: &str =
    "Жаңбырдан кейін далада жусанның иісі аңқып, көк аспанда кемпірқосақ пайда болды.";
