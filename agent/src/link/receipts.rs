//! The server's signed receipts, kept beside the spool: they are the candidate's proof.

use core::time::Duration;
use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use qorgan_protocol::codec;
use qorgan_protocol::crypto::SignedBytes;
use qorgan_protocol::ids::{AttemptId, Epoch};
use qorgan_protocol::time::Now;

/// The newest receipts; each covers, by the chain, every chunk before it.
#[derive(Debug)]
pub(super) struct Receipts {
    path: PathBuf,
    newest: VecDeque<SignedBytes>,
    written: Option<Now>,
    changed: bool,
}

impl Receipts {
    /// Goes on with what a former run of this attempt and epoch kept.
    pub(super) fn open(folder: &Path, attempt: AttemptId, epoch: Epoch) -> Self {
        let path = folder.join(format!("{attempt}.{epoch}.receipts"));
        let kept = fs::read(&path).unwrap_or_default();
        Self {
            path,
            newest: codec::decode("receipts", &kept).unwrap_or_default(),
            written: None,
            changed: false,
        }
    }

    pub(super) fn keep(&mut self, receipt: SignedBytes) {
        if self.newest.len() >= KEPT_MAX {
            self.newest.pop_front();
        }
        self.newest.push_back(receipt);
        self.changed = true;
    }

    pub(super) fn tick(&mut self, now: Now) {
        if self
            .written
            .is_none_or(|written| now.since(written) >= WRITE_EVERY)
        {
            self.written = Some(now);
            self.write();
        }
    }

    /// Writes the newest receipts as canonical bytes of a list.
    pub(super) fn write(&mut self) {
        if !core::mem::take(&mut self.changed) {
            return;
        }
        let written = codec::encode("receipts", &self.newest)
            .map_err(std::io::Error::other)
            .and_then(|bytes| qorgan_files::replace(&self.path, &bytes));
        if let Err(error) = written {
            tracing::warn!(%error, "The receipts cannot be kept");
        }
    }
}

/// Enough that each stream's newest receipt is among them.
const KEPT_MAX: usize = 64;
const WRITE_EVERY: Duration = Duration::from_secs(5);
