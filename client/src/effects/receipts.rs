//! The server's receipts, kept for the candidate (decision 5).
//!
//! `receipts/ATTEMPT.eN.json` holds the newest one: the bytes that the server signed, the signature
//! and the key, with what they say in plain words beside them. Nothing in it is secret or says what
//! was responded; `qorgan-server receipt FILE --trust KEY` checks it anywhere.

use std::{
    io,
    path::{Path, PathBuf},
};

use qorgan_client_core::event::KeptReceipt;
use qorgan_protocol::{
    crypto::{Hasher as _, SignedBytes},
    ids::{AttemptId, Epoch, InstitutionId},
    wire::{ReceiptFile, ResponseReceipt},
};
use qorgan_signing::Ring;

/// Where receipts lie.
#[derive(Debug)]
pub(super) struct Receipts {
    folder: PathBuf,
}

impl Receipts {
    pub(super) fn new(data: &Path) -> Self {
        Self {
            folder: data.join("receipts"),
        }
    }

    /// Keeps a receipt whose signature holds. One that the disk refuses is shown all the same.
    pub(super) fn keep(
        &self,
        institution: InstitutionId,
        receipt: ResponseReceipt,
        signed: &SignedBytes,
    ) -> KeptReceipt {
        let path = self.path(receipt.attempt, receipt.epoch);
        let file = ReceiptFile::new(institution, receipt, signed);
        let place = match self.write(&path, &file) {
            Ok(()) => Some(path.display().to_string()),
            Err(error) => {
                tracing::warn!(%error, "Could not keep the receipt");
                None
            }
        };
        KeptReceipt {
            receipt,
            code: code_of(signed),
            place,
        }
    }

    /// Returns the receipt that is kept for an attempt and epoch, whether or not it holds.
    pub(super) fn kept(&self, attempt: AttemptId, epoch: Epoch) -> Option<SignedBytes> {
        let bytes = std::fs::read(self.path(attempt, epoch)).ok()?;
        let file: ReceiptFile = serde_json::from_slice(&bytes).ok()?;
        Some(file.signed.into())
    }

    fn write(&self, path: &Path, file: &ReceiptFile) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(file)?;
        text.push('\n');
        std::fs::create_dir_all(&self.folder)?;
        qorgan_files::replace(path, text.as_bytes())
    }

    fn path(&self, attempt: AttemptId, epoch: Epoch) -> PathBuf {
        self.folder.join(format!("{attempt}.{epoch}.json"))
    }
}

/// Returns the short code of a receipt: the first 64 bits of the hash of what was signed.
fn code_of(signed: &SignedBytes) -> String {
    ReceiptFile::code(&Ring.sha256(&[&signed.bytes]))
}

#[cfg(test)]
mod tests {
    use qorgan_protocol::{
        assessment::ResponseSeq,
        crypto::{self, Sha256, Signer as _},
        time::WallTime,
    };
    use qorgan_signing::Keys;

    use super::*;

    #[test]
    fn a_kept_receipt_reads_back_and_proves_what_it_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let receipts = Receipts::new(folder.path());
        let (keys, _) = Keys::generate().expect("a key");
        let (receipt, signed) = receipt(&keys);

        let kept = receipts.keep(institution(), receipt, &signed);

        let place = kept.place.expect("it is written");
        assert!(place.ends_with(".json"), "{place}");
        assert_eq!(kept.code.len(), 19, "{}", kept.code);
        let again = receipts.kept(receipt.attempt, receipt.epoch).expect("kept");
        let opened: ResponseReceipt =
            crypto::open(&Ring, &keys.public_key(), institution(), &again).expect("it holds");
        assert_eq!(opened, receipt);
    }

    #[test]
    fn a_disk_that_refuses_leaves_the_code() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("receipts"), "in the way").expect("writes");
        let (keys, _) = Keys::generate().expect("a key");
        let (receipt, signed) = receipt(&keys);

        let kept = Receipts::new(folder.path()).keep(institution(), receipt, &signed);

        assert_eq!((kept.place, kept.code.len()), (None, 19));
    }

    fn receipt(keys: &Keys) -> (ResponseReceipt, SignedBytes) {
        let receipt = ResponseReceipt {
            attempt: AttemptId::new(WallTime::from_unix_ms(1), [1; 10]),
            epoch: Epoch::FIRST,
            next: ResponseSeq(7),
            head: Sha256([3; 32]),
            submitted: true,
            at: WallTime::from_unix_ms(9),
        };
        let signed = crypto::sign(keys, &Ring, institution(), &receipt).expect("signs");
        (receipt, signed)
    }

    fn institution() -> InstitutionId {
        InstitutionId::new(WallTime::from_unix_ms(1), [0; 10])
    }
}
