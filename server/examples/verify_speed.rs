//! How fast `verify` checks a large export from the page cache, on one core:
//! `cargo run --release -p qorgan-server --example verify_speed`.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../protocol/signing/tests/common/mod.rs"]
mod common;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use qorgan_protocol::crypto::{Signer as _, StreamHasher as _};
use qorgan_protocol::evidence::verify::verify;
use qorgan_server::evidence::FolderSource;
use qorgan_signing::Ring;

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    for (name, bytes) in common::export(CHUNKS, CHUNK_BYTES).0 {
        std::fs::write(folder.path().join(name), bytes)?;
    }
    let trust = [common::server().public_key()];
    for round in 1..=ROUNDS {
        let began = cpu_ns()?;
        let report = verify(&Ring, &trust, &[], &mut FolderSource::new(folder.path()))?;
        let took = cpu_ns()?.saturating_sub(began);
        anyhow::ensure!(report.is_valid(), "{:?}", report.faults);
        let alone = hashing_alone(folder.path())?;
        println!(
            "round {round}: verify {:.2} GB/s of {} MB; reading and hashing them alone {:.2} GB/s",
            speed(report.bytes_read, took)?,
            report.bytes_read / 1_000_000,
            speed(report.bytes_read, alone)?,
        );
    }
    Ok(())
}

/// Returns the CPU time of reading every file once and hashing it with ring, in nanoseconds.
fn hashing_alone(folder: &Path) -> anyhow::Result<u64> {
    let mut buffer = vec![0; 64 * 1024];
    let began = cpu_ns()?;
    for entry in std::fs::read_dir(folder)? {
        let mut file = File::open(entry?.path())?;
        let mut running = Ring.begin();
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            Ring.feed(&mut running, &buffer[..read]);
        }
        std::hint::black_box(Ring.end(running));
    }
    Ok(cpu_ns()?.saturating_sub(began))
}

fn speed(bytes: u64, nanoseconds: u64) -> anyhow::Result<f64> {
    let kilobytes = u32::try_from(bytes / 1_000)?;
    let microseconds = u32::try_from(nanoseconds / 1_000)?;
    Ok(f64::from(kilobytes) / f64::from(microseconds))
}

/// Returns this thread's CPU time: other programs on a busy machine do not count.
fn cpu_ns() -> anyhow::Result<u64> {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let first = line.split(' ').next().context("Linux keeps the books")?;
    Ok(first.parse()?)
}

/// Half seconds of two streams: one hour.
const CHUNKS: u64 = 7_200;
const CHUNK_BYTES: usize = 32_000;
const ROUNDS: u32 = 4;
