//! Identity: the photo on file beside the live picture (decision 7).

use egui::{Sense, Ui, Vec2, vec2};
use qorgan_client_core::{
    event::Intent,
    view::{DocumentState, IdentityView, View},
};
use qorgan_protocol::wire::IdentityState;

use super::{
    components::{Icon, Look, Step, badge, button, card, page, picture, trouble_banner},
    kit::{Kit, PictureKey},
    text::{Key, keys},
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
        kit.body(ui, kit.msg(lead(screen)));
        state_ui(ui, screen, kit);
        if let Some(reason) = &screen.reason {
            let said = kit.with(keys::IDENTITY_REASON, &[("reason", reason.into())]);
            kit.body(ui, said);
        }
        ui.add_space(space::M);
        buttons(ui, screen, kit)
    });
    intent.or(asked)
}

/// Says what to hold before the camera now.
const fn lead(screen: &IdentityView) -> Key {
    match screen.document {
        DocumentState::Asked if !screen.ready => keys::DOCUMENT_LEAD,
        DocumentState::Taken if !screen.ready => keys::DOCUMENT_CHECK,
        DocumentState::NotAsked | DocumentState::Asked | DocumentState::Taken => {
            keys::IDENTITY_LEAD
        }
    }
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
            let (label, key, room) = beside(screen);
            kit.strong(ui, kit.msg(label), size::SMALL, kit.tokens.secondary);
            picture(ui, kit, key, room, Sense::hover());
        });
    });
}

/// Returns what stands beside the photo: the live camera, or the document that was taken, large
/// enough to be read.
fn beside(screen: &IdentityView) -> (Key, Option<PictureKey>, Vec2) {
    if screen.document == DocumentState::Taken && !screen.ready {
        let key = Some(PictureKey::Document);
        return (keys::DOCUMENT_TAKEN, key, vec2(426.0, 320.0));
    }
    let key = screen.camera.map(PictureKey::Preview);
    (keys::IDENTITY_LIVE, key, vec2(293.0, 220.0))
}

fn state_ui(ui: &mut Ui, screen: &IdentityView, kit: &Kit<'_>) {
    let tokens = &kit.tokens;
    let (which, key) = match screen.state {
        IdentityState::Open => return,
        IdentityState::Again => ((Icon::Warning, tokens.warning), keys::IDENTITY_AGAIN),
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
    let (key, intent) = match screen.document {
        _ if screen.ready => (keys::CONTINUE, Intent::Continue),
        DocumentState::Asked => (keys::DOCUMENT_TAKE, Intent::TakeDocument),
        DocumentState::NotAsked => (keys::IDENTITY_SHOW, Intent::ShowIdentity),
        DocumentState::Taken => (keys::DOCUMENT_SHOW, Intent::ShowIdentity),
    };
    let awake = !screen.busy && (screen.ready || screen.camera.is_some());
    let again = screen.document == DocumentState::Taken && !screen.ready;
    ui.horizontal(|ui| {
        let go = button(ui, kit, "continue", &kit.msg(key), (Look::Primary, awake));
        kit.first_focus(ui, &go);
        let mut intent = go.clicked().then_some(intent);
        if again {
            let label = kit.msg(keys::DOCUMENT_AGAIN);
            let retake = button(ui, kit, "again", &label, (Look::Quiet, awake));
            if retake.clicked() {
                intent = Some(Intent::TakeDocument);
            }
        }
        intent
    })
    .inner
}
