//! `export` and `verify`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::Args;
use qorgan_protocol::codec;
use qorgan_protocol::crypto::SignedBytes;
use qorgan_protocol::evidence::verify::{Report, Seal, verify};
use qorgan_protocol::ids::AttemptId;
use qorgan_signing::Ring;

use super::say;
use crate::evidence::{
    Again, Exported, FolderSource, ReplayedLine, ScoredInputs, export, replay, trusted_keys,
};
use crate::state::AppState;

/// Copies a recording out: exact CMAF files, side logs, manifest and proof, and the acts on it.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// The attempt's identifier.
    attempt: AttemptId,
    /// The folder to write to; it must be new or empty.
    #[arg(long)]
    out: PathBuf,
    /// Add the key that `replay` needs. With it anybody can open what each flag was scored from:
    /// pictures of faces and pieces of voices, with the numbers that tell whose they are. That the key
    /// was added stands in the audit log.
    #[arg(long)]
    with_faces_and_voices: bool,
}

impl Export {
    pub(super) async fn run(self, state: &AppState) -> anyhow::Result<()> {
        let inputs = if self.with_faces_and_voices {
            ScoredInputs::WithKey
        } else {
            ScoredInputs::Sealed
        };
        let exported = export(state, self.attempt, inputs, &self.out).await?;
        match exported {
            Exported::Sealed(root) => say(&format!("Exported, root {root}")),
            Exported::Unsealed => say("Exported, but the recording is not sealed"),
        }
        say(&format!("Server key {}", state.keys.public_key().to_hex()));
        state.store.close().await;
        Ok(())
    }
}

/// Checks every byte of an export against what a trusted key signed; needs no server.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The folder of the export.
    folder: PathBuf,
    /// A server key that you trust: in hexadecimal, or a file with one key a line. May be given
    /// several times.
    #[arg(long, required = true)]
    trust: Vec<String>,
    /// A file of receipts that an agent kept (`….receipts`): everything that they acknowledge must be
    /// in the export. May be given several times.
    #[arg(long)]
    receipts: Vec<PathBuf>,
}

impl Verify {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut keys = Vec::new();
        for text in &self.trust {
            keys.extend(trusted_keys(text)?);
        }
        let mut receipts = Vec::new();
        for file in &self.receipts {
            receipts.extend(kept_receipts(file)?);
        }
        let began = Instant::now();
        let report = verify(
            &Ring,
            &keys,
            &receipts,
            &mut FolderSource::new(&self.folder),
        )
        .with_context(|| format!("cannot read {}", self.folder.display()))?;
        tell(&report);
        let seconds = began.elapsed().as_secs_f64();
        say(&format!(
            "Read {} bytes in {seconds:.3} s",
            report.bytes_read
        ));
        match (&report.seal, report.faults.len()) {
            (Seal::Sealed { .. }, 0) => {
                say("VALID: sealed, and every byte is as it was signed for");
                Ok(())
            }
            (Seal::Unsealed { .. }, 0) => bail!("UNSEALED: the recording was never finished"),
            (Seal::Sealed { .. } | Seal::Unsealed { .. } | Seal::Unknown, faults) => {
                bail!("INVALID: {faults} fault(s)")
            }
        }
    }
}

/// Makes the score of each flag of an export again from the exact input that was kept with it
/// (decision 12); needs no server. Inputs are sealed: the export must be one
/// `--with-faces-and-voices`. Whether the export is genuine is for `verify` to say.
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// The folder of the export.
    folder: PathBuf,
}

impl Replay {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let replayed = replay(&mut FolderSource::new(&self.folder))
            .with_context(|| format!("cannot read {}", self.folder.display()))?;
        for line in &replayed.lines {
            say(&line.to_string());
        }
        let sealed = |line: &&ReplayedLine| line.again == Again::Sealed;
        let sealed = replayed.lines.iter().filter(sealed).count();
        let differ = replayed.lines.iter().filter(|line| !line.holds()).count() - sealed;
        say(&format!(
            "{} scores made again, {sealed} with a sealed input, {} facts without a score",
            replayed.lines.len() - sealed,
            replayed.facts
        ));
        if differ > 0 {
            bail!("{differ} score(s) are not what the recording says");
        }
        if sealed > 0 {
            bail!(
                "{sealed} score(s) cannot be made again: their inputs are sealed, and this export \
                 was made without --with-faces-and-voices"
            );
        }
        Ok(())
    }
}

/// Reads the receipts that an agent kept beside its spool.
fn kept_receipts(file: &Path) -> anyhow::Result<Vec<SignedBytes>> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    codec::decode("receipts", &bytes)
        .with_context(|| format!("{} is no file of receipts", file.display()))
}

fn tell(report: &Report) {
    if let (Some(institution), Some(attempt)) = (report.institution, report.attempt) {
        say(&format!("Institution {institution}, attempt {attempt}"));
    }
    match &report.seal {
        Seal::Sealed { at, root } => say(&format!("Sealed at {at} (UTC since 1970), root {root}")),
        Seal::Unsealed { last } => {
            for last in last {
                say(&format!(
                    "Unsealed: {} {} receipted up to chunk {} at {}",
                    last.stream, last.epoch, last.seq, last.at
                ));
            }
        }
        Seal::Unknown => say("Nothing here is signed by a trusted key"),
    }
    for line in &report.streams {
        say(&format!(
            "{} {}: {} chunks, {} ms, {} after the last beat",
            line.stream,
            line.epoch,
            line.chunks,
            line.end_us / 1_000,
            line.uncovered
        ));
    }
    say(&format!("{} beats", report.beats));
    if report.receipts > 0 {
        say(&format!("{} receipted chunks are here", report.receipts));
    }
    for name in &report.added {
        say(&format!("After the seal: {name}"));
    }
    for fault in &report.faults {
        say(&format!("FAULT {fault}"));
    }
}
