//! XML as a small tree: bounded, without document types, entities or anything remote.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};
use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

use crate::fault::{Fault, FaultKind, Place};

/// The deepest nesting.
const DEPTH_MAX: usize = 24;
/// The most elements of one file.
const ELEMENTS_MAX: usize = 20_000;

/// One element.
#[derive(Debug, Clone, Default)]
pub(super) struct Element {
    /// Its name without a prefix.
    pub(super) name: String,
    /// The line it begins on.
    pub(super) line: u32,
    attributes: Vec<(String, String)>,
    /// What it holds, in order.
    pub(super) children: Vec<Node>,
}

/// What an element holds.
#[derive(Debug, Clone)]
pub(super) enum Node {
    /// An element.
    Element(Element),
    /// Text.
    Text(String),
}

impl Element {
    /// Returns an attribute's value.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the elements inside, in order.
    pub(super) fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// Returns the first element inside that has this name.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.elements().find(|element| element.name == name)
    }

    /// Returns the text of an element that has no elements of its own, such as a value, with white
    /// space folded.
    pub(super) fn text(&self) -> String {
        let texts = self.children.iter().filter_map(|node| match node {
            Node::Text(text) => Some(text.as_str()),
            Node::Element(_) => None,
        });
        fold(&texts.collect::<String>())
    }

    /// Tells whether text stands directly inside.
    pub(super) fn has_own_text(&self) -> bool {
        self.children
            .iter()
            .any(|node| matches!(node, Node::Text(text) if !text.trim().is_empty()))
    }
}

/// Folds XML's white space to single spaces; a space that does not break stays.
pub(super) fn fold(text: &str) -> String {
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the text of a file in the encoding that its first bytes or its declaration name, and
/// whether each byte fits it.
pub(super) fn decoded(bytes: &[u8]) -> (Cow<'_, str>, bool) {
    let stated = Encoding::for_bom(bytes).map(|(encoding, _)| encoding);
    let encoding = stated.or_else(|| declared(bytes)).unwrap_or(UTF_8);
    let (text, faulty) = encoding.decode_with_bom_removal(bytes);
    (text, !faulty)
}

/// Returns the encoding that an XML declaration names.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes.get(..bytes.len().min(DECLARATION_BYTES_MAX))?;
    let head: String = head.iter().map(|byte| char::from(*byte)).collect();
    let declaration = head
        .trim_start()
        .strip_prefix("<?xml")?
        .split("?>")
        .next()?;
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let label = value.get(1..)?.split(quote).next()?;
    Encoding::for_label(label.as_bytes())
}

/// Reads a file's one root element.
///
/// # Errors
/// The first thing that is not well formed, not allowed or beyond a bound.
pub(super) fn parse(file: &str, bytes: &[u8]) -> Result<Element, Box<Fault>> {
    let whole = |kind| Box::new(Fault::new(Place::file(file), kind));
    if bytes.len() > super::XML_BYTES_MAX {
        return Err(whole(FaultKind::FileTooLarge {
            max_mib: super::XML_BYTES_MAX >> 20,
        }));
    }
    let (text, fits) = decoded(bytes);
    if !fits {
        let before = text.split('\u{FFFD}').next().unwrap_or_default();
        let line = Place::line(file, lines_of(before.as_bytes()));
        return Err(Box::new(Fault::new(line, FaultKind::NotUtf8)));
    }
    // Editors leave blanks before the declaration, where XML allows none.
    Builder::new(file, text.trim_start()).run()
}

const DECLARATION_BYTES_MAX: usize = 200;

struct Builder<'a> {
    file: &'a str,
    text: &'a str,
    reader: Reader<&'a [u8]>,
    open: Vec<Element>,
    root: Option<Element>,
    elements: usize,
    counted_to: usize,
    line: u32,
}

impl<'a> Builder<'a> {
    fn new(file: &'a str, text: &'a str) -> Self {
        let mut reader = Reader::from_str(text);
        reader.config_mut().enable_all_checks(true);
        Self {
            file,
            text,
            reader,
            open: Vec::new(),
            root: None,
            elements: 0,
            counted_to: 0,
            line: 1,
        }
    }

    fn run(mut self) -> Result<Element, Box<Fault>> {
        loop {
            self.advance_line();
            let event = match self.reader.read_event() {
                Ok(event) => event,
                Err(error) => return Err(self.bad(&error)),
            };
            match event {
                Event::Start(start) => self.begin(&start)?,
                Event::Empty(start) => {
                    self.begin(&start)?;
                    self.end();
                }
                Event::End(_) => self.end(),
                Event::Text(text) => self.add_text(&text.xml10_content())?,
                Event::CData(text) => self.add_text(&text.xml10_content())?,
                Event::GeneralRef(reference) => {
                    let text = self.resolve(&reference)?;
                    self.add_text(&text)?;
                }
                Event::DocType(_) => return Err(self.fault(FaultKind::Doctype)),
                Event::PI(_) | Event::Comment(_) | Event::Decl(_) => {}
                Event::Eof => break,
            }
        }
        if let Some(open) = self.open.pop() {
            let cause = format!("<{}> is not closed", open.name);
            return Err(Box::new(Fault::new(
                Place::line(self.file, open.line),
                FaultKind::BadXml { cause },
            )));
        }
        let empty = self.fault(FaultKind::Empty);
        self.root.ok_or(empty)
    }

    fn begin(&mut self, start: &BytesStart<'_>) -> Result<(), Box<Fault>> {
        self.elements += 1;
        if self.open.len() >= DEPTH_MAX || self.elements > ELEMENTS_MAX {
            return Err(self.fault(FaultKind::TooComplex));
        }
        if self.root.is_some() && self.open.is_empty() {
            let cause = "more than one root element".to_owned();
            return Err(self.fault(FaultKind::BadXml { cause }));
        }
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| self.bad(&error))?;
            let name = local(attribute.key.as_ref());
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|error| self.bad(&error))?;
            attributes.push((name, value.into_owned()));
        }
        self.open.push(Element {
            name: local(start.name().as_ref()),
            line: self.line,
            attributes,
            children: Vec::new(),
        });
        Ok(())
    }

    fn end(&mut self) {
        let Some(element) = self.open.pop() else {
            return;
        };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(Node::Element(element)),
            None => self.root = Some(element),
        }
    }

    fn add_text(&mut self, text: &str) -> Result<(), Box<Fault>> {
        match self.open.last_mut() {
            Some(element) => element.children.push(Node::Text(text.to_owned())),
            None if text.trim().is_empty() => {}
            None => {
                let cause = "text outside the root element".to_owned();
                return Err(self.fault(FaultKind::BadXml { cause }));
            }
        }
        Ok(())
    }

    fn resolve(&self, reference: &quick_xml::events::BytesRef<'_>) -> Result<String, Box<Fault>> {
        if let Some(character) = reference
            .resolve_char_ref()
            .map_err(|error| self.bad(&error))?
        {
            return Ok(character.to_string());
        }
        let name = reference.xml10_content();
        let text = match name.as_ref() {
            "amp" => "&",
            "lt" => "<",
            "gt" => ">",
            "quot" => "\"",
            "apos" => "'",
            other => {
                let entity = other.to_owned();
                return Err(self.fault(FaultKind::Entity { entity }));
            }
        };
        Ok(text.to_owned())
    }

    fn advance_line(&mut self) {
        let position = usize::try_from(self.reader.buffer_position()).unwrap_or(self.text.len());
        let passed = self.text.as_bytes().get(self.counted_to..position);
        let breaks = passed.map_or(0, |bytes| bytes.iter().filter(|b| **b == b'\n').count());
        self.line = self
            .line
            .saturating_add(u32::try_from(breaks).unwrap_or(u32::MAX));
        self.counted_to = position.max(self.counted_to);
    }

    fn bad(&self, error: &dyn core::fmt::Display) -> Box<Fault> {
        let cause = error.to_string();
        self.fault(FaultKind::BadXml { cause })
    }

    fn fault(&self, kind: FaultKind) -> Box<Fault> {
        Box::new(Fault::new(Place::line(self.file, self.line), kind))
    }
}

fn local(name: &str) -> String {
    name.rsplit_once(':')
        .map_or(name, |(_, local)| local)
        .to_owned()
}

fn lines_of(bytes: &[u8]) -> u32 {
    let breaks = bytes.iter().filter(|byte| **byte == b'\n').count();
    u32::try_from(breaks).unwrap_or(u32::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_with_references_reads_as_its_author_meant() {
        let root = parse("a.xml", "<p>5 &lt; 7 &amp; &#1178;ан</p>".as_bytes()).expect("good");

        assert_eq!(root.text(), "5 < 7 & Қан");
    }

    #[test]
    fn a_file_is_read_in_the_encoding_that_it_states() {
        let text = "<?xml version='1.0' encoding='windows-1251'?><p>сұрақ</p>";
        let text = text.replace('ұ', "у").replace('қ', "к");
        let (cp1251, _, _) = encoding_rs::WINDOWS_1251.encode(&text);
        assert_eq!(parse("a.xml", &cp1251).expect("read").text(), "сурак");
        let utf16: Vec<u8> = "\u{FEFF}<p>сұрақ</p>"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(parse("a.xml", &utf16).expect("read").text(), "сұрақ");
        let unstated = parse("a.xml", b"<p>\n\xF1</p>").expect_err("not UTF-8");
        assert_eq!(
            (unstated.kind, unstated.place.line),
            (FaultKind::NotUtf8, Some(2))
        );
    }

    #[test]
    fn a_space_that_does_not_break_stays() {
        let root = parse("a.xml", " \n<p>10\u{A0}мл  су</p>".as_bytes()).expect("good");

        assert_eq!(root.text(), "10\u{A0}мл су");
    }

    #[test]
    fn a_document_type_is_refused() {
        let text = b"<!DOCTYPE p [<!ENTITY a \"b\">]>\n<p>&a;</p>";

        let fault = parse("a.xml", text).expect_err("refused");

        assert_eq!(fault.kind, FaultKind::Doctype);
    }

    #[test]
    fn an_unknown_entity_is_named_with_its_line() {
        let fault = parse("a.xml", b"<p>\n\n&nbsp;</p>").expect_err("refused");

        assert_eq!(fault.place.line, Some(3));
        assert!(matches!(fault.kind, FaultKind::Entity { entity } if entity == "nbsp"));
    }

    #[test]
    fn nesting_without_end_is_refused() {
        let fault = parse("a.xml", "<a>".repeat(5_000).as_bytes()).expect_err("refused");

        assert_eq!(fault.kind, FaultKind::TooComplex);
    }

    #[test]
    fn an_element_that_is_never_closed_is_a_fault() {
        parse("a.xml", b"<a><b></b>").expect_err("a refusal");
        parse("a.xml", b"<a></b>").expect_err("a refusal");
        parse("a.xml", b"").expect_err("a refusal");
    }
}
