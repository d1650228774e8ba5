//! Whatever is done to an export is found and named (decision 5).

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

#[expect(
    clippy::allow_attributes,
    reason = "which items are unused differs by file"
)]
#[allow(dead_code, reason = "each test file uses its part")]
mod common;

use common::{Files, agent, export, receipts, recorded, sealed, server, signed, unsealed};
use qorgan_protocol::crypto::Signer as _;
use qorgan_protocol::evidence::verify::{Report, Seal, When};

#[test]
fn a_whole_export_is_valid() {
    let report = export(6, 300).check();
    assert_eq!(report.faults, []);
    assert!(report.is_valid());
    assert_eq!(report.streams.len(), 2);
    assert!(
        report
            .streams
            .iter()
            .all(|line| line.chunks == 6 && line.uncovered == 0)
    );
    assert_eq!(report.streams[0].end_us, 3_000_000);
}

//= tests/data/sop-2-28.md#13-recording
//= type=test
#[test]
fn every_flipped_bit_is_named_with_file_and_byte_range() {
    let whole = export(2, 20);
    assert!(whole.check().is_valid());
    for name in whole.0.keys() {
        for bit in 0..whole.0[name].len() * 8 {
            let mut bad = whole.clone();
            let byte = bit / 8;
            bad.0.get_mut(name).expect("here")[byte] ^= 1 << (bit % 8);
            let report = bad.check();
            assert!(!report.is_valid(), "{name} bit {bit} passed");
            assert!(
                names(&report, name, byte),
                "{name} byte {byte}: {:?}",
                report.faults
            );
        }
    }
}

#[test]
fn a_flipped_bit_of_the_media_is_told_with_its_half_second() {
    let mut bad = export(6, 300);
    bad.0.get_mut("camera-0.e1.mp4").expect("here")[1_000] ^= 1;
    let report = bad.check();
    let [fault] = report.faults.as_slice() else {
        panic!("one fault, not {:?}", report.faults);
    };
    assert_eq!(
        (fault.file.as_str(), fault.bytes.clone()),
        ("camera-0.e1.mp4", 900..1_200)
    );
    let When::Span { from_us, to_us, .. } = fault.when else {
        panic!("a time, not {:?}", fault.when);
    };
    assert_eq!((from_us, to_us), (1_500_000, 2_000_000));
    assert_eq!(
        fault.to_string(),
        "camera-0.e1.mp4: bytes 900..1200: e1 00:00:01.500–00:00:02.000: changed"
    );
}

#[test]
fn every_cut_is_named() {
    let whole = export(4, 40);
    for name in whole.0.keys() {
        for len in 0..whole.0[name].len() {
            let mut bad = whole.clone();
            bad.0.get_mut(name).expect("here").truncate(len);
            let report = bad.check();
            assert!(!report.is_valid(), "{name} cut to {len} passed");
            assert!(
                report.faults.iter().any(|fault| fault.file == *name),
                "{name} to {len}"
            );
        }
    }
}

#[test]
fn appended_bytes_are_named() {
    let whole = export(4, 40);
    for name in whole.0.keys() {
        let mut bad = whole.clone();
        let file = bad.0.get_mut(name).expect("here");
        let end = file.len();
        file.extend_from_slice(&[0; 7]);
        let report = bad.check();
        assert!(!report.is_valid(), "{name} with more passed");
        assert!(names(&report, name, end), "{name}: {:?}", report.faults);
    }
}

#[test]
fn swapped_files_are_named() {
    let whole = export(4, 40);
    let names: Vec<_> = whole.0.keys().cloned().collect();
    for (place, one) in names.iter().enumerate() {
        for other in &names[place + 1..] {
            let mut bad = whole.clone();
            bad.0.insert(one.clone(), whole.0[other].clone());
            bad.0.insert(other.clone(), whole.0[one].clone());
            let report = bad.check();
            let either = |fault: &qorgan_protocol::evidence::verify::Fault| {
                fault.file == *one || fault.file == *other
            };
            assert!(
                !report.is_valid() && report.faults.iter().any(either),
                "{one} {other}"
            );
        }
    }
}

#[test]
fn swapped_chunks_and_swapped_beats_are_named() {
    let whole = export(6, 40);
    for (name, length, from) in [("screen-0.e1.mp4", 40, 0), ("beats.e1.log", 0, 16)] {
        let mut bad = whole.clone();
        let file = bad.0.get_mut(name).expect("here");
        let length = if length > 0 {
            length
        } else {
            (file.len() - from) / 3
        };
        let (a, b) = file[from..].split_at_mut(length);
        a.swap_with_slice(&mut b[..length]);
        let report = bad.check();
        assert!(names(&report, name, from), "{name}: {:?}", report.faults);
    }
}

#[test]
fn renamed_missing_and_unknown_files_are_named() {
    let whole = export(4, 40);
    for name in whole.0.keys() {
        let mut renamed = whole.clone();
        let bytes = renamed.0.remove(name).expect("here");
        renamed.0.insert(format!("x{name}"), bytes);
        let report = renamed.check();
        let file = |name: &str| report.faults.iter().any(|fault| fault.file == name);
        if name == "supplement.bin" {
            assert!(file("xsupplement.bin") && file("act-1.pdf"));
        } else if name == "manifest.bin" {
            assert!(file(name));
        } else {
            assert!(
                file(name) && file(&format!("x{name}")),
                "{name}: {:?}",
                report.faults
            );
        }
        assert!(!report.is_valid());
    }
}

#[test]
fn an_export_is_not_believed_by_its_own_keys() {
    let report = export(4, 40).check_with(&[agent_key()]);
    assert!(!report.is_valid());
    assert_eq!(report.seal, Seal::Unknown);
    assert!(
        report.faults[0].what.contains("not trusted"),
        "{:?}",
        report.faults
    );
}

#[test]
fn an_unsealed_recording_is_told_with_its_last_receipted_chunk_and_never_valid() {
    let report = unsealed(5).check();
    assert_eq!(report.faults, []);
    assert!(!report.is_valid());
    let Seal::Unsealed { last } = &report.seal else {
        panic!("unsealed, not {:?}", report.seal);
    };
    assert_eq!(last.len(), 2);
    assert_eq!(last[0].seq.0, 4);
    assert_eq!(report.streams[0].uncovered, 1);
}

#[test]
fn every_changed_byte_of_an_unsealed_recording_is_named_and_it_is_never_valid() {
    let whole = unsealed(2);
    for name in whole.0.keys() {
        for byte in 0..whole.0[name].len() {
            let mut bad = whole.clone();
            bad.0.get_mut(name).expect("here")[byte] ^= 1 << (byte % 8);
            let report = bad.check();
            assert!(!report.is_valid());
            assert!(
                names(&report, name, byte),
                "{name} byte {byte}: {:?}",
                report.faults
            );
        }
    }
}

#[test]
fn what_is_missing_cut_or_added_in_an_unsealed_recording_is_named() {
    let whole = unsealed(4);
    for name in whole.0.keys() {
        let mut gone = whole.clone();
        gone.0.remove(name);
        let mut cut = whole.clone();
        cut.0.get_mut(name).expect("here").pop();
        let mut longer = whole.clone();
        longer.0.get_mut(name).expect("here").push(0);
        let mut more = whole.clone();
        more.0.insert("more.json".to_owned(), Vec::new());
        for bad in [gone, cut, longer, more] {
            let report = bad.check();
            assert!(!report.is_valid() && !report.faults.is_empty(), "{name}");
        }
    }
}

#[test]
fn an_unsealed_recording_is_not_believed_by_its_own_keys() {
    let report = unsealed(2).check_with(&[agent_key()]);
    assert_eq!(report.seal, Seal::Unknown);
    assert!(!report.is_valid() && !report.faults.is_empty());
}

#[test]
fn an_act_that_was_changed_or_taken_away_is_named() {
    let whole = export(2, 20);
    assert_eq!(whole.check().added, ["act-1.pdf"]);
    let mut changed = whole.clone();
    changed.0.get_mut("act-1.pdf").expect("here")[2] ^= 1;
    assert!(names(&changed.check(), "act-1.pdf", 2));
    let file = |files: &Files, name: &str| files.check().faults.iter().any(|f| f.file == name);
    let mut without = whole;
    without.0.remove("act-1.pdf");
    assert!(file(&without, "act-1.pdf"));
    let mut with_its_list = without.clone();
    with_its_list.0.remove("supplement.bin");
    assert!(file(&with_its_list, "supplement.bin"));
    assert!(!with_its_list.check().is_valid());
}

fn agent_key() -> qorgan_protocol::crypto::PublicKey {
    qorgan_protocol::crypto::Signer::public_key(&agent())
}

fn names(report: &Report, name: &str, byte: usize) -> bool {
    let byte = u64::try_from(byte).expect("small");
    report
        .faults
        .iter()
        .any(|fault| fault.file == name && fault.bytes.contains(&byte))
}

#[test]
fn an_empty_folder_is_not_valid() {
    let report = Files::default().check();
    assert!(!report.is_valid() && report.faults.len() == 1);
}

#[test]
fn what_the_server_receipted_must_be_in_the_export() {
    let trust = [server().public_key()];
    let kept = receipts(&recorded(6, 300));
    let whole = export(6, 300).check_against(&trust, std::slice::from_ref(&kept));
    assert_eq!(
        (whole.faults.as_slice(), whole.receipts),
        ([].as_slice(), 2)
    );

    let shortened = export(4, 300).check_against(&trust, &[kept]);
    assert!(
        !shortened.is_valid(),
        "a server cannot seal less than it took"
    );
    let told: Vec<_> = shortened.faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["camera-0", "screen-0"].map(|stream| format!(
            "receipts: bytes 0..0: whole recording: chunk 5 of {stream} e1 was receipted and is \
             not here"
        ))
    );
}

#[test]
fn a_receipt_that_the_server_did_not_sign_is_a_fault() {
    let forged = signed(&agent(), &common::batch(&recorded(6, 300)));
    let report = export(6, 300).check_against(&[server().public_key()], &[forged]);
    assert!(!report.is_valid());
    assert_eq!(report.receipts, 0);
}

/// A server that seals what it likes still needs the agent's key for the last beat of each run.
#[test]
fn a_beat_that_the_agent_did_not_sign_is_found_under_a_manifest_that_names_it() {
    let mut forged = recorded(6, 300);
    let log = forged.files.0.get_mut("beats.e1.log").expect("here");
    let last = log.len() - 1;
    log[last] ^= 1;

    let report = sealed(forged).check();

    let [fault] = report.faults.as_slice() else {
        panic!("one fault, not {:?}", report.faults);
    };
    assert_eq!(fault.file, "beats.e1.log");
    assert!(fault.bytes.contains(&u64::try_from(last).expect("small")));
    assert!(fault.what.contains("signature"), "{fault}");
}
