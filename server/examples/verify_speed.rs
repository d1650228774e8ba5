//! How fast `verify` checks a large export from the page cache, on one core:
//! `cargo run --release -p qorgan-server --example verify_speed`.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../protocol/signing/tests/common/mod.rs"]
mod common;

use std::time::Instant;

use qorgan_protocol::crypto::Signer as _;
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
        let began = Instant::now();
        let report = verify(&Ring, &trust, &[], &mut FolderSource::new(folder.path()))?;
        let seconds = began.elapsed().as_secs_f64();
        anyhow::ensure!(report.is_valid(), "{:?}", report.faults);
        let megabytes = u32::try_from(report.bytes_read / 1_000_000)?;
        let speed = f64::from(megabytes) / 1_000.0 / seconds;
        println!("round {round}: {megabytes} MB in {seconds:.3} s, {speed:.2} GB/s on one core");
    }
    Ok(())
}

/// Half seconds of two streams: one hour.
const CHUNKS: u64 = 7_200;
const CHUNK_BYTES: usize = 32_000;
const ROUNDS: u32 = 4;
