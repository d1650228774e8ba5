//! `qti-assessment-test`: its title and its items in order.

use super::format::format_of_root;
use super::xml::Element;
use crate::fault::{Fault, FaultKind, Place};

/// What a test file says.
#[derive(Debug, Default)]
pub(super) struct TestFile {
    /// Its title.
    pub(super) title: String,
    /// Its language, where stated.
    pub(super) language: Option<String>,
    /// Its items' files in order, with the line that names each.
    pub(super) items: Vec<(String, u32)>,
}

/// Reads a test file.
pub(super) fn read(file: &str, root: &Element, faults: &mut Vec<Fault>) -> TestFile {
    let mut reader = Reader {
        file,
        faults,
        items: Vec::new(),
    };
    if root.name != "qti-assessment-test" {
        reader.foreign(root, file);
        return TestFile::default();
    }
    let title = root.attribute("title").map(str::trim).unwrap_or_default();
    if title.is_empty() {
        reader.fault(
            root.line,
            FaultKind::MissingAttribute {
                element: root.name.clone(),
                attribute: "title".to_owned(),
            },
        );
    }
    reader.walk(root, true);
    if reader.items.is_empty() && reader.faults.is_empty() {
        reader.fault(root.line, FaultKind::NoItems);
    }
    TestFile {
        title: title.to_owned(),
        language: root.attribute("lang").map(str::to_owned),
        items: reader.items,
    }
}

struct Reader<'a> {
    file: &'a str,
    faults: &'a mut Vec<Fault>,
    items: Vec<(String, u32)>,
}

impl Reader<'_> {
    fn walk(&mut self, element: &Element, top: bool) {
        for attribute in ["fixed", "required"] {
            self.expect(element, attribute, &["false", "true"]);
        }
        if element.has_own_text() {
            let parent = element.name.clone();
            self.fault(element.line, FaultKind::StrayText { parent });
        }
        for child in element.elements() {
            match child.name.as_str() {
                "qti-test-part" if top => {
                    self.expect(child, "navigation-mode", &["nonlinear"]);
                    self.expect(child, "submission-mode", &["simultaneous", "individual"]);
                    self.walk(child, false);
                }
                "qti-assessment-section" if !top => self.walk(child, false),
                "qti-assessment-item-ref" if !top => self.item_ref(child),
                // The score is computed from the items' keys; a declaration of it changes nothing.
                "qti-outcome-declaration" if top => {}
                _ => self.unknown(child, &element.name),
            }
        }
    }

    fn item_ref(&mut self, element: &Element) {
        // Weights, conditions and limits of its own would be lost.
        for child in element.elements() {
            self.unknown(child, &element.name);
        }
        match element.attribute("href") {
            Some(href) => self.items.push((href.to_owned(), element.line)),
            None => self.fault(
                element.line,
                FaultKind::MissingAttribute {
                    element: element.name.clone(),
                    attribute: "href".to_owned(),
                },
            ),
        }
    }

    fn expect(&mut self, element: &Element, attribute: &str, expected: &[&str]) {
        let Some(value) = element.attribute(attribute) else {
            return;
        };
        if !expected.contains(&value) {
            self.fault(
                element.line,
                FaultKind::BadAttribute {
                    attribute: attribute.to_owned(),
                    value: value.to_owned(),
                    expected: expected.join(" | "),
                },
            );
        }
    }

    /// Names another format where the root tells it.
    fn foreign(&mut self, root: &Element, file: &str) {
        match format_of_root(&root.name) {
            Some(format) => {
                let format = format.to_owned();
                self.fault(root.line, FaultKind::ForeignFormat { format });
            }
            None => self.unknown(root, file),
        }
    }

    fn unknown(&mut self, element: &Element, parent: &str) {
        self.fault(
            element.line,
            FaultKind::UnknownElement {
                element: element.name.clone(),
                parent: parent.to_owned(),
            },
        );
    }

    fn fault(&mut self, line: u32, kind: FaultKind) {
        self.faults
            .push(Fault::new(Place::line(self.file, line), kind));
    }
}
