//! Reading aloud: a text to read, what is heard of it, and what to do where too little is.

use egui::{Color32, Ui};
use qorgan_client_core::{
    event::Intent,
    view::{View, VoiceView},
};
use qorgan_protocol::{
    evidence::SourceState,
    local::{VoiceHint, VoiceState},
};

use super::{
    components::{Icon, Look, Step, badge, button, card, level_bar, page, progress_bar},
    kit::Kit,
    system_check::device_remedy,
    text::{Key, keys},
    tokens::{size, space},
};

/// Draws the text to read aloud.
pub fn voice_ui(ui: &mut Ui, view: &View, screen: &VoiceView, kit: &Kit<'_>) -> Option<Intent> {
    let step = Step {
        number: 3,
        title: keys::VOICE_TITLE,
    };
    let (intent, asked) = page(ui, view, kit, step, |ui| {
        kit.body(ui, kit.msg(keys::VOICE_LEAD));
        ui.add_space(space::L);
        card(ui, kit, |ui| {
            kit.text(ui, kit.msg(text(screen)), size::TITLE, kit.tokens.text);
        });
        ui.add_space(space::L);
        heard(ui, screen, kit);
        ui.add_space(space::L);
        let intent = buttons(ui, screen, kit);
        if screen.may_skip && waits(screen.state) {
            ui.add_space(space::S);
            kit.caption(ui, kit.msg(keys::VOICE_SKIP_HELP));
        }
        intent
    });
    intent.or(asked)
}

const fn text(screen: &VoiceView) -> Key {
    match screen.text % VoiceView::TEXTS {
        0 => keys::VOICE_TEXT_1,
        1 => keys::VOICE_TEXT_2,
        2 => keys::VOICE_TEXT_3,
        _ => keys::VOICE_TEXT_4,
    }
}

/// A room of one height, so that no button moves while somebody reads.
fn heard(ui: &mut Ui, screen: &VoiceView, kit: &Kit<'_>) {
    ui.vertical(|ui| {
        ui.set_min_height(84.0);
        if let VoiceState::Listening { heard, needed, .. } = screen.state {
            let places = [("n", heard.into()), ("of", needed.into())];
            let label = kit.with(keys::VOICE_PROGRESS, &places);
            progress_bar(ui, kit, &label, (heard, needed));
            ui.add_space(space::XS);
            ui.horizontal(|ui| {
                let level = kit.msg(keys::GATE_LEVEL);
                level_bar(ui, kit, &level, screen.level.unwrap_or(0));
                kit.caption(ui, label);
            });
        }
        let (which, key) = state(screen, kit);
        ui.add_space(space::XS);
        badge(ui, kit, which, &kit.msg(key));
    });
}

/// Says how it goes, and what to do where it does not.
fn state(screen: &VoiceView, kit: &Kit<'_>) -> ((Icon, Color32), Key) {
    let tokens = &kit.tokens;
    let amiss = (Icon::Warning, tokens.warning);
    if waits(screen.state)
        && let Some(device) = screen.device.filter(|state| *state != SourceState::Live)
    {
        return (amiss, device_remedy(device));
    }
    match screen.state {
        VoiceState::NotAsked => ((Icon::Ring, tokens.secondary), keys::VOICE_NOT_YET),
        VoiceState::Listening {
            hint: Some(hint), ..
        } => {
            let key = match hint {
                VoiceHint::NoSound => keys::VOICE_NO_SOUND,
                VoiceHint::TooQuiet => keys::VOICE_TOO_QUIET,
                VoiceHint::NoSpeech => keys::VOICE_NO_SPEECH,
            };
            (amiss, key)
        }
        VoiceState::Listening { heard: 0, .. } => {
            ((Icon::Dot, tokens.primary), keys::VOICE_LISTENING)
        }
        VoiceState::Listening { .. } => ((Icon::Dot, tokens.success), keys::VOICE_HEARING),
        VoiceState::NotOneVoice => (amiss, keys::VOICE_NOT_ONE),
        VoiceState::Known => ((Icon::Check, tokens.success), keys::VOICE_KNOWN),
        VoiceState::Skipped | VoiceState::NotNeeded => {
            ((Icon::Wait, tokens.secondary), keys::VOICE_SKIPPED)
        }
        VoiceState::Unavailable => (amiss, keys::VOICE_UNAVAILABLE),
    }
}

/// Tells whether something is left to do for the candidate.
const fn waits(state: VoiceState) -> bool {
    match state {
        VoiceState::NotAsked
        | VoiceState::Listening { .. }
        | VoiceState::NotOneVoice
        | VoiceState::Unavailable => true,
        VoiceState::Known | VoiceState::Skipped | VoiceState::NotNeeded => false,
    }
}

fn buttons(ui: &mut Ui, screen: &VoiceView, kit: &Kit<'_>) -> Option<Intent> {
    ui.horizontal(|ui| {
        let first = match screen.state {
            VoiceState::NotAsked => Some(("read", keys::VOICE_BEGIN, Look::Primary)),
            VoiceState::Listening { .. } => Some(("again", keys::VOICE_AGAIN, Look::Secondary)),
            VoiceState::NotOneVoice => Some(("again", keys::VOICE_AGAIN, Look::Primary)),
            VoiceState::Known | VoiceState::Skipped | VoiceState::NotNeeded => {
                Some(("continue", keys::CONTINUE, Look::Primary))
            }
            VoiceState::Unavailable => None,
        };
        let mut intent = None;
        if let Some((name, key, look)) = first {
            let go = button(ui, kit, name, &kit.msg(key), (look, true));
            kit.first_focus(ui, &go);
            let wanted = if waits(screen.state) {
                Intent::ReadAloud
            } else {
                Intent::Continue
            };
            intent = go.clicked().then_some(wanted);
        }
        if screen.may_skip && waits(screen.state) {
            let label = kit.msg(keys::VOICE_SKIP);
            if button(ui, kit, "skip", &label, (Look::Quiet, true)).clicked() {
                intent = Some(Intent::SkipReading);
            }
        }
        intent
    })
    .inner
}
