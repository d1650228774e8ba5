//! What the agents send: all of them thumbnails, beats and encoded chunks of half a second, the one
//! that is looked at each picture as its own chunk, encoded as it is captured.

use std::sync::Arc;
use std::time::Duration;

use qorgan_encode::{
    CmafMuxer, EncodedFrame, I420Ref, Layout, MediaTime, Profile, ProfileSettings, VideoEncoder,
    VideoLayout, VideoSettings,
};
use qorgan_protocol::evidence::StreamId;
use qorgan_protocol::link::AgentCommand;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::common::Agent;
use crate::pictures::{Painter, wall_ms};

/// What every agent has.
#[derive(Debug, Clone)]
pub(crate) struct Background {
    camera: Arc<Loop>,
    screen: Arc<Loop>,
}

/// A source with a few seconds of it encoded.
#[derive(Debug)]
struct Loop {
    painter: Painter,
    settings: VideoSettings,
    init: Arc<[u8]>,
    /// Half a second each, and whether it begins with a key frame.
    chunks: Vec<(Arc<[u8]>, bool)>,
    /// What painting and encoding one picture took.
    picture_took: Duration,
}

const fn settings() -> &'static ProfileSettings {
    Profile::Standard.settings()
}

impl Background {
    /// Encodes what the agents that nobody looks at send over and over.
    pub(crate) fn prepare() -> anyhow::Result<Self> {
        let profile = settings();
        let camera = Painter::camera();
        let screen = Painter::screen();
        let (camera_settings, screen_settings) = (
            VideoSettings::camera(&profile.camera, 640, 480),
            VideoSettings::screen(&profile.screen, 1_920, 1_080),
        );
        Ok(Self {
            camera: Arc::new(Loop::prepare(camera, camera_settings)?),
            screen: Arc::new(Loop::prepare(screen, screen_settings)?),
        })
    }

    /// Says what is sent.
    pub(crate) fn describe(&self) -> String {
        let rate = |one: &Loop| {
            let bytes: usize = one.chunks.iter().map(|(bytes, _)| bytes.len()).sum();
            bytes * 8 / 1_000 * 2 / one.chunks.len()
        };
        let thumbnail = settings().thumbnail;
        format!(
            "each agent: camera 640x480@{} {} kbit/s, screen 1920x1080@{} {} kbit/s, thumbnails of \
             camera and screen {} pixels wide each every {} s; painting and encoding take {} ms a \
             camera's picture, {} ms a screen's",
            settings().camera.frames_per_s,
            rate(&self.camera),
            settings().screen.frames_per_s,
            rate(&self.screen),
            thumbnail.width,
            thumbnail.period.as_secs(),
            self.camera.picture_took.as_millis(),
            self.screen.picture_took.as_millis(),
        )
    }
}

impl Loop {
    fn prepare(painter: Painter, settings: VideoSettings) -> anyhow::Result<Self> {
        let mut source = Source::open(painter.clone(), settings)?;
        let began = Instant::now();
        let init = source.muxer.init_segment()?.into();
        let mut chunks = Vec::new();
        let frames = u64::from(settings.frames_per_s);
        let span = LOOP_CHUNKS * frames / 2;
        let mut waiting: Vec<EncodedFrame> = Vec::new();
        for number in 0..span {
            let at = MediaTime::from_nanos(number * 1_000_000_000 / frames);
            waiting.extend(source.encode(at, 0, number == 0)?);
            let chunk_of = |n: u64| n * 2 / frames;
            if chunk_of(number + 1) != chunk_of(number) && !waiting.is_empty() {
                let until = at.plus(Duration::from_secs(1) / settings.frames_per_s);
                let chunk = source.muxer.chunk(&waiting, &[], until)?;
                chunks.push((chunk.bytes.into(), chunk.sync));
                waiting.clear();
            }
        }
        Ok(Self {
            painter,
            settings,
            init,
            chunks,
            picture_took: began.elapsed() / u32::try_from(span)?,
        })
    }

    fn source(&self) -> anyhow::Result<Source> {
        Source::open(self.painter.clone(), self.settings)
    }
}

/// One source that is encoded as it is captured.
struct Source {
    painter: Painter,
    encoder: VideoEncoder,
    muxer: CmafMuxer,
    number: usize,
}

impl Source {
    fn open(painter: Painter, settings: VideoSettings) -> anyhow::Result<Self> {
        let encoder = VideoEncoder::new(settings)?;
        let layout = Layout {
            video: Some(VideoLayout {
                width: settings.width,
                height: settings.height,
                sets: encoder.parameter_sets().clone(),
            }),
            sound_pre_skip: None,
        };
        Ok(Self {
            painter,
            encoder,
            muxer: CmafMuxer::new(layout, MediaTime::ZERO, 1)?,
            number: 0,
        })
    }

    fn encode(
        &mut self,
        at: MediaTime,
        at_ms: u64,
        key: bool,
    ) -> anyhow::Result<Option<EncodedFrame>> {
        let planes = self.painter.planes(self.number, at_ms);
        self.number += 1;
        let (width, height) = (
            self.encoder.settings().width,
            self.encoder.settings().height,
        );
        let picture = I420Ref::tight(width, height, &planes)?;
        Ok(self.encoder.encode(&picture, at, key)?)
    }
}

/// One source of one agent.
struct Feed {
    word: &'static str,
    stream: StreamId,
    looped: Arc<Loop>,
    live: Option<Source>,
    wants_key: bool,
    sent: usize,
    picture_at: Instant,
    thumbnail_at: Instant,
}

/// Sends what one agent sends until it is told to stop.
pub(crate) async fn drive(
    mut agent: Agent,
    number: u32,
    count: u32,
    background: Background,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let began = Instant::now();
    // The agents of a sitting started at different moments; so do these.
    let phase = settings().thumbnail.period * number / count;
    let feed = |word, looped: &Arc<Loop>, lag: Duration| Feed {
        word,
        stream: StreamId::from_word(word).unwrap_or(StreamId::EVENTS),
        looped: Arc::clone(looped),
        live: None,
        wants_key: false,
        sent: 0,
        picture_at: began + phase,
        thumbnail_at: began + phase + lag,
    };
    let half = settings().thumbnail.period / 2;
    let mut feeds = [
        feed("camera-0", &background.camera, Duration::ZERO),
        feed("screen-0", &background.screen, half),
    ];
    for feed in &feeds {
        agent.chunk(feed.word, 0, true, &feed.looped.init);
    }
    let mut beat_at = began + phase;
    while !*stop.borrow() {
        for command in std::mem::take(&mut agent.commands) {
            for feed in &mut feeds {
                feed.command(&command)?;
            }
        }
        let now = Instant::now();
        for feed in &mut feeds {
            feed.due(&mut agent, now, began)?;
        }
        if now >= beat_at {
            beat_at += Duration::from_secs(1);
            agent.beat();
        }
        let next = feeds
            .iter()
            .flat_map(|feed| [feed.picture_at, feed.thumbnail_at])
            .fold(beat_at, Instant::min);
        agent.run_until_command(next).await;
    }
    Ok(())
}

impl Feed {
    fn command(&mut self, command: &AgentCommand) -> anyhow::Result<()> {
        match command {
            AgentCommand::Watch { stream, live } if *stream == self.stream => {
                self.live = if *live {
                    Some(self.looped.source()?)
                } else {
                    None
                };
                self.picture_at = Instant::now();
            }
            AgentCommand::KeyFrame { stream } if *stream == self.stream => self.wants_key = true,
            AgentCommand::Watch { .. }
            | AgentCommand::KeyFrame { .. }
            | AgentCommand::End { .. } => {}
        }
        Ok(())
    }

    fn due(&mut self, agent: &mut Agent, now: Instant, began: Instant) -> anyhow::Result<()> {
        let start_us = u64::try_from((now - began).as_micros())?;
        if now >= self.thumbnail_at {
            let thumbnail = settings().thumbnail;
            self.thumbnail_at += thumbnail.period;
            let width = usize::try_from(thumbnail.width)?;
            let painter = &self.looped.painter;
            let jpeg = painter.jpeg(width, thumbnail.jpeg_quality, wall_ms())?;
            agent.thumbnail(self.word, jpeg);
        }
        if now < self.picture_at {
            return Ok(());
        }
        let Some(source) = &mut self.live else {
            self.picture_at += Duration::from_millis(500);
            let (chunk, sync) = &self.looped.chunks[self.sent % self.looped.chunks.len()];
            self.sent += 1;
            agent.chunk(self.word, start_us, *sync, chunk);
            return Ok(());
        };
        let interval = Duration::from_secs(1) / self.looped.settings.frames_per_s;
        self.picture_at += interval;
        let at = MediaTime::from_nanos(start_us * 1_000);
        let Some(frame) = source.encode(at, wall_ms(), self.wants_key)? else {
            return Ok(()); // the budget is spent: the next picture is
        };
        self.wants_key = false;
        let chunk = source.muxer.chunk(&[frame], &[], at.plus(interval))?;
        agent.chunk(self.word, start_us, chunk.sync, &chunk.bytes.into());
        Ok(())
    }
}

/// Ten seconds.
const LOOP_CHUNKS: u64 = 20;
