//! Links that are wrong in one way each.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::{SinkExt as _, StreamExt as _};
use qorgan_protocol::codec::{self, encode};
use qorgan_protocol::crypto::{self, Sha256, SignedBytes};
use qorgan_protocol::evidence::{BeatBody, ChunkSeq, StreamChain, StreamId};
use qorgan_protocol::link::{AgentFrame, Hello, ServerFrame, encode_chunk};
use qorgan_protocol::time::{Now, WallTime};
use qorgan_signing::{Keys, Ring};
use tokio_tungstenite::tungstenite::Message;

use super::agent::{Socket, connect};
use super::cmaf;
use super::wire::{Provision, Site};

/// What is wrong with a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trick {
    /// The hello signs the nonce of another connection.
    OldNonce,
    /// The hello is signed by a key that nobody certified.
    OtherKey,
    /// The hello names a later epoch.
    OtherEpoch,
    /// The hello names another run of the kernel.
    OtherBoot,
    /// No version in common.
    Version,
    /// No hello at all.
    Garbage,
    /// A text where a frame should be.
    Text,
    /// A message above the largest.
    Large,
    /// After a good hello: a chunk whose payload was changed.
    Tampered,
    /// After a good hello: a chunk that lies far ahead of its chain.
    Ahead,
    /// After a good hello: a chunk that ends after the end of time.
    Endless,
    /// After a good hello: a beat of a far place with times at their ends.
    WildBeat,
    /// After a good hello: seventeen streams.
    Streams,
    /// After a good hello: bytes that are no frame.
    NoFrame,
    /// After a good hello: a picture above the largest.
    LargePicture,
}

impl Trick {
    pub(super) const ALL: [Self; 15] = [
        Self::OldNonce,
        Self::OtherKey,
        Self::OtherEpoch,
        Self::OtherBoot,
        Self::Version,
        Self::Garbage,
        Self::Text,
        Self::Large,
        Self::Tampered,
        Self::Ahead,
        Self::Endless,
        Self::WildBeat,
        Self::Streams,
        Self::NoFrame,
        Self::LargePicture,
    ];
}

/// Plays a trick on the link and returns what the server said last: a refusal's word, `closed`, or
/// `open` where it went on.
pub(super) async fn play(site: &Site, provision: &Provision, trick: Trick) -> Result<String> {
    let (mut socket, nonce) = connect(site, &provision.token).await?;
    for message in opening(site, provision, (nonce, trick))? {
        // A server that has heard enough closes; what it said is read below.
        if socket.send(message).await.is_err() {
            break;
        }
    }
    let heard = tokio::time::timeout(TRICK_LIMIT, last_word(&mut socket)).await;
    Ok(heard.unwrap_or_else(|_still| "open".to_owned()))
}

async fn last_word(socket: &mut Socket) -> String {
    let mut said = "closed".to_owned();
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Binary(bytes) = message
            && let Ok(ServerFrame::Refused { reason, .. }) = codec::decode("frame", &bytes)
        {
            said = format!("{reason:?}");
        }
    }
    said
}

fn opening(
    site: &Site,
    provision: &Provision,
    (nonce, trick): ([u8; 32], Trick),
) -> Result<Vec<Message>> {
    let mut hello = Hello {
        version_min: 1,
        version_max: 2,
        nonce,
        attempt: provision.attempt,
        epoch: provision.epoch,
        boot: provision.boot,
        agent_version: "0.1.0".to_owned(),
        simulated_build: true,
    };
    let mut keys = Keys::from_pkcs8(&provision.pkcs8)?;
    match trick {
        Trick::OldNonce => hello.nonce = [9; 32],
        Trick::OtherKey => keys = Keys::generate()?.0,
        Trick::OtherEpoch => hello.epoch.0 += 1,
        Trick::OtherBoot => hello.boot.0[0] ^= 1,
        Trick::Version => (hello.version_min, hello.version_max) = (900, 901),
        Trick::Garbage => return Ok(vec![Message::Binary(vec![0xA5; 600].into())]),
        Trick::Text => return Ok(vec![Message::Text("hello".into())]),
        Trick::Large => return Ok(vec![Message::Binary(vec![0; LARGE].into())]),
        Trick::Tampered
        | Trick::Ahead
        | Trick::Endless
        | Trick::WildBeat
        | Trick::Streams
        | Trick::NoFrame
        | Trick::LargePicture => {}
    }
    let hello = AgentFrame::Hello(crypto::sign(&keys, &Ring, site.institution, &hello)?);
    let mut frames = vec![encode("frame", &hello)?];
    frames.extend(after_hello(site, provision, (&keys, trick))?);
    let message = |bytes: Vec<u8>| Message::Binary(bytes.into());
    Ok(frames.into_iter().map(message).collect())
}

fn after_hello(
    site: &Site,
    provision: &Provision,
    (keys, trick): (&Keys, Trick),
) -> Result<Vec<Vec<u8>>> {
    let payload = cmaf::init();
    let first = |word: &str| {
        let stream = StreamId::from_word(word).context("a stream")?;
        let mut chain = StreamChain::new(provision.attempt, provision.epoch, stream);
        Ok::<_, anyhow::Error>(chain.append(&Ring, 0, 500_000, true, &payload)?)
    };
    // A stream that the recording does not have, so that its first chunk would follow.
    let mut header = first("screen-9")?;
    Ok(match trick {
        Trick::Tampered => {
            let mut frame = encode_chunk(&header, &payload)?;
            if let Some(last) = frame.last_mut() {
                *last ^= 1;
            }
            vec![frame]
        }
        Trick::Ahead => {
            header.seq = ChunkSeq(u64::MAX);
            vec![encode_chunk(&header, &payload)?]
        }
        Trick::Endless => {
            (header.start_us, header.duration_us) = (u64::MAX, u64::MAX);
            vec![encode_chunk(&header, &payload)?]
        }
        Trick::WildBeat => vec![encode(
            "frame",
            &AgentFrame::Beat(wild(site, provision, keys)?),
        )?],
        Trick::Streams => {
            let name = |number: u8| format!("screen-{number}");
            let headers = (0..40).map(|number| first(&name(number)));
            let headers = headers.collect::<Result<Vec<_>>>()?;
            let frames = headers.iter().map(|header| encode_chunk(header, &payload));
            frames.collect::<Result<Vec<_>, _>>()?
        }
        Trick::NoFrame => vec![vec![0xFF; 300]],
        Trick::LargePicture => vec![encode(
            "frame",
            &AgentFrame::Thumbnail {
                stream: header.stream,
                jpeg: vec![0xFF; 300_000],
            },
        )?],
        Trick::OldNonce
        | Trick::OtherKey
        | Trick::OtherEpoch
        | Trick::OtherBoot
        | Trick::Version
        | Trick::Garbage
        | Trick::Text
        | Trick::Large => Vec::new(),
    })
}

fn wild(site: &Site, provision: &Provision, keys: &Keys) -> Result<SignedBytes> {
    let body = BeatBody {
        attempt: provision.attempt,
        epoch: provision.epoch,
        seq: u64::MAX,
        previous: Sha256::ZERO,
        boot: provision.boot,
        monotonic: Now::from_origin(Duration::from_micros(u64::MAX)),
        wall: WallTime::from_unix_ms(i64::MAX),
        heads: Vec::new(),
        sources: Vec::new(),
        spooled_bytes: u64::MAX,
    };
    Ok(crypto::sign(keys, &Ring, site.institution, &body)?)
}

const LARGE: usize = 3 * 1024 * 1024;
/// A link that is still open then was not refused; no trick counts on less.
const TRICK_LIMIT: Duration = Duration::from_secs(4);
