//! Every screen as a picture in each language, and as the tree that screen readers see.
#![expect(
    clippy::tests_outside_test_module,
    reason = "every function of a test file is a test or helps one"
)]

mod support;

use egui::{
    Key, Modifiers,
    accesskit::{Live, Role},
    vec2,
};
use egui_kittest::{
    Harness, SnapshotResults,
    kittest::{NodeT as _, Queryable as _},
};
use qorgan_client::ui::{kit::Kit, style, text::Texts, tokens::Tokens, window_ui};
use qorgan_client_core::{
    event::{Intent, Language, Overlay, Reading, Theme},
    view::{ExamAsk, ScreenView, View},
};
use qorgan_protocol::local::{LivenessState, Turn, TurnHint};

#[test]
fn every_screen_looks_right_in_each_language() {
    let mut results = SnapshotResults::new();
    for language in Language::ALL {
        for screen in support::screens() {
            let name = format!("{}/{}", language.code(), screen.name());
            snapshot(
                &mut results,
                &name,
                support::view(language, screen),
                [1366.0, 768.0],
            );
        }
    }
}

#[test]
fn signing_in_again_and_the_receipt_look_right_in_each_language_and_theme() {
    let mut results = SnapshotResults::new();
    for language in Language::ALL {
        for (which, theme) in [("light", Theme::Light), ("dark", Theme::Dark)] {
            let mut view = support::view(language, support::sign_in_again());
            view.reading.theme = theme;
            let name = format!("{}/sign-in-again-{which}", language.code());
            snapshot(&mut results, &name, view, [1366.0, 768.0]);
        }
        let mut view = support::view(language, support::submitted());
        view.reading.theme = Theme::Dark;
        let name = format!("{}/submitted-dark", language.code());
        snapshot(&mut results, &name, view, [1366.0, 768.0]);
    }
}

#[test]
fn a_document_that_was_taken_looks_right_in_each_language() {
    let mut results = SnapshotResults::new();
    for language in Language::ALL {
        let view = support::view(language, support::document());
        let name = format!("{}/document", language.code());
        snapshot(&mut results, &name, view, [1366.0, 768.0]);
    }
}

#[test]
fn reading_aloud_looks_right_in_each_language() {
    let mut results = SnapshotResults::new();
    for language in Language::ALL {
        for (name, screen) in support::voices() {
            let view = support::view(language, screen);
            let name = format!("{}/{name}", language.code());
            snapshot(&mut results, &name, view, [1366.0, 768.0]);
        }
    }
}

#[test]
fn turning_the_head_looks_right_in_each_language_and_light() {
    let mut results = SnapshotResults::new();
    for language in Language::ALL {
        for (name, screen) in support::livenesses() {
            let view = support::view(language, screen);
            let name = format!("{}/{name}", language.code());
            snapshot(&mut results, &name, view, [1366.0, 768.0]);
        }
        for (name, light) in support::LIGHTS {
            let screen = support::liveness_at(LivenessState::Shining(light));
            let mut view = support::view(language, screen);
            view.light = Some(light);
            let name = format!("{}/liveness-{name}", language.code());
            snapshot(&mut results, &name, view, [1366.0, 768.0]);
        }
    }
}

#[test]
fn the_exam_looks_right_in_each_light_and_while_something_is_asked() {
    let mut results = SnapshotResults::new();
    for (name, light) in support::LIGHTS {
        let mut view = support::view(Language::Kk, support::exam_that_asks(ExamAsk::Light));
        view.light = Some(light);
        snapshot(
            &mut results,
            &format!("light/exam-{name}"),
            view,
            [1366.0, 768.0],
        );
    }
    for (language, ask) in [
        (Language::Kk, ExamAsk::Turn(Turn::Left, None)),
        (
            Language::Ru,
            ExamAsk::Turn(Turn::Right, Some(TurnHint::More)),
        ),
        (Language::En, ExamAsk::Straight(Some(TurnHint::NoFace))),
    ] {
        let view = support::view(language, support::exam_that_asks(ask));
        let name = format!("{}/exam-asks", language.code());
        snapshot(&mut results, &name, view, [1366.0, 768.0]);
    }
}

#[test]
fn what_is_asked_in_the_exam_moves_nothing_takes_no_focus_and_blocks_no_key() {
    let ask = ExamAsk::Turn(Turn::Left, None);
    let mut before = harness(
        support::view(Language::En, support::exam()),
        [1366.0, 768.0],
        false,
    );
    before.run();
    let asking = support::view(Language::En, support::exam_that_asks(ask));
    let mut harness = harness(asking, [1366.0, 768.0], false);
    harness.run();
    let said = "Please turn your head to your left for a moment. The exam goes on.";
    let node = harness.get_by_label(said);
    assert_eq!(node.accesskit_node().live(), Live::Polite);
    assert!(!node.is_focused());
    for label in ["B. Симпатикалық жүйке", "Next", "Help and keys"] {
        let place = |desk: &Harness<'_, Desk>| desk.get_by_label(label).rect();
        assert_eq!(place(&harness), place(&before), "{label}");
        assert!(!place(&harness).intersects(node.rect()), "{label}");
    }
    harness.key_press(Key::Num1);
    harness.run();
    assert_eq!(harness.state().intents, [Intent::Choose("A".to_owned())]);
}

#[test]
fn turning_the_head_is_begun_with_enter_and_a_late_enter_skips_nothing() {
    let mut harness = harness(
        support::view(Language::En, support::liveness_at(LivenessState::NotAsked)),
        [1366.0, 768.0],
        false,
    );
    harness.run();
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!(harness.state().intents, [Intent::TurnHead]);
    let mut going_on = support::liveness();
    if let ScreenView::Liveness(screen) = &mut going_on {
        screen.may_skip = true;
    }
    harness.state_mut().view.screen = going_on;
    harness.run();
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!(harness.state().intents, [Intent::TurnHead], "nothing more");
}

#[test]
fn signing_in_again_begins_at_the_password() {
    let mut harness = harness(
        support::view(Language::Ru, support::sign_in_again()),
        [1366.0, 768.0],
        false,
    );
    harness.run();
    harness
        .get_by_role_and_label(Role::PasswordInput, "Пароль")
        .type_text("x");
    harness.run();
    let typed = Intent::TypePassword(qorgan_client_core::Private("x".to_owned()));
    assert!(harness.state().intents.contains(&typed));
}

#[test]
fn the_panels_look_right() {
    let mut results = SnapshotResults::new();
    for (name, overlay) in support::overlays() {
        let mut view = support::view(Language::Kk, support::exam());
        view.overlay = Some(overlay);
        snapshot(
            &mut results,
            &format!("panel/{name}"),
            view,
            [1366.0, 768.0],
        );
    }
}

#[test]
fn dark_contrast_large_text_and_4k_look_right() {
    let mut results = SnapshotResults::new();
    for screen in [
        support::sign_in(),
        support::gate(),
        support::exam(),
        support::covered(),
    ] {
        let name = format!("dark/{}", screen.name());
        let mut view = support::view(Language::Kk, screen);
        view.reading.theme = Theme::Dark;
        snapshot(&mut results, &name, view, [1366.0, 768.0]);
    }
    let mut view = support::view(Language::Kk, support::exam());
    view.reading = Reading {
        theme: Theme::Contrast,
        text_step: 4,
        reduced_motion: true,
        second_font: true,
    };
    snapshot(&mut results, "contrast/exam", view, [1366.0, 768.0]);
    let mut view = support::view(Language::Ru, support::exam());
    view.freshness = Some("0123456789ABCDEF0123456789ABCDEF".to_owned());
    snapshot(&mut results, "freshness/exam", view, [1366.0, 768.0]);
    let view = support::view(Language::En, support::exam());
    let mut harness = harness(view, [1920.0, 1080.0], true);
    harness.set_pixels_per_point(2.0);
    harness.run();
    results.add(harness.try_snapshot("4k/exam"));
}

#[test]
fn everything_that_can_be_pressed_has_a_name() {
    for language in Language::ALL {
        for view in all_views(language) {
            let mut harness = harness(view, [1366.0, 768.0], false);
            harness.run();
            harness.check_accessibility();
        }
    }
}

#[test]
fn the_choices_are_named_and_say_which_is_chosen() {
    let mut harness = harness(
        support::view(Language::Kk, support::exam()),
        [1366.0, 768.0],
        false,
    );
    harness.run();
    let chosen = harness.get_by_label("B. Симпатикалық жүйке");
    assert_eq!(chosen.accesskit_node().role(), Role::RadioButton);
    assert_eq!(
        chosen.accesskit_node().toggled(),
        Some(egui::accesskit::Toggled::True)
    );
    let question = harness.get_by_label("3-сұрақ, жауап берілді, белгіленген");
    question.click();
    harness.run();
    assert!(harness.state().intents.contains(&Intent::GoTo(3)));
}

#[test]
fn a_freshness_code_stands_in_no_tree() {
    let mut view = support::view(Language::Kk, support::exam());
    let before = count(view.clone());
    view.freshness = Some("0123456789ABCDEF0123456789ABCDEF".to_owned());
    assert_eq!(count(view), before);
}

#[test]
fn the_keyboard_alone_chooses_flags_moves_and_finishes() {
    for (key, modifiers, wanted) in [
        (Key::Num1, Modifiers::NONE, Intent::Choose("A".to_owned())),
        (Key::C, Modifiers::NONE, Intent::Choose("C".to_owned())),
        (Key::F, Modifiers::NONE, Intent::Flag),
        (Key::ArrowLeft, Modifiers::NONE, Intent::GoTo(3)),
        (Key::ArrowRight, Modifiers::NONE, Intent::GoTo(5)),
        (Key::Enter, Modifiers::CTRL, Intent::GoTo(5)),
        (Key::F1, Modifiers::NONE, Intent::Open(Overlay::Help)),
    ] {
        let mut harness = harness(
            support::view(Language::Ru, support::exam()),
            [1366.0, 768.0],
            false,
        );
        harness.run();
        harness.key_press_modifiers(modifiers, key);
        harness.run();
        assert_eq!(harness.state().intents, [wanted], "{key:?}");
    }
}

#[test]
fn escape_closes_a_panel() {
    let mut view = support::view(Language::En, support::exam());
    view.overlay = support::overlays()
        .into_iter()
        .next()
        .map(|(_, overlay)| overlay);
    let mut harness = harness(view, [1366.0, 768.0], false);
    harness.run();
    harness.key_press(Key::Escape);
    harness.run();
    assert_eq!(harness.state().intents, [Intent::CloseOverlay]);
}

#[test]
//= tests/data/sop-2-28.md#11-sign-in
//= type=test
fn the_sign_in_is_typed_in_cyrillic_and_sent_with_enter() {
    let mut view = support::view(Language::Kk, support::sign_in());
    if let ScreenView::SignIn(screen) = &mut view.screen {
        screen.login.0.clear();
    }
    let mut harness = harness(view, [1366.0, 768.0], false);
    harness.run();
    harness
        .get_by_role_and_label(Role::TextInput, "Логин")
        .type_text("Әсел");
    harness.run();
    let typed = harness
        .state()
        .intents
        .iter()
        .any(|intent| matches!(intent, Intent::TypeLogin(login) if login.0 == "Әсел"));
    assert!(typed, "{:?}", harness.state().intents);
}

#[test]
//= tests/data/sop-2-28.md#10-start-gate
//= type=test
fn the_start_button_sleeps_until_the_gate_is_open() {
    for open in [false, true] {
        let mut view = support::view(Language::En, support::gate());
        if let ScreenView::Gate(gate) = &mut view.screen {
            gate.open = open;
        }
        let mut harness = harness(view, [1366.0, 768.0], false);
        harness.run();
        let label = if open { "Start the exam" } else { "Waiting" };
        harness.get_by_label(label).click();
        harness.run();
        assert_eq!(harness.state().intents.contains(&Intent::Start), open);
    }
}

struct Desk {
    view: View,
    texts: Texts,
    album: Option<support::Album>,
    intents: Vec<Intent>,
}

fn all_views(language: Language) -> Vec<View> {
    let mut views: Vec<View> = support::screens()
        .into_iter()
        .map(|screen| support::view(language, screen))
        .collect();
    views.push(support::view(language, support::sign_in_again()));
    views.push(support::view(language, support::document()));
    let voices = support::voices().into_iter();
    let others = support::livenesses().into_iter().chain(voices);
    views.extend(others.map(|(_, screen)| support::view(language, screen)));
    views.push(support::view(
        language,
        support::exam_that_asks(ExamAsk::Light),
    ));
    for (_, overlay) in support::overlays() {
        let mut view = support::view(language, support::exam());
        view.overlay = Some(overlay);
        views.push(view);
    }
    views
}

fn count(view: View) -> usize {
    let mut harness = harness(view, [1366.0, 768.0], false);
    harness.run();
    harness.root().children_recursive().count()
}

fn snapshot(results: &mut SnapshotResults, name: &str, view: View, size: [f32; 2]) {
    let mut harness = harness(view, size, true);
    harness.run();
    results.add(harness.try_snapshot(name));
}

fn harness(view: View, size: [f32; 2], draws: bool) -> Harness<'static, Desk> {
    let texts = Texts::of(view.language);
    let (reading, light) = (view.reading, view.light);
    let builder = Harness::builder()
        .with_size(vec2(size[0], size[1]))
        .with_pixels_per_point(1.0)
        .with_context_setup(move |ctx| style::apply(ctx, reading, light));
    let builder = if draws { builder.wgpu() } else { builder };
    builder.build_ui_state(
        |ui, desk: &mut Desk| {
            let album = desk
                .album
                .take()
                .unwrap_or_else(|| support::Album::load(ui.ctx()));
            style::apply(ui.ctx(), desk.view.reading, desk.view.light);
            let kit = Kit {
                tokens: Tokens::of(desk.view.reading.theme, desk.view.light),
                texts: &desk.texts,
                reading: desk.view.reading,
                pictures: &album,
                utc_offset_min: 300,
            };
            let intents = window_ui(ui, &desk.view, &kit);
            desk.intents.extend(intents);
            desk.album = Some(album);
        },
        Desk {
            view,
            texts,
            album: None,
            intents: Vec::new(),
        },
    )
}
