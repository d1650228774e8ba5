//! What is asked of the candidate while items are shown: a slim strip under the bar, in room that is
//! always free, so that nothing moves and nothing is hidden. It takes no focus and no click.

use egui::{Align, Area, Frame, Id, Layout, Order, Ui, vec2};
use qorgan_client_core::view::ExamAsk;
use qorgan_protocol::local::{Turn, TurnHint};

use super::{
    components::{Icon, icon, read_out},
    kit::Kit,
    text::{Key, keys},
    tokens::{size, space},
};

/// Draws the strip at the top of the room that the bar has left.
pub(super) fn ask_ui(ui: &Ui, ask: ExamAsk, kit: &Kit<'_>) {
    let (which, key) = words(ask);
    let below = ui.available_rect_before_wrap();
    let room = vec2(below.width(), f32::from(STRIP) - 1.0);
    Area::new(Id::unique("exam-ask"))
        .order(Order::Middle)
        .fixed_pos(below.min)
        .interactable(false)
        .fade_in(false)
        .show(ui.ctx(), |ui| {
            Frame::new().fill(kit.tokens.primary).show(ui, |ui| {
                let middle = Layout::left_to_right(Align::Center);
                ui.allocate_ui_with_layout(room, middle, |ui| {
                    ui.set_min_size(room);
                    ui.spacing_mut().item_spacing.x = space::S;
                    ui.add_space(space::L);
                    icon(ui, which, 15.0, kit.tokens.on_primary);
                    let said = kit.strong(ui, kit.msg(key), size::BODY, kit.tokens.on_primary);
                    read_out(ui, &said);
                });
            });
        });
}

const fn words(ask: ExamAsk) -> (Icon, Key) {
    match ask {
        ExamAsk::Straight(Some(TurnHint::NoFace)) | ExamAsk::Turn(_, Some(TurnHint::NoFace)) => {
            (Icon::Ring, keys::ASK_NO_FACE)
        }
        ExamAsk::Straight(None | Some(TurnHint::More)) => (Icon::Ring, keys::ASK_STRAIGHT),
        ExamAsk::Turn(Turn::Left, None) => (Icon::Left, keys::ASK_LEFT),
        ExamAsk::Turn(Turn::Left, Some(TurnHint::More)) => (Icon::Left, keys::ASK_LEFT_MORE),
        ExamAsk::Turn(Turn::Right, None) => (Icon::Right, keys::ASK_RIGHT),
        ExamAsk::Turn(Turn::Right, Some(TurnHint::More)) => (Icon::Right, keys::ASK_RIGHT_MORE),
        ExamAsk::Light => (Icon::Dot, keys::ASK_LIGHT),
    }
}

/// How tall the strip is; the panels of the exam begin below it.
pub(super) const STRIP: i8 = 24;
