use std::path::Path;

use qorgan_protocol::attempt::{AttemptPhase, GatePolicy};
use qorgan_protocol::ids::SittingId;
use qorgan_protocol::wire::Accommodation;
use qorgan_server_core::sitting::SittingSettings;

use super::*;
use crate::registry::{BoardOf, BoardQuery};
use qorgan_base::config::Config;
use qorgan_store::assigned::Scope;
use qorgan_store::exams::{self, Admission, NewExam, NewSitting};
use qorgan_store::people::{self, NewPerson};

struct World {
    state: AppState,
    sitting: SittingId,
    _folder: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let state = AppState::open(&folder.path().join("data"), Config::default())
            .await
            .expect("a new folder");
        let (keys, at) = (&state.keys, state.clock.wall());
        let mut tx = state.store.begin().await.expect("a writer");
        let exam = NewExam {
            title: "t".to_owned(),
            discipline: "d".to_owned(),
            discipline_code: String::new(),
        };
        let exam = exams::create_exam(&mut tx, keys, at, &exam)
            .await
            .expect("stored");
        let sitting = NewSitting {
            exam,
            opens: at,
            closes: at.after(Duration::from_secs(60)),
            settings: SittingSettings {
                duration: Duration::from_secs(60),
                policy: GatePolicy::remote(),
                bandwidth: "standard".to_owned(),
                deny_processes: Vec::new(),
                allow_processes: Vec::new(),
            },
        };
        let sitting = exams::create_sitting(&mut tx, keys, at, &sitting)
            .await
            .expect("stored");
        tx.commit().await.expect("stored");
        Self {
            state,
            sitting,
            _folder: folder,
        }
    }

    /// Makes an attempt that ended, whose term ends so many days from now, with a file of a recording.
    async fn ended(&self, login: &str, term_days: i64) -> AttemptId {
        let (state, at) = (&self.state, self.state.clock.wall());
        let person = NewPerson {
            login: login.to_owned(),
            display_name: login.to_owned(),
            language: "kk".to_owned(),
            ..NewPerson::default()
        };
        let mut tx = state.store.begin().await.expect("a writer");
        let person = people::put_person(&mut tx, &state.keys, at, &person)
            .await
            .expect("stored");
        let admission = Admission {
            sitting: self.sitting,
            person,
            admitted: true,
            reason: String::new(),
            accommodation: Accommodation::default(),
        };
        let attempt = exams::admit(&mut tx, &state.keys, at, &admission)
            .await
            .expect("stored");
        let phase = AttemptPhase::Void { since: at };
        let term = at.unix_ms() + term_days * 24 * 3_600_000;
        qorgan_store::query(
            "UPDATE attempts SET phase = $2, phase_word = 'void', retention_until_ms = $3 \
             WHERE id = $1",
        )
        .bind(attempt.to_string())
        .bind(serde_json::to_string(&phase).expect("plain data"))
        .bind(term)
        .execute(&mut *tx)
        .await
        .expect("stored");
        tx.commit().await.expect("stored");
        let folder = state.recordings.open_folder(attempt);
        std::fs::create_dir_all(folder.join("e1")).expect("a folder");
        std::fs::write(folder.join("e1/camera-0"), b"sealed").expect("written");
        attempt
    }

    fn has_files(&self, attempt: AttemptId) -> bool {
        self.state.recordings.open_folder(attempt).exists()
    }

    async fn has_key(&self, attempt: AttemptId) -> bool {
        self.state.recordings.key(attempt).await.is_ok()
    }

    async fn logged(&self, attempt: AttemptId) -> Vec<(String, String, String)> {
        qorgan_store::query_as(
            "SELECT action, actor, detail FROM audit_log WHERE subject = $1 ORDER BY id",
        )
        .bind(attempt.to_string())
        .fetch_all(self.state.store.read())
        .await
        .expect("readable")
    }
}

fn by() -> PersonId {
    PersonId::new(qorgan_protocol::time::WallTime::from_unix_ms(1), [9; 10])
}

#[tokio::test]
async fn what_is_over_its_term_is_deleted_and_nothing_else() {
    let world = World::start().await;
    let over = world.ended("over", -1).await;
    let kept = world.ended("kept", 1).await;
    assert_eq!(delete_due(&world.state).await.expect("looked"), 1);
    assert!(!world.has_key(over).await && !world.has_files(over));
    assert!(world.has_key(kept).await && world.has_files(kept));
    let logged = world.logged(over).await;
    let word = |text: &str| text.to_owned();
    let entry = (word("recording_deleted"), word("server"), word("retention"));
    assert_eq!(logged, [entry]);
    assert_eq!(delete_due(&world.state).await.expect("looked"), 0, "once");
}

#[tokio::test]
async fn a_hold_wins_over_the_term_and_over_who_asks_until_it_is_lifted() {
    let world = World::start().await;
    let attempt = world.ended("held", -1).await;
    let state = &world.state;
    ask(state, attempt, (by(), "they asked"))
        .await
        .expect("asked");
    hold(state, attempt, (by(), "a court"), true)
        .await
        .expect("held");
    assert_eq!(delete_due(state).await.expect("looked"), 0);
    assert!(world.has_key(attempt).await && world.has_files(attempt));
    let refused = ask(state, attempt, (by(), "again")).await;
    let told = refused.expect_err("held").to_string();
    assert!(told.contains("a court"), "{told}");
    hold(state, attempt, (by(), "it is over"), false)
        .await
        .expect("lifted");
    assert_eq!(
        delete_due(state).await.expect("looked"),
        1,
        "its term is over"
    );
    let words: Vec<String> = world
        .logged(attempt)
        .await
        .into_iter()
        .map(|(action, ..)| action)
        .collect();
    let wanted = [
        "deletion_asked",
        "hold_set",
        "hold_lifted",
        "recording_deleted",
    ];
    assert_eq!(words, wanted);
}

#[tokio::test]
async fn a_reason_is_needed_and_what_was_asked_before_a_hold_is_not_done_after_it() {
    let world = World::start().await;
    let attempt = world.ended("kept", 1).await;
    let state = &world.state;
    for reason in ["", " ", &"x".repeat(501)] {
        let refused = ask(state, attempt, (by(), reason)).await;
        assert!(matches!(refused, Err(RetentionError::NoReason)));
    }
    ask(state, attempt, (by(), "they asked"))
        .await
        .expect("asked");
    hold(state, attempt, (by(), "a court"), true)
        .await
        .expect("held");
    hold(state, attempt, (by(), "it is over"), false)
        .await
        .expect("lifted");
    assert_eq!(delete_due(state).await.expect("looked"), 0);
    ask(state, attempt, (by(), "again")).await.expect("asked");
    assert_eq!(delete_due(state).await.expect("looked"), 1);
    let gone = hold(state, attempt, (by(), "too late"), true).await;
    assert!(matches!(gone, Err(RetentionError::Gone)));
}

#[tokio::test]
async fn a_cut_between_key_and_files_is_finished_at_the_next_look() {
    let world = World::start().await;
    let attempt = world.ended("cut", -1).await;
    let mut tx = world.state.store.begin().await.expect("a writer");
    destroy_key(&mut tx, &world.state, attempt)
        .await
        .expect("destroyed");
    tx.commit().await.expect("stored");
    assert!(world.has_files(attempt));
    assert_eq!(delete_due(&world.state).await.expect("looked"), 1);
    assert!(!world.has_files(attempt));
    assert_eq!(world.logged(attempt).await.len(), 1, "it is said once");
}

#[tokio::test]
async fn an_attempt_that_is_not_over_is_not_deleted() {
    let world = World::start().await;
    let attempt = world.ended("runs", -1).await;
    let mut tx = world.state.store.begin().await.expect("a writer");
    qorgan_store::query("UPDATE attempts SET phase_word = 'running' WHERE id = $1")
        .bind(attempt.to_string())
        .execute(&mut *tx)
        .await
        .expect("stored");
    tx.commit().await.expect("stored");
    let refused = ask(&world.state, attempt, (by(), "now")).await;
    assert!(matches!(refused, Err(RetentionError::NotOver)));
    assert_eq!(delete_due(&world.state).await.expect("looked"), 0);
    assert!(world.has_key(attempt).await);
}

#[tokio::test]
async fn a_destroyed_key_leaves_the_rotation_and_lists_working() {
    let world = World::start().await;
    let gone = world.ended("gone", -1).await;
    let kept = world.ended("kept", 1).await;
    let state = &world.state;
    delete_due(state).await.expect("looked");
    let query = BoardQuery {
        scope: Scope::All,
        of: BoardOf::Sitting(world.sitting),
        named: String::new(),
        offset: 0,
        limit: 10,
    };
    let lines = state.registry.board(&query).await.expect("listed");
    assert_eq!(lines.len(), 2);
    state
        .registry
        .board_line(gone)
        .await
        .expect("its line stays");
    let refused = state.registry.standing(gone).await.expect_err("deleted");
    assert_eq!(
        refused.problem().code,
        qorgan_protocol::wire::ProblemCode::NotFound
    );
    state
        .registry
        .standing(kept)
        .await
        .expect("the other opens");
    let key_file = state.config.key_file(&state.data);
    let places: (&Path, &Path) = (&state.data, &key_file);
    qorgan_store::rotation::rotate(places, (&state.store, &state.keys), None)
        .await
        .expect("wrapped anew");
}
