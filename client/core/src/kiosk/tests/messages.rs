use super::*;
use crate::event::Overlay;

fn draft(desk: &Desk) -> String {
    let overlay = desk.kiosk.view(desk.now).overlay;
    overlay.expect("the messages are open").draft
}

#[test]
fn a_message_that_was_not_sent_stands_in_its_field_again() {
    let mut desk = Desk::in_exam();
    desk.intent(Intent::Open(Overlay::Messages));
    desk.intent(Intent::TypeMessage("көмек керек".to_owned()));
    let effects = desk.intent(Intent::SendMessage);
    assert!(calls(&effects).contains(&CallKind::Message), "{effects:?}");
    assert_eq!(draft(&desk), "");
    desk.fail(CallKind::Message, Failure::Unreachable);
    assert_eq!(draft(&desk), "көмек керек");

    desk.intent(Intent::SendMessage);
    desk.intent(Intent::TypeMessage("камера".to_owned()));
    desk.fail(CallKind::Message, Failure::Unreachable);
    assert_eq!(draft(&desk), "көмек керек камера", "nothing typed is lost");

    desk.intent(Intent::SendMessage);
    desk.answer(CallKind::Message, Reply::Done);
    assert_eq!(draft(&desk), "");
}

#[test]
fn a_message_waits_in_its_field_while_another_one_is_under_way() {
    let mut desk = Desk::in_exam();
    desk.intent(Intent::Open(Overlay::Messages));
    desk.intent(Intent::TypeMessage("бір".to_owned()));
    desk.intent(Intent::SendMessage);
    desk.intent(Intent::TypeMessage("екі".to_owned()));
    let effects = desk.intent(Intent::SendMessage);
    assert!(!calls(&effects).contains(&CallKind::Message), "{effects:?}");
    assert_eq!(draft(&desk), "екі");
    desk.answer(CallKind::Message, Reply::Done);
    assert_eq!(draft(&desk), "екі");
    let effects = desk.intent(Intent::SendMessage);
    assert!(calls(&effects).contains(&CallKind::Message), "{effects:?}");
}
