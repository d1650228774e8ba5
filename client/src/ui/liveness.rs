//! Turning the head as asked, and looking at a screen that shines: what to do now in large words, the
//! live picture beside it as a mirror shows it, so that an arrow to the left, the candidate's own
//! left and the left of the picture are one side.

use egui::{Color32, Pos2, Sense, Stroke, Ui, Vec2, vec2};
use qorgan_client_core::{
    event::Intent,
    view::{LivenessView, View},
};
use qorgan_protocol::{
    evidence::SourceState,
    local::{LivenessState, Turn, TurnHint},
};

use super::{
    components::{
        Icon, Look, Side, Step, badge, button, card, icon, page, picture_of_side, progress_bar,
        read_out,
    },
    kit::{Kit, PictureKey},
    system_check::device_remedy,
    text::{Key, keys},
    tokens::{size, space},
};

/// Draws the step.
pub fn liveness_ui(
    ui: &mut Ui,
    view: &View,
    screen: &LivenessView,
    kit: &Kit<'_>,
) -> Option<Intent> {
    let step = Step {
        number: 3,
        title: keys::LIVENESS_TITLE,
    };
    let (intent, asked) = page(ui, view, kit, step, |ui| {
        kit.body(ui, kit.msg(keys::LIVENESS_LEAD));
        ui.add_space(space::L);
        card(ui, kit, |ui| {
            ui.horizontal_top(|ui| {
                let key = screen.camera.map(PictureKey::Preview);
                let side = (Sense::hover(), Side::Mirrored);
                picture_of_side(ui, kit, key, PREVIEW, side);
                ui.add_space(space::M);
                ui.vertical(|ui| ask_ui(ui, screen, kit));
            });
        });
        ui.add_space(space::L);
        let intent = buttons(ui, screen, kit);
        if screen.may_skip {
            ui.add_space(space::S);
            kit.caption(ui, kit.msg(keys::LIVENESS_SKIP_HELP));
        }
        intent
    });
    intent.or(asked)
}

/// A room of one height, so that no button moves while somebody turns.
fn ask_ui(ui: &mut Ui, screen: &LivenessView, kit: &Kit<'_>) {
    ui.set_min_height(ASK);
    figure(ui, screen.state, kit);
    ui.add_space(space::S);
    let left = match screen.state {
        LivenessState::NotFollowed { left } => left,
        LivenessState::NotAsked
        | LivenessState::Straight { .. }
        | LivenessState::Turning { .. }
        | LivenessState::Shining(_)
        | LivenessState::Shown
        | LivenessState::Skipped
        | LivenessState::Unavailable
        | LivenessState::NotNeeded => 0,
    };
    let words = kit.with(key(screen.state), &[("n", left.into())]);
    let said = kit.strong(ui, words, words_size(screen.state), kit.tokens.text);
    read_out(ui, &said);
    ui.add_space(space::XS);
    if let Some(hint) = hint(screen) {
        badge(ui, kit, (Icon::Warning, kit.tokens.warning), &kit.msg(hint));
    } else if let Some((done, needed)) = progress(screen.state) {
        let places = [("n", done.into()), ("of", needed.into())];
        let label = kit.with(keys::LIVENESS_PROGRESS, &places);
        progress_bar(ui, kit, &label, (done, needed));
        kit.caption(ui, label);
    }
}

const fn key(state: LivenessState) -> Key {
    match state {
        LivenessState::NotAsked => keys::LIVENESS_NOT_YET,
        LivenessState::Straight { .. } => keys::LIVENESS_STRAIGHT,
        LivenessState::Turning { turn, .. } => match turn {
            Turn::Left => keys::LIVENESS_LEFT,
            Turn::Right => keys::LIVENESS_RIGHT,
        },
        LivenessState::Shining(_) => keys::LIVENESS_SHINING,
        LivenessState::NotFollowed { left: 0 } => keys::LIVENESS_NOT_FOLLOWED_LAST,
        LivenessState::NotFollowed { .. } => keys::LIVENESS_NOT_FOLLOWED,
        LivenessState::Shown | LivenessState::NotNeeded => keys::LIVENESS_SHOWN,
        LivenessState::Skipped => keys::LIVENESS_SKIPPED,
        LivenessState::Unavailable => keys::LIVENESS_UNAVAILABLE,
    }
}

/// What is to be done now stands in large words, what is to be read in small ones.
const fn words_size(state: LivenessState) -> f32 {
    match state {
        LivenessState::Straight { .. }
        | LivenessState::Turning { .. }
        | LivenessState::Shining(_)
        | LivenessState::Shown
        | LivenessState::NotNeeded => size::TITLE,
        LivenessState::NotAsked
        | LivenessState::NotFollowed { .. }
        | LivenessState::Skipped
        | LivenessState::Unavailable => size::BODY,
    }
}

/// Says what is amiss with face or camera while something is to be done.
fn hint(screen: &LivenessView) -> Option<Key> {
    let hint = match screen.state {
        LivenessState::Straight { hint, .. } | LivenessState::Turning { hint, .. } => hint,
        LivenessState::NotAsked
        | LivenessState::Shining(_)
        | LivenessState::NotFollowed { .. }
        | LivenessState::Unavailable => None,
        LivenessState::Shown | LivenessState::Skipped | LivenessState::NotNeeded => return None,
    };
    match (screen.device, hint) {
        (None | Some(SourceState::Live), Some(TurnHint::NoFace)) => Some(keys::LIVENESS_NO_FACE),
        (None | Some(SourceState::Live), Some(TurnHint::More)) => Some(keys::LIVENESS_MORE),
        (None | Some(SourceState::Live), None) => None,
        (Some(device), _) => Some(device_remedy(device)),
    }
}

const fn progress(state: LivenessState) -> Option<(u8, u8)> {
    match state {
        LivenessState::Straight { done, needed, .. }
        | LivenessState::Turning { done, needed, .. } => Some((done, needed)),
        LivenessState::NotAsked
        | LivenessState::Shining(_)
        | LivenessState::NotFollowed { .. }
        | LivenessState::Shown
        | LivenessState::Skipped
        | LivenessState::Unavailable
        | LivenessState::NotNeeded => None,
    }
}

/// Draws a head that looks where the candidate is to look, or how it came out.
fn figure(ui: &mut Ui, state: LivenessState, kit: &Kit<'_>) {
    let tokens = &kit.tokens;
    match state {
        LivenessState::Turning { turn, .. } => head(ui, Some(turn), tokens.primary),
        LivenessState::NotAsked | LivenessState::Straight { .. } | LivenessState::Shining(_) => {
            head(ui, None, tokens.primary)
        }
        LivenessState::NotFollowed { .. } | LivenessState::Unavailable => {
            icon(ui, Icon::Warning, HEAD / 2.0, tokens.warning);
        }
        LivenessState::Shown | LivenessState::NotNeeded => {
            icon(ui, Icon::Check, HEAD / 2.0, tokens.success);
        }
        LivenessState::Skipped => icon(ui, Icon::Wait, HEAD / 2.0, tokens.secondary),
    }
}

/// A head between two places for an arrow, as in a mirror: the candidate's own left is at the left.
fn head(ui: &mut Ui, turn: Option<Turn>, color: Color32) {
    ui.horizontal(|ui| {
        ui.set_min_height(HEAD);
        let arrow = |ui: &mut Ui, which, there| {
            if there {
                icon(ui, which, HEAD / 2.0, color);
            } else {
                ui.add_space(HEAD / 2.0);
            }
        };
        arrow(ui, Icon::Left, turn == Some(Turn::Left));
        let (rect, _) = ui.allocate_exact_size(Vec2::splat(HEAD), Sense::hover());
        let shift = match turn {
            None => 0.0,
            Some(Turn::Left) => -0.34,
            Some(Turn::Right) => 0.34,
        };
        let radius = HEAD * 0.44;
        let at = |x: f32, y: f32| -> Pos2 { rect.center() + vec2(x, y) * radius };
        let stroke = Stroke::new(3.0, color);
        let painter = ui.painter();
        painter.circle_stroke(rect.center(), radius, stroke);
        for eye in [-0.32, 0.32] {
            painter.circle_filled(at(eye + shift, -0.2), 3.5, color);
        }
        painter.line_segment([at(shift * 1.4, -0.05), at(shift * 1.6, 0.2)], stroke);
        painter.line_segment([at(shift - 0.22, 0.48), at(shift + 0.22, 0.48)], stroke);
        arrow(ui, Icon::Right, turn == Some(Turn::Right));
    });
}

fn buttons(ui: &mut Ui, screen: &LivenessView, kit: &Kit<'_>) -> Option<Intent> {
    let first = match screen.state {
        LivenessState::NotAsked => Some(("begin", keys::LIVENESS_BEGIN, Intent::TurnHead)),
        LivenessState::NotFollowed { left } if left > 0 => {
            Some(("again", keys::LIVENESS_AGAIN, Intent::TurnHead))
        }
        LivenessState::Shown | LivenessState::Skipped | LivenessState::NotNeeded => {
            Some(("continue", keys::CONTINUE, Intent::Continue))
        }
        LivenessState::Straight { .. }
        | LivenessState::Turning { .. }
        | LivenessState::Shining(_)
        | LivenessState::NotFollowed { .. }
        | LivenessState::Unavailable => None,
    };
    ui.horizontal(|ui| {
        // Room of one height also where there is nothing to press.
        ui.set_min_height(40.0);
        let mut intent = None;
        if let Some((name, key, wanted)) = first {
            let awake = wanted == Intent::Continue || screen.may_begin;
            // Each has a place of its own, so that a key that is pressed late presses nothing else.
            let look = (Look::Primary, awake);
            let go = ui.push_id(name, |ui| button(ui, kit, name, &kit.msg(key), look));
            kit.first_focus(ui, &go.inner);
            intent = go.inner.clicked().then_some(wanted);
        }
        if screen.may_skip {
            let label = kit.msg(keys::LIVENESS_SKIP);
            let skip = |ui: &mut Ui| button(ui, kit, "skip", &label, (Look::Quiet, true));
            if ui.push_id("skip", skip).inner.clicked() {
                intent = Some(Intent::SkipTurning);
            }
        }
        intent
    })
    .inner
}

const PREVIEW: Vec2 = vec2(267.0, 200.0);
const ASK: f32 = 200.0;
const HEAD: f32 = 72.0;
