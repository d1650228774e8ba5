//! Getting to know the candidate, on scenes of the portrait.
#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

mod scenes;

use qorgan_detect::{Acquaintance, FaceFinder, Known, Seen};
use qorgan_protocol::incident::IncidentKind;
use scenes::{Frame, portrait, room, seat};

fn alone(left: i64) -> Frame {
    let mut room = room();
    seat(&mut room, left, 120, 300);
    Frame::of(&room)
}

fn two() -> Frame {
    let mut room = room();
    seat(&mut room, 20, 150, 280);
    seat(&mut room, 340, 150, 280);
    Frame::of(&room)
}

/// Shows a frame until the candidate is known, at most `most` times.
fn shown(
    meeting: &mut Acquaintance,
    finder: &FaceFinder,
    frame: &Frame,
    most: usize,
) -> Option<Known> {
    let picture = frame.picture();
    let faces = finder.find(picture).expect("found");
    let seen = Seen {
        picture,
        faces: &faces,
    };
    (0..most).find_map(|_| meeting.look(seen).expect("looked"))
}

#[test]
fn eight_looks_make_an_acquaintance_that_is_kept_to_the_bit() {
    let finder = FaceFinder::load().expect("the model");
    let mut meeting = Acquaintance::load().expect("the models");
    assert!(shown(&mut meeting, &finder, &alone(160), 7).is_none());
    let known = shown(&mut meeting, &finder, &alone(170), 1).expect("eight");
    assert!(known.check_in_score().is_none(), "there is no photo");
    let again = Known::from_bytes(&known.to_bytes()).expect("its own bytes");
    assert!(again == known);
    Known::from_bytes(b"no template").expect_err("refused");
    let kinds: Vec<_> = known
        .detectors(1)
        .expect("the models")
        .iter()
        .map(|one| one.kind())
        .collect();
    assert_eq!(
        kinds,
        [IncidentKind::Impersonation, IncidentKind::LookingAway]
    );
    assert!(!format!("{known:?}").contains(char::is_numeric));
}

#[test]
fn nobody_is_mistaken_for_the_candidate_while_two_are_in_view() {
    let finder = FaceFinder::load().expect("the model");
    let mut meeting = Acquaintance::load().expect("the models");
    assert!(shown(&mut meeting, &finder, &two(), 12).is_none());
}

#[test]
fn the_photo_on_file_is_compared_with_who_checks_in() {
    let finder = FaceFinder::load().expect("the model");
    let mut meeting = Acquaintance::load().expect("the models");
    let photo = Frame::of(&portrait());
    assert!(meeting.photo(&finder, photo.picture()).expect("looked"));
    let known = shown(&mut meeting, &finder, &alone(160), 8).expect("eight");
    let score = known.check_in_score().expect("both are there");
    assert!(score.value() < 0.5, "{}", score.value());
    let empty = Frame::of(&room());
    assert!(!meeting.photo(&finder, empty.picture()).expect("looked"));
}
