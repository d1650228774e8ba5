//! The waiting gate: three lines, each with its real state; when all are live the button wakes
//! (SOP 10).

use egui::{Align, Color32, Layout, Sense, Ui, vec2};
use qorgan_client_core::{
    event::Intent,
    view::{GateLineView, GateView, View},
};
use qorgan_protocol::{
    evidence::{SourceState, StreamKind},
    wire::GateLineState,
};

use super::{
    components::{
        Icon, Look, Step, badge, button, card, icon, level_bar, page, picture, trouble_banner,
    },
    kit::{Kit, PictureKey},
    system_check::device_remedy,
    text::{Key, keys},
    tokens::{size, space},
};

/// Draws the gate.
//= tests/data/sop-2-28.md#10-start-gate
pub fn gate_ui(ui: &mut Ui, view: &View, screen: &GateView, kit: &Kit<'_>) -> Option<Intent> {
    let step = Step {
        number: 5,
        title: keys::GATE_TITLE,
    };
    let (intent, asked) = page(ui, view, kit, step, |ui| {
        trouble_banner(ui, kit, screen.trouble.as_ref(), view.support.as_deref());
        kit.body(ui, kit.msg(keys::GATE_LEAD));
        ui.add_space(space::M);
        for line in &screen.lines {
            card(ui, kit, |ui| line_ui(ui, line, kit));
            ui.add_space(space::S);
        }
        waits(ui, screen, kit);
        ui.add_space(space::M);
        let minutes = screen.duration.as_secs() / 60;
        let facts = [
            ("text", (&screen.title).into()),
            ("n", minutes.into()),
            ("of", screen.items.into()),
        ];
        kit.caption(ui, kit.with(keys::EXAM_FACTS, &facts));
        let label = kit.msg(if screen.open {
            keys::GATE_START
        } else {
            keys::GATE_WAITS
        });
        let go = button(
            ui,
            kit,
            "start",
            &label,
            (Look::Primary, screen.open && !screen.busy),
        );
        kit.first_focus(ui, &go);
        go.clicked().then_some(Intent::Start)
    });
    intent.or(asked)
}

fn waits(ui: &mut Ui, screen: &GateView, kit: &Kit<'_>) {
    let wait = (Icon::Wait, kit.tokens.secondary);
    if !screen.agent_linked {
        badge(ui, kit, wait, &kit.msg(keys::GATE_WAITS_LINK));
    }
    if screen.waits_for_identity {
        badge(ui, kit, wait, &kit.msg(keys::GATE_WAITS_IDENTITY));
    }
    if screen.waits_for_proctor {
        badge(ui, kit, wait, &kit.msg(keys::GATE_WAITS_PROCTOR));
    }
}

fn line_ui(ui: &mut Ui, line: &GateLineView, kit: &Kit<'_>) {
    let (which, color, word) = server_parts(line.server, kit);
    ui.horizontal(|ui| {
        ui.set_min_height(60.0);
        miniature(ui, line, kit);
        ui.vertical(|ui| {
            ui.set_max_width(400.0);
            kit.strong(
                ui,
                kit.msg(source_key(line.source)),
                size::LEAD,
                kit.tokens.text,
            );
            kit.caption(ui, &line.label);
            if line.server != GateLineState::Live {
                kit.text(ui, kit.msg(advice(line)), size::BODY, kit.tokens.text);
            }
        });
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            kit.strong(ui, kit.msg(word), size::BODY, color);
            icon(ui, which, 18.0, color);
        });
    });
}

/// A room of the same size on each line, so that the words stand in one column.
fn miniature(ui: &mut Ui, line: &GateLineView, kit: &Kit<'_>) {
    let room = vec2(104.0, 60.0);
    let centered = Layout::centered_and_justified(egui::Direction::TopDown);
    ui.allocate_ui_with_layout(room, centered, |ui| {
        ui.set_min_size(room);
        if line.source == StreamKind::Microphone {
            let label = kit.msg(keys::GATE_LEVEL);
            level_bar(ui, kit, &label, line.level.unwrap_or(0));
        } else {
            picture(
                ui,
                kit,
                line.preview.map(PictureKey::Preview),
                room,
                Sense::hover(),
            );
        }
    });
}

fn server_parts(state: GateLineState, kit: &Kit<'_>) -> (Icon, Color32, Key) {
    let tokens = &kit.tokens;
    match state {
        GateLineState::Live => (Icon::Check, tokens.success, keys::GATE_LIVE),
        GateLineState::Waiting => (Icon::Wait, tokens.secondary, keys::GATE_WAITING),
        GateLineState::Lost => (Icon::Warning, tokens.warning, keys::GATE_LOST),
        GateLineState::NotAllowed => (Icon::Cross, tokens.danger, keys::GATE_NOT_ALLOWED),
    }
}

/// Returns the name of a source.
pub(super) fn source_key(source: StreamKind) -> Key {
    match source {
        StreamKind::Camera => keys::CAMERA,
        StreamKind::Microphone => keys::MICROPHONE,
        StreamKind::Screen => keys::SCREEN,
        StreamKind::Events => keys::CHECK_AGENT,
    }
}

fn advice(line: &GateLineView) -> Key {
    if line.server == GateLineState::NotAllowed {
        return keys::GATE_NOT_ALLOWED_HELP;
    }
    match line.device {
        None => keys::GATE_NO_AGENT,
        Some(SourceState::Live) => keys::GATE_ON_ITS_WAY,
        Some(state) => device_remedy(state),
    }
}
