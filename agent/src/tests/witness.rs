//! What the eyes see of a film reaches the server with its evidence, and is not taken for more.

use core::time::Duration;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use image::imageops::{FilterType, crop_imm, replace, resize};
use image::{Rgb, RgbImage};
use qorgan_protocol::codec;
use qorgan_protocol::evidence::StreamKind;
use qorgan_protocol::ids::Epoch;
use qorgan_protocol::incident::{Allowance, Edge, IncidentKind, Observation, WatchPolicy};
use qorgan_signing::{InputKey, is_sealed};
use tokio::sync::watch;

use super::devices::write_files;
use super::server::{FakeServer, INPUT_KEY, attempt};
use super::{finished, live, wait_for};
use crate::agent::{Bound, Options};
use crate::clock;
use crate::link::Ending;
use crate::recorder::Input;
use crate::sources::Sources;

/// Heads of the portrait at these places of a grey room, each 280 pixels wide.
fn film(folder: &Path, heads: &[i64]) {
    write_files(folder);
    let portrait = qorgan_tests::media::portrait().expect("set-up has fetched it");
    let portrait = image::open(portrait).expect("a picture").to_rgb8();
    let head = crop_imm(&portrait, 110, 20, 240, 240).to_image();
    let head = resize(&head, 280, 280, FilterType::Triangle);
    let mut room = RgbImage::from_fn(640, 480, |x, y| {
        let shade = u8::try_from((x / 8 + y / 6) % 140).expect("a byte");
        Rgb([shade + 60, shade + 50, shade + 40])
    });
    for left in heads {
        replace(&mut room, &head, *left, 150);
    }
    room.save(folder.join("camera.png")).expect("written");
}

pub(super) fn seen(server: &FakeServer) -> Vec<Observation> {
    let stored = server.stored.lock().expect("not poisoned");
    let events = stored
        .chunks
        .iter()
        .filter(|((stream, _), _)| stream.kind == StreamKind::Events);
    events
        .flat_map(|(_, (_, payload))| {
            codec::decode::<Vec<Observation>>("observations", payload).expect("as sent")
        })
        .collect()
}

pub(super) struct Sitting {
    pub(super) server: Arc<FakeServer>,
    pub(super) bound: Arc<Bound>,
    pub(super) ending: watch::Receiver<Ending>,
    data: tempfile::TempDir,
    files: tempfile::TempDir,
}

impl Sitting {
    /// Sits with heads at these places of the picture.
    pub(super) async fn of(heads: &[i64]) -> Self {
        Self::watched(heads, WatchPolicy::remote()).await
    }

    /// As [`Self::of`], in an exam that watches for this.
    pub(super) async fn watched(heads: &[i64], watch: WatchPolicy) -> Self {
        let files = tempfile::tempdir().expect("a folder");
        film(files.path(), heads);
        Self::before(files, watch).await
    }

    /// Sits before a camera that shows nobody, with this sound in the room.
    pub(super) async fn hearing(sound: &[u8]) -> Self {
        let files = tempfile::tempdir().expect("a folder");
        write_files(files.path());
        std::fs::write(files.path().join("voice.wav"), sound).expect("written");
        Self::before(files, WatchPolicy::remote()).await
    }

    async fn before(files: tempfile::TempDir, watch: WatchPolicy) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let server = FakeServer::start().await;
        server.devices.store(true, Ordering::Relaxed);
        *server.watch.lock().expect("not poisoned") = watch;
        let (bound, ending) = agent(&server, &data, &files).await;
        Self {
            server,
            bound,
            ending,
            data,
            files,
        }
    }

    /// Kills the agent and starts another on the same data.
    pub(super) async fn killed(mut self) -> Self {
        let stop = self.bound.recorder_for_tests().send(Input::Stop);
        stop.expect("it runs");
        let ended = self.ending.wait_for(|ending| *ending != Ending::None);
        drop(ended.await.expect("it ends"));
        let (bound, ending) = agent(&self.server, &self.data, &self.files).await;
        Self {
            bound,
            ending,
            ..self
        }
    }

    /// Lets the recording end; returns everything that it says.
    pub(super) async fn ended(self) -> Vec<Observation> {
        finished(&self.bound, self.ending).await;
        seen(&self.server)
    }

    /// Returns what lies sealed of what was learnt: `known` for face and bearing, `voice`.
    pub(super) fn learnt(&self, what: &str) -> Vec<Vec<u8>> {
        let entries = std::fs::read_dir(self.data.path()).expect("readable");
        entries
            .map(|entry| entry.expect("readable").path())
            .filter(|path| path.extension().is_some_and(|end| end == what))
            .map(|path| std::fs::read(path).expect("readable"))
            .collect()
    }
}

async fn agent(
    server: &FakeServer,
    data: &tempfile::TempDir,
    files: &tempfile::TempDir,
) -> (Arc<Bound>, watch::Receiver<Ending>) {
    clock::anchor();
    let (sender, ending) = watch::channel(Ending::None);
    let options = Options {
        socket_dir: data.path().to_path_buf(),
        data: data.path().to_path_buf(),
        sources: Sources::Simulated(files.path().to_path_buf()),
        spool_bytes_max: None,
    };
    let bound = Bound::make(&options, server.provision(), &sender)
        .await
        .expect("enrolled");
    let bound = Arc::new(bound);
    live(&bound).await;
    bound.open_devices();
    (bound, ending)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_face_is_told_with_the_pixels_that_give_the_same_score_again() {
    let sitting = Sitting::of(&[20, 340]).await;
    let second = |seen: &Observation| seen.kind == IncidentKind::SecondFace;
    wait_for(|| seen(&sitting.server).iter().any(second)).await;
    let told = seen(&sitting.server).into_iter().find(second);
    let told = told.expect("it was there");
    assert_eq!(told.edge, Edge::Began);
    assert!(is_sealed(&told.scored_input), "nobody reads it on the way");
    let whose = (attempt(), Epoch::FIRST);
    let input = InputKey::new(INPUT_KEY).open(whose, &told).expect("sealed");
    let again = qorgan_detect::replay(&told.detector, &input).expect("kept");
    assert!((again.value() - told.score.value()).abs() < 1e-3);
    assert!(sitting.learnt("known").is_empty(), "nobody is known yet");
    sitting.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_helpers_face_is_told_and_its_pixels_are_not_kept() {
    let watch = WatchPolicy::remote().granting(&[Allowance::Helper]);
    let sitting = Sitting::watched(&[20, 340], watch).await;
    let second = |seen: &Observation| seen.kind == IncidentKind::SecondFace;
    wait_for(|| seen(&sitting.server).iter().any(second)).await;
    let told = seen(&sitting.server).into_iter().find(second);
    assert!(told.expect("it was there").scored_input.is_empty());
    sitting.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_person_is_met_kept_sealed_and_nothing_is_said_of_them() {
    let sitting = Sitting::of(&[180]).await;
    wait_for(|| !sitting.learnt("known").is_empty()).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let of_people = [
        IncidentKind::SecondFace,
        IncidentKind::NobodyInView,
        IncidentKind::Impersonation,
        IncidentKind::LookingAway,
    ];
    let said = seen(&sitting.server);
    let about: Vec<_> = said
        .iter()
        .filter(|one| of_people.contains(&one.kind))
        .collect();
    assert!(about.is_empty(), "{about:?}");
    let kept = sitting.learnt("known");
    let [sealed] = kept.as_slice() else {
        panic!("{} files", kept.len())
    };
    qorgan_detect::Known::from_bytes(sealed).expect_err("it lies sealed");
    sitting.ended().await;
}
