//! Buttons.

use egui::{
    Color32, FontId, Rect, Response, Sense, Stroke, StrokeKind, Ui, WidgetInfo, accesskit::Role,
    vec2,
};

use super::{Icon, focus_ring, paint_icon};
use crate::ui::{
    fonts::strong_family,
    kit::{Kit, note_focus},
    tokens::{CORNER, size, space},
};

/// How much a button asks to be pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// What comes next; one on a screen.
    Primary,
    /// Another way.
    Secondary,
    /// There if wanted.
    Quiet,
}

/// Draws a button; `name` is what tests call it.
pub fn button(ui: &mut Ui, kit: &Kit<'_>, name: &str, label: &str, look: (Look, bool)) -> Response {
    let (look, awake) = look;
    let (fill, ink, outline) = colors(kit, look, awake);
    let font = FontId::new(size::BODY, strong_family());
    let galley = ui.painter().layout_no_wrap(label.to_owned(), font, ink);
    let wanted = vec2(galley.size().x + 2.0 * space::L, HEIGHT);
    let response = place(ui, wanted, awake);
    let rect = response.rect;
    let fill = if response.hovered() && awake {
        hover(kit, look, fill)
    } else {
        fill
    };
    ui.painter().rect(
        rect,
        CORNER,
        fill,
        Stroke::new(1.0, outline),
        StrokeKind::Inside,
    );
    ui.painter()
        .galley(rect.center() - galley.size() / 2.0, galley, ink);
    finish(ui, kit, name, label, response)
}

/// Draws a button of an icon alone; `label` is what screen readers and the tooltip say.
pub fn icon_button(
    ui: &mut Ui,
    kit: &Kit<'_>,
    name: &str,
    label: &str,
    which: (Icon, bool),
) -> Response {
    let (which, on) = which;
    let response = place(ui, vec2(HEIGHT, HEIGHT), true);
    let rect = response.rect;
    let ink = if on {
        kit.tokens.warning
    } else {
        kit.tokens.text
    };
    if response.hovered() || on {
        ui.painter()
            .rect_filled(rect, CORNER, kit.tokens.border.gamma_multiply(0.6));
    }
    paint_icon(
        ui.painter(),
        Rect::from_center_size(rect.center(), vec2(20.0, 20.0)),
        which,
        ink,
    );
    finish(ui, kit, name, label, response).on_hover_text(label)
}

/// Draws one of several that exclude one another.
pub fn pill(ui: &mut Ui, kit: &Kit<'_>, name: &str, label: &str, chosen: bool) -> Response {
    let family = if chosen {
        strong_family()
    } else {
        egui::FontFamily::Proportional
    };
    let ink = if chosen {
        kit.tokens.on_primary
    } else {
        kit.tokens.text
    };
    let galley =
        ui.painter()
            .layout_no_wrap(label.to_owned(), FontId::new(size::BODY, family), ink);
    let response = place(ui, vec2(galley.size().x + 2.0 * space::M, HEIGHT), true);
    let rect = response.rect;
    let fill = if chosen {
        kit.tokens.primary
    } else {
        kit.tokens.surface
    };
    let outline = if chosen {
        kit.tokens.primary
    } else {
        kit.tokens.border
    };
    ui.painter().rect(
        rect,
        CORNER,
        fill,
        Stroke::new(1.0, outline),
        StrokeKind::Inside,
    );
    ui.painter()
        .galley(rect.center() - galley.size() / 2.0, galley, ink);
    response.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, chosen, label));
    focus_ring(ui, kit, &response);
    note_focus(ui, name, &response);
    response
}

fn place(ui: &mut Ui, wanted: egui::Vec2, awake: bool) -> Response {
    let sense = if awake {
        Sense::click()
    } else {
        Sense::hover()
    };
    ui.allocate_exact_size(wanted, sense).1
}

fn finish(ui: &Ui, kit: &Kit<'_>, name: &str, label: &str, response: Response) -> Response {
    let awake = response.sense.senses_click();
    response.widget_info(|| WidgetInfo::labeled(Role::Button, awake, label));
    focus_ring(ui, kit, &response);
    note_focus(ui, name, &response);
    response
}

fn colors(kit: &Kit<'_>, look: Look, awake: bool) -> (Color32, Color32, Color32) {
    let tokens = &kit.tokens;
    match (look, awake) {
        (Look::Primary, true) => (tokens.primary, tokens.on_primary, tokens.primary),
        (Look::Secondary, true) => (tokens.surface, tokens.primary, tokens.primary),
        (Look::Quiet, true) => (Color32::TRANSPARENT, tokens.text, Color32::TRANSPARENT),
        (Look::Primary | Look::Secondary | Look::Quiet, false) => {
            (tokens.background, tokens.secondary, tokens.border)
        }
    }
}

fn hover(kit: &Kit<'_>, look: Look, fill: Color32) -> Color32 {
    match look {
        Look::Primary => kit.tokens.primary.lerp_to_gamma(kit.tokens.text, 0.15),
        Look::Secondary => fill.lerp_to_gamma(kit.tokens.primary, 0.08),
        Look::Quiet => kit.tokens.border.gamma_multiply(0.6),
    }
}

/// Large enough for a finger and a trembling hand.
const HEIGHT: f32 = 40.0;
