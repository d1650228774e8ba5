//! The bytes of every signed structure of this version stay readable and stay the same.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

#[expect(
    clippy::allow_attributes,
    reason = "which items are unused differs by file"
)]
#[allow(dead_code, reason = "each test file uses its part")]
mod common;

use common::{attempt, certificate, export, recorded, signed, stream, unsealed, wall};
use qorgan_protocol::codec::{decode, encode};
use qorgan_protocol::crypto::{Sha256, Signable, SignedBytes, Signer as _, open};
use qorgan_protocol::evidence::merkle::Checkpoint;
use qorgan_protocol::evidence::{
    AttemptKeyCertificate, BeatBody, ChunkSeq, Manifest, Receipt, ReceiptBatch, Supplement,
    Unsealed,
};
use qorgan_protocol::ids::{BootId, Epoch};
use qorgan_protocol::link::Hello;
use qorgan_signing::{Keys, Ring};

#[test]
fn certificate_of_version_1_stays() {
    golden(
        "certificate",
        &common::server(),
        &signed(&common::server(), &certificate()),
        &certificate(),
    );
}

#[test]
fn receipts_of_version_1_stay() {
    let body = ReceiptBatch {
        attempt: attempt(),
        epoch: Epoch::FIRST,
        at: wall(5),
        receipts: vec![Receipt {
            stream: stream("camera-0"),
            seq: ChunkSeq(7),
            header: Sha256([8; 32]),
        }],
        beat_next: 3,
    };
    golden(
        "receipts",
        &common::server(),
        &signed(&common::server(), &body),
        &body,
    );
}

#[test]
fn beat_of_version_1_stays() {
    let recorded = recorded(2, 10);
    let beat = common::beat(0, Sha256::ZERO, &recorded.chains);
    let body: BeatBody = opened(&common::agent(), &beat);
    golden("beat", &common::agent(), &beat, &body);
}

#[test]
fn hello_of_version_1_stays() {
    let body = Hello {
        version_min: 1,
        version_max: 1,
        nonce: [9; 32],
        attempt: attempt(),
        epoch: Epoch::FIRST,
        boot: BootId([3; 16]),
        agent_version: "0.1.0".to_owned(),
        simulated_build: false,
    };
    golden(
        "hello",
        &common::agent(),
        &signed(&common::agent(), &body),
        &body,
    );
}

#[test]
fn checkpoint_of_version_1_stays() {
    let body = Checkpoint {
        size: 2,
        root: Sha256([5; 32]),
        at: wall(9),
    };
    golden(
        "checkpoint",
        &common::server(),
        &signed(&common::server(), &body),
        &body,
    );
}

#[test]
fn manifest_of_version_5_and_supplement_of_version_1_stay() {
    let files = export(2, 10);
    let manifest: SignedBytes = decode("manifest", &files.0["manifest.bin"]).expect("canonical");
    let body: Manifest = opened(&common::server(), &manifest);
    golden("manifest", &common::server(), &manifest, &body);
    let supplement: SignedBytes =
        decode("supplement", &files.0["supplement.bin"]).expect("canonical");
    let body: Supplement = opened(&common::server(), &supplement);
    golden("supplement", &common::server(), &supplement, &body);
}

#[test]
fn files_of_version_1_stay() {
    let files = export(2, 10);
    for name in ["camera-0.e1.log", "beats.e1.log", "proof.bin"] {
        insta::assert_snapshot!(format!("file_{name}"), lines(&files.0[name]));
    }
    insta::assert_snapshot!("file_unsealed.bin", lines(&unsealed(2).0["unsealed.bin"]));
    let signed: SignedBytes =
        decode("unsealed", &unsealed(2).0["unsealed.bin"]).expect("canonical");
    let body: Unsealed = opened(&common::server(), &signed);
    assert_eq!(body.attempt, attempt());
}

fn golden<T: Signable + PartialEq + core::fmt::Debug>(
    name: &str,
    keys: &Keys,
    structure: &SignedBytes,
    body: &T,
) {
    let bytes = encode(T::NAME, structure).expect("plain data");
    insta::assert_snapshot!(name, lines(&bytes));
    assert_eq!(&opened::<T>(keys, structure), body);
}

fn opened<T: Signable>(keys: &Keys, structure: &SignedBytes) -> T {
    open(&Ring, &keys.public_key(), common::institution(), structure).expect("signed here")
}

/// Writes bytes as lines of thirty-two.
fn lines(bytes: &[u8]) -> String {
    let rows: Vec<_> = bytes.chunks(32).map(hex::encode).collect();
    rows.join("\n")
}

#[test]
fn a_certificate_is_no_receipt() {
    let structure = signed(&common::server(), &certificate());
    open::<ReceiptBatch>(
        &Ring,
        &common::server().public_key(),
        common::institution(),
        &structure,
    )
    .expect_err("another label");
    let body: AttemptKeyCertificate = opened(&common::server(), &structure);
    assert_eq!(body, certificate());
}
