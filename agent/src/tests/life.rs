//! A living face is asked for at check-in, and a film that does not answer passes nowhere.

use qorgan_protocol::incident::{IncidentKind, Observation, WatchPolicy};
use qorgan_protocol::local::{LivenessAsk, LivenessState};

use super::wait_for;
use super::witness::Sitting;
use crate::clock;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_film_that_does_not_turn_is_told_and_going_on_without_is_recorded() {
    let sitting = Sitting::of(&[180]).await;
    wait_for(|| !sitting.learnt("known").is_empty()).await;
    ask(&sitting, LivenessAsk::Begin);
    wait_for(|| matches!(state(&sitting), LivenessState::Turning { done: 0, .. })).await;
    wait_for(|| state(&sitting) == LivenessState::NotFollowed { left: 2 }).await;
    ask(&sitting, LivenessAsk::Skip);
    ask(&sitting, LivenessAsk::Skip);
    wait_for(|| state(&sitting) == LivenessState::Skipped).await;
    assert!(sitting.learnt("alive").is_empty(), "nobody was seen alive");
    let said = sitting.ended().await;
    let went_on = "the candidate went on without turning the head";
    assert_eq!(missing(&said), [went_on]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_asks_for_nothing_hides_nothing_and_starts_no_exam_unseen() {
    let sitting = Sitting::of(&[180]).await;
    wait_for(|| !sitting.learnt("known").is_empty()).await;
    assert_eq!(state(&sitting), LivenessState::NotAsked);
    ask(&sitting, LivenessAsk::Sitting(true));
    let said = sitting.ended().await;
    assert_eq!(missing(&said), ["the head was not turned"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exam_with_a_person_in_the_room_asks_for_no_living_face() {
    let sitting = Sitting::watched(&[180], WatchPolicy::on_site()).await;
    wait_for(|| state(&sitting) == LivenessState::NotNeeded).await;
    ask(&sitting, LivenessAsk::Begin);
    wait_for(|| !sitting.learnt("known").is_empty()).await;
    assert_eq!(state(&sitting), LivenessState::NotNeeded);
    assert_eq!(missing(&sitting.ended().await), [""; 0]);
}

fn ask(sitting: &Sitting, ask: LivenessAsk) {
    sitting.bound.board().liveness_asked(clock::now(), ask);
}

fn state(sitting: &Sitting) -> LivenessState {
    sitting.bound.board().liveness_state()
}

/// Returns what the recording says of a head that was not turned.
fn missing(said: &[Observation]) -> Vec<&str> {
    let missing = said
        .iter()
        .filter(|seen| seen.kind == IncidentKind::HeadNotTurned);
    missing.map(|seen| seen.detail.as_str()).collect()
}
