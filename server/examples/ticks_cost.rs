//! What attempts under way cost the server in ticks and saves, in processor time: nobody asks and no
//! agent sends, so that nothing else is measured. Linux only.
//!
//! `cargo run --release -p qorgan-server --example ticks_cost -- 2000`

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::time::Duration;

use anyhow::Context as _;
use qorgan_base::config::Config;
use qorgan_protocol::attempt::GatePolicy;
use qorgan_protocol::wire::Accommodation;
use qorgan_server::state::AppState;
use qorgan_server_core::sitting::SittingSettings;
use qorgan_store::exams::{self, Admission, NewExam, NewSitting};
use qorgan_store::people::{self, NewPerson};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let attempts = std::env::args().nth(1).map_or(Ok(2_000), |n| n.parse())?;
    let folder = tempfile::tempdir()?;
    let state = AppState::open(&folder.path().join("data"), Config::default()).await?;
    under_way(&state, attempts).await?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let ticking = tokio::spawn(state.registry.clone().run(async {
        let _either_way = stopped.await;
    }));
    // Reading them is no tick.
    tokio::time::sleep(SETTLES).await;
    let before = cpu_ms()?;
    tokio::time::sleep(MEASURED).await;
    let used = cpu_ms()?.saturating_sub(before);
    let share = Duration::from_millis(used).as_secs_f64() / MEASURED.as_secs_f64();
    println!(
        "{attempts} attempts under way: {:.1} % of a core in ticks and saves",
        share * 100.0
    );
    // Nobody waits where it has ended.
    let _gone = stop.send(());
    ticking.await??;
    Ok(())
}

/// Makes attempts that are covered since a restart: their time runs, and is saved.
async fn under_way(state: &AppState, attempts: u32) -> anyhow::Result<()> {
    let (keys, at) = (&state.keys, state.clock.wall());
    let mut tx = state.store.begin().await?;
    let exam = NewExam {
        title: "Anatomy".to_owned(),
        discipline: "Anatomy".to_owned(),
        discipline_code: String::new(),
    };
    let exam = exams::create_exam(&mut tx, keys, at, &exam).await?;
    let sitting = NewSitting {
        exam,
        opens: at,
        closes: at.after(LASTS),
        settings: SittingSettings {
            duration: LASTS,
            policy: GatePolicy::remote(),
            bandwidth: "standard".to_owned(),
            deny_processes: Vec::new(),
            allow_processes: Vec::new(),
        },
    };
    let sitting = exams::create_sitting(&mut tx, keys, at, &sitting).await?;
    for number in 0..attempts {
        let person = NewPerson {
            login: format!("candidate-{number}"),
            display_name: "Test".to_owned(),
            language: "kk".to_owned(),
            ..NewPerson::default()
        };
        let person = people::put_person(&mut tx, keys, at, &person).await?;
        let admission = Admission {
            sitting,
            person,
            admitted: true,
            reason: String::new(),
            accommodation: Accommodation::default(),
        };
        exams::create_attempt(&mut tx, keys, at, &admission, 1).await?;
    }
    let phase = format!(r#"{{"phase":"running","since":{}}}"#, at.unix_ms());
    qorgan_store::query("UPDATE attempts SET phase = $1, phase_word = 'running', epoch = 1")
        .bind(phase)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Returns the processor time of this process, in milliseconds.
fn cpu_ms() -> anyhow::Result<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_name, rest) = stat.rsplit_once(')').context("a name")?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut next = || -> anyhow::Result<u64> { Ok(fields.next().context("a time")?.parse()?) };
    // In hundredths of a second.
    Ok((next()? + next()?) * 10)
}

const LASTS: Duration = Duration::from_secs(3_600);
const SETTLES: Duration = Duration::from_secs(20);
const MEASURED: Duration = Duration::from_secs(30);
