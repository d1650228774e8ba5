//! What the seal proves, judged by pyHanko and qpdf.

use std::path::Path;

use lopdf::xref::XrefType;
use lopdf::{Document, Object, dictionary};
use qorgan_documents::seal::{CMS_BYTES_MAX, complete, prepare};
use qorgan_documents::{Language, Moment, SealError, SealMeta, Sealer};
use qorgan_protocol::time::WallTime;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};
use ring::rand::SystemRandom;
use serde_json::Value;

use crate::samples::{act, renderer};
use crate::tools::{python, tool, write};

//= tests/data/sop-2-28.md#17-act
//= type=test
#[test]
fn pyhanko_accepts_the_seal_of_an_act() {
    let authority = Authority::new();
    let sealed = authority
        .sealer()
        .seal(&unsealed(), &meta())
        .expect("a complete act");

    let reports = validate(&authority, &[&sealed]);

    let seal = &reports[0]["seals"][0];
    assert_eq!(seal["bottom_line"], true, "{reports:?}");
    assert_eq!(seal["intact"], true);
    assert_eq!(seal["trusted"], true);
    assert_eq!(seal["coverage"], "ENTIRE_FILE");
    assert_eq!(seal["sub_filter"], "/ETSI.CAdES.detached");
    assert_eq!(seal["signing_time"], "D:20261123140600+05'00'");
    let attributes = ["content_type", "message_digest", "signing_certificate_v2"];
    assert_eq!(seal["attributes"], serde_json::json!(attributes));
}

#[test]
fn a_flipped_byte_anywhere_breaks_the_seal() {
    let authority = Authority::new();
    let unsealed = unsealed();
    let sealed = authority
        .sealer()
        .seal(&unsealed, &meta())
        .expect("a complete act");
    let update = unsealed.len();
    let flipped: Vec<Vec<u8>> = [12, update / 3, update / 2, update - 40, update + 60]
        .into_iter()
        .chain([find(&sealed, b"/Reason <FEFF") + 20, sealed.len() - 12])
        .map(|at| {
            let mut broken = sealed.clone();
            broken[at] ^= 1;
            broken
        })
        .collect();

    let reports = validate(
        &authority,
        &flipped.iter().map(Vec::as_slice).collect::<Vec<_>>(),
    );

    for (index, report) in reports.iter().enumerate() {
        let accepted = report["seals"][0]["bottom_line"] == true;
        assert!(!accepted, "flip {index}: {report}");
    }
    assert_eq!(reports.len(), 7);
}

#[test]
fn the_seal_leaves_the_act_untouched_and_qpdf_content() {
    let unsealed = unsealed();

    let sealed = Authority::new()
        .sealer()
        .seal(&unsealed, &meta())
        .expect("a complete act");

    assert!(sealed.starts_with(&unsealed));
    let folder = tempfile::tempdir().expect("a folder for the document");
    let path = write(folder.path(), "act.pdf", &sealed);
    let output = tool("qpdf", "qpdf", &["--check", &path]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_sealed_act_still_declares_and_holds_what_both_standards_ask_for() {
    let sealed = Authority::new()
        .sealer()
        .seal(&unsealed(), &meta())
        .expect("a complete act");

    let document = Document::load_mem(&sealed).expect("a PDF");
    let catalog = document.catalog().expect("a catalogue");
    let metadata = stream_text(&document, catalog.get(b"Metadata").expect("XMP"));
    for part in [
        "<pdfaid:part>3</pdfaid:part>",
        "<pdfaid:conformance>A</pdfaid:conformance>",
        "<pdfuaid:part>1</pdfuaid:part>",
    ] {
        assert!(metadata.contains(part), "{part} in {metadata}");
    }
    let intents = catalog
        .get_deref(b"OutputIntents", &document)
        .and_then(Object::as_array)
        .expect("an intent");
    let intent = document.dereference(&intents[0]).expect("an intent").1;
    assert!(
        intent
            .as_dict()
            .expect("an intent")
            .has(b"DestOutputProfile")
    );
    assert!(catalog.has(b"StructTreeRoot") && catalog.has(b"Lang"));
    let marks = catalog
        .get_deref(b"MarkInfo", &document)
        .and_then(Object::as_dict);
    assert!(
        marks
            .and_then(|marks| marks.get(b"Marked")?.as_bool())
            .expect("marked")
    );
    assert_fonts_are_embedded(&document);
}

#[test]
fn the_field_of_the_seal_is_part_of_the_structure() {
    let sealed = Authority::new()
        .sealer()
        .seal(&unsealed(), &meta())
        .expect("a complete act");

    let document = Document::load_mem(&sealed).expect("a PDF");
    let widget = dictionaries(&document)
        .find(|(_, dictionary)| {
            dictionary
                .get(b"FT")
                .is_ok_and(|kind| kind.as_name().is_ok_and(|name| name == b"Sig"))
        })
        .expect("a field");
    let key = widget
        .1
        .get(b"StructParent")
        .and_then(Object::as_i64)
        .expect("a key");
    let root = document
        .catalog()
        .expect("a catalogue")
        .get_deref(b"StructTreeRoot", &document);
    let root = root.and_then(Object::as_dict).expect("a tree");
    let parents = root
        .get_deref(b"ParentTree", &document)
        .and_then(Object::as_dict);
    let numbers = parents
        .and_then(|tree| tree.get(b"Nums")?.as_array())
        .expect("numbers");
    let entry = numbers
        .chunks(2)
        .find(|pair| pair[0].as_i64().ok() == Some(key))
        .expect("the widget's parent");
    let element = document
        .dereference(&entry[1])
        .and_then(|found| found.1.as_dict())
        .expect("it");
    assert_eq!(
        element.get(b"S").and_then(Object::as_name).expect("a role"),
        b"Form"
    );
    let flags = widget.1.get(b"F").and_then(Object::as_i64).expect("flags");
    assert_eq!(
        flags & 0b10_0111,
        4,
        "printed, and neither hidden nor without view"
    );
}

#[test]
fn an_outside_signer_seals_in_three_steps() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a folder for the steps");
    let (bytes, prepared) = prepare(&unsealed(), &meta()).expect("a complete act");

    let cms = outside(&authority, folder.path(), &bytes);
    let sealed = complete(prepared.clone(), &cms).expect("the signature is over these bytes");

    let reports = validate(&authority, &[&sealed]);
    assert_eq!(reports[0]["seals"][0]["bottom_line"], true, "{reports:?}");
    let foreign = outside(&authority, folder.path(), b"another document");
    let refused = complete(prepared, &foreign);
    assert!(
        matches!(refused, Err(SealError::Signature { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_second_seal_leaves_the_first_valid() {
    let authority = Authority::new();
    let once = authority
        .sealer()
        .seal(&unsealed(), &meta())
        .expect("a complete act");

    let twice = authority
        .sealer()
        .seal(&once, &meta())
        .expect("a sealed act");

    let reports = validate(&authority, &[&twice]);
    let seals = reports[0]["seals"].as_array().expect("two seals");
    assert_eq!(seals.len(), 2);
    assert!(
        seals.iter().all(|seal| seal["bottom_line"] == true),
        "{reports:?}"
    );
}

#[test]
fn a_chain_that_is_not_the_keys_own_is_refused() {
    let authority = Authority::new();
    let stranger = Authority::new();

    let refused = Sealer::new(
        &authority.key.serialize_der(),
        &[stranger.certificate],
        SystemRandom::new(),
    );

    assert!(matches!(refused, Err(SealError::Chain)));
}

#[test]
fn what_is_no_pdf_is_refused() {
    let refused = prepare(b"not a document", &meta());

    assert!(matches!(refused, Err(SealError::Pdf(_))));
}

#[test]
fn bytes_that_are_no_signature_never_become_a_seal() {
    let (_, prepared) = prepare(&unsealed(), &meta()).expect("a complete act");

    let garbage = complete(prepared.clone(), b"0\x03\x02\x01\x07");
    let large = complete(prepared, &[0x30; CMS_BYTES_MAX + 1]);

    assert!(matches!(garbage, Err(SealError::Asn1(_))), "{garbage:?}");
    assert!(
        matches!(large, Err(SealError::TooLarge { .. })),
        "{large:?}"
    );
}

#[test]
fn a_document_without_structure_can_be_sealed_too() {
    let authority = Authority::new();
    let plain = untagged(XrefType::CrossReferenceTable);

    let sealed = authority
        .sealer()
        .seal(&plain, &meta())
        .expect("a small document");

    let reports = validate(&authority, &[&sealed]);
    assert_eq!(reports[0]["seals"][0]["bottom_line"], true, "{reports:?}");
}

#[test]
fn a_document_that_an_update_cannot_follow_is_refused_with_the_reason() {
    let compressed = untagged(XrefType::CrossReferenceStream);

    let refused = prepare(&compressed, &meta());

    assert!(
        matches!(refused, Err(SealError::Shape { .. })),
        "{refused:?}"
    );
}

/// Builds the smallest document of one empty page.
fn untagged(references: XrefType) -> Vec<u8> {
    let mut document = Document::with_version("1.7");
    document.reference_table.cross_reference_type = references;
    let pages = document.new_object_id();
    let page = document.add_object(dictionary! {
        "Type" => "Page",
        "Parent" => pages,
        "MediaBox" => vec![0.into(), 0.into(), 595.into(), 842.into()],
    });
    let tree = dictionary! { "Type" => "Pages", "Kids" => vec![page.into()], "Count" => 1 };
    document.objects.insert(pages, Object::Dictionary(tree));
    let root = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => pages });
    document.trailer.set("Root", root);
    let mut bytes = Vec::new();
    document
        .save_to(&mut bytes)
        .expect("memory takes a document");
    bytes
}

/// Is a root with one certificate for a seal under it.
struct Authority {
    root: Vec<u8>,
    key: KeyPair,
    certificate: Vec<u8>,
}

impl Authority {
    fn new() -> Self {
        let root_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        root.distinguished_name
            .push(DnType::CommonName, "Qorgan test root");
        let root_certificate = root.self_signed(&root_key).expect("a root").der().to_vec();
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let mut own = CertificateParams::default();
        own.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::ContentCommitment,
        ];
        own.use_authority_key_identifier_extension = true;
        own.distinguished_name
            .push(DnType::CommonName, "Тестілеу орталығы");
        let issuer = Issuer::new(root, root_key);
        let certificate = own
            .signed_by(&key, &issuer)
            .expect("a certificate")
            .der()
            .to_vec();
        Self {
            root: root_certificate,
            key,
            certificate,
        }
    }

    fn sealer(&self) -> Sealer {
        let chain = [self.certificate.clone(), self.root.clone()];
        Sealer::new(&self.key.serialize_der(), &chain, SystemRandom::new()).expect("its own chain")
    }
}

fn unsealed() -> Vec<u8> {
    renderer()
        .render(&act(Language::Kazakh))
        .expect("a complete act")
}

fn meta() -> SealMeta {
    SealMeta {
        reason: "1-үлгідегі акт тіркелді".to_owned(),
        location: "Алматы".to_owned(),
        name: "Тестілеу орталығы".to_owned(),
        signing_time: Moment::new(WallTime::from_unix_ms(1_795_424_760_000), 300)
            .expect("a civil date"),
    }
}

fn validate(authority: &Authority, documents: &[&[u8]]) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("a folder for the documents");
    let mut arguments = vec![write(folder.path(), "root.der", &authority.root)];
    for (index, document) in documents.iter().enumerate() {
        arguments.push(write(folder.path(), &format!("{index}.pdf"), document));
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    python("validate.py", &arguments)
        .lines()
        .map(|line| serde_json::from_str(line).expect("one JSON value a document"))
        .collect()
}

fn outside(authority: &Authority, folder: &Path, bytes: &[u8]) -> Vec<u8> {
    let out = folder.join("signature.der");
    let arguments = [
        write(folder, "key.der", &authority.key.serialize_der()),
        write(folder, "own.der", &authority.certificate),
        write(folder, "root.der", &authority.root),
        write(folder, "bytes", bytes),
        out.to_str()
            .expect("temporary folders have plain names")
            .to_owned(),
    ];
    python(
        "outside_signer.py",
        &arguments.each_ref().map(String::as_str),
    );
    std::fs::read(out).expect("the signer wrote its signature")
}

fn find(bytes: &[u8], needle: &[u8]) -> usize {
    bytes
        .windows(needle.len())
        .rposition(|window| window == needle)
        .expect("the document holds it")
}

fn stream_text(document: &Document, object: &Object) -> String {
    let stream = document
        .dereference(object)
        .and_then(|found| found.1.as_stream());
    let stream = stream.expect("a stream");
    String::from_utf8(stream.get_plain_content().expect("a stream")).expect("XMP is UTF-8")
}

fn dictionaries(
    document: &Document,
) -> impl Iterator<Item = (lopdf::ObjectId, &lopdf::Dictionary)> {
    document
        .objects
        .iter()
        .filter_map(|(id, object)| Some((*id, object.as_dict().ok()?)))
}

fn assert_fonts_are_embedded(document: &Document) {
    let descriptors: Vec<_> = dictionaries(document)
        .filter(|(_, dictionary)| dictionary.has_type(b"FontDescriptor"))
        .collect();
    assert!(descriptors.len() >= 3, "text, bold and boxes");
    for (id, descriptor) in descriptors {
        let embedded = [b"FontFile2".as_slice(), b"FontFile3"];
        assert!(embedded.iter().any(|key| descriptor.has(key)), "{id:?}");
    }
}
