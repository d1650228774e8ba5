//! `qti-assessment-item` with one `qti-choice-interaction`.

use qorgan_protocol::assessment::{Choice, Interaction};

use super::format::format_of_root;
use super::inline::{append, folded_lines, is_inline, text_of};
use super::xml::{Element, Node, fold};
use crate::fault::{Fault, FaultKind, Place};

/// An item as its file says; pictures still by name.
#[derive(Debug, Default)]
pub(super) struct ItemFile {
    /// Its identifier.
    pub(super) code: String,
    /// Its title.
    pub(super) title: String,
    /// Its language, where stated.
    pub(super) language: Option<String>,
    /// What is shown, in order.
    pub(super) body: Vec<BodyBlock>,
    /// The question.
    pub(super) prompt: String,
    /// The interaction.
    pub(super) interaction: Option<Interaction>,
    /// The right choices, sorted.
    pub(super) correct: Vec<String>,
    /// The points.
    pub(super) points: u16,
}

/// A block of the body.
#[derive(Debug)]
pub(super) enum BodyBlock {
    /// A paragraph.
    Text(String),
    /// A picture: file, words, line.
    Picture {
        /// The file, relative to the item's.
        href: String,
        /// What it shows.
        alt: String,
        /// The line that names it.
        line: u32,
    },
}

impl BodyBlock {
    const fn is_text(&mut self) -> bool {
        matches!(self, Self::Text(_))
    }
}

struct Declaration {
    identifier: String,
    multiple: bool,
    correct: Vec<String>,
    line: u32,
}

/// Reads an item file.
pub(super) fn read(file: &str, root: &Element, faults: &mut Vec<Fault>) -> ItemFile {
    let mut reader = Reader {
        file,
        code: root.attribute("identifier").unwrap_or_default().to_owned(),
        faults,
    };
    if root.name != "qti-assessment-item" {
        reader.foreign(root, file);
        return ItemFile::default();
    }
    reader.require(root, "identifier");
    for behaviour in ["adaptive", "time-dependent"] {
        reader.expect_unset(root, behaviour, &["false"]);
    }
    let mut item = ItemFile {
        code: reader.code.clone(),
        title: root.attribute("title").unwrap_or_default().to_owned(),
        language: root.attribute("lang").map(str::to_owned),
        points: 1,
        ..ItemFile::default()
    };
    let mut declarations = Vec::new();
    let mut bodies = Vec::new();
    for child in root.elements() {
        match child.name.as_str() {
            "qti-response-declaration" => declarations.extend(reader.declaration(child)),
            "qti-outcome-declaration" => item.points = reader.points(child, item.points),
            "qti-item-body" => bodies.push(child),
            // The key decides (`match_correct`); other templates would decide otherwise.
            "qti-response-processing" => reader.processing(child),
            _ => reader.unknown(child, &root.name),
        }
    }
    let Some(body) = reader.only(root, "qti-item-body", &bodies) else {
        return item;
    };
    reader.body(body, &mut item, &declarations);
    item
}

struct Reader<'a> {
    file: &'a str,
    code: String,
    faults: &'a mut Vec<Fault>,
}

impl Reader<'_> {
    fn declaration(&mut self, element: &Element) -> Option<Declaration> {
        let identifier = self.require(element, "identifier")?;
        if let Some(base) = element.attribute("base-type") {
            self.expect(element, "base-type", base, &["identifier"]);
        }
        let cardinality = self.require(element, "cardinality")?;
        self.expect(
            element,
            "cardinality",
            &cardinality,
            &["single", "multiple"],
        );
        let mut correct = Vec::new();
        for child in element.elements() {
            if child.name != "qti-correct-response" {
                self.unknown(child, &element.name);
                continue;
            }
            for value in child.elements() {
                if value.name == "qti-value" {
                    correct.push(value.text());
                } else {
                    self.unknown(value, &child.name);
                }
            }
        }
        correct.sort_unstable();
        if correct.is_empty() {
            self.fault(element.line, FaultKind::NoCorrect);
        }
        Some(Declaration {
            identifier,
            multiple: cardinality == "multiple",
            correct,
            line: element.line,
        })
    }

    fn points(&mut self, element: &Element, before: u16) -> u16 {
        if element.attribute("identifier") != Some("MAXSCORE") {
            return before;
        }
        let value = element
            .child("qti-default-value")
            .and_then(|default| default.child("qti-value"))
            .map(Element::text)
            .unwrap_or_default();
        let whole = value.strip_suffix(".0").unwrap_or(&value);
        match whole.parse::<u16>() {
            Ok(points @ 1..=1_000) => points,
            Ok(_) | Err(_) => {
                self.fault(
                    element.line,
                    FaultKind::BadNumber {
                        number: value,
                        min: 1,
                        max: 1_000,
                    },
                );
                before
            }
        }
    }

    fn processing(&mut self, element: &Element) {
        let template = element.attribute("template").unwrap_or_default();
        let name = template.rsplit('/').next().unwrap_or_default();
        let name = name.strip_suffix(".xml").unwrap_or(name);
        self.expect(element, "template", name, &["match_correct"]);
        for child in element.elements() {
            self.unknown(child, &element.name);
        }
    }

    fn body(&mut self, body: &Element, item: &mut ItemFile, declarations: &[Declaration]) {
        let mut interactions = Vec::new();
        self.blocks(body, &mut item.body, &mut interactions);
        let Some(interaction) = self.only(body, "qti-choice-interaction", &interactions) else {
            return;
        };
        self.prompt(interaction, item);
        self.expect_unset(interaction, "shuffle", &["false"]);
        // Whoever chooses nothing scores nothing, so that the least of one asks for nothing more.
        self.expect_unset(interaction, "min-choices", &["0", "1"]);
        let choices = self.choices(interaction);
        let response = interaction
            .attribute("response-identifier")
            .unwrap_or("RESPONSE");
        let bound = declarations.iter().find(|one| one.identifier == response);
        let Some(declaration) = bound else {
            let response = response.to_owned();
            self.fault(interaction.line, FaultKind::UnboundResponse { response });
            return;
        };
        if declarations.len() > 1 {
            let element = "qti-response-declaration".to_owned();
            self.fault(interaction.line, FaultKind::RepeatedElement { element });
        }
        self.bind(interaction, choices, declaration, item);
    }

    /// Reads the question; where it stands in the body, right before the choices, it is taken from
    /// there.
    fn prompt(&mut self, interaction: &Element, item: &mut ItemFile) {
        let prompts: Vec<&Element> = interaction
            .elements()
            .filter(|child| child.name == "qti-prompt")
            .collect();
        if prompts.is_empty()
            && let Some(BodyBlock::Text(text)) = item.body.pop_if(BodyBlock::is_text)
        {
            item.prompt = text;
            return;
        }
        if let Some(prompt) = self.only(interaction, "qti-prompt", &prompts) {
            item.prompt = self.text(prompt);
            if item.prompt.is_empty() {
                self.fault(prompt.line, FaultKind::NoPrompt);
            }
        }
    }

    /// Reads the text of a prompt or a choice.
    fn text(&mut self, element: &Element) -> String {
        let mut found = Vec::new();
        let text = text_of(element, &mut found);
        self.found(found);
        text
    }

    fn found(&mut self, found: Vec<(u32, FaultKind)>) {
        for (line, kind) in found {
            self.fault(line, kind);
        }
    }

    fn blocks<'e>(
        &mut self,
        parent: &'e Element,
        into: &mut Vec<BodyBlock>,
        interactions: &mut Vec<&'e Element>,
    ) {
        let mut run = String::new();
        for node in &parent.children {
            match node {
                Node::Text(text) => {
                    let is_shown = !text.trim().is_empty();
                    self.before_choices(parent, is_shown, interactions);
                    run.push_str(&text.replace('\n', " "));
                }
                Node::Element(child) => match child.name.as_str() {
                    name if is_inline(name) => {
                        self.before_choices(child, true, interactions);
                        let mut found = Vec::new();
                        append(child, &mut run, &mut found);
                        self.found(found);
                    }
                    "br" => run.push('\n'),
                    "p" | "div" | "figure" => {
                        flush(&mut run, into);
                        self.blocks(child, into, interactions);
                    }
                    "img" => {
                        self.before_choices(child, true, interactions);
                        flush(&mut run, into);
                        into.extend(self.picture(child));
                    }
                    "qti-choice-interaction" => {
                        flush(&mut run, into);
                        interactions.push(child);
                    }
                    _ => self.unknown(child, &parent.name),
                },
            }
        }
        flush(&mut run, into);
    }

    /// What follows the choices would be shown before them.
    fn before_choices(&mut self, element: &Element, is_shown: bool, choices: &[&Element]) {
        if is_shown && !choices.is_empty() {
            let (line, element) = (element.line, element.name.clone());
            self.fault(line, FaultKind::AfterChoices { element });
        }
    }

    fn picture(&mut self, element: &Element) -> Option<BodyBlock> {
        let href = self.require(element, "src")?;
        let alt = element.attribute("alt").map(fold).unwrap_or_default();
        if alt.is_empty() {
            let href = href.clone();
            self.fault(element.line, FaultKind::NoAlt { href });
        }
        Some(BodyBlock::Picture {
            href,
            alt,
            line: element.line,
        })
    }

    fn choices(&mut self, interaction: &Element) -> Vec<Choice> {
        let mut choices: Vec<Choice> = Vec::new();
        for child in interaction.elements() {
            match child.name.as_str() {
                "qti-prompt" => {}
                "qti-simple-choice" => {
                    self.expect_unset(child, "show-hide", &["show"]);
                    let Some(id) = self.require(child, "identifier") else {
                        continue;
                    };
                    if choices.iter().any(|choice| choice.id == id) {
                        let identifier = id.clone();
                        self.fault(child.line, FaultKind::RepeatedIdentifier { identifier });
                    }
                    let text = self.text(child);
                    if text.is_empty() {
                        self.fault(child.line, FaultKind::NoPrompt);
                    } else if choices.iter().any(|choice| choice.text == text) {
                        let text = text.clone();
                        self.fault(child.line, FaultKind::SameChoices { text });
                    }
                    choices.push(Choice { id, text });
                }
                _ => self.unknown(child, &interaction.name),
            }
        }
        if choices.len() < 2 {
            self.fault(interaction.line, FaultKind::FewChoices);
        }
        if choices.len() > super::CHOICES_MAX {
            self.fault(interaction.line, FaultKind::TooComplex);
        }
        choices
    }

    fn bind(
        &mut self,
        interaction: &Element,
        choices: Vec<Choice>,
        declaration: &Declaration,
        item: &mut ItemFile,
    ) {
        let default = if declaration.multiple { "0" } else { "1" };
        let stated = interaction.attribute("max-choices").unwrap_or(default);
        let Ok(choices_max) = stated.parse::<u8>() else {
            let value = stated.to_owned();
            self.expect(interaction, "max-choices", &value, &["0", "1", "2"]);
            return;
        };
        for correct in &declaration.correct {
            if !choices.iter().any(|choice| choice.id == *correct) {
                let choice = correct.clone();
                self.fault(declaration.line, FaultKind::UnknownCorrect { choice });
            }
        }
        let correct = declaration.correct.len();
        let most = usize::from(choices_max);
        let fits = if declaration.multiple {
            most == 0 || (most >= correct && most > 1)
        } else {
            most == 1 && correct <= 1
        };
        if !fits {
            let declared = if declaration.multiple {
                "multiple"
            } else {
                "single"
            };
            self.fault(
                interaction.line,
                FaultKind::Cardinality {
                    declared: declared.to_owned(),
                    correct,
                    choices_max: most,
                },
            );
        }
        item.correct.clone_from(&declaration.correct);
        item.correct.dedup();
        item.interaction = Some(if declaration.multiple {
            Interaction::MultipleChoice {
                choices,
                choices_max,
            }
        } else {
            Interaction::SingleChoice { choices }
        });
    }

    fn only<'e>(
        &mut self,
        parent: &Element,
        element: &str,
        found: &[&'e Element],
    ) -> Option<&'e Element> {
        match found {
            [] => self.fault(
                parent.line,
                FaultKind::MissingElement {
                    element: element.to_owned(),
                    parent: parent.name.clone(),
                },
            ),
            [_one] => {}
            [_first, second, ..] => {
                let element = element.to_owned();
                self.fault(second.line, FaultKind::RepeatedElement { element });
            }
        }
        found.first().copied()
    }

    fn require(&mut self, element: &Element, attribute: &str) -> Option<String> {
        let value = element.attribute(attribute).map(str::trim);
        match value {
            Some(value) if !value.is_empty() => Some(value.to_owned()),
            Some(_) | None => {
                self.fault(
                    element.line,
                    FaultKind::MissingAttribute {
                        element: element.name.clone(),
                        attribute: attribute.to_owned(),
                    },
                );
                None
            }
        }
    }

    /// Refuses an attribute that asks for what the kiosk does not do.
    fn expect_unset(&mut self, element: &Element, attribute: &str, allowed: &[&str]) {
        if let Some(value) = element.attribute(attribute) {
            self.expect(element, attribute, value, allowed);
        }
    }

    fn expect(&mut self, element: &Element, attribute: &str, value: &str, allowed: &[&str]) {
        if !allowed.contains(&value) {
            self.fault(
                element.line,
                FaultKind::BadAttribute {
                    attribute: attribute.to_owned(),
                    value: value.to_owned(),
                    expected: allowed.join(" | "),
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
        let place = Place::line(self.file, line).of_item(&self.code);
        self.faults.push(Fault::new(place, kind));
    }
}

fn flush(run: &mut String, into: &mut Vec<BodyBlock>) {
    let text = folded_lines(run);
    run.clear();
    if !text.is_empty() {
        into.push(BodyBlock::Text(text));
    }
}
