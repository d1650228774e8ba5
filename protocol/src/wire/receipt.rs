//! The file in which a candidate keeps the server's word (decision 5).

use serde::{Deserialize, Serialize};

use super::attempt::ResponseReceipt;
use super::hexbytes::SignedHex;
use crate::crypto::{Sha256, SignedBytes};
use crate::ids::{AttemptId, Epoch, InstitutionId};
use crate::time::WallTime;

/// A receipt with what it says beside it; only what is signed counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptFile {
    /// Says what the file is, and in which version.
    pub kind: String,
    /// Which institution's server signed.
    pub institution: InstitutionId,
    /// Whose attempt.
    pub attempt: AttemptId,
    /// On which machine.
    pub epoch: Epoch,
    /// How many journal entries are covered.
    pub entries: u64,
    /// Hash of the newest of them; it chains all before it.
    pub head: String,
    /// Whether the attempt is submitted with this.
    pub submitted: bool,
    /// When, by the server's clock.
    pub at: WallTime,
    /// The signed [`ResponseReceipt`].
    pub signed: SignedHex,
}

impl ReceiptFile {
    /// The only version so far.
    pub const KIND: &'static str = "qorgan response receipt 1";

    /// Writes down a receipt.
    #[must_use]
    pub fn new(institution: InstitutionId, receipt: ResponseReceipt, signed: &SignedBytes) -> Self {
        Self {
            kind: Self::KIND.to_owned(),
            institution,
            attempt: receipt.attempt,
            epoch: receipt.epoch,
            entries: receipt.next.0,
            head: receipt.head.to_hex(),
            submitted: receipt.submitted,
            at: receipt.at,
            signed: signed.clone().into(),
        }
    }

    /// Returns the short code by which people compare receipts: 64 bits of the hash of the signed
    /// bytes, in groups of four.
    #[must_use]
    pub fn code(hash: &Sha256) -> String {
        let hex = hash.to_hex().to_uppercase();
        let groups: Vec<&str> = (0..4).filter_map(|n| hex.get(n * 4..n * 4 + 4)).collect();
        groups.join("-")
    }
}
