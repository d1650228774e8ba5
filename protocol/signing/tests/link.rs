//! Sender and receiver over every kind of bad network: nothing is lost, nothing comes twice.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

#[expect(
    clippy::allow_attributes,
    reason = "which items are unused differs by file"
)]
#[allow(dead_code, reason = "each test file uses its part")]
mod common;

use std::collections::{BTreeMap, VecDeque};

use common::{agent, attempt, institution, server, signed, stream, wall};
use proptest::prelude::*;
use qorgan_protocol::codec::encode;
use qorgan_protocol::crypto::{Hasher as _, Sha256, SignedBytes, Signer as _};
use qorgan_protocol::evidence::{
    ChunkHeader, ChunkSeq, Receipt, ReceiptBatch, StreamChain, StreamId,
};
use qorgan_protocol::ids::{BootId, Epoch};
use qorgan_protocol::link::{
    AgentFrame, Hello, LinkReceiver, LinkSender, Received, RefusalReason, SendInput, SendOutput,
    SenderIdentity, ServerFrame, Standing, encode_chunk,
};
use qorgan_protocol::time::Now;
use qorgan_signing::Ring;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_cut_loses_or_doubles_a_chunk(steps in proptest::collection::vec(0u8..10, 20..150)) {
        let mut world = World::new();
        for step in steps {
            match step {
                0..=3 => world.record(),
                4 => world.cut(),
                5 => world.restart_server(),
                6 => world.deliver_one(),
                7 => world.commit(),
                _ => world.run(),
            }
        }
        world.sender.handle(&Ring, world.now, SendInput::Finish);
        for _ in 0..200 {
            world.run();
            world.commit();
        }
        prop_assert!(world.finished);
        prop_assert!(world.unexpected.is_empty(), "{:?}", world.unexpected);
        prop_assert_eq!(world.sender.waiting(), 0);
        prop_assert!(world.spool.is_empty() && world.beat_spool.is_empty());
        for (stream, made) in &world.made {
            prop_assert_eq!(world.disk.get(stream), Some(made));
        }
        prop_assert_eq!(world.disk_beats, world.beats);
    }
}

#[test]
fn a_replayed_hello_is_refused() {
    let hello = AgentFrame::Hello(signed(&agent(), &hello([1; 32])));
    let bytes = encode("frame", &hello).expect("plain data");
    assert!(matches!(
        receiver([1; 32]).handle(&Ring, &bytes),
        Ok(Received::Hello(_))
    ));
    let error = receiver([2; 32])
        .handle(&Ring, &bytes)
        .expect_err("another nonce");
    assert_eq!(error.reason, RefusalReason::NotProved);
}

#[test]
fn another_attempts_agent_and_an_old_epoch_are_refused() {
    for (reason, hello) in [
        (
            RefusalReason::NotProved,
            Hello {
                attempt: qorgan_protocol::ids::AttemptId::new(wall(1), [9; 10]),
                ..hello([1; 32])
            },
        ),
        (
            RefusalReason::OldEpoch,
            Hello {
                epoch: Epoch(2),
                ..hello([1; 32])
            },
        ),
        (
            RefusalReason::Version,
            Hello {
                version_min: 3,
                version_max: 4,
                ..hello([1; 32])
            },
        ),
    ] {
        let frame = AgentFrame::Hello(signed(&agent(), &hello));
        let bytes = encode("frame", &frame).expect("plain data");
        let error = receiver([1; 32])
            .handle(&Ring, &bytes)
            .expect_err("refused");
        assert_eq!(error.reason, reason);
    }
    let stranger = AgentFrame::Hello(signed(&server(), &hello([1; 32])));
    let bytes = encode("frame", &stranger).expect("plain data");
    let error = receiver([1; 32])
        .handle(&Ring, &bytes)
        .expect_err("another key");
    assert_eq!(error.reason, RefusalReason::NotProved);
}

#[test]
fn an_agent_of_the_version_before_is_welcomed_in_its_own() {
    let ServerFrame::Welcome { version, .. } = greeted().welcome(wall(0)) else {
        panic!("a welcome");
    };
    assert_eq!(version, 1);
}

#[test]
fn after_each_welcome_the_agent_tells_its_clock_before_all_else() {
    let mut world = World::new();
    for _ in 0..2 {
        world.record();
        world.now = world.now + core::time::Duration::from_secs(5);
        world.sender.handle(&Ring, world.now, SendInput::Tick);
        while let Some(output) = world.sender.poll() {
            world.do_output(output);
        }
        // The hello; its answer makes the sender live.
        world.deliver_one();
        let told = world.now;
        let mut sent = Vec::new();
        while let Some(output) = world.sender.poll() {
            if matches!(
                output,
                SendOutput::Send(_) | SendOutput::SendChunk { .. } | SendOutput::SendBeat { .. }
            ) {
                sent.push(output);
            }
        }
        let clock = SendOutput::Send(AgentFrame::Clock { at: told });
        assert_eq!(sent.first(), Some(&clock));
        assert!(sent.len() > 1 && !sent[1..].contains(&clock));
        world.cut();
    }
}

#[test]
fn nothing_is_read_before_the_hello_and_no_second_hello_after_it() {
    let frame = encode("frame", &AgentFrame::Sources(Vec::new())).expect("plain data");
    receiver([1; 32])
        .handle(&Ring, &frame)
        .expect_err("no hello yet");
    let mut receiver = receiver([1; 32]);
    let hello = AgentFrame::Hello(signed(&agent(), &hello([1; 32])));
    let bytes = encode("frame", &hello).expect("plain data");
    receiver.handle(&Ring, &bytes).expect("believed");
    receiver.handle(&Ring, &bytes).expect_err("twice");
}

#[test]
fn a_changed_or_foreign_chunk_is_tampering() {
    let mut chain = StreamChain::new(attempt(), Epoch::FIRST, stream("camera-0"));
    let header = chain.append(&Ring, 0, 1, true, b"payload").expect("fits");
    let foreign = ChunkHeader {
        attempt: qorgan_protocol::ids::AttemptId::new(wall(1), [9; 10]),
        ..header
    };
    let later = ChunkHeader {
        seq: ChunkSeq(4),
        ..header
    };
    for (header, payload) in [
        (header, b"Payload"),
        (foreign, b"payload"),
        (later, b"payload"),
    ] {
        let mut receiver = greeted();
        let frame = encode_chunk(&header, payload).expect("plain data");
        let error = receiver.handle(&Ring, &frame).expect_err("a broken chain");
        assert!(error.tampering, "{error}");
    }
}

#[test]
fn a_beat_over_a_chunk_that_is_not_here_is_refused() {
    let mut chain = StreamChain::new(attempt(), Epoch::FIRST, stream("camera-0"));
    chain.append(&Ring, 0, 1, true, b"payload").expect("fits");
    let beat = AgentFrame::Beat(common::beat(0, Sha256::ZERO, &[chain]));
    let bytes = encode("frame", &beat).expect("plain data");
    let error = greeted().handle(&Ring, &bytes).expect_err("no such chunk");
    assert_eq!(error.reason, RefusalReason::BrokenChain);
}

fn hello(nonce: [u8; 32]) -> Hello {
    Hello {
        version_min: 1,
        version_max: 1,
        nonce,
        attempt: attempt(),
        epoch: Epoch::FIRST,
        boot: BootId([3; 16]),
        agent_version: "0.1.0".to_owned(),
        simulated_build: false,
    }
}

fn receiver(nonce: [u8; 32]) -> LinkReceiver {
    receiver_at(nonce, Standing::default())
}

fn receiver_at(nonce: [u8; 32], standing: Standing) -> LinkReceiver {
    let whose = (institution(), attempt(), Epoch::FIRST);
    LinkReceiver::new(&Ring, whose, &[agent().public_key()], nonce, standing)
}

fn greeted() -> LinkReceiver {
    let mut receiver = receiver([1; 32]);
    let frame = AgentFrame::Hello(signed(&agent(), &hello([1; 32])));
    receiver
        .handle(&Ring, &encode("frame", &frame).expect("plain data"))
        .expect("believed");
    receiver
}

/// An agent, a network that cuts, and a server whose disk keeps only what was committed.
struct World {
    now: Now,
    sender: LinkSender,
    receiver: Option<LinkReceiver>,
    nonces: u8,
    chains: BTreeMap<StreamId, StreamChain>,
    spool: BTreeMap<(StreamId, ChunkSeq), (ChunkHeader, Vec<u8>)>,
    beat_spool: BTreeMap<u64, SignedBytes>,
    beats: u64,
    beat_head: Sha256,
    made: BTreeMap<StreamId, Vec<u8>>,
    wire: VecDeque<Vec<u8>>,
    pending: Vec<(StreamId, ChunkSeq, Vec<u8>, Option<u64>)>,
    disk: BTreeMap<StreamId, Vec<u8>>,
    disk_beats: u64,
    standing: Standing,
    finished: bool,
    /// What must never be asked for here.
    unexpected: Vec<String>,
}

impl World {
    fn new() -> Self {
        let now = Now::default();
        let identity = SenderIdentity {
            institution: institution(),
            attempt: attempt(),
            epoch: Epoch::FIRST,
            boot: BootId([3; 16]),
            agent_version: "0.1.0".to_owned(),
            simulated_build: false,
            server_key: server().public_key(),
        };
        let chains = ["camera-0", "screen-0"].map(|word| {
            (
                stream(word),
                StreamChain::new(attempt(), Epoch::FIRST, stream(word)),
            )
        });
        Self {
            now,
            sender: LinkSender::new(identity, now),
            receiver: None,
            nonces: 0,
            chains: chains.into(),
            spool: BTreeMap::new(),
            beat_spool: BTreeMap::new(),
            beats: 0,
            beat_head: Sha256::ZERO,
            made: BTreeMap::new(),
            wire: VecDeque::new(),
            pending: Vec::new(),
            disk: BTreeMap::new(),
            disk_beats: 0,
            standing: Standing::default(),
            finished: false,
            unexpected: Vec::new(),
        }
    }

    /// Spools one chunk of each stream and a beat.
    fn record(&mut self) {
        for chain in self.chains.values_mut() {
            let payload = vec![u8::try_from(chain.next.0 % 251).expect("small"); 3];
            let header = chain.append(&Ring, 0, 1, true, &payload).expect("fits");
            self.made.entry(chain.stream).or_default().extend(&payload);
            self.spool
                .insert((chain.stream, header.seq), (header, payload));
            let input = SendInput::ChunkSpooled(&header, chain.head);
            self.sender.handle(&Ring, self.now, input);
        }
        let chains: Vec<_> = self.chains.values().copied().collect();
        let beat = common::beat(self.beats, self.beat_head, &chains);
        self.beat_head = Ring.sha256(&[&beat.bytes]);
        self.beat_spool.insert(self.beats, beat);
        self.sender
            .handle(&Ring, self.now, SendInput::BeatSpooled(self.beats));
        self.beats += 1;
    }

    fn cut(&mut self) {
        self.wire.clear();
        self.receiver = None;
        self.sender.handle(&Ring, self.now, SendInput::Disconnected);
    }

    /// The server dies: what was not committed is gone.
    fn restart_server(&mut self) {
        self.pending.clear();
        self.cut();
    }

    fn run(&mut self) {
        self.now = self.now + core::time::Duration::from_secs(5);
        self.sender.handle(&Ring, self.now, SendInput::Tick);
        while let Some(output) = self.sender.poll() {
            self.do_output(output);
        }
        while !self.wire.is_empty() {
            self.deliver_one();
        }
    }

    fn do_output(&mut self, output: SendOutput) {
        match output {
            SendOutput::Connect => {
                // A new link waits until everything of the one before is on disk.
                self.commit();
                self.nonces = self.nonces.wrapping_add(1);
                let nonce = [self.nonces; 32];
                self.receiver = Some(receiver_at(nonce, self.standing.clone()));
                self.sender
                    .handle(&Ring, self.now, SendInput::Connected { nonce });
            }
            SendOutput::Disconnect { .. } => self.cut(),
            SendOutput::Hello(hello) => self.send(&AgentFrame::Hello(signed(&agent(), &hello))),
            SendOutput::Send(frame) => self.send(&frame),
            SendOutput::SendChunk { stream, seq } => {
                let (header, payload) = &self.spool[&(stream, seq)];
                self.wire
                    .push_back(encode_chunk(header, payload).expect("plain data"));
            }
            SendOutput::SendBeat { seq } => {
                let beat = self.beat_spool[&seq].clone();
                self.send(&AgentFrame::Beat(beat));
            }
            SendOutput::Release { stream, through } => {
                self.spool
                    .retain(|(of, seq), _| *of != stream || *seq > through);
            }
            SendOutput::ReleaseBeats { before } => self.beat_spool.retain(|seq, _| *seq >= before),
            SendOutput::Finished => self.finished = true,
            SendOutput::Resumed { .. } | SendOutput::Keep(_) => {}
            SendOutput::Gap(_) | SendOutput::Command(_) | SendOutput::Refused { .. } => {
                self.unexpected.push(format!("{output:?}"));
            }
        }
    }

    fn send(&mut self, frame: &AgentFrame) {
        self.wire
            .push_back(encode("frame", frame).expect("plain data"));
    }

    fn deliver_one(&mut self) {
        let Some(bytes) = self.wire.pop_front() else {
            return;
        };
        let Some(receiver) = self.receiver.as_mut() else {
            return;
        };
        match receiver.handle(&Ring, &bytes).expect("an honest agent") {
            Received::Hello(_) => {
                let welcome = receiver.welcome(wall(0));
                self.answer(&welcome);
            }
            Received::Chunk {
                header, payload, ..
            } => {
                self.pending
                    .push((header.stream, header.seq, payload.to_vec(), None));
            }
            Received::Beat { body, .. } => {
                self.pending
                    .push((StreamId::EVENTS, ChunkSeq(0), Vec::new(), Some(body.seq)));
            }
            Received::Finish => assert!(self.sender.waiting() == 0),
            Received::Clock(_)
            | Received::Sources(_)
            | Received::Duplicate
            | Received::Thumbnail { .. } => {}
        }
    }

    fn answer(&mut self, frame: &ServerFrame) {
        let bytes = encode("frame", frame).expect("plain data");
        self.sender
            .handle(&Ring, self.now, SendInput::Frame(&bytes));
    }

    /// Puts everything that came on disk and signs for it.
    fn commit(&mut self) {
        let mut grown = BTreeMap::new();
        for (stream, seq, payload, beat) in core::mem::take(&mut self.pending) {
            if let Some(seq) = beat {
                assert_eq!(seq, self.disk_beats, "a beat came twice or was lost");
                self.disk_beats += 1;
                let head = Ring.sha256(&[&self.beat(seq)]);
                (self.standing.beat_next, self.standing.beat_head) = (seq + 1, head);
                continue;
            }
            let (header, _) = self.spool[&(stream, seq)];
            let standing = self.standing.streams.entry(stream).or_insert_with(|| {
                qorgan_protocol::link::StreamStanding {
                    chain: StreamChain::new(attempt(), Epoch::FIRST, stream),
                    recent: VecDeque::new(),
                }
            });
            standing
                .chain
                .accept(&Ring, &header, &payload)
                .expect("a chunk came twice or was lost");
            standing.recent.push_back((seq, standing.chain.head));
            grown.insert(stream, (seq, standing.chain.head));
            self.disk.entry(stream).or_default().extend(payload);
        }
        if !self.sender.is_live() {
            return;
        }
        let receipts = grown.into_iter().map(|(stream, (seq, header))| Receipt {
            stream,
            seq,
            header,
        });
        let batch = ReceiptBatch {
            attempt: attempt(),
            epoch: Epoch::FIRST,
            at: wall(0),
            receipts: receipts.collect(),
            beat_next: self.disk_beats,
        };
        self.answer(&ServerFrame::Receipts(signed(&server(), &batch)));
        while let Some(output) = self.sender.poll() {
            self.do_output(output);
        }
    }

    fn beat(&self, seq: u64) -> Vec<u8> {
        self.beat_spool[&seq].bytes.clone()
    }
}
