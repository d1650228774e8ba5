//! Messages with the proctor: a panel beside the question, and a notice above it.

use egui::{Frame, Margin, ScrollArea, Stroke, Ui};
use qorgan_client_core::{
    event::{Intent, Overlay},
    view::OverlayView,
};
use qorgan_protocol::wire::{Message, MessageFrom};

use super::{
    components::{Icon, Look, button, clock, field, icon},
    kit::Kit,
    text::keys,
    tokens::{CORNER, size, space},
};

/// Draws the conversation.
pub(super) fn messages_ui(ui: &mut Ui, overlay: &OverlayView, kit: &Kit<'_>) -> Option<Intent> {
    if overlay.messages.is_empty() {
        kit.body(ui, kit.msg(keys::MESSAGES_EMPTY));
    }
    ScrollArea::vertical()
        .max_height(220.0)
        .stick_to_bottom(true)
        .show(ui, |ui| {
            for message in &overlay.messages {
                let who = match message.from {
                    MessageFrom::Proctor => keys::MESSAGE_FROM_PROCTOR,
                    MessageFrom::Candidate => keys::MESSAGE_FROM_YOU,
                };
                kit.caption(
                    ui,
                    format!(
                        "{} · {}",
                        kit.msg(who),
                        clock(message.at, kit.utc_offset_min)
                    ),
                );
                kit.body(ui, &message.text);
                ui.add_space(space::S);
            }
        });
    ui.add_space(space::S);
    let caption = kit.msg(keys::MESSAGE_WRITE);
    let (draft, entered, typed) = field(ui, kit, "message", &caption, (&overlay.draft, false));
    kit.first_focus(ui, &draft);
    if entered {
        draft.request_focus();
    }
    let awake = !overlay.draft.trim().is_empty();
    let chosen = ui
        .horizontal(|ui| {
            let send = kit.msg(keys::MESSAGE_SEND);
            let send = button(ui, kit, "send", &send, (Look::Primary, awake)).clicked();
            let close = kit.msg(keys::CLOSE);
            let close = button(ui, kit, "close", &close, (Look::Quiet, true)).clicked();
            if send {
                Some(Intent::SendMessage)
            } else {
                close.then_some(Intent::CloseOverlay)
            }
        })
        .inner;
    typed
        .map(Intent::TypeMessage)
        .or(chosen)
        .or_else(|| (entered && awake).then_some(Intent::SendMessage))
}

/// Draws the newest message above the question, with a way to answer it.
pub(super) fn notice_ui(ui: &mut Ui, message: &Message, kit: &Kit<'_>) -> Option<Intent> {
    let answer = Frame::new()
        .fill(kit.tokens.surface)
        .stroke(Stroke::new(1.0, kit.tokens.primary))
        .corner_radius(CORNER)
        .inner_margin(Margin::same(12))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.horizontal(|ui| {
                icon(ui, Icon::Message, 18.0, kit.tokens.primary);
                kit.strong(
                    ui,
                    kit.msg(keys::MESSAGE_FROM_PROCTOR),
                    size::BODY,
                    kit.tokens.text,
                );
            });
            kit.body(ui, &message.text);
            let label = kit.msg(keys::MESSAGE_ANSWER);
            button(ui, kit, "answer", &label, (Look::Secondary, true)).clicked()
        })
        .inner;
    ui.add_space(space::M);
    answer.then_some(Intent::Open(Overlay::Messages))
}
