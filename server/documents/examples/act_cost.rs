//! Measures what one act costs: CPU time warm and cold, with and without stills, and the seal.
//!
//! `cargo run --release -p qorgan-documents --example act_cost`

#![expect(clippy::print_stdout, reason = "a bench speaks")]

#[path = "../tests/documents/samples.rs"]
#[expect(dead_code, reason = "a bench needs the sample act only")]
mod samples;

use std::fs;

use image::ImageFormat;
use qorgan_documents::seal::prepare;
use qorgan_documents::{ActData, ActRenderer, Language, Moment, SealMeta, Sealer};
use qorgan_protocol::time::WallTime;
use ring::rand::SystemRandom;

fn main() {
    let start = cpu_ms();
    let renderer = ActRenderer::new(samples::settings());
    let loaded = cpu_ms();
    let first = renderer
        .render(&numbered(0, Pictures::Camera))
        .expect("a complete act");
    println!("fonts and library once      {:8.2} CPU-ms", loaded - start);
    println!(
        "first act, cold             {:8.2} CPU-ms",
        cpu_ms() - loaded
    );
    println!("bytes of an act             {:8}", first.len());
    for (name, pictures) in [
        ("act warm, 2 JPEG 640×480", Pictures::Camera),
        ("act warm, JPEG and 1080p PNG", Pictures::Screen),
        ("act warm, no stills", Pictures::None),
    ] {
        println!(
            "{name:28}{:8.2} CPU-ms",
            each(|round| {
                let _pdf = renderer
                    .render(&numbered(round, pictures))
                    .expect("a complete act");
            }) - each(|round| {
                let _act = numbered(round, pictures);
            })
        );
    }
    seal(&first);
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
    let whole = each(|_| {
        let _sealed = sealer.seal(pdf, &meta).expect("a complete act");
    });
    let prepared = each(|_| {
        let _prepared = prepare(pdf, &meta).expect("a complete act");
    });
    println!("seal                        {whole:8.2} CPU-ms, of it preparing {prepared:.2}");
}

#[derive(Clone, Copy)]
enum Pictures {
    None,
    Camera,
    Screen,
}

/// Makes an act that shares no text with the others but the form's own, as real ones do.
fn numbered(round: u32, pictures: Pictures) -> ActData {
    let mut act = samples::act(Language::Kazakh);
    act.number = format!("2026-1-{round:06}");
    act.candidate.name = format!("Әбдіқадырұлы Ғалымжан {round}");
    act.other = vec![format!(
        "14:07:{:02} — емтихан терезесінен шығу",
        round % 60
    )];
    act.verification.url = format!("https://exam.example/v/k7Qm2xT9wZr{round}");
    act.verification.act_hash = [u8::try_from(round % 251).expect("below 251"); 32];
    match pictures {
        Pictures::None => act.evidence.clear(),
        Pictures::Camera => {
            for (index, evidence) in (0..).zip(&mut act.evidence) {
                evidence.still = samples::picture(640 + round % 7 + index, 480, ImageFormat::Jpeg);
                evidence.time = format!("14:05:{:02}", round % 60);
            }
        }
        Pictures::Screen => {
            act.evidence[0].still = samples::picture(640 + round % 7, 480, ImageFormat::Jpeg);
            act.evidence[1].still = samples::picture(1_920 - round % 7, 1_080, ImageFormat::Png);
        }
    }
    act
}

/// Returns the CPU-ms of one call, averaged over [`ROUNDS`].
fn each(mut call: impl FnMut(u32)) -> f64 {
    let start = cpu_ms();
    for round in 0..ROUNDS {
        call(round);
    }
    (cpu_ms() - start) / f64::from(ROUNDS)
}

/// Reads this process's CPU time over all its threads.
fn cpu_ms() -> f64 {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux keeps the books");
    let nanoseconds: u64 = tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|line| line.split(' ').next()?.parse::<u64>().ok())
        .sum();
    f64::from(u32::try_from(nanoseconds / 1_000).expect("a bench of under an hour")) / 1_000.0
}

const ROUNDS: u32 = 60;
