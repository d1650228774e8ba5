//! Exports: manifest, side logs, proof, media.

use qorgan_protocol::codec::{decode, encode};
use qorgan_protocol::crypto::SignedBytes;
use qorgan_protocol::evidence::Manifest;

use crate::damage::{Damage, damaged};
use crate::recording::{Files, export, unsealed};
use crate::wire::assert_only_canonical;

#[test]
fn whatever_is_done_to_an_export_it_is_found() {
    let whole = export(2, 20);
    let names: Vec<_> = whole.0.keys().cloned().collect();
    bolero::check!()
        .with_type::<(u8, Vec<Damage>)>()
        .for_each(|(which, damages)| {
            let name = &names[usize::from(*which) % names.len()];
            let bad = with(&whole, name, damages);
            assert_eq!(bad.check().is_valid(), bad == whole);
        });
}

#[test]
fn whatever_is_done_to_an_unsealed_export_it_is_never_valid() {
    let whole = unsealed(2);
    let names: Vec<_> = whole.0.keys().cloned().collect();
    bolero::check!()
        .with_type::<(u8, Vec<Damage>)>()
        .for_each(|(which, damages)| {
            let name = &names[usize::from(*which) % names.len()];
            let bad = with(&whole, name, damages);
            let report = bad.check();
            assert!(!report.is_valid());
            assert_eq!(
                report.faults.is_empty(),
                bad == whole,
                "{:?}",
                report.faults
            );
        });
}

#[test]
fn whatever_bytes_claim_to_be_a_manifest_only_its_canonical_form_is_read() {
    let good = export(2, 20)
        .0
        .remove("manifest.bin")
        .expect("in every export");
    let signed: SignedBytes = decode("manifest", &good).expect("canonical");
    bolero::check!()
        .with_type::<Vec<Damage>>()
        .for_each(|damages| {
            assert_only_canonical::<SignedBytes>(&damaged(&good, damages));
            let body = damaged(&signed.bytes, damages);
            assert_only_canonical::<Manifest>(&body);
            let other = SignedBytes {
                bytes: body,
                signature: signed.signature.clone(),
            };
            if let Ok(claim) = other.claim() {
                assert!(!encode("key", &claim.key).expect("plain data").is_empty());
            }
        });
}

fn with(whole: &Files, name: &str, damages: &[Damage]) -> Files {
    let mut bad = whole.clone();
    let bytes = damaged(&whole.0[name], damages);
    bad.0.insert(name.to_owned(), bytes);
    bad
}
