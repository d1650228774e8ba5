//! `receipt`.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use qorgan_protocol::crypto::{self, PublicKey, SignedBytes};
use qorgan_protocol::wire::{ReceiptFile, ResponseReceipt};
use qorgan_signing::Ring;

use super::say;
use crate::evidence::trusted_keys;

/// Checks a receipt that a candidate kept; needs no server.
#[derive(Debug, Args)]
pub(super) struct Receipt {
    /// The receipt's file.
    file: PathBuf,
    /// A server key that you trust: in hexadecimal, or a file with one key a line. May be given
    /// several times.
    #[arg(long, required = true)]
    trust: Vec<String>,
}

impl Receipt {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut keys = Vec::new();
        for text in &self.trust {
            keys.extend(trusted_keys(text)?);
        }
        let bytes = std::fs::read(&self.file)
            .with_context(|| format!("cannot read {}", self.file.display()))?;
        let receipt = checked(&bytes, &keys)?;
        say(&format!("Attempt {}, {}", receipt.attempt, receipt.epoch));
        say(&format!(
            "{} entries up to {}, at {} (UTC since 1970)",
            receipt.next.0, receipt.head, receipt.at
        ));
        say(if receipt.submitted {
            "VALID: the server signed that it holds them and that the attempt is submitted"
        } else {
            "VALID: the server signed that it holds them"
        });
        Ok(())
    }
}

/// Opens a candidate's receipt; what stands beside the signed bytes must say the same.
fn checked(bytes: &[u8], keys: &[PublicKey]) -> anyhow::Result<ResponseReceipt> {
    let file: ReceiptFile = serde_json::from_slice(bytes).context("this is no receipt")?;
    let signed = SignedBytes::from(file.signed.clone());
    let opened = keys
        .iter()
        .find_map(|key| crypto::open(&Ring, key, file.institution, &signed).ok());
    let Some(receipt) = opened else {
        bail!("INVALID: not signed by a trusted key");
    };
    if file != ReceiptFile::new(file.institution, receipt, &signed) {
        bail!("INVALID: the file says something else than what was signed");
    }
    Ok(receipt)
}

#[cfg(test)]
mod tests {
    use qorgan_protocol::assessment::ResponseSeq;
    use qorgan_protocol::crypto::{Sha256, Signer as _};
    use qorgan_protocol::ids::{AttemptId, Epoch, InstitutionId};
    use qorgan_protocol::time::WallTime;
    use qorgan_signing::Keys;

    use super::*;

    #[test]
    fn a_candidates_receipt_holds_and_every_changed_byte_of_it_does_not() {
        let (keys, _pkcs8) = Keys::generate().expect("random bytes");
        let institution = InstitutionId::new(WallTime::from_unix_ms(1), [0; 10]);
        let receipt = ResponseReceipt {
            attempt: AttemptId::new(WallTime::from_unix_ms(1), [1; 10]),
            epoch: Epoch::FIRST,
            next: ResponseSeq(20),
            head: Sha256([5; 32]),
            submitted: true,
            at: WallTime::from_unix_ms(1_789_800_127_000),
        };
        let signed = crypto::sign(&keys, &Ring, institution, &receipt).expect("signs");
        let file = ReceiptFile::new(institution, receipt, &signed);
        let bytes = serde_json::to_vec(&file).expect("plain data");
        let trust = [keys.public_key()];

        assert_eq!(checked(&bytes, &trust).expect("it holds"), receipt);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(checked(&changed, &trust).is_err(), "byte {at}");
        }
        let (other, _pkcs8) = Keys::generate().expect("random bytes");
        let error = checked(&bytes, &[other.public_key()]).expect_err("not trusted");
        assert!(error.to_string().contains("INVALID"), "{error}");
    }
}
