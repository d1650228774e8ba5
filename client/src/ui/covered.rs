//! The exam, covered: what was lost, since when, what happens with the time, what to do, and that
//! the responses are safe. No red, no blame.

use egui::{CentralPanel, Frame, Ui};
use qorgan_client_core::{
    event::{Intent, Overlay},
    lease::CoverCause,
    view::{CoveredView, View},
};
use qorgan_protocol::attempt::PauseCause;

use super::{
    components::{Icon, Look, badge, button, card, duration_text, icon, tabular},
    exam_bar::bar_ui,
    gate::source_key,
    kit::Kit,
    text::{Key, keys},
    tokens::{size, space},
};

/// Draws the cover.
pub fn covered_ui(ui: &mut Ui, view: &View, screen: &CoveredView, kit: &Kit<'_>) -> Option<Intent> {
    let bar = bar_ui(ui, &screen.bar, kit);
    let ground = Frame::new().fill(kit.tokens.background);
    let main = CentralPanel::default().frame(ground).show(ui, |ui| {
        let room = ui.available_rect_before_wrap();
        let width = 640.0_f32.min(room.width() - 48.0);
        let at = egui::Rect::from_center_size(
            room.center(),
            egui::vec2(width, 460.0_f32.min(room.height())),
        );
        ui.scope_builder(egui::UiBuilder::new().max_rect(at), |ui| {
            card(ui, kit, |ui| contents(ui, view, screen, kit))
        })
        .inner
    });
    bar.or(main.inner)
}

fn contents(ui: &mut Ui, view: &View, screen: &CoveredView, kit: &Kit<'_>) -> Option<Intent> {
    let (cause, remedy) = cause_keys(screen);
    ui.horizontal(|ui| {
        icon(ui, Icon::Shield, 28.0, kit.tokens.primary);
        kit.strong(
            ui,
            kit.msg(keys::COVERED_TITLE),
            size::TITLE,
            kit.tokens.text,
        );
    });
    ui.add_space(space::M);
    kit.strong(ui, kit.msg(cause), size::LEAD, kit.tokens.text);
    for source in &screen.lost {
        badge(
            ui,
            kit,
            (Icon::Wait, kit.tokens.secondary),
            &kit.msg(source_key(*source)),
        );
    }
    ui.horizontal(|ui| {
        kit.text(
            ui,
            kit.msg(keys::COVERED_SINCE),
            size::BODY,
            kit.tokens.secondary,
        );
        tabular(
            ui,
            &duration_text(screen.since),
            size::BODY,
            kit.tokens.secondary,
        );
    });
    ui.add_space(space::M);
    kit.body(ui, kit.msg(remedy));
    let time = if screen.credited {
        keys::COVERED_TIME_STANDS
    } else {
        keys::COVERED_TIME_RUNS
    };
    kit.body(ui, kit.msg(time));
    if let Some(support) = view
        .support
        .as_deref()
        .filter(|support| !support.is_empty())
    {
        kit.body(ui, kit.with(keys::CALL, &[("text", support.into())]));
    }
    ui.add_space(space::M);
    let safe = screen.answered.map_or_else(
        || kit.msg(keys::COVERED_KEPT),
        |answered| {
            let counts = [("n", answered.into()), ("of", screen.of.into())];
            kit.with(keys::COVERED_SAFE, &counts)
        },
    );
    badge(ui, kit, (Icon::Check, kit.tokens.success), &safe);
    if screen.undelivered > 0 {
        let waiting = kit.with(
            keys::COVERED_UNDELIVERED,
            &[("n", screen.undelivered.into())],
        );
        badge(ui, kit, (Icon::Wait, kit.tokens.secondary), &waiting);
    }
    ui.add_space(space::L);
    buttons(ui, kit)
}

fn buttons(ui: &mut Ui, kit: &Kit<'_>) -> Option<Intent> {
    ui.horizontal(|ui| {
        let write = kit.msg(keys::MESSAGE_PROCTOR);
        let write = button(ui, kit, "messages", &write, (Look::Secondary, true));
        kit.first_focus(ui, &write);
        let finish = kit.msg(keys::SUBMIT);
        let finish = button(ui, kit, "finish", &finish, (Look::Quiet, true)).clicked();
        if write.clicked() {
            Some(Intent::Open(Overlay::Messages))
        } else {
            finish.then_some(Intent::Open(Overlay::ConfirmSubmit))
        }
    })
    .inner
}

fn cause_keys(screen: &CoveredView) -> (Key, Key) {
    match screen.cause {
        CoverCause::Server(PauseCause::Identity) if screen.identity_shown => {
            (keys::COVER_IDENTITY, keys::COVER_IDENTITY_WAITS)
        }
        CoverCause::AgentGone | CoverCause::Server(PauseCause::AgentLost) => {
            (keys::COVER_AGENT, keys::COVER_AGENT_HELP)
        }
        CoverCause::NetworkLost | CoverCause::Server(PauseCause::NetworkLost) => {
            (keys::COVER_NETWORK, keys::COVER_NETWORK_HELP)
        }
        CoverCause::Server(PauseCause::SourceLost) => (keys::COVER_SOURCE, keys::COVER_SOURCE_HELP),
        CoverCause::Server(PauseCause::FreshnessMissed) => {
            (keys::COVER_FRESHNESS, keys::COVER_FRESHNESS_HELP)
        }
        CoverCause::Server(PauseCause::Proctor) => (keys::COVER_PROCTOR, keys::COVER_PROCTOR_HELP),
        CoverCause::Server(PauseCause::Displays) => {
            (keys::COVER_DISPLAYS, keys::CHECK_DISPLAYS_REMEDY)
        }
        CoverCause::Server(PauseCause::ServerRestarted) | CoverCause::Unknown => {
            (keys::COVER_SERVER, keys::COVER_SERVER_HELP)
        }
        CoverCause::Server(PauseCause::Moving) => (keys::COVER_MOVING, keys::REMEDY_TEST_CENTRE),
        CoverCause::Server(PauseCause::Identity) => {
            (keys::COVER_IDENTITY, keys::COVER_IDENTITY_HELP)
        }
        CoverCause::OtherTerminal => (keys::COVER_TERMINAL, keys::COVER_TERMINAL_HELP),
        CoverCause::TimeUp => (keys::COVER_TIME_UP, keys::COVER_TIME_UP_HELP),
    }
}
