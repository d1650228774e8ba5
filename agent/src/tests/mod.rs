//! The agent against a small real server: TLS, WebSocket, the protocol's own receiver.

mod channel;
#[cfg(feature = "simulated")]
mod devices;
#[cfg(feature = "simulated")]
mod life;
mod server;
#[cfg(feature = "simulated")]
mod voice;
#[cfg(feature = "simulated")]
mod witness;

use core::time::Duration;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::sleep;

use qorgan_encode::{AudioEncoder, MediaTime, SoundPacket};
use qorgan_protocol::codec;
use qorgan_protocol::evidence::{ChunkSeq, SourceState, StreamId, StreamKind};
use qorgan_protocol::incident::{Edge, IncidentKind, Observation};
use qorgan_protocol::link::read_chunk;
use qorgan_protocol::local::LinkState;
use tokio::sync::watch;

use crate::agent::{Bound, Options};
use crate::clock;
use crate::link::Ending;
use crate::recorder::{Device, Input};
use crate::sources::Sources;
use server::FakeServer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cuts_of_the_link_lose_no_chunk_and_double_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = FakeServer::start().await;
    server.cut_after.store(7, Ordering::Relaxed);
    let (bound, ending) = bind(&server, folder.path()).await;
    live(&bound).await;
    record(&bound, 6).await;
    server.down.store(true, Ordering::Relaxed);
    record(&bound, 6).await;
    server.down.store(false, Ordering::Relaxed);
    server.cut_after.store(0, Ordering::Relaxed);
    record(&bound, 3).await;
    finished(&bound, ending).await;

    let stored = server.stored.lock().expect("not poisoned");
    assert!(stored.links >= 3, "{} links", stored.links);
    assert!(stored.finished);
    assert_eq!(stored.refusals, []);
    assert!(stored.beats >= 3);
    let sound: Vec<_> = chunks_of(&stored, sound_stream());
    let last = sound.last().expect("there is sound").0;
    assert_eq!(usize::try_from(last).expect("few") + 1, sound.len());
    let packets: usize = sound.iter().skip(1).map(|(_, packets)| packets).sum();
    assert_eq!(packets, sent_packets(15), "every packet came once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_agent_goes_on_in_the_same_streams_and_says_the_gap() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = FakeServer::start().await;
    let (bound, ending) = bind(&server, folder.path()).await;
    live(&bound).await;
    record(&bound, 4).await;
    // Killed: nothing is flushed, nothing is said; receipts no longer come.
    server.silent.store(true, Ordering::Relaxed);
    record(&bound, 2).await;
    killed(&bound, ending).await;
    let before = server.stored.lock().expect("not poisoned").chunks.len();
    server.silent.store(false, Ordering::Relaxed);

    let (bound, ending) = bind(&server, folder.path()).await;
    live(&bound).await;
    record(&bound, 3).await;
    finished(&bound, ending).await;

    let stored = server.stored.lock().expect("not poisoned");
    assert_eq!(stored.refusals, []);
    assert!(stored.chunks.len() > before);
    assert_eq!(stored.agent_keys.len(), 2, "each start has its own key");
    let sound = chunks_of(&stored, sound_stream());
    assert_eq!(
        usize::try_from(sound.last().expect("sound").0).expect("few") + 1,
        sound.len()
    );
    let seen = observations(&stored);
    let kinds: Vec<_> = seen.iter().map(|seen| (seen.kind, seen.edge)).collect();
    assert!(
        kinds.contains(&(IncidentKind::AgentRestarted, Edge::Moment)),
        "{kinds:?}"
    );
    let gap = |edge| {
        let found = seen
            .iter()
            .find(|seen| (seen.kind, seen.edge) == (IncidentKind::RecordingGap, edge));
        found.expect("the gap is said").at_us
    };
    assert!(gap(Edge::Began) < gap(Edge::Ended));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_that_is_lost_in_the_spool_keeps_nothing_behind_it_from_the_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = FakeServer::start().await;
    let (bound, ending) = bind(&server, folder.path()).await;
    live(&bound).await;
    record(&bound, 2).await;
    offline(&server, &bound).await;
    record(&bound, 3).await;
    let lost = {
        let mut spool = bound.spool_for_tests().lock();
        let seqs = spool.waiting_from(sound_stream(), ChunkSeq(0));
        let seq = seqs[seqs.len() / 2];
        let frame = spool.take(sound_stream(), seq).expect("readable");
        let frame = frame.expect("it waits");
        packets_in(
            read_chunk(&frame)
                .expect("canonical")
                .expect("a chunk")
                .payload,
        )
    };
    server.down.store(false, Ordering::Relaxed);
    record(&bound, 2).await;
    finished(&bound, ending).await;
    assert_eq!(whole_but_for_a_gap(&server), sent_packets(7) - lost);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_whose_spool_ends_before_its_state_goes_on_and_says_the_gap() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = FakeServer::start().await;
    let (bound, ending) = bind(&server, folder.path()).await;
    live(&bound).await;
    record(&bound, 2).await;
    offline(&server, &bound).await;
    record(&bound, 4).await;
    killed(&bound, ending).await;
    let spool = folder
        .path()
        .join("spool")
        .join(format!("{}.e1", server::attempt()));
    let file = spool.join("00000001.spool");
    let bytes = std::fs::read(&file).expect("a file");
    std::fs::write(&file, &bytes[..bytes.len() / 2]).expect("as a power cut leaves it");
    server.down.store(false, Ordering::Relaxed);

    let (bound, ending) = bind(&server, folder.path()).await;
    live(&bound).await;
    record(&bound, 2).await;
    finished(&bound, ending).await;
    let came = whole_but_for_a_gap(&server);
    assert!(came > sent_packets(4) && came < sent_packets(8), "{came}");
}

/// Has the server take no connection, and waits until the link is gone.
async fn offline(server: &FakeServer, bound: &Arc<Bound>) {
    server.down.store(true, Ordering::Relaxed);
    wait_for(|| {
        server.cut.notify_waiters();
        bound.board().status(clock::now()).link == LinkState::Lost
    })
    .await;
}

/// Checks that the sound's chain is whole, that nothing was refused and that a gap is said; returns
/// how many packets came.
fn whole_but_for_a_gap(server: &FakeServer) -> usize {
    let stored = server.stored.lock().expect("not poisoned");
    assert_eq!(stored.refusals, []);
    let sound = chunks_of(&stored, sound_stream());
    let last = sound.last().expect("there is sound").0;
    assert_eq!(usize::try_from(last).expect("few") + 1, sound.len());
    let lost = observations(&stored).into_iter().any(|seen| {
        seen.kind == IncidentKind::RecordingGap && seen.detail.contains("lost for good")
    });
    assert!(lost, "{:?}", observations(&stored));
    sound.iter().skip(1).map(|(_, packets)| packets).sum()
}

fn packets_in(payload: &[u8]) -> usize {
    qorgan_protocol::media::frames_of(payload).map_or(0, |frames| frames.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_learnt_of_the_candidate_and_is_gone_is_told_by_the_next_agent() {
    for removed in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let server = FakeServer::start().await;
        let (bound, ending) = bind(&server, folder.path()).await;
        live(&bound).await;
        bound.candidate_for_tests().seen_alive(None);
        // The state says so, which is written once a second.
        record(&bound, 3).await;
        killed(&bound, ending).await;
        let learnt = folder
            .path()
            .join(format!("{}.e1.alive", server::attempt()));
        assert!(learnt.is_file());
        if removed {
            std::fs::remove_file(&learnt).expect("as by another program");
        }

        let (bound, ending) = bind(&server, folder.path()).await;
        live(&bound).await;
        record(&bound, 1).await;
        finished(&bound, ending).await;

        let stored = server.stored.lock().expect("not poisoned");
        let told: Vec<_> = observations(&stored)
            .into_iter()
            .filter(|seen| seen.kind == IncidentKind::Tampering)
            .map(|seen| seen.detail)
            .collect();
        let gone = "what was learnt at check-in is gone: that the face is a living one";
        let expected: &[&str] = if removed { &[gone] } else { &[] };
        assert_eq!(told, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_delivered_and_the_spool_is_empty_before_the_agent_leaves() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = FakeServer::start().await;
    let (bound, ending) = bind(&server, folder.path()).await;
    live(&bound).await;
    record(&bound, 2).await;
    finished(&bound, ending).await;
    assert!(bound.spool_for_tests().lock().is_empty());
    let receipts = folder
        .path()
        .join("spool")
        .join(format!("{}.e1.receipts", server::attempt()));
    assert!(
        receipts.is_file(),
        "the candidate keeps the server's receipts"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_stream_is_observed_with_its_cause_until_it_is_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = FakeServer::start().await;
    let (bound, ending) = bind(&server, folder.path()).await;
    live(&bound).await;
    record(&bound, 2).await;
    // The microphone says nothing more, not even that it is gone.
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    record(&bound, 2).await;
    let unplugged = Input::Lost(Device::Microphone, SourceState::Unplugged);
    bound.recorder_for_tests().send(unplugged).expect("it runs");
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    record(&bound, 2).await;
    finished(&bound, ending).await;

    let stored = server.stored.lock().expect("not poisoned");
    let seen: Vec<_> = observations(&stored)
        .into_iter()
        .filter(|seen| seen.kind == IncidentKind::StreamLost)
        .map(|seen| (seen.edge, seen.detail))
        .collect();
    let edges: Vec<_> = seen.iter().map(|(edge, _)| *edge).collect();
    let both = [Edge::Began, Edge::Ended, Edge::Began, Edge::Ended];
    assert_eq!(edges, both, "{seen:?}");
    assert!(seen[0].1.contains("Stalled"), "{seen:?}");
    assert!(seen[2].1.contains("Unplugged"), "{seen:?}");
}

pub(crate) fn options(folder: &Path) -> Options {
    Options {
        socket_dir: folder.to_path_buf(),
        data: folder.to_path_buf(),
        sources: Sources::Devices,
        spool_bytes_max: None,
    }
}

async fn bind(server: &FakeServer, folder: &Path) -> (Arc<Bound>, watch::Receiver<Ending>) {
    clock::anchor();
    let (sender, ending) = watch::channel(Ending::None);
    let bound = Bound::make(&options(folder), server.provision(), &sender)
        .await
        .expect("enrolled");
    (Arc::new(bound), ending)
}

/// Feeds sound as a microphone would, but faster; the recorder is told that no camera comes.
async fn record(bound: &Arc<Bound>, seconds: u64) {
    let bound = Arc::clone(bound);
    tokio::task::spawn_blocking(move || {
        for _ in 0..seconds * PARTS_PER_S {
            let packets = packets();
            bound
                .recorder_for_tests()
                .send(Input::Sound(packets))
                .expect("it runs");
            sleep(PART);
        }
    })
    .await
    .expect("it does not panic");
}

/// Returns the packets of one part, in real time.
fn packets() -> Vec<SoundPacket> {
    let profile = qorgan_encode::Profile::Standard.settings();
    let mut encoder = AudioEncoder::new(&profile.sound).expect("opus opens");
    let at = MediaTime::from_nanos(qorgan_capture::clock::now_ns());
    encoder.push(&[100; 4_800], at).expect("opus takes it")
}

fn sent_packets(seconds: usize) -> usize {
    seconds * usize::try_from(PARTS_PER_S).expect("few") * 5
}

async fn finished(bound: &Arc<Bound>, mut ending: watch::Receiver<Ending>) {
    let finishing = Arc::clone(bound);
    tokio::task::spawn_blocking(move || finishing.finish())
        .await
        .expect("it does not panic");
    let ended = ending.wait_for(|ending| *ending == Ending::Finished);
    tokio::time::timeout(Duration::from_secs(30), ended)
        .await
        .expect("everything is delivered")
        .expect("it ends");
}

/// Ends the agent where it stands.
async fn killed(bound: &Arc<Bound>, mut ending: watch::Receiver<Ending>) {
    bound
        .recorder_for_tests()
        .send(Input::Stop)
        .expect("it runs");
    ending
        .wait_for(|ending| *ending != Ending::None)
        .await
        .expect("it ends");
}

async fn wait_for(done: impl Fn() -> bool) {
    for _ in 0..400 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never came");
}

/// Waits until the link is live and the recorder has heard of it.
async fn live(bound: &Arc<Bound>) {
    wait_for(|| bound.board().status(clock::now()).link == LinkState::Live).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
}

fn chunks_of(stored: &server::Stored, stream: StreamId) -> Vec<(u64, usize)> {
    stored
        .chunks
        .iter()
        .filter(|((of, _), _)| *of == stream)
        .map(|((_, seq), (_, payload))| (seq.0, packets_in(payload)))
        .collect()
}

fn observations(stored: &server::Stored) -> Vec<Observation> {
    stored
        .chunks
        .iter()
        .filter(|((of, _), _)| *of == StreamId::EVENTS)
        .flat_map(|(_, (_, payload))| {
            codec::decode::<Vec<Observation>>("observations", payload).expect("canonical")
        })
        .collect()
}

const fn sound_stream() -> StreamId {
    StreamId {
        kind: StreamKind::Microphone,
        index: 0,
    }
}

const PARTS_PER_S: u64 = 10;
const PART: Duration = Duration::from_millis(100);
