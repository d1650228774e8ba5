//! What the lockdown saw reaches the server, whatever programs are called and however much they do.

use qorgan_protocol::{
    limits::REQUEST_BYTES_MAX,
    wire::{ClientEvent, ClientEventKind},
};

use super::Desk;
use crate::event::{Call, CallKind, Effect, Event, Reply};

#[test]
fn no_name_of_a_window_keeps_the_words_of_the_lockdown_from_the_server() {
    let mut desk = with_all_told();
    let name = "\u{1}".repeat(16 * 1024);
    for _window in 0..200 {
        seen(&mut desk, ClientEventKind::WindowSwitch, &name);
    }
    let told = told(&desk.answer(CallKind::Events, Reply::Done));
    assert_eq!(told.len(), 200, "every switch is told");
    // JSON writes a control character in six bytes, and some 150 bytes stand around a detail.
    let bytes: usize = told.iter().map(|event| 6 * event.detail.len() + 150).sum();
    assert!(bytes < REQUEST_BYTES_MAX, "{bytes} bytes");
}

#[test]
fn a_flood_of_one_kind_hides_no_other_and_what_is_left_out_is_said() {
    let mut desk = with_all_told();
    seen(&mut desk, ClientEventKind::WindowSwitch, "first");
    seen(&mut desk, ClientEventKind::TerminalLeft, "tty3");
    for _window in 0..1_000 {
        seen(&mut desk, ClientEventKind::WindowSwitch, "overlay-shown");
    }
    seen(&mut desk, ClientEventKind::ProgramTouched, "a tracer");
    let all = told(&desk.answer(CallKind::Events, Reply::Done));
    assert!(all.len() <= 256, "the server takes no more at once");
    let of = |kind| all.iter().filter(move |event| event.kind == kind);
    assert_eq!(of(ClientEventKind::TerminalLeft).count(), 1);
    assert_eq!(of(ClientEventKind::ProgramTouched).count(), 1);
    let said: Vec<_> = of(ClientEventKind::MeasureFailed).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].detail.contains("left out"), "{said:?}");
    assert!(told(&desk.answer(CallKind::Events, Reply::Done)).is_empty());
}

/// Stands in the exam, with nothing on its way.
fn with_all_told() -> Desk {
    let mut desk = Desk::in_exam();
    desk.answer(CallKind::Events, Reply::Done);
    desk
}

fn seen(desk: &mut Desk, kind: ClientEventKind, detail: &str) {
    let detail = detail.to_owned();
    desk.event(Event::Seen { kind, detail });
}

/// Returns what is sent to the server of what was seen.
fn told(effects: &[Effect]) -> Vec<ClientEvent> {
    let sent = effects.iter().filter_map(|effect| {
        if let Effect::Call(Call::Events { events }) = effect {
            Some(events.clone())
        } else {
            None
        }
    });
    sent.flatten().collect()
}
