//! Sign in (SOP 11).

use egui::Ui;
use qorgan_client_core::{
    Private,
    event::Intent,
    view::{SignInView, View},
};

use super::{
    components::{Icon, Look, Step, banner, button, card, field, page, trouble_banner},
    kit::Kit,
    text::keys,
    tokens::space,
};

/// Draws the sign-in.
//= tests/data/sop-2-28.md#11-sign-in
pub fn sign_in_ui(ui: &mut Ui, view: &View, screen: &SignInView, kit: &Kit<'_>) -> Option<Intent> {
    let step = Step {
        number: 0,
        title: if screen.again {
            keys::SIGN_IN_AGAIN_TITLE
        } else {
            keys::SIGN_IN_TITLE
        },
    };
    let (intent, asked) = page(ui, view, kit, step, |ui| {
        if screen.again {
            // Covered, not lost: said before anything is asked.
            banner(
                ui,
                kit,
                (Icon::Shield, kit.tokens.primary),
                &kit.msg(keys::SIGN_IN_AGAIN_HEAD),
                &kit.msg(keys::SIGN_IN_AGAIN_HELP),
            );
            ui.add_space(space::M);
        }
        trouble_banner(ui, kit, screen.trouble.as_ref(), view.support.as_deref());
        card(ui, kit, |ui| contents(ui, screen, kit))
    });
    intent.or(asked)
}

fn contents(ui: &mut Ui, screen: &SignInView, kit: &Kit<'_>) -> Option<Intent> {
    let caption = kit.msg(keys::SIGN_IN_LOGIN);
    let (login, login_entered, login_typed) =
        field(ui, kit, "login", &caption, (&screen.login.0, false));
    let known = screen.again && !screen.login.0.is_empty();
    if !known {
        kit.first_focus(ui, &login);
    }
    let caption = kit.msg(keys::SIGN_IN_PASSWORD);
    let (password, password_entered, password_typed) =
        field(ui, kit, "password", &caption, (&screen.password.0, true));
    if known {
        kit.first_focus(ui, &password);
    }
    if login_entered {
        password.request_focus();
    }
    ui.add_space(space::M);
    let filled = !screen.login.0.trim().is_empty() && !screen.password.0.is_empty();
    let awake = filled && !screen.busy;
    let label = kit.msg(if screen.busy {
        keys::CONNECTING
    } else {
        keys::SIGN_IN_GO
    });
    let go = button(ui, kit, "sign-in", &label, (Look::Primary, awake));
    if let Some(typed) = login_typed {
        return Some(Intent::TypeLogin(Private(typed)));
    }
    if let Some(typed) = password_typed {
        return Some(Intent::TypePassword(Private(typed)));
    }
    (go.clicked() || (password_entered && awake)).then_some(Intent::SignIn)
}
