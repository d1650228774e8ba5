//! System check: each failure with its remedy.

use egui::{Align, Color32, Layout, Ui};
use qorgan_client_core::{
    event::Intent,
    view::{Check, CheckLine, CheckResult, SystemCheckView, View},
};
use qorgan_protocol::{attempt::MachineRule, evidence::SourceState};

use super::{
    components::{Icon, Look, Step, button, card, icon, page, trouble_banner},
    kit::Kit,
    text::{Key, keys},
    tokens::{size, space},
};

/// Draws the system check.
pub fn system_check_ui(
    ui: &mut Ui,
    view: &View,
    screen: &SystemCheckView,
    kit: &Kit<'_>,
) -> Option<Intent> {
    let step = Step {
        number: 2,
        title: keys::CHECK_TITLE,
    };
    let (intent, asked) = page(ui, view, kit, step, |ui| {
        trouble_banner(ui, kit, screen.trouble.as_ref(), view.support.as_deref());
        card(ui, kit, |ui| {
            for line in &screen.lines {
                line_ui(ui, line, kit);
            }
        });
        ui.add_space(space::L);
        if !screen.ready {
            kit.caption(ui, kit.msg(keys::CHECK_WAIT));
        }
        let label = kit.msg(keys::CONTINUE);
        let go = button(
            ui,
            kit,
            "continue",
            &label,
            (Look::Primary, screen.ready && !screen.busy),
        );
        kit.first_focus(ui, &go);
        go.clicked().then_some(Intent::SystemChecked)
    });
    intent.or(asked)
}

fn line_ui(ui: &mut Ui, line: &CheckLine, kit: &Kit<'_>) {
    let (which, color, word) = result_parts(line.result, kit);
    ui.horizontal(|ui| {
        ui.set_min_height(26.0);
        icon(ui, which, 18.0, color);
        kit.strong(
            ui,
            kit.msg(check_key(line.check)),
            size::BODY,
            kit.tokens.text,
        );
        kit.text(ui, &line.found, size::SMALL, kit.tokens.secondary);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            kit.text(ui, kit.msg(word), size::SMALL, color);
        });
    });
    if line.result == CheckResult::Bad || line.result == CheckResult::Warning {
        ui.horizontal(|ui| {
            ui.add_space(26.0);
            kit.text(ui, kit.msg(remedy_key(line)), size::BODY, kit.tokens.text);
        });
    }
}

fn result_parts(result: CheckResult, kit: &Kit<'_>) -> (Icon, Color32, Key) {
    let tokens = &kit.tokens;
    match result {
        CheckResult::Pending => (Icon::Wait, tokens.secondary, keys::CHECK_PENDING),
        CheckResult::Good => (Icon::Check, tokens.success, keys::CHECK_GOOD),
        CheckResult::Warning => (Icon::Warning, tokens.warning, keys::CHECK_WARNING),
        CheckResult::Bad => (Icon::Cross, tokens.danger, keys::CHECK_BAD),
    }
}

fn check_key(check: Check) -> Key {
    match check {
        Check::Server => keys::CHECK_SERVER,
        Check::Agent => keys::CHECK_AGENT,
        Check::Camera => keys::CAMERA,
        Check::Microphone => keys::MICROPHONE,
        Check::Screen => keys::SCREEN,
        Check::Displays => keys::CHECK_DISPLAYS,
        Check::NestedDisplay => keys::CHECK_NESTED,
        Check::Disk => keys::CHECK_DISK,
        Check::RemoteSession => keys::CHECK_REMOTE,
        Check::VirtualMachine => keys::CHECK_VIRTUAL,
        Check::Proxy => keys::CHECK_PROXY,
    }
}

fn remedy_key(line: &CheckLine) -> Key {
    match line.rule {
        Some(MachineRule::Refuse) => return keys::CHECK_REFUSED_REMEDY,
        Some(MachineRule::ProctorDecides) => return keys::CHECK_DECIDES_REMEDY,
        Some(MachineRule::Note) | None => {}
    }
    match line.check {
        Check::Camera | Check::Microphone | Check::Screen => {
            line.state.map_or(keys::REMEDY_CALL, device_remedy)
        }
        Check::Server => keys::REMEDY_NETWORK,
        Check::Agent => keys::CHECK_AGENT_REMEDY,
        Check::Displays => keys::CHECK_DISPLAYS_REMEDY,
        Check::NestedDisplay => keys::CHECK_NESTED_REMEDY,
        Check::Disk => keys::CHECK_DISK_REMEDY,
        Check::RemoteSession => keys::CHECK_REMOTE_REMEDY,
        Check::VirtualMachine => keys::CHECK_VIRTUAL_REMEDY,
        Check::Proxy => keys::CHECK_PROXY_REMEDY,
    }
}

/// Returns what to do about a device in a state.
pub(super) fn device_remedy(state: SourceState) -> Key {
    match state {
        SourceState::Live => keys::DEVICE_LIVE,
        SourceState::Opening => keys::DEVICE_OPENING,
        SourceState::Missing => keys::DEVICE_MISSING,
        SourceState::Busy => keys::DEVICE_BUSY,
        SourceState::Denied => keys::DEVICE_DENIED,
        SourceState::Unplugged => keys::DEVICE_UNPLUGGED,
        SourceState::Stalled => keys::DEVICE_STALLED,
        SourceState::Unsupported => keys::DEVICE_UNSUPPORTED,
    }
}
