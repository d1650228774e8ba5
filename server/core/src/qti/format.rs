//! What a file is that is no package of QTI 3.

use super::Package;

/// How a file's beginning tells its format.
const MAGIC: &[(&[u8], &str)] = &[
    (b"%PDF", "PDF"),
    (b"Rar!", "RAR"),
    (b"7z\xBC\xAF\x27\x1C", "7-Zip"),
    (b"\xD0\xCF\x11\xE0", "Word / Excel 97–2003"),
    (b"{\\rtf", "RTF"),
    (b"\x1F\x8B", "GZIP"),
];

/// How an element near the beginning tells it.
const ELEMENTS: &[(&str, &str)] = &[
    ("<qti-assessment-item", "QTI 3 item without a package"),
    ("<qti-assessment-test", "QTI 3 test without a package"),
    ("<assessmentItem", "QTI 2.x"),
    ("<assessmentTest", "QTI 2.x"),
    ("<questestinterop", "QTI 1.2"),
    ("<quiz", "Moodle XML"),
    ("<variant", "<question><variant>"),
    ("<question>", "<question><variant>"),
    ("<manifest", "imsmanifest.xml without its package"),
    ("<html", "HTML"),
    ("<!DOCTYPE html", "HTML"),
];

/// Names a file that somebody took for a package, where its bytes tell.
#[must_use]
pub fn format_of(bytes: &[u8]) -> Option<&'static str> {
    if let Some((_, format)) = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Some(format);
    }
    let (text, _) = super::xml::decoded(bytes);
    let head: String = text.chars().take(HEAD_CHARS_MAX).collect();
    if let Some((_, format)) = ELEMENTS.iter().find(|(element, _)| head.contains(element)) {
        return Some(format);
    }
    let line = |starts: &str| {
        head.lines()
            .any(|line| line.trim_start().starts_with(starts))
    };
    if line("ANSWER:") {
        return Some("Aiken");
    }
    let answers = |line: &str| line.contains('{') || line.trim_start().starts_with(['=', '~']);
    (line("::") || (head.contains('}') && head.lines().any(answers) && head.contains('=')))
        .then_some("GIFT")
}

/// Names a package without a manifest by the files in it.
pub(super) fn format_of_files(package: &Package) -> Option<&'static str> {
    let has = |name: &str| package.contains_key(name);
    if has("word/document.xml") {
        return Some("Word (DOCX)");
    }
    if has("xl/workbook.xml") {
        return Some("Excel (XLSX)");
    }
    if has("moodle_backup.xml") {
        return Some("Moodle backup");
    }
    package.values().find_map(|bytes| format_of(bytes))
}

/// Names a resource type of a manifest that is none of QTI 3.
pub(super) fn format_of_type(kind: &str) -> Option<&'static str> {
    let kind = kind.to_ascii_lowercase();
    if kind.contains("v3p0") {
        return None;
    }
    let known = [
        ("question-bank", "Common Cartridge question bank"),
        ("/imscc_", "Common Cartridge"),
        ("imscc_", "Common Cartridge"),
        ("imsqti_xmlv1p", "QTI 1.2"),
        ("imsqti_test_xmlv2", "QTI 2.x"),
        ("imsqti_item_xmlv2", "QTI 2.x"),
        ("imsqti_apipitem", "QTI 2.x (APIP)"),
        ("assessment/x-bb", "Blackboard"),
        ("resource/x-bb", "Blackboard"),
    ];
    let found = known.iter().find(|(part, _)| kind.contains(part));
    found.map(|(_, format)| *format)
}

/// Names the vocabulary of a file whose root is none of QTI 3.
pub(super) fn format_of_root(root: &str) -> Option<&'static str> {
    match root {
        "assessmentTest" | "assessmentItem" | "assessmentSection" => Some("QTI 2.x"),
        "questestinterop" => Some("QTI 1.2"),
        "quiz" => Some("Moodle XML"),
        _ => None,
    }
}

const HEAD_CHARS_MAX: usize = 8_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_departments_have_are_named() {
        for (text, format) in [
            (
                "<?xml version=\"1.0\"?><quiz><question/></quiz>",
                Some("Moodle XML"),
            ),
            (
                "<question>2+2?<variant>4<variant>5",
                Some("<question><variant>"),
            ),
            ("2+2?\nA. 4\nB. 5\nANSWER: A\n", Some("Aiken")),
            ("::q1:: 2+2? {=4 ~5}", Some("GIFT")),
            ("2+2? {\n=4\n~5\n}", Some("GIFT")),
            ("<questestinterop/>", Some("QTI 1.2")),
            ("<assessmentItem xmlns=\"a\"/>", Some("QTI 2.x")),
            ("%PDF-1.7", Some("PDF")),
            ("жай мәтін", None),
            ("", None),
        ] {
            assert_eq!(format_of(text.as_bytes()), format, "{text}");
        }
    }

    #[test]
    fn a_type_of_another_version_is_named() {
        assert_eq!(format_of_type("imsqti_item_xmlv3p0"), None);
        assert_eq!(format_of_type("imsqti_test_xmlv2p1"), Some("QTI 2.x"));
        assert_eq!(
            format_of_type("imsqti_xmlv1p2/imscc_xmlv1p1/assessment"),
            Some("Common Cartridge")
        );
        assert_eq!(
            format_of_type("imsqti_xmlv1p2/imscc_xmlv1p3/question-bank"),
            Some("Common Cartridge question bank")
        );
    }
}
