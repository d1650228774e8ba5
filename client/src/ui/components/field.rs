//! Fields to type into.

use egui::{FontId, Frame, Key, Margin, Response, Stroke, TextEdit, Ui};

use crate::ui::{
    kit::{Kit, note_focus},
    tokens::{CORNER, size, space},
};

/// Draws a field with its caption; returns its response, whether Enter was pressed in it, and what
/// it holds where that changed.
pub fn field(
    ui: &mut Ui,
    kit: &Kit<'_>,
    name: &str,
    caption: &str,
    value: (&str, bool),
) -> (Response, bool, Option<String>) {
    let (value, secret) = value;
    let caption = kit.strong(ui, caption, size::SMALL, kit.tokens.secondary);
    let mut typed = value.to_owned();
    let id = ui.make_persistent_id(name);
    let focused = ui.memory(|memory| memory.has_focus(id));
    let stroke = if focused {
        Stroke::new(2.0, kit.tokens.focus)
    } else {
        Stroke::new(1.0, kit.tokens.secondary)
    };
    let output = Frame::new()
        .fill(kit.tokens.surface)
        .stroke(stroke)
        .corner_radius(CORNER)
        .inner_margin(Margin::symmetric(12, 9))
        .show(ui, |ui| {
            TextEdit::singleline(&mut typed)
                .id(id)
                .password(secret)
                .frame(Frame::NONE)
                .font(FontId::proportional(size::LEAD))
                .desired_width(f32::INFINITY)
                .show(ui)
        });
    let response = output.inner.response.response.labelled_by(caption.id);
    note_focus(ui, name, &response);
    ui.add_space(space::XS);
    let pressed = response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
    let changed = (typed != value).then_some(typed);
    (
        response,
        entered(ui, id, (pressed, changed.is_some())),
        changed,
    )
}

/// Enter that comes with the last letters counts in the next frame, when the letters are known.
fn entered(ui: &Ui, id: egui::Id, which: (bool, bool)) -> bool {
    let (pressed, changed) = which;
    let kept = id.with("entered");
    if pressed && changed {
        ui.ctx().data_mut(|data| data.insert_temp(kept, true));
        ui.ctx().request_repaint();
        return false;
    }
    let waited = ui
        .ctx()
        .data_mut(|data| data.remove_temp::<bool>(kept))
        .unwrap_or(false);
    pressed || waited
}
