//! The main job, whole: the packaged programs from an empty folder to a sealed act.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

use std::fs;
use std::path::Path;
use std::process::Command;

use qorgan_tests::demo::{CameraWish, Wishes, run};
use qorgan_tests::privacy::{lines_with, personal_words};
use qorgan_tests::program;
use qorgan_tests::server::COMMANDS;
use qorgan_tests::tree::top;
use serde_json::Value;

/// The agent opens a Video4Linux device's stand-in and PulseAudio, and the real screen shows the
/// real kiosk: nothing is simulated to the server, and its policy allows nothing that is.
//= tests/data/sop-2-28.md#10-start-gate
//= type=test
//= tests/data/sop-2-28.md#13-recording
//= type=test
//= tests/data/sop-2-28.md#17-act
//= type=test
#[test]
fn the_packaged_agent_records_the_response_that_the_candidate_chose() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let out = folder.path().join("out");
    let wishes = Wishes {
        auto: true,
        out: out.clone(),
        language: "kk".to_owned(),
        camera: CameraWish::StandIn,
    };
    let mut said = Vec::new();

    let passed = run(&wishes, &mut said);

    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(passed.expect(&said), "{said}");
    let summary = fs::read_to_string(out.join("summary.json")).expect("a summary");
    let summary: Value = serde_json::from_str(&summary).expect("the summary is JSON");
    sources_are_devices(&summary);
    assert!(
        summary["verification"]["verdict"]
            .as_str()
            .is_some_and(|word| word.starts_with("VALID")),
        "{summary}"
    );
    media_plays(&out.join("recording"));
    screen_shows_the_response(&out);
    act_is_whole(&out.join("act.pdf"));
    kiosk_still_covers_the_display(&out);
    logs_name_nobody(&out.join("logs"));
    readme_commands_were_run(&out);
}

/// Each command of the README's tables, with each of its options, was run on the way.
fn readme_commands_were_run(out: &Path) {
    let run = fs::read_to_string(out.join(COMMANDS)).expect("the commands that were run");
    let readme = top().join("README.md");
    let readme = fs::read_to_string(readme).expect("the README");
    let rows = readme.lines().filter(|line| line.starts_with('|'));
    let named: Vec<&str> = rows
        .flat_map(|row| row.split('`').skip(1).step_by(2))
        .collect();
    assert!(named.len() > 10, "the README names commands: {named:?}");
    for call in named {
        let words = call.trim_start_matches("qorgan-server ");
        let fixed = words
            .split_whitespace()
            .take_while(|word| word.chars().all(|c| c.is_ascii_lowercase()));
        let command: Vec<&str> = fixed.collect();
        let options = words
            .split_whitespace()
            .filter(|word| word.starts_with("--"));
        let options: Vec<&str> = options.collect();
        let ran = |line: &str| {
            let given: Vec<&str> = line.split_whitespace().collect();
            given.starts_with(&command) && options.iter().all(|option| given.contains(option))
        };
        assert!(run.lines().any(ran), "`{call}` was not run:\n{run}");
    }
}

/// Server, kiosk and agent said all that they say below TRACE, and nothing of who sat the exam.
fn logs_name_nobody(logs: &Path) {
    for log in ["server.log", "kiosk.log"] {
        let said = fs::read_to_string(logs.join(log)).expect("a log");
        assert!(
            said.contains("DEBUG") || said.contains("INFO"),
            "{log}: {said}"
        );
    }
    let agent = fs::read_to_string(logs.join("kiosk.log")).expect("a log");
    assert!(agent.contains("qorgan_agent"), "the agent's words go there");
    let words = personal_words().expect("the exam's people");
    let found = lines_with(logs, &words).expect("logs");
    assert!(found.is_empty(), "{found:#?}");
}

fn sources_are_devices(summary: &Value) {
    let sources = summary["sources"]
        .as_array()
        .expect("the agent stated its sources");
    for kind in ["camera", "microphone", "screen"] {
        let source = sources
            .iter()
            .find(|source| source["source"]["kind"] == kind)
            .expect("each source was stated");
        assert_eq!(source["kind"], "device", "{source}");
        assert!(
            source["driver"]
                .as_str()
                .is_some_and(|driver| !driver.is_empty())
        );
    }
}

fn media_plays(recording: &Path) {
    for (name, codecs) in [
        ("camera-0.e1.mp4", "h264\nopus"),
        ("screen-0.e1.mp4", "h264"),
    ] {
        let mut ffprobe = Command::new("ffprobe");
        ffprobe.args([
            "-v",
            "error",
            "-show_entries",
            "stream=codec_name",
            "-of",
            "csv=p=0",
        ]);
        let told = program::run(ffprobe.arg(recording.join(name))).expect("ffprobe reads it");
        assert_eq!(told.trim(), codecs, "{name}");
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-i"]).arg(recording.join(name));
        program::run(ffmpeg.args(["-f", "null", "-"])).expect("ffmpeg plays it to its end");
    }
}

/// The kiosk's own picture, taken while the response was shown, is found in the recording.
fn screen_shows_the_response(out: &Path) {
    let frames = out.join("frames.gray");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args(["-v", "error", "-y", "-i"])
        .arg(out.join("recording/screen-0.e1.mp4"));
    ffmpeg.args([
        "-fps_mode",
        "passthrough",
        "-vf",
        RESPONSES,
        "-f",
        "rawvideo",
    ]);
    program::run(ffmpeg.args(["-pix_fmt", "gray"]).arg(&frames)).expect("ffmpeg reads the screen");
    let seen = out.join("seen.gray");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args(["-v", "error", "-y", "-i"])
        .arg(out.join("screens/10-exam.png"));
    ffmpeg.args(["-vf", RESPONSES, "-f", "rawvideo", "-pix_fmt", "gray"]);
    program::run(ffmpeg.arg(&seen)).expect("ffmpeg reads the picture");

    let seen = fs::read(seen).expect("the picture");
    let frames = fs::read(frames).expect("the frames");
    let apart: Vec<f64> = frames
        .chunks_exact(seen.len())
        .map(|frame| apart(frame, &seen))
        .collect();

    let nearest = apart.iter().copied().fold(f64::INFINITY, f64::min);
    let farthest = apart.iter().copied().fold(0.0, f64::max);
    assert!(
        nearest < 3.0,
        "no recorded picture is near the kiosk's: {apart:?}"
    );
    assert!(
        farthest > 2.0 * nearest + 1.0,
        "every picture is alike: {apart:?}"
    );
}

/// The lock is gone after the submission, and the kiosk was there before the lock.
fn kiosk_still_covers_the_display(out: &Path) {
    let corner = out.join("corner.gray");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args(["-v", "error", "-y", "-i"])
        .arg(out.join("screens/13-submitted.png"));
    ffmpeg.args(["-vf", "crop=64:64:1840:1000", "-f", "rawvideo"]);
    program::run(ffmpeg.args(["-pix_fmt", "gray"]).arg(&corner)).expect("ffmpeg reads the picture");
    let corner = fs::read(corner).expect("the corner");
    assert!(
        corner.iter().all(|pixel| *pixel > 128),
        "the desktop shows beside the kiosk"
    );
}

/// Returns the mean difference of two pictures, in steps of brightness.
fn apart(one: &[u8], other: &[u8]) -> f64 {
    let sum: u64 = one
        .iter()
        .zip(other)
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    let sum = u32::try_from(sum).map_or(f64::INFINITY, f64::from);
    sum / u32::try_from(one.len()).map_or(1.0, f64::from)
}

fn act_is_whole(act: &Path) {
    program::run(Command::new("qpdf").arg("--check").arg(act)).expect("qpdf finds no fault");
    let text = program::run(Command::new("pdftotext").arg(act).arg("-")).expect("the act has text");
    assert!(text.contains("АКТ №"), "{text}");
    assert!(
        text.contains("емтихандағы тәртіп ережелерін бұзу туралы"),
        "{text}"
    );
    assert!(
        !text.contains("жою"),
        "an act without a decision annuls nothing: {text}"
    );
}

/// Where the responses of an item stand on a display of 1920 by 1080.
const RESPONSES: &str = "crop=1360:320:240:380";
