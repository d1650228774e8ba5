use super::*;

#[tokio::test]
async fn without_a_program_nothing_is_found() {
    let decoders = Decoders::none();
    let found = decoders.code(Vec::new(), Vec::new()).await;
    assert!(matches!(found, Err(DecodeError::NoProgram)));
}

#[tokio::test]
async fn a_program_that_is_no_worker_is_tried_again_later() {
    let decoders = Decoders::of(PathBuf::from("/nonexistent/worker"));
    let first = decoders.code(Vec::new(), Vec::new()).await;
    assert!(matches!(first, Err(DecodeError::Start(_))));
    let second = decoders.code(Vec::new(), Vec::new()).await;
    assert!(matches!(second, Err(DecodeError::Resting)));
}

#[tokio::test]
async fn who_waits_too_long_for_a_slot_is_told_and_takes_none() {
    let slots = Slots::new(1, Duration::from_millis(20));
    let held = slots.take().await.expect("free");
    let late = slots.take().await;
    assert!(matches!(late, Err(DecodeError::Busy)));
    drop(held);
    let _next = slots.take().await.expect("whoever left holds no place");
}

#[test]
fn an_attempt_has_one_job_at_a_time() {
    let decoders = Decoders::none();
    let (one, other) = (attempt(1), attempt(2));
    let turn = decoders.turn(one).expect("nothing runs");
    assert!(decoders.turn(one).is_none());
    assert!(decoders.turn(other).is_some());
    drop(turn);
    assert!(decoders.turn(one).is_some());
}

#[test]
fn a_job_that_was_dear_is_followed_by_a_longer_rest() {
    assert_eq!(rest_after(Duration::from_millis(30)), REST_MIN);
    assert_eq!(rest_after(Duration::from_secs(2)), Duration::from_secs(8));
    assert_eq!(rest_after(Duration::from_secs(60)), REST_MAX);
}

fn attempt(number: u8) -> AttemptId {
    AttemptId::new(
        qorgan_protocol::time::WallTime::from_unix_ms(0),
        [number; 10],
    )
}
