//! A text that must be read to its end.

use egui::{Frame, Key, Margin, ScrollArea, Sense, Stroke, Ui, WidgetInfo, accesskit::Role};

use super::focus_ring;
use crate::ui::{
    kit::{Kit, note_focus},
    tokens::{CORNER, size, space},
};

/// Draws `text` in a pane that scrolls by wheel and by keys; returns whether its end is in view.
pub fn reader(ui: &mut Ui, kit: &Kit<'_>, name: &str, label: &str, text: &str) -> bool {
    let height = (ui.ctx().content_rect().height() - AROUND).max(160.0);
    let frame = Frame::new()
        .fill(kit.tokens.surface)
        .stroke(Stroke::new(1.0, kit.tokens.border))
        .corner_radius(CORNER)
        .inner_margin(Margin::same(20));
    let shown = frame.show(ui, |ui| {
        ScrollArea::vertical()
            .id_salt(name)
            .max_height(height)
            .auto_shrink([false, true])
            .animated(!kit.reading.reduced_motion)
            .show(ui, |ui| {
                keys(ui, height);
                for paragraph in text.split("\n\n") {
                    kit.text(ui, paragraph.trim(), size::BODY + 1.0, kit.tokens.text);
                    ui.add_space(space::M);
                }
            })
    });
    let id = ui.make_persistent_id((name, "pane"));
    let response = ui.interact(shown.response.rect, id, Sense::focusable_noninteractive());
    response.widget_info(|| WidgetInfo::labeled(Role::Document, true, label));
    kit.first_focus(ui, &response);
    focus_ring(ui, kit, &response);
    note_focus(ui, name, &response);
    let output = shown.inner;
    output.state.clamped_offset().y + output.inner_rect.height()
        >= output.content_size.y - END_SLACK
}

fn keys(ui: &Ui, height: f32) {
    let by = ui.input(|input| {
        let mut by = 0.0;
        for (key, step) in [
            (Key::PageDown, height * 0.9),
            (Key::Space, height * 0.9),
            (Key::PageUp, -height * 0.9),
            (Key::ArrowDown, 48.0),
            (Key::ArrowUp, -48.0),
            (Key::End, 1e6),
            (Key::Home, -1e6),
        ] {
            if input.key_pressed(key) {
                by += step;
            }
        }
        by
    });
    if by != 0.0 {
        ui.scroll_with_delta(egui::vec2(0.0, -by));
    }
}

/// What stands above and below the pane on its screen.
const AROUND: f32 = 400.0;
const END_SLACK: f32 = 4.0;
