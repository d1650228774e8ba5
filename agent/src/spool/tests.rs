use core::time::Duration;

use qorgan_protocol::evidence::{StreamChain, StreamKind};
use qorgan_protocol::link::read_chunk;
use qorgan_protocol::time::WallTime;
use qorgan_signing::Ring;

use super::*;

#[test]
fn a_killed_agents_chunks_are_all_there_for_the_next_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut chain = chain();
    {
        let (spool, left) = open(folder.path(), KEY);
        assert!(left.state.is_none() && left.headers.is_empty());
        for n in 0..20_u8 {
            put(&spool, &mut chain, &[n; 5_000]);
        }
        spool.lock().release(stream(), ChunkSeq(4));
    }
    let (spool, left) = open(folder.path(), KEY);
    assert!(!left.changed);
    // Chunk files go as a whole: a receipted chunk may come back, it is sent again and refused
    // as known; none without a receipt is missing.
    let last = left.headers.last().expect("there are some");
    assert_eq!(last.seq, ChunkSeq(19));
    let frame = spool.lock().frame(stream(), ChunkSeq(7)).expect("readable");
    let frame = frame.expect("it has no receipt");
    let chunk = read_chunk(&frame).expect("canonical").expect("a chunk");
    assert_eq!(chunk.payload, [7; 5_000]);
    assert_eq!(chain.head, last.hash(&Ring).expect("a header"));
}

#[test]
fn a_torn_last_record_is_forgotten_and_the_rest_is_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = with_three_records::<1_000>(folder.path());
    let bytes = std::fs::read(&file).expect("a file");
    std::fs::write(&file, &bytes[..bytes.len() - 10]).expect("writable");
    let (_, left) = open(folder.path(), KEY);
    assert!(!left.changed);
    assert_eq!(left.headers.len(), 2);
}

#[test]
fn a_changed_record_is_noticed_and_nothing_can_be_read_with_another_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut chain = chain();
    {
        let (spool, _) = open(folder.path(), KEY);
        put(&spool, &mut chain, b"a picture that nobody may read");
    }
    let file = spool_file(folder.path());
    let mut bytes = std::fs::read(&file).expect("a file");
    assert!(!bytes.windows(9).any(|window| window == b"a picture"));
    let (_, left) = open(folder.path(), [8; 32]);
    assert!(left.changed && left.headers.is_empty());
    std::fs::write(&file, &bytes).expect("writable");
    bytes[40] ^= 1;
    std::fs::write(&file, &bytes).expect("writable");
    let (_, left) = open(folder.path(), KEY);
    assert!(left.changed && left.headers.is_empty());
}

#[test]
fn what_a_power_cut_leaves_is_no_tampering() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = with_three_records::<3_000>(folder.path());
    let state = file.with_file_name("state");
    let whole = std::fs::read(&file).expect("a file");
    // The length was written and the bytes were not, from any place on: a file system that hands
    // out room late leaves whole sectors of zeros.
    for from in (0..whole.len()).step_by(512) {
        let mut bytes = whole.clone();
        bytes[from..].fill(0);
        bytes.resize(whole.len() + 4_096, 0);
        std::fs::write(&file, &bytes).expect("writable");
        for left in [&[][..], &[0; 200]] {
            std::fs::write(&state, left).expect("writable");
            let (_, left) = open(folder.path(), KEY);
            assert!(!left.changed, "zeros from {from}");
            assert!(left.state.is_none());
        }
    }
    // One sector in the middle that was written later than those behind it.
    let mut bytes = whole;
    bytes[3_584..4_096].fill(0);
    std::fs::write(&file, &bytes).expect("writable");
    let (_, left) = open(folder.path(), KEY);
    assert!(!left.changed);
    assert_eq!(left.headers.len(), 1);
    std::fs::write(&file, []).expect("writable");
    let (_, left) = open(folder.path(), KEY);
    assert!(!left.changed && left.headers.is_empty());
}

#[test]
fn a_spool_of_an_earlier_version_opens() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = spool_file(folder.path());
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("writable");
    std::fs::write(&file, include_bytes!("data/earlier.spool")).expect("writable");
    let (_, left) = open(folder.path(), KEY);
    assert!(!left.changed);
    assert_eq!(left.headers.len(), 3);
}

#[test]
fn a_file_that_is_longer_than_one_is_written_is_noticed_as_a_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = with_three_records::<1_000>(folder.path());
    let longer = std::fs::OpenOptions::new().write(true).open(&file);
    let longer = longer.and_then(|file| file.set_len(1 << 40));
    longer.expect("a file may have a hole");
    let (_, left) = open(folder.path(), KEY);
    assert!(left.changed);
    assert_eq!(left.headers.len(), 3);
}

#[test]
fn a_broken_length_is_noticed_as_a_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = with_three_records::<1_000>(folder.path());
    let whole = std::fs::read(&file).expect("a file");
    let second = 4 + u32::from_be_bytes([whole[0], whole[1], whole[2], whole[3]]);
    let second = usize::try_from(second).expect("small");
    for length in [[0xff; 4], [0, 0, 0, 7], [0; 4], [0, 0, 2, 0]] {
        let mut bytes = whole.clone();
        bytes[second..second + 4].copy_from_slice(&length);
        std::fs::write(&file, &bytes).expect("writable");
        let (_, left) = open(folder.path(), KEY);
        assert!(left.changed, "{length:?}");
        assert_eq!(left.headers.len(), 1);
    }
}

#[test]
fn the_state_survives_and_is_sealed() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = KeptState {
        timeline: qorgan_agent_core::timeline::Timeline::begin(at(1)).keep(
            qorgan_protocol::ids::BootId([4; 16]),
            77,
            WallTime::from_unix_ms(9),
        ),
        streams: vec![KeptStream {
            chain: chain(),
            init: qorgan_protocol::crypto::Sha256([5; 32]),
        }],
        learnt: Learnt {
            face: true,
            ..Learnt::default()
        },
    };
    {
        let (spool, _) = open(folder.path(), KEY);
        let sealed = spool.lock().seal_state(&state).expect("sealed");
        sealed.write().expect("written");
    }
    let (_, left) = open(folder.path(), KEY);
    assert_eq!(left.state, Some(state));
}

#[test]
fn when_the_bound_is_reached_memory_takes_over_and_then_chunks_are_refused_before_they_are_chained()
{
    let folder = tempfile::tempdir().expect("a folder");
    let bounds = SpoolBounds {
        disk_bytes_max: 100_000,
        memory_bytes_max: 3 * 1024 * 1024,
    };
    let (spool, _) =
        Spool::open(folder.path(), KEY, attempt(), Epoch::FIRST, bounds).expect("a spool");
    let mut chain = chain();
    let mut kept = 0;
    while put(&spool, &mut chain, &[1; 50_000]) {
        kept += 1;
    }
    assert!((10..40).contains(&kept), "{kept} chunks");
    assert_eq!(chain.next, ChunkSeq(kept));
    assert_eq!(spool.lock().poll_room(), Some(Room::None));
    for seq in 0..kept {
        let frame = spool
            .lock()
            .frame(stream(), ChunkSeq(seq))
            .expect("readable");
        assert!(frame.is_some());
    }
    spool.lock().release(stream(), ChunkSeq(kept - 1));
    assert!(put(&spool, &mut chain, &[1; 50_000]));
}

#[test]
fn a_disk_that_is_really_full_costs_no_chunk_that_was_chained() {
    // A file system of one megabyte; only root can make one, elsewhere the policy's test stands.
    let folder = tempfile::tempdir().expect("a folder");
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(folder.path())
        .status()
        .is_ok_and(|status| status.success());
    if !mounted {
        return;
    }
    let mut chain = chain();
    {
        let (spool, _) = open(folder.path(), KEY);
        for n in 0..60_u8 {
            assert!(put(&spool, &mut chain, &[n; 50_000]));
        }
        assert_eq!(spool.lock().poll_room(), Some(Room::MemoryOnly));
        for seq in 0..60 {
            let frame = spool
                .lock()
                .frame(stream(), ChunkSeq(seq))
                .expect("readable");
            assert!(frame.is_some(), "chunk {seq}");
        }
    }
    let unmounted = std::process::Command::new("umount")
        .arg(folder.path())
        .status();
    assert!(unmounted.is_ok_and(|status| status.success()));
}

const KEY: [u8; 32] = [3; 32];

fn open(folder: &Path, key: [u8; 32]) -> (SharedSpool, Left) {
    Spool::open(folder, key, attempt(), Epoch::FIRST, SpoolBounds::DEFAULT).expect("a spool")
}

fn put(spool: &SharedSpool, chain: &mut StreamChain, payload: &[u8]) -> bool {
    let mut next = *chain;
    let header = next.append(&Ring, 0, 1, true, payload).expect("it fits");
    let kept = spool
        .lock()
        .put(at(0), &header, payload, false)
        .expect("sealed");
    if kept {
        *chain = next;
    }
    kept
}

/// Spools three records of so many bytes; returns their file.
fn with_three_records<const BYTES: usize>(folder: &Path) -> std::path::PathBuf {
    let mut chain = chain();
    let (spool, _) = open(folder, KEY);
    for n in 0..3_u8 {
        put(&spool, &mut chain, &[n; BYTES]);
    }
    spool_file(folder)
}

fn spool_file(folder: &Path) -> std::path::PathBuf {
    folder
        .join(format!("{}.{}", attempt(), Epoch::FIRST))
        .join("00000001.spool")
}

fn chain() -> StreamChain {
    StreamChain::new(attempt(), Epoch::FIRST, stream())
}

fn stream() -> StreamId {
    StreamId {
        kind: StreamKind::Screen,
        index: 0,
    }
}

fn attempt() -> AttemptId {
    AttemptId::new(WallTime::from_unix_ms(5), [1; 10])
}

fn at(s: u64) -> Now {
    Now::from_origin(Duration::from_secs(s))
}
