//! Workers that decode candidates' video: confined, killed by time, and started again.
#![cfg(target_os = "linux")]
#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use qorgan_decoding::{DecodeError, Decoders, WORKER};
use qorgan_encode::{I420Ref, MediaTime, Profile, VideoEncoder, VideoSettings};

const CODE: &str = "0123456789ABCDEF0123456789ABCDEF";
const WIDTH: usize = 1_280;
const HEIGHT: usize = 720;

#[tokio::test]
async fn a_worker_finds_the_code_of_an_encoded_screen() {
    let (avcc, sample) = encoded(&with_code());
    let found = Decoders::of(program()).code(avcc, sample).await;
    assert_eq!(found.expect("decoded").as_deref(), Some(CODE));
}

#[tokio::test]
async fn garbage_gives_nothing_and_the_next_picture_is_decoded() {
    let decoders = Decoders::of(program());
    let (avcc, sample) = encoded(&with_code());
    let mut broken = sample.clone();
    for (at, byte) in broken.iter_mut().enumerate().skip(40) {
        *byte = u8::try_from(at * 131 % 251).expect("small");
    }
    for (avcc, sample) in [
        (vec![0xff; 64], vec![0xff; 4_096]),
        (avcc.clone(), vec![0; 100_000]),
        (avcc.clone(), broken),
        (Vec::new(), Vec::new()),
    ] {
        match decoders.code(avcc, sample).await {
            Ok(found) => assert_eq!(found, None),
            Err(DecodeError::Ended | DecodeError::TooSlow) => {}
            Err(other) => panic!("{other}"),
        }
    }
    let found = decoders.code(avcc, sample).await;
    assert_eq!(found.expect("decoded").as_deref(), Some(CODE));
}

#[tokio::test]
async fn screens_full_of_finder_patterns_change_nothing_for_others() {
    let decoders = Decoders::of(program());
    let hostile = [1, 2].map(|module| encoded(&full_of_finders(module)));
    let flood = hostile.into_iter().cycle().take(8).map(|(avcc, sample)| {
        let decoders = decoders.clone();
        tokio::spawn(async move { decoders.code(avcc, sample).await })
    });
    let flood: Vec<_> = flood.collect();
    let (avcc, sample) = encoded(&with_code());
    let began = Instant::now();
    let found = decoders.code(avcc, sample).await;
    assert_eq!(found.expect("decoded").as_deref(), Some(CODE));
    // Five seconds are what a code may take to be found.
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    for hostile in flood {
        let found = hostile.await.expect("not cut off");
        assert_eq!(found.expect("decoded in time"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_in_mid_work_is_followed_by_another() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let script = folder.path().join("worker");
    let pid = folder.path().join("pid");
    // Says that it is ready, as a worker does, and then works for ever.
    let text = format!(
        "#!/bin/sh\necho $$ > {}\nprintf R\nwhile :; do :; done\n",
        pid.display()
    );
    std::fs::write(&script, text).expect("written");
    Command::new("chmod")
        .arg("+x")
        .arg(&script)
        .status()
        .expect("made a program");
    let stuck = Decoders::of(script);
    let job = tokio::spawn({
        let stuck = stuck.clone();
        async move { stuck.code(vec![1], vec![2]).await }
    });
    let worker = until(|| {
        let text = std::fs::read_to_string(&pid).ok()?;
        text.trim().parse::<u32>().ok()
    });
    Command::new("kill")
        .args(["-9", &worker.to_string()])
        .status()
        .expect("killed");
    let ended = job.await.expect("not cut off");
    assert!(matches!(ended, Err(DecodeError::Ended)), "{ended:?}");
    let again = stuck.code(vec![1], vec![2]).await;
    assert!(matches!(again, Err(DecodeError::TooSlow)), "{again:?}");
    let next: u32 = std::fs::read_to_string(&pid)
        .expect("written anew")
        .trim()
        .parse()
        .expect("a number");
    assert_ne!(next, worker);
    assert!(
        !PathBuf::from(format!("/proc/{next}")).exists(),
        "it was killed"
    );
}

#[test]
fn a_worker_has_no_environment_no_descriptor_and_no_rights() {
    let inherited = std::fs::File::open("/proc/self/status").expect("readable");
    // Programs that are started from here inherit the duplicate, as from a service manager.
    let kept = rustix::io::dup(&inherited).expect("duplicated");
    let mut worker = Command::new(program())
        .arg(WORKER)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    drop(kept);
    assert_eq!(ready(&mut worker), b'R');
    let of = |name: &str| format!("/proc/{}/{name}", worker.id());
    let environment = std::fs::read(of("environ")).expect("readable");
    assert_eq!(environment, b"");
    let status = std::fs::read_to_string(of("status")).expect("readable");
    let line = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.expect("told").trim().to_owned()
    };
    assert_eq!(line("NoNewPrivs:"), "1");
    assert_eq!(line("Seccomp:"), "2");
    assert_eq!(line("Threads:"), "1");
    let mut open: Vec<_> = std::fs::read_dir(of("fd"))
        .expect("readable")
        .map(|entry| entry.expect("readable").file_name())
        .collect();
    open.sort();
    assert_eq!(open, ["0", "1", "2"]);
    let limits = std::fs::read_to_string(of("limits")).expect("readable");
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name));
        line.expect("told")
            .split_whitespace()
            .rev()
            .nth(2)
            .expect("a limit")
            .to_owned()
    };
    assert_eq!(limit("Max open files"), "3");
    assert_eq!(limit("Max address space"), "1073741824");
    worker.kill().expect("killed");
    worker.wait().expect("ended");
}

#[test]
fn a_worker_ends_where_the_server_breaks_the_wire() {
    let mut worker = Command::new(program())
        .arg(WORKER)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    assert_eq!(ready(&mut worker), b'R');
    let mut input = worker.stdin.take().expect("piped");
    input
        .write_all(&[b'C', 0xff, 0xff, 0xff, 0xff])
        .expect("sent");
    drop(input);
    assert!(!worker.wait().expect("ended").success());
}

fn ready(worker: &mut Child) -> u8 {
    let mut said = [0];
    let output = worker.stdout.as_mut().expect("piped");
    output
        .read_exact(&mut said)
        .expect("it says that it is ready");
    said[0]
}

fn until<T>(mut there: impl FnMut() -> Option<T>) -> T {
    let late = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(found) = there() {
            return found;
        }
        assert!(Instant::now() < late, "it never came");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_qorgan-server"))
}

fn with_code() -> Vec<u8> {
    let mut luma = vec![235; WIDTH * HEIGHT];
    let code = qrcode::QrCode::new(CODE).expect("a code");
    let side = code.width();
    let (left, top) = (WIDTH - (side + 4) * 8, HEIGHT - (side + 4) * 8);
    for (at, colour) in code.to_colors().into_iter().enumerate() {
        if colour == qrcode::Color::Dark {
            let (x, y) = (left + at % side * 8, top + at / side * 8);
            for row in y..y + 8 {
                luma[row * WIDTH + x..row * WIDTH + x + 8].fill(16);
            }
        }
    }
    luma
}

fn full_of_finders(module: usize) -> Vec<u8> {
    let dark = |at: usize| {
        let (x, y) = (at % WIDTH / module % 8, at / WIDTH / module % 8);
        let ring = x
            .min(y)
            .min(6_usize.saturating_sub(x))
            .min(6_usize.saturating_sub(y));
        x < 7 && y < 7 && ring != 1
    };
    let pixels = (0..WIDTH * HEIGHT).map(|at| if dark(at) { 16 } else { 235 });
    pixels.collect()
}

/// Encodes one key frame; returns its `avcC` record and sample.
fn encoded(luma: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let side = |side: usize| u32::try_from(side).expect("small");
    let settings = Profile::Standard.settings().screen;
    let settings = VideoSettings::screen(&settings, side(WIDTH), side(HEIGHT));
    let mut encoder = VideoEncoder::new(settings).expect("an encoder");
    let mut planes = luma.to_vec();
    planes.resize(WIDTH * HEIGHT * 3 / 2, 128);
    let picture = I420Ref::tight(side(WIDTH), side(HEIGHT), &planes).expect("planes");
    let frame = encoder.encode(&picture, MediaTime::ZERO, true);
    let frame = frame.expect("encoded").expect("a key frame");
    let sets = encoder.parameter_sets();
    let len = |set: &[u8]| u16::try_from(set.len()).expect("short").to_be_bytes();
    let mut avcc = vec![1, 66, 0, 40, 0xff, 0xe1];
    avcc.extend(len(&sets.sps));
    avcc.extend_from_slice(&sets.sps);
    avcc.push(1);
    avcc.extend(len(&sets.pps));
    avcc.extend_from_slice(&sets.pps);
    (avcc, frame.data)
}
