//! Identity: the photo on file beside the live picture (decision 7).

use egui::{Sense, Ui, vec2};
use qorgan_client_core::{
    event::Intent,
    view::{IdentityView, View},
};
use qorgan_protocol::wire::IdentityState;

use super::{
    components::{Icon, Look, Step, badge, button, card, page, picture, trouble_banner},
    kit::{Kit, PictureKey},
    text::keys,
    tokens::{size, space},
};

/// Draws the identity check.
pub fn identity_ui(
    ui: &mut Ui,
    view: &View,
    screen: &IdentityView,
    kit: &Kit<'_>,
) -> Option<Intent> {
    let step = Step {
        number: 3,
        title: keys::IDENTITY_TITLE,
    };
    let (intent, asked) = page(ui, view, kit, step, |ui| {
        trouble_banner(ui, kit, screen.trouble.as_ref(), view.support.as_deref());
        card(ui, kit, |ui| pictures(ui, screen, kit));
        ui.add_space(space::L);
        kit.body(ui, kit.msg(keys::IDENTITY_LEAD));
        state_ui(ui, screen, kit);
        ui.add_space(space::M);
        buttons(ui, screen, kit)
    });
    intent.or(asked)
}

fn pictures(ui: &mut Ui, screen: &IdentityView, kit: &Kit<'_>) {
    ui.horizontal_top(|ui| {
        ui.vertical(|ui| {
            ui.set_width(200.0);
            kit.strong(
                ui,
                kit.msg(keys::IDENTITY_PHOTO),
                size::SMALL,
                kit.tokens.secondary,
            );
            if screen.photo {
                picture(
                    ui,
                    kit,
                    Some(PictureKey::Photo),
                    vec2(180.0, 220.0),
                    Sense::hover(),
                );
            } else {
                kit.body(ui, kit.msg(keys::IDENTITY_NO_PHOTO));
            }
        });
        ui.vertical(|ui| {
            kit.strong(
                ui,
                kit.msg(keys::IDENTITY_LIVE),
                size::SMALL,
                kit.tokens.secondary,
            );
            let key = screen.camera.map(PictureKey::Preview);
            picture(ui, kit, key, vec2(293.0, 220.0), Sense::hover());
        });
    });
}

fn state_ui(ui: &mut Ui, screen: &IdentityView, kit: &Kit<'_>) {
    let tokens = &kit.tokens;
    let (which, key) = match screen.state {
        IdentityState::Open => return,
        IdentityState::Waiting if screen.must_be_approved => {
            ((Icon::Wait, tokens.secondary), keys::IDENTITY_WAITING)
        }
        IdentityState::Waiting | IdentityState::Deferred => {
            ((Icon::Wait, tokens.secondary), keys::IDENTITY_DEFERRED)
        }
        IdentityState::Approved => ((Icon::Check, tokens.success), keys::IDENTITY_APPROVED),
        IdentityState::Refused => ((Icon::Warning, tokens.warning), keys::IDENTITY_REFUSED),
    };
    badge(ui, kit, which, &kit.msg(key));
}

fn buttons(ui: &mut Ui, screen: &IdentityView, kit: &Kit<'_>) -> Option<Intent> {
    let (label, intent) = if screen.ready {
        (kit.msg(keys::CONTINUE), Intent::Continue)
    } else {
        (kit.msg(keys::IDENTITY_SHOW), Intent::ShowIdentity)
    };
    let awake = !screen.busy && (screen.ready || screen.camera.is_some());
    let go = button(ui, kit, "continue", &label, (Look::Primary, awake));
    kit.first_focus(ui, &go);
    go.clicked().then_some(intent)
}
