//! `imsmanifest.xml`: which file is the test.

use super::format::format_of_type;
use super::xml::Element;
use crate::fault::{Fault, FaultKind, Place};

/// What the manifest names.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    /// The test's file, with the line that names it.
    pub(super) test: Option<(String, u32)>,
    /// The items' files.
    pub(super) items: Vec<(String, u32)>,
    /// The discipline's code (`<identifier><entry>` of the catalogue `discipline`), where stated.
    pub(super) discipline: Option<String>,
}

/// Reads a manifest.
pub(super) fn read(file: &str, root: &Element, faults: &mut Vec<Fault>) -> Manifest {
    let mut manifest = Manifest::default();
    let mut fault = |line, kind| faults.push(Fault::new(Place::line(file, line), kind));
    if root.name != "manifest" {
        fault(
            root.line,
            FaultKind::MissingElement {
                element: "manifest".to_owned(),
                parent: file.to_owned(),
            },
        );
        return manifest;
    }
    manifest.discipline = discipline(root);
    let Some(resources) = root.child("resources") else {
        fault(
            root.line,
            FaultKind::MissingElement {
                element: "resources".to_owned(),
                parent: "manifest".to_owned(),
            },
        );
        return manifest;
    };
    let mut tests = Vec::new();
    let mut foreign = None;
    for resource in resources.elements() {
        let kind = resource.attribute("type").unwrap_or_default();
        let href = resource.attribute("href").map(str::to_owned);
        if kind.starts_with("imsqti_test") {
            tests.extend(href.map(|href| (href, resource.line)));
        } else if kind.starts_with("imsqti_item") {
            manifest
                .items
                .extend(href.map(|href| (href, resource.line)));
        }
        let format = format_of_type(kind).map(|format| (resource.line, format));
        foreign = foreign.or(format);
    }
    if let Some((line, format)) = foreign {
        let format = format.to_owned();
        fault(line, FaultKind::ForeignFormat { format });
        return manifest;
    }
    if tests.len() > 1 {
        let count = tests.len();
        fault(resources.line, FaultKind::SeveralTests { count });
    }
    if tests.is_empty() {
        let count = manifest.items.len();
        let kind = if count == 0 {
            FaultKind::NoTest
        } else {
            FaultKind::ItemsWithoutTest { count }
        };
        fault(resources.line, kind);
    }
    manifest.test = tests.into_iter().next();
    manifest
}

fn discipline(root: &Element) -> Option<String> {
    let lom = root.child("metadata")?.child("lom")?;
    lom.child("general")?
        .elements()
        .filter(|element| element.name == "identifier")
        .find(|element| {
            element
                .child("catalog")
                .is_some_and(|catalog| catalog.text() == "discipline")
        })
        .and_then(|element| element.child("entry"))
        .map(Element::text)
}
