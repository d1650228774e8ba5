//! The page of every screen before and after the exam.

use egui::{
    Align, CentralPanel, Frame, Layout, Margin, Panel, Rect, ScrollArea, Stroke, Ui, UiBuilder,
    vec2,
};
use qorgan_client_core::{
    event::{Intent, Language, Overlay},
    view::View,
};

use super::{Icon, icon_button, pill};
use crate::ui::{
    kit::Kit,
    text::{Key, keys},
    tokens::{CORNER, size, space},
};

/// Where a screen stands on the way to the exam.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Its number, from 1; 0 for screens that are no step.
    pub number: u16,
    /// Its title.
    pub title: Key,
}

/// Draws a page: the institution and the language above, one column in the middle.
pub fn page<R>(
    ui: &mut Ui,
    view: &View,
    kit: &Kit<'_>,
    step: Step,
    contents: impl FnOnce(&mut Ui) -> R,
) -> (R, Option<Intent>) {
    let bar = Frame::new()
        .fill(kit.tokens.surface)
        .stroke(Stroke::new(1.0, kit.tokens.border))
        .inner_margin(Margin::symmetric(24, 8));
    let asked = Panel::top("page-bar")
        .frame(bar)
        .show_separator_line(false)
        .show(ui, |ui| ui.horizontal(|ui| bar_ui(ui, view, kit)).inner);
    let ground = Frame::new().fill(kit.tokens.background);
    let shown = CentralPanel::default().frame(ground).show(ui, |ui| {
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            column(ui, |ui| {
                ui.add_space(space::XXL);
                if step.number > 0 {
                    let places = [("n", step.number.into()), ("of", STEPS.into())];
                    kit.caption(ui, kit.with(keys::STEP, &places));
                }
                kit.strong(ui, kit.msg(step.title), size::DISPLAY, kit.tokens.text);
                ui.add_space(space::L);
                let shown = contents(ui);
                ui.add_space(space::XXL);
                shown
            })
        })
    });
    (shown.inner.inner, asked.inner)
}

/// Draws a card.
pub fn card<R>(ui: &mut Ui, kit: &Kit<'_>, contents: impl FnOnce(&mut Ui) -> R) -> R {
    Frame::new()
        .fill(kit.tokens.surface)
        .stroke(Stroke::new(1.0, kit.tokens.border))
        .corner_radius(CORNER)
        .inner_margin(Margin::same(16))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            contents(ui)
        })
        .inner
}

fn bar_ui(ui: &mut Ui, view: &View, kit: &Kit<'_>) -> Option<Intent> {
    ui.set_min_height(40.0);
    let name = view
        .institution
        .clone()
        .unwrap_or_else(|| kit.msg(keys::PRODUCT));
    let mut asked = None;
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        for language in Language::ALL.into_iter().rev() {
            let label = match language {
                Language::Kk => kit.msg(keys::LANGUAGE_KK),
                Language::Ru => kit.msg(keys::LANGUAGE_RU),
                Language::En => kit.msg(keys::LANGUAGE_EN),
            };
            let name = format!("language-{}", language.code());
            if pill(ui, kit, &name, &label, language == view.language).clicked() {
                asked = Some(Intent::ChooseLanguage(language));
            }
        }
        let reading = kit.msg(keys::READING);
        if super::button(ui, kit, "reading", &reading, (super::Look::Quiet, true)).clicked() {
            asked = Some(Intent::Open(Overlay::Reading));
        }
        if icon_button(ui, kit, "help", &kit.msg(keys::HELP), (Icon::Help, false)).clicked() {
            asked = Some(Intent::Open(Overlay::Help));
        }
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            kit.strong(ui, name, size::BODY, kit.tokens.text);
        });
    });
    asked
}

fn column<R>(ui: &mut Ui, contents: impl FnOnce(&mut Ui) -> R) -> R {
    let all = ui.available_rect_before_wrap();
    let width = COLUMN.min(all.width() - 2.0 * space::XL);
    let left = all.left() + (all.width() - width) / 2.0;
    let rect = Rect::from_min_size(egui::pos2(left, all.top()), vec2(width, all.height()));
    let builder = UiBuilder::new()
        .max_rect(rect)
        .layout(Layout::top_down(Align::Min));
    let shown = ui.scope_builder(builder, |ui| {
        ui.set_width(width);
        contents(ui)
    });
    shown.inner
}

/// Consent, system check, identity, instruction, gate.
const STEPS: u16 = 5;
/// About 75 characters of body text, with room for a picture beside them.
const COLUMN: f32 = 720.0;
