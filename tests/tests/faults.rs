//! What goes wrong in real exams, done to the three real programs: no response that was shown as
//! saved and no segment that the server receipted is lost, and nothing is shown without streams.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use qorgan_protocol::assessment::{Response, ResponseEntry};
use qorgan_protocol::codec;
use qorgan_protocol::evidence::ChunkHeader;
use qorgan_protocol::evidence::side_log::{HEADERS_MAGIC, RESPONSES_FILE, RESPONSES_MAGIC};
use qorgan_tests::demo::CameraWish;
use qorgan_tests::demo::stage::{Sitter, Stage};
use qorgan_tests::kiosk::Kiosk;
use qorgan_tests::machine::Machine;
use qorgan_tests::program::send;
use qorgan_tests::relay::Relay;
use qorgan_tests::seat::Seat;
use qorgan_tests::{browser, candidate};

//= tests/data/sop-2-28.md#10-start-gate
//= type=test
//= tests/data/sop-2-28.md#13-recording
//= type=test
#[test]
fn a_killed_agent_covers_the_exam_and_a_new_one_uncovers_it() {
    let scene = Scene::set();
    let seat = scene.seat("seat");
    let mut kiosk = scene.in_the_exam(&seat);
    candidate::respond(&mut kiosk, 3).expect("three responses");

    let agent = kiosk.agent().expect("it runs");
    let killed = Instant::now();
    send("KILL", &agent).expect("it is killed");
    kiosk
        .await_screen("covered", Duration::from_secs(5))
        .expect("covered within five seconds");
    let covered = killed.elapsed();
    kiosk.await_screen("exam", BACK_LIMIT).expect("uncovered");
    let back = killed.elapsed();
    tell("agent killed", &[("covered", covered), ("uncovered", back)]);

    candidate::respond(&mut kiosk, 2).expect("it goes on");
    let told = scene.finished(&seat, &mut kiosk, 5);
    assert!(
        told.has("agent_restarted") || told.has("recording_gap") || told.has("stream_lost"),
        "the gap is told: {told:?}"
    );
}

#[test]
fn a_window_over_the_exam_is_seen_where_it_stands_though_it_takes_no_focus() {
    let scene = Scene::set();
    let seat = scene.seat("seat");
    let mut kiosk = scene.in_the_exam(&seat);
    candidate::respond(&mut kiosk, 3).expect("three responses");
    thread::sleep(Duration::from_secs(10));
    let honest = scene.details("foreign_window").expect("readable");
    let over = |detail: &String| detail.contains("not what the kiosk drew");
    assert!(
        !honest.iter().any(over),
        "the kiosk's own screen: {honest:?}"
    );

    let opened = Instant::now();
    let overlay = seat.display().open_overlay(scene.folder.path());
    let overlay = overlay.expect("a window opens");
    let detail = qorgan_tests::wait::until("the region", BACK_LIMIT, || {
        Ok(scene.details("foreign_window")?.into_iter().find(over))
    });
    let detail = detail.expect("it is told");
    tell("overlay opened", &[("told", opened.elapsed())]);
    drop(overlay);

    let (_, place) = detail.split_once("kiosk drew").expect("found so");
    let numbers: Vec<u32> = place
        .split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect();
    let [left, right, top, bottom] = numbers.as_slice() else {
        panic!("{detail}")
    };
    // 400 to 700 of 1366 across, 300 to 500 of 768 down.
    for (found, place) in [(left, 29), (right, 51), (top, 39), (bottom, 65)] {
        assert!(found.abs_diff(place) <= 3, "{detail}");
    }
}

#[test]
fn a_film_before_the_camera_turns_no_head_and_is_flagged_while_the_exam_goes_on() {
    let scene = Scene::for_a(Sitter::Person);
    let seat = scene.seat("seat");
    // Nobody turns the film's head: what sits there goes on without, which is told.
    let mut kiosk = scene.in_the_exam(&seat);
    scene.incident("head_not_turned");
    candidate::respond(&mut kiosk, 2).expect("two responses");

    let sits = Instant::now();
    qorgan_tests::wait::until("a request to turn the head", ASKED_LIMIT, || {
        let state = kiosk.state()?;
        Ok(state.filter(|state| state["asked"] == true).map(drop))
    })
    .expect("it stands over the question");
    let asked = sits.elapsed();
    candidate::respond(&mut kiosk, 1).expect("it blocks no key");
    qorgan_tests::wait::until("a flag", ASKED_LIMIT, || {
        Ok(scene.details("presentation_attack")?.pop())
    })
    .expect("what turns no head is told");
    tell("film", &[("asked", asked), ("told", sits.elapsed())]);
    scene.finished(&seat, &mut kiosk, 3);
}

#[test]
fn a_killed_server_takes_no_response_with_it() {
    let mut scene = Scene::set();
    let seat = scene.seat("seat");
    let mut kiosk = scene.in_the_exam(&seat);
    candidate::respond(&mut kiosk, 3).expect("three responses");

    scene.stage.server.program().kill().expect("it is killed");
    candidate::choose(&mut kiosk, "2").expect("kept on this machine's disk");
    thread::sleep(Duration::from_secs(4));
    let killed = Instant::now();
    scene
        .stage
        .server
        .kill_and_restart()
        .expect("it is started again");
    kiosk
        .await_state("the response to be delivered", |state| {
            state["screen"] == "exam" && state["kept"] == "delivered"
        })
        .expect("the exam goes on");
    tell("server restarted", &[("delivered", killed.elapsed())]);

    candidate::go_on(&mut kiosk).expect("the next question");
    candidate::respond(&mut kiosk, 2).expect("it goes on");
    scene.finished(&seat, &mut kiosk, 6);
    scene.recorded_without_gap();
}

#[test]
fn a_network_that_is_cut_for_a_minute_covers_and_loses_nothing() {
    let scene = Scene::set();
    let relay = Relay::start(&scene.stage.server.ready().address).expect("it starts");
    let mut seat = scene.seat("seat");
    let link = relay.link(&scene.stage.server.ready().enrol_link);
    seat.enrol_by(link.expect("an enrolment link"));
    let mut kiosk = scene.in_the_exam(&seat);
    candidate::respond(&mut kiosk, 2).expect("two responses");

    let cut = Instant::now();
    relay.cut();
    candidate::choose(&mut kiosk, "2").expect("kept on this machine's disk");
    kiosk
        .await_screen("covered", Duration::from_secs(40))
        .expect("covered when the lease runs out");
    let covered = cut.elapsed();
    assert!(covered > Duration::from_secs(10), "the grace holds");
    thread::sleep(Duration::from_secs(60).saturating_sub(cut.elapsed()));
    assert_eq!(kiosk.screen().expect("a screen"), "covered");
    relay.mend();
    let mended = Instant::now();
    kiosk.await_screen("exam", BACK_LIMIT).expect("uncovered");
    tell(
        "network cut for 60 s",
        &[("covered", covered), ("uncovered", mended.elapsed())],
    );

    candidate::go_on(&mut kiosk).expect("the next question");
    candidate::respond(&mut kiosk, 2).expect("it goes on");
    let told = scene.finished(&seat, &mut kiosk, 5);
    assert!(
        !told.has("recording_gap"),
        "the spool held it all: {told:?}"
    );
}

#[test]
fn a_killed_kiosk_comes_back_to_the_same_question() {
    let scene = Scene::set();
    let seat = scene.seat("seat");
    let mut kiosk = scene.in_the_exam(&seat);
    candidate::respond(&mut kiosk, 4).expect("four responses");
    candidate::choose(&mut kiosk, "2").expect("and a fifth");
    let before = kiosk.state().expect("a state").expect("a state");

    let killed = Instant::now();
    kiosk.crash().expect("it is started again");
    candidate::enter(&mut kiosk, &scene.stage.candidate).expect("back in the exam");
    tell("kiosk killed", &[("back in the exam", killed.elapsed())]);
    kiosk
        .await_state("the same question with its response", |state| {
            ["question", "answered", "chosen"]
                .iter()
                .all(|name| state[name] == before[name])
        })
        .expect("the journal gives it back");

    candidate::go_on(&mut kiosk).expect("the next question");
    candidate::respond(&mut kiosk, 1).expect("it goes on");
    scene.finished(&seat, &mut kiosk, 6);
}

#[test]
fn a_wrong_and_stepped_wall_clock_changes_nothing_but_is_told() {
    let scene = Scene::set();
    let mut seat = scene.seat("seat");
    let machine = scene.machine("clock", &seat);
    machine
        .set_clock_off(-7 * 365 * 24 * HOUR_MS)
        .expect("a dead battery");
    seat.move_to(&machine);
    let mut kiosk = scene.in_the_exam(&seat);
    candidate::respond(&mut kiosk, 2).expect("two responses");

    machine.set_clock_off(26 * HOUR_MS).expect("a step");
    let told = scene.incident("clock_stepped");
    assert!(told.contains("ahead") || !told.is_empty(), "{told}");
    candidate::respond(&mut kiosk, 2).expect("it goes on");
    machine.set_clock_off(-2 * HOUR_MS).expect("a step back");
    candidate::respond(&mut kiosk, 1).expect("it goes on");
    scene.finished(&seat, &mut kiosk, 5);
}

#[test]
fn a_second_machine_waits_for_the_proctor_and_then_takes_over() {
    let scene = Scene::set();
    let first = scene.seat("first");
    let second = scene.seat("second");
    let mut old = scene.in_the_exam(&first);
    candidate::respond(&mut old, 3).expect("three responses");

    let mut new = second.kiosk().expect("it starts");
    scene.ask_for_the_attempt(&mut new);
    candidate::choose(&mut old, "2").expect("the first machine goes on");
    scene.incident("second_machine");
    scene.approve_the_move();
    old.await_screen("ended", BACK_LIMIT)
        .expect("the first machine is told");
    candidate::show_again(&mut new).expect("the new machine is checked and its sitter shown");
    scene.decide_identity("refuse");
    new.await_screen("identity", BACK_LIMIT)
        .expect("the refusal leads on");
    candidate::show_again(&mut new).expect("shown once more");
    scene.decide_identity("approve");
    candidate::enter(&mut new, &scene.stage.candidate).expect("the second one takes over");
    candidate::submit(&mut new).expect("submitted");
    let entries = scene.verified(&[&first, &second]);
    assert_eq!(entries.len(), 4, "every response moved along");
}

#[test]
fn a_cloned_data_folder_is_another_machine() {
    let scene = Scene::set();
    let seat = scene.seat("seat");
    let mut clone = scene.seat("clone");
    let machine = scene.machine("clone", &clone);
    machine
        .boot("00000000-0000-4000-8000-00000000c10e")
        .expect("another boot");
    clone.move_to(&machine);
    let mut kiosk = scene.in_the_exam(&seat);
    candidate::respond(&mut kiosk, 2).expect("two responses");

    copy(&seat.data(), &clone.data());
    let mut copied = clone.kiosk().expect("it starts");
    scene.ask_for_the_attempt(&mut copied);
    let told = scene.incident("second_machine");
    assert!(told.contains("copy"), "{told}");
    candidate::respond(&mut kiosk, 2).expect("the first machine goes on");
    scene.finished(&seat, &mut kiosk, 4);
}

#[test]
fn a_full_disk_is_told_and_what_was_acknowledged_stays() {
    let scene = Scene::set();
    let mut seat = scene.seat("seat");
    let machine = scene.machine("disk", &seat);
    seat.move_to(&machine);
    let mut kiosk = scene.in_the_exam(&seat);
    candidate::respond(&mut kiosk, 2).expect("two responses");

    machine.fill_disk(true).expect("full");
    kiosk.press(&["1"]).expect("a response");
    kiosk
        .await_state(
            "the response to be told as not kept here, or delivered",
            |state| state["kept"] == "unsaved" || state["kept"] == "delivered",
        )
        .expect("it is not shown as saved");
    thread::sleep(Duration::from_secs(5));
    assert_eq!(
        kiosk.screen().expect("a screen"),
        "exam",
        "while the server receives, the spool waits in memory"
    );
    machine.fill_disk(false).expect("free again");

    candidate::go_on(&mut kiosk).expect("the next question");
    candidate::respond(&mut kiosk, 2).expect("it goes on");
    let told = scene.finished(&seat, &mut kiosk, 5);
    assert!(told.has("the spool's disk is full"), "{told:?}");
    scene.recorded_without_gap();
}

#[test]
fn an_exam_is_sat_behind_the_institutions_proxy() {
    let scene = Scene::set();
    let proxy = Relay::proxy().expect("it starts");
    let mut seat = scene.seat("seat");
    seat.behind(&proxy);
    let mut kiosk = scene.in_the_exam(&seat);
    candidate::respond(&mut kiosk, 2).expect("two responses");

    scene.finished(&seat, &mut kiosk, 2);
    assert!(proxy.connections() >= 2, "the kiosk's and the agent's");
    assert!(
        seat.log().contains("through the system's proxy"),
        "the agent's connection too"
    );
}

/// A server with an exam, and everything that a test needs around it.
struct Scene {
    stage: Stage,
    folder: tempfile::TempDir,
}

/// Kind and detail of every incident.
#[derive(Debug)]
struct Told(Vec<String>);

impl Told {
    fn has(&self, kind: &str) -> bool {
        self.0.iter().any(|told| told.contains(kind))
    }
}

impl Scene {
    fn set() -> Self {
        Self::for_a(Sitter::Robot)
    }

    fn for_a(sitter: Sitter) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let stage = Stage::set(folder.path(), "ru", (CameraWish::StandIn, sitter));
        Self {
            stage: stage.expect("a stage"),
            folder,
        }
    }

    fn seat(&self, name: &str) -> Seat {
        Seat::set(&self.stage, "ru", &self.folder.path().join(name)).expect("a seat")
    }

    fn machine(&self, name: &str, seat: &Seat) -> Machine {
        let folder = self.folder.path().join("machines").join(name);
        Machine::make(&folder, &seat.data()).expect("a machine")
    }

    fn in_the_exam<'a>(&self, seat: &'a Seat) -> Kiosk<'a> {
        let mut kiosk = seat.kiosk().expect("it starts");
        let entered = candidate::enter(&mut kiosk, &self.stage.candidate);
        assert!(entered.is_ok(), "{entered:?}\n{}", self.logs());
        kiosk
    }

    /// Signs in at a machine that does not hold the attempt; it must lead nowhere.
    fn ask_for_the_attempt(&self, kiosk: &mut Kiosk<'_>) {
        for screen in ["welcome", "sign-in", "exams"] {
            kiosk.await_screen(screen, BACK_LIMIT).expect("it opens");
            if screen == "sign-in" {
                candidate::fill_in(kiosk, &self.stage.candidate).expect("typed");
                kiosk.click("sign-in-go").expect("signed in");
            } else {
                candidate::leave(kiosk, screen).expect("it goes on");
            }
        }
        kiosk
            .await_state("the trouble", |state| {
                state["screen"] == "exams" && state["trouble"] == true
            })
            .expect("it is told, and leads nowhere");
    }

    fn approve_the_move(&self) {
        let mut words = self.stage.proctor_words();
        words["approveMove"] = true.into();
        browser::script("demo/console.mjs", &words).expect("the proctor approves");
    }

    fn decide_identity(&self, decision: &str) {
        let mut words = self.stage.proctor_words();
        words["identity"] = decision.into();
        browser::script("demo/console.mjs", &words).expect("the proctor decides");
    }

    /// Returns the details of all incidents of a kind.
    fn details(&self, kind: &str) -> anyhow::Result<Vec<String>> {
        let incidents = self.stage.incidents()?;
        let of_kind = incidents.iter().filter(|incident| incident["kind"] == kind);
        let details = of_kind.map(|incident| incident["detail"].as_str().unwrap_or(""));
        Ok(details.map(str::to_owned).collect())
    }

    /// Waits for an incident of a kind and returns its detail.
    fn incident(&self, kind: &str) -> String {
        let found = qorgan_tests::wait::until(kind, BACK_LIMIT, || {
            let incidents = self.stage.incidents()?;
            let found = incidents.iter().find(|incident| incident["kind"] == kind);
            Ok(found.map(|incident| incident["detail"].as_str().unwrap_or("").to_owned()))
        });
        found.expect("the incident is told")
    }

    /// Submits, and shows that nothing was lost.
    fn finished(&self, seat: &Seat, kiosk: &mut Kiosk<'_>, responses: usize) -> Told {
        let submitted = candidate::submit(kiosk);
        assert!(submitted.is_ok(), "{submitted:?}\n{}", self.logs());
        let entries = self.verified(&[seat]);
        assert_eq!(entries.len(), responses, "questions with a response");
        let incidents = self.stage.incidents().expect("readable");
        let lines = incidents
            .iter()
            .map(|one| format!("{} {}", one["kind"], one["detail"]));
        Told(lines.collect())
    }

    /// Exports, verifies against the receipts that the agents kept, and returns each question's
    /// last response.
    fn verified(&self, seats: &[&Seat]) -> BTreeMap<String, Vec<String>> {
        let attempt = self.stage.sealed_attempt().expect("sealed");
        let export = self.folder.path().join("export");
        self.stage.export(&attempt, &export).expect("exported");
        let receipts: Vec<PathBuf> = seats
            .iter()
            .flat_map(|seat| seat.receipts().expect("readable"))
            .collect();
        assert!(receipts.len() >= seats.len(), "receipts at every seat");
        let told = self.stage.verify(&export, &receipts).expect("valid");
        assert!(told.contains("receipted chunks are here"), "{told}");
        last_responses(&export)
    }

    /// Shows that the agent recorded on through all of it.
    fn recorded_without_gap(&self) {
        for stream in ["camera-0", "screen-0"] {
            let gap = longest_gap(&self.folder.path().join("export"), stream);
            assert!(gap < GAP_MAX, "{stream} lacks {gap:?}");
        }
    }

    fn logs(&self) -> String {
        let mut logs = String::new();
        for log in ["server/server.log", "seat/candidate/kiosk.log"] {
            let said = fs::read_to_string(self.folder.path().join(log)).unwrap_or_default();
            let lines: Vec<_> = said.lines().collect();
            let end = lines.len().saturating_sub(60);
            logs.push_str(&format!("--- {log}\n{}\n", lines[end..].join("\n")));
        }
        logs
    }
}

fn last_responses(export: &Path) -> BTreeMap<String, Vec<String>> {
    let mut last = BTreeMap::new();
    for record in records(&export.join(RESPONSES_FILE), RESPONSES_MAGIC) {
        // The receipts come last and are no entries.
        if let Ok(entry) = codec::decode::<ResponseEntry>("response entry", &record) {
            let Response::Choices { choices } = entry.response;
            last.insert(entry.item.to_string(), choices);
        }
    }
    assert!(last.values().all(|choices| !choices.is_empty()), "{last:?}");
    last
}

/// Returns the longest time between two chunks of a stream for which there is no picture or sound.
fn longest_gap(export: &Path, stream: &str) -> Duration {
    let headers = records(&export.join(format!("{stream}.e1.log")), HEADERS_MAGIC);
    let (mut end, mut longest) = (0, 0);
    for record in headers {
        let header: ChunkHeader = codec::decode("chunk header", &record).expect("a header");
        if header.duration_us > 0 && end > 0 {
            longest = longest.max(header.start_us.saturating_sub(end));
        }
        end = header.start_us + header.duration_us;
    }
    Duration::from_micros(longest)
}

fn records(log: &Path, magic: &[u8]) -> Vec<Vec<u8>> {
    let log = fs::read(log).expect("the export holds it");
    let mut rest = log.strip_prefix(magic).expect("its first line");
    let mut records = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::try_from(u32::from_be_bytes(*length)).expect("small");
        let (record, after) = after.split_at(length);
        records.push(record.to_vec());
        rest = after;
    }
    records
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    let mut command = std::process::Command::new("cp");
    let copied = qorgan_tests::program::run(command.arg("-a").arg(from.join(".")).arg(to));
    // A socket cannot be copied, and a spool file may go while it is read; the keys are there.
    drop(copied);
    assert!(to.join("device.key").exists() || fs::read_dir(to).expect("readable").count() > 1);
}

#[expect(
    clippy::print_stdout,
    reason = "figures are what a bench reader looks for"
)]
fn tell(what: &str, figures: &[(&str, Duration)]) {
    for (name, figure) in figures {
        println!("{what}: {name} after {} ms", figure.as_millis());
    }
}

const BACK_LIMIT: Duration = Duration::from_secs(60);
/// Asked within a minute; two rows of turns take twenty seconds for each turn.
const ASKED_LIMIT: Duration = Duration::from_secs(120);
/// A picture may come late on a busy machine.
const GAP_MAX: Duration = Duration::from_secs(2);
const HOUR_MS: i64 = 3_600_000;
