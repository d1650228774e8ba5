//! Text inside a paragraph, a prompt or a choice, as the plain text that the kiosk shows.
//!
//! Invariant: nothing that changes the meaning is dropped. Raised and lowered characters become
//! Unicode's own, a paragraph becomes a line, and what has no plain form is a fault.

use super::xml::{Element, Node};
use crate::fault::FaultKind;

/// A fault with the line of its element.
pub(super) type Found = (u32, FaultKind);

/// Returns the text of `element`, whose paragraphs become lines.
pub(super) fn text_of(element: &Element, faults: &mut Vec<Found>) -> String {
    let mut raw = String::new();
    collect(element, true, &mut raw, faults);
    folded_lines(&raw)
}

/// Appends the text of an inline element to a paragraph's.
pub(super) fn append(element: &Element, into: &mut String, faults: &mut Vec<Found>) {
    match element.name.as_str() {
        "sup" => shift(element, superscript, into, faults),
        "sub" => shift(element, subscript, into, faults),
        _ => collect(element, false, into, faults),
    }
}

/// Tells whether an element of this name stands inside a line.
pub(super) fn is_inline(name: &str) -> bool {
    matches!(name, "em" | "strong" | "b" | "i" | "sub" | "sup" | "span")
}

fn collect(element: &Element, blocks: bool, into: &mut String, faults: &mut Vec<Found>) {
    for node in &element.children {
        match node {
            Node::Text(text) => into.push_str(&blanks(text)),
            Node::Element(child) => match child.name.as_str() {
                "br" => into.push('\n'),
                "p" | "div" if blocks => {
                    into.push('\n');
                    collect(child, true, into, faults);
                    into.push('\n');
                }
                name if is_inline(name) => append(child, into, faults),
                _ => faults.push(unknown(child, &element.name)),
            },
        }
    }
}

fn shift(
    element: &Element,
    shifted: fn(char) -> Option<char>,
    into: &mut String,
    faults: &mut Vec<Found>,
) {
    let mut plain = String::new();
    collect(element, false, &mut plain, faults);
    let text: Option<String> = plain.trim().chars().map(shifted).collect();
    match text {
        Some(text) => into.push_str(&text),
        None => faults.push((
            element.line,
            FaultKind::Unshown {
                element: element.name.clone(),
                text: plain.trim().to_owned(),
            },
        )),
    }
}

pub(super) fn unknown(element: &Element, parent: &str) -> Found {
    let (element, line) = (element.name.clone(), element.line);
    let parent = parent.to_owned();
    (line, FaultKind::UnknownElement { element, parent })
}

/// Turns each blank of XML into a space, so that only elements begin a line.
fn blanks(text: &str) -> String {
    text.replace(XML_BLANKS, " ")
}

/// Folds the blanks of each line and drops empty lines.
pub(super) fn folded_lines(raw: &str) -> String {
    let lines = raw.split('\n').map(super::xml::fold);
    let lines: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

fn superscript(plain: char) -> Option<char> {
    shifted(plain, SUPERSCRIPTS)
}

fn subscript(plain: char) -> Option<char> {
    shifted(plain, SUBSCRIPTS)
}

fn shifted(plain: char, pairs: (&str, &str)) -> Option<char> {
    if plain == ' ' {
        return Some(' ');
    }
    let place = pairs.0.chars().position(|one| one == plain)?;
    pairs.1.chars().nth(place)
}

const XML_BLANKS: [char; 3] = ['\n', '\r', '\t'];
/// Plain characters, and what the kiosk's fonts have raised.
const SUPERSCRIPTS: (&str, &str) = (
    "0123456789+-−=()abcdefghijklmnoprstuvwxyz",
    "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ",
);
/// Plain characters, and what the kiosk's fonts have lowered.
const SUBSCRIPTS: (&str, &str) = (
    "0123456789+-−=()aeoxhklmnpstiruvj",
    "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₒₓₕₖₗₘₙₚₛₜᵢᵣᵤᵥⱼ",
);

#[cfg(test)]
mod tests {
    use super::super::xml::parse;
    use super::*;

    fn read(xml: &str) -> (String, Vec<Found>) {
        let root = parse("a.xml", xml.as_bytes()).expect("well formed");
        let mut faults = Vec::new();
        (text_of(&root, &mut faults), faults)
    }

    #[test]
    fn powers_and_indices_stay_powers_and_indices() {
        assert_eq!(read("<p>10<sup>-3</sup> м<sup>2</sup></p>").0, "10⁻³ м²");
        assert_eq!(
            read("<p>H<sub>2</sub>O, Ca<sup>2+</sup></p>").0,
            "H₂O, Ca²⁺"
        );
    }

    #[test]
    fn a_power_that_has_no_plain_form_is_a_fault() {
        let (_, faults) = read("<p>x<sup>ж</sup></p>");

        assert!(matches!(&faults[0].1, FaultKind::Unshown { text, .. } if text == "ж"));
    }

    #[test]
    fn blanks_at_the_edge_of_emphasis_part_words() {
        let (text, _) = read("<p>Дұрыс <strong>емес </strong>жауап<em> біреу</em></p>");

        assert_eq!(text, "Дұрыс емес жауап біреу");
    }

    #[test]
    fn two_paragraphs_are_two_lines() {
        let (text, _) = read("<q>\n <p>Бірінші.</p>\n <p>Екінші\n сөйлем?</p></q>");

        assert_eq!(text, "Бірінші.\nЕкінші сөйлем?");
    }

    #[test]
    fn what_stands_inside_emphasis_is_never_dropped() {
        let (_, faults) = read("<p><em>мына <img src=\"a.png\" alt=\"a\"/></em></p>");

        assert!(
            matches!(&faults[0].1, FaultKind::UnknownElement { element, .. } if element == "img")
        );
    }

    #[test]
    fn each_shifted_character_has_its_plain_one() {
        for (plain, shifted) in [SUPERSCRIPTS, SUBSCRIPTS] {
            assert_eq!(plain.chars().count(), shifted.chars().count());
        }
    }
}
