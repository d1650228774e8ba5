//! One act as the form's template reads it: plain texts, nothing that could be markup.

use qorgan_protocol::incident::Form1Box;
use serde::Serialize;

use crate::act::{ActData, Decision, Evidence, Sanction};
use crate::settings::ActSettings;
use crate::texts::Form1Texts;
use crate::world::Foundry;

/// Holds every value that the template prints.
#[derive(Debug, Serialize)]
pub(crate) struct Sheet {
    language: &'static str,
    texts: Form1Texts,
    head: Head,
    number: String,
    discipline: String,
    proctor: String,
    candidate: String,
    faculty: String,
    year: String,
    group: String,
    date: String,
    time: String,
    boxes: Vec<TickBox>,
    other: Vec<String>,
    decision: Option<SheetDecision>,
    evidence: Vec<Picture>,
    recording_link: String,
    recording_root: String,
    verification_link: String,
    act_hash: String,
    validity: String,
    code_side: usize,
}

#[derive(Debug, Serialize)]
struct Head {
    name_kk: String,
    name_ru: String,
    unit: String,
    procedure: String,
    edition: String,
    logo: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct TickBox {
    marked: bool,
    text: String,
}

#[derive(Debug, Serialize)]
struct SheetDecision {
    text: String,
    members: [String; 2],
}

#[derive(Debug, Serialize)]
struct Picture {
    path: String,
    format: &'static str,
    time: String,
    kind: String,
    caption: String,
}

impl Sheet {
    /// Gathers what the template prints of `act`.
    pub(crate) fn new(
        foundry: &Foundry,
        settings: &ActSettings,
        act: &ActData,
        code_side: usize,
    ) -> Self {
        let clean = |text: &str| printable(foundry, text);
        let texts = settings.texts_in(act.language);
        Self {
            language: act.language.code(),
            head: Head::new(settings, &clean),
            number: clean(&act.number),
            discipline: clean(&act.discipline),
            proctor: clean(&act.proctor),
            candidate: clean(&act.candidate.name),
            faculty: clean(&act.candidate.faculty),
            year: clean(&act.candidate.year),
            group: clean(&act.candidate.group),
            date: act.seen_at.date_text(act.language),
            time: act.seen_at.time_text(),
            boxes: tick_boxes(act, &texts),
            other: act.other.iter().map(|line| clean(line)).collect(),
            decision: act
                .decision
                .as_ref()
                .map(|decision| SheetDecision::new(decision, &texts, &clean)),
            evidence: act
                .evidence
                .iter()
                .enumerate()
                .map(|(index, evidence)| Picture::new(index, evidence, &clean))
                .collect(),
            recording_link: clean(&act.recording.link),
            recording_root: hash_text(&act.recording.root),
            verification_link: clean(&act.verification.url),
            act_hash: hash_text(&act.verification.act_hash),
            validity: clean(&act.verification.validity),
            code_side,
            texts,
        }
    }
}

impl Head {
    fn new(settings: &ActSettings, clean: &impl Fn(&str) -> String) -> Self {
        let institution = &settings.institution;
        Self {
            name_kk: clean(&institution.name_kk),
            name_ru: clean(&institution.name_ru),
            unit: clean(&institution.unit),
            procedure: clean(&institution.procedure),
            edition: clean(&institution.edition),
            logo: settings.logo.as_ref().map(|logo| logo.format().name()),
        }
    }
}

impl SheetDecision {
    //= tests/data/sop-2-28.md#17-act
    fn new(decision: &Decision, texts: &Form1Texts, clean: &impl Fn(&str) -> String) -> Self {
        let text = match decision.sanction {
            Sanction::AnnulResult => texts.sanction_annul_result.clone(),
        };
        Self {
            text,
            members: decision.members.each_ref().map(|member| clean(member)),
        }
    }
}

impl Picture {
    fn new(index: usize, evidence: &Evidence, clean: &impl Fn(&str) -> String) -> Self {
        Self {
            path: still_path(index),
            format: evidence.still.format().name(),
            time: clean(&evidence.time),
            kind: clean(&evidence.kind),
            caption: clean(&evidence.caption),
        }
    }
}

/// Returns the path under which the template finds still number `index`.
pub(crate) fn still_path(index: usize) -> String {
    format!("/still-{index}")
}

fn tick_boxes(act: &ActData, texts: &Form1Texts) -> Vec<TickBox> {
    Form1Box::ALL
        .into_iter()
        .map(|form1_box| TickBox {
            marked: act.boxes.contains(&form1_box),
            text: box_text(form1_box, texts).to_owned(),
        })
        .collect()
}

fn box_text(form1_box: Form1Box, texts: &Form1Texts) -> &str {
    match form1_box {
        Form1Box::MobilePhone => &texts.box_mobile_phone,
        Form1Box::CribSheets => &texts.box_crib_sheets,
        Form1Box::CommunicationDevices => &texts.box_communication_devices,
        Form1Box::OtherScreen => &texts.box_other_screen,
        Form1Box::LeftSeat => &texts.box_left_seat,
        Form1Box::Talking => &texts.box_talking,
    }
}

/// Writes a hash in groups of eight digits, so that people can compare it and lines can break.
fn hash_text(hash: &[u8; 32]) -> String {
    hash.chunks(4)
        .map(|group| group.iter().map(|byte| format!("{byte:02x}")).collect())
        .collect::<Vec<String>>()
        .join(" ")
}

/// Returns `text` with what the fonts cannot draw named by its code point.
///
/// An act must not fail over a rare letter, nor silently lose one; and no invisible control
/// may reorder what a reader sees.
fn printable(foundry: &Foundry, text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_whitespace() {
            shown.push(' ');
        } else if character.is_control() || is_hidden(character) || !foundry.draws(character) {
            shown.push_str(&format!("[U+{:04X}]", u32::from(character)));
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Says whether a character has no ink, changes its neighbours' order or means nothing in public.
const fn is_hidden(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{e000}'..='\u{f8ff}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{fff0}'..='\u{ffff}'
            | '\u{e0000}'..='\u{10ffff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_without_a_glyph_is_named_by_its_code_point() {
        let foundry = Foundry::new();

        let shown = printable(&foundry, "Ли 李\u{202e}\tҢ");

        assert_eq!(shown, "Ли [U+674E][U+202E] Ң");
    }

    #[test]
    fn a_hash_is_written_in_groups_that_can_be_compared() {
        let shown = hash_text(&[0xa5; 32]);

        assert!(shown.starts_with("a5a5a5a5 a5a5a5a5 "), "{shown}");
        assert_eq!(shown.split(' ').count(), 8);
    }
}
