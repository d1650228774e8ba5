//! Measures what one act costs: CPU time warm and cold, with and without stills, and the seal.
//!
//! `cargo run --release -p qorgan-documents --example act_cost`

#![expect(clippy::print_stdout, reason = "a bench speaks")]

#[path = "../tests/documents/samples.rs"]
#[expect(dead_code, reason = "a bench needs the sample act only")]
mod samples;

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use image::ImageFormat;
use qorgan_documents::seal::prepare;
use qorgan_documents::{ActData, ActRenderer, Language, Moment, SealMeta, Sealer};
use qorgan_protocol::time::WallTime;
use ring::rand::SystemRandom;

fn main() {
    let start = cpu_ms();
    let renderer = ActRenderer::new(samples::settings());
    let loaded = cpu_ms();
    let cold = acts(Pictures::Camera).swap_remove(0);
    let made = cpu_ms();
    let first = renderer.render(&cold).expect("a complete act");
    println!(
        "fonts and library once          {:8.2} CPU-ms",
        loaded - start
    );
    println!(
        "first act, cold                 {:8.2} CPU-ms",
        cpu_ms() - made
    );
    println!("an act takes                    {:8} bytes", first.len());
    for (name, pictures) in [
        ("act warm, no stills", Pictures::None),
        ("act warm, 2 JPEG 640×480", Pictures::Camera),
        ("act warm, JPEG and 1080p JPEG", Pictures::ScreenJpeg),
        ("act warm, JPEG and 1080p PNG", Pictures::ScreenPng),
    ] {
        let acts = acts(pictures);
        let cost = each(acts.len(), |round| {
            let _pdf = renderer.render(&acts[round]).expect("a complete act");
        });
        println!("{name:32}{cost:8.2} CPU-ms");
    }
    seal(&first);
    profile(&renderer);
}

/// Prints the typesetter's own largest steps over [`ROUNDS`] acts, in ms of one act.
fn profile(renderer: &ActRenderer) {
    let acts = acts(Pictures::Camera);
    typst_timing::enable();
    for act in &acts {
        let _pdf = renderer.render(act).expect("a complete act");
    }
    typst_timing::disable();
    let mut trace = Vec::new();
    typst_timing::export_json(&mut trace, |_| (String::new(), 0)).expect("memory takes a trace");
    let events: Vec<serde_json::Value> = serde_json::from_slice(&trace).expect("a trace");
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for event in &events {
        let name = event["name"].as_str().expect("an event has a name");
        let at = event["ts"].as_f64().expect("an event has a time");
        let sign = if event["ph"] == "B" { -1.0 } else { 1.0 };
        *sums.entry(name.to_owned()).or_default() += sign * at;
    }
    let mut steps: Vec<(String, f64)> = sums.into_iter().collect();
    steps.sort_by(|left, right| right.1.total_cmp(&left.1));
    println!("largest steps, nested, each over all threads:");
    for (name, microseconds) in steps.iter().take(16) {
        println!(
            "  {name:30}{:8.2} ms",
            microseconds / 1_000.0 / acts.len() as f64
        );
    }
}

fn seal(pdf: &[u8]) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
    let certificate = rcgen::CertificateParams::default()
        .self_signed(&key)
        .expect("one");
    let chain = [certificate.der().to_vec()];
    let sealer =
        Sealer::new(&key.serialize_der(), &chain, SystemRandom::new()).expect("its own chain");
    let meta = SealMeta {
        reason: "bench".to_owned(),
        location: "Алматы".to_owned(),
        name: "Тестілеу орталығы".to_owned(),
        signing_time: Moment::new(WallTime::from_unix_ms(0), 300).expect("a civil date"),
    };
    let whole = each(ROUNDS, |_| {
        let _sealed = sealer.seal(pdf, &meta).expect("a complete act");
    });
    let prepared = each(ROUNDS, |_| {
        let _prepared = prepare(pdf, &meta).expect("a complete act");
    });
    println!("seal                        {whole:8.2} CPU-ms, of it preparing {prepared:.2}");
}

#[derive(Clone, Copy)]
enum Pictures {
    None,
    Camera,
    ScreenJpeg,
    ScreenPng,
}

/// Makes acts that share nothing but the form's own texts, as real ones do.
fn acts(pictures: Pictures) -> Vec<ActData> {
    (0..ROUNDS).map(|round| numbered(round, pictures)).collect()
}

fn numbered(round: usize, pictures: Pictures) -> ActData {
    let seed = u32::try_from(NEXT.fetch_add(1, Ordering::Relaxed)).expect("few acts");
    let mut act = samples::act(Language::Kazakh);
    act.number = format!("2026-1-{seed:06}");
    act.candidate.name = format!("Әбдіқадырұлы Ғалымжан {seed}");
    act.other = vec![format!(
        "14:07:{:02} — емтихан терезесінен шығу",
        round % 60
    )];
    act.verification.url = format!("https://exam.example/v/k7Qm2xT9wZr{seed}");
    act.verification.act_hash[..4].copy_from_slice(&seed.to_be_bytes());
    act.recording.root[..4].copy_from_slice(&seed.to_be_bytes());
    let (format, width, height) = match pictures {
        Pictures::None => {
            act.evidence.clear();
            return act;
        }
        Pictures::Camera => (ImageFormat::Jpeg, 640, 480),
        Pictures::ScreenJpeg => (ImageFormat::Jpeg, 1_920, 1_080),
        Pictures::ScreenPng => (ImageFormat::Png, 1_920, 1_080),
    };
    act.evidence[0].still = samples::picture(640, 481 + seed / 40, seed, ImageFormat::Jpeg);
    act.evidence[1].still = samples::picture(width, height - seed / 40, seed, format);
    act
}

/// Returns the CPU-ms of one call.
fn each(rounds: usize, mut call: impl FnMut(usize)) -> f64 {
    let start = cpu_ms();
    for round in 0..rounds {
        call(round);
    }
    (cpu_ms() - start) / rounds as f64
}

/// Counts the acts, so that no two share a number, a code or a still.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Reads this process's CPU time over all its threads.
fn cpu_ms() -> f64 {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux keeps the books");
    let nanoseconds: u64 = tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|line| line.split(' ').next()?.parse::<u64>().ok())
        .sum();
    f64::from(u32::try_from(nanoseconds / 1_000).expect("a bench of under an hour")) / 1_000.0
}

const ROUNDS: usize = 40;
