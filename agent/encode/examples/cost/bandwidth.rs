//! What each profile sends, to the last byte on the wire, and how its pictures look.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context as _, Result};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use openh264::decoder::Decoder;
use openh264::formats::YUVSource as _;
use qorgan_encode::{
    AudioEncoder, CmafMuxer, I420Ref, Layout, MediaTime, Profile, ProfileSettings, SoundPacket,
    ThumbnailSettings, VideoEncoder, VideoLayout, VideoSettings,
};
use qorgan_protocol::media::{ParameterSets, annexb_of};

use crate::material::{self, CAMERA, Material, SCREEN, SECONDS};

/// Bytes that a stream puts on the wire.
#[derive(Debug, Default)]
struct Sent {
    media: usize,
    wire: usize,
}

impl Sent {
    /// Counts one message: our header, WebSocket and TLS framing, TCP and IP headers.
    fn message(&mut self, bytes: usize) {
        self.media += bytes;
        let record = bytes + CHUNK_HEADER_BYTES + WEBSOCKET_BYTES + TLS_BYTES;
        self.wire += record + record.div_ceil(SEGMENT_BYTES) * TCP_IP_BYTES;
    }

    fn kbit_per_s(&self) -> f64 {
        kbit_per_s(self.wire)
    }
}

pub(crate) fn print(material: &Material) -> Result<()> {
    println!("\nBandwidth on the wire, kbit/s, and quality (mean of the luma's PSNR)");
    println!(
        "camera: the test film; sound: speech without pause; screen: exam pages, a page turned"
    );
    println!("every 10 s, an answer clicked every 4 s, a clock each second");
    for profile in Profile::ALL {
        let settings = profile.settings();
        let (camera, camera_db, sound) = camera(material, settings)?;
        let (screen, screen_db) = screen(material, settings)?;
        let stills = stills(material, &settings.thumbnail)?;
        // A beat a second over all streams.
        let mut beats = Sent::default();
        (0..SECONDS).for_each(|_| beats.message(BEAT_BYTES));
        let sum = [&camera, &screen, &stills, &beats]
            .map(Sent::kbit_per_s)
            .iter()
            .sum::<f64>();
        let moving = [Motion::Film, Motion::Noise]
            .map(|motion| moving_screen(material, settings, motion))
            .into_iter()
            .collect::<Result<Vec<_>>>()?;
        println!(
            "  {:<9} camera with sound {:>6.1} (sound {:>4.1}; {camera_db:.1} dB)  screen {:>6.1} \
             ({screen_db:.1} dB)  stills {:>5.1}  beats {:>4.1}  together {sum:>6.1}",
            format!("{profile:?}"),
            camera.kbit_per_s(),
            kbit_per_s(sound),
            screen.kbit_per_s(),
            stills.kbit_per_s(),
            beats.kbit_per_s(),
        );
        for (motion, sent, pictures, db) in moving {
            println!(
                "            a screen in constant motion ({motion:?}): {:>6.1}, {:.2} pictures a \
                 second ({db:.1} dB)",
                sent.kbit_per_s(),
                f64::from(pictures) / f64::from(SECONDS),
            );
        }
    }
    Ok(())
}

/// What fills a display that never rests.
#[derive(Debug, Clone, Copy)]
enum Motion {
    /// The film, over the whole display.
    Film,
    /// Pixels without any order: nothing costs more.
    Noise,
}

fn moving_screen(
    material: &Material,
    settings: &ProfileSettings,
    motion: Motion,
) -> Result<(Motion, Sent, u32, f64)> {
    let (width, height) = SCREEN;
    let fps = settings.screen.frames_per_s;
    let mut encoder = VideoEncoder::new(VideoSettings::screen(&settings.screen, width, height))?;
    let sets = encoder.parameter_sets().clone();
    let mut judge = Judge::new(sets.clone())?;
    let layout = Layout {
        video: Some(VideoLayout {
            width,
            height,
            sets,
        }),
        sound_pre_skip: None,
    };
    let mut muxer = CmafMuxer::new(layout, MediaTime::ZERO, 1)?;
    let mut film = material.film(10)?;
    let (mut sent, mut pictures, mut state) = (Sent::default(), 0, 1_u32);
    for turn in 0..SECONDS * fps {
        let bytes = match motion {
            Motion::Film => {
                let skip = 10 / fps;
                let picture = (0..skip).fold(None, |_, _| film.next().map(<[u8]>::to_vec));
                material::enlarged(&picture.context("the film is long enough")?)
            }
            Motion::Noise => material::noise(&mut state),
        };
        let at = MediaTime::from_millis(u64::from(turn * 1_000 / fps));
        let picture = I420Ref::tight(width, height, &bytes)?;
        let Some(frame) = encoder.encode(&picture, at, false)? else {
            continue;
        };
        pictures += 1;
        judge.compare(&frame.data, &bytes, SCREEN)?;
        let until = at.plus(Duration::from_millis(u64::from(1_000 / fps)));
        sent.message(muxer.chunk(&[frame], &[], until)?.bytes.len());
    }
    Ok((motion, sent, pictures, judge.mean()))
}

fn camera(material: &Material, settings: &ProfileSettings) -> Result<(Sent, f64, usize)> {
    let (width, height) = CAMERA;
    let fps = settings.camera.frames_per_s;
    let mut encoder = VideoEncoder::new(VideoSettings::camera(&settings.camera, width, height))?;
    let mut packets = sound(material, settings)?;
    let sound_bytes = packets.iter().map(|packet| packet.data.len()).sum();
    let sets = encoder.parameter_sets().clone();
    let video = Some(VideoLayout {
        width,
        height,
        sets: sets.clone(),
    });
    let layout = Layout {
        video,
        sound_pre_skip: Some(312),
    };
    let mut muxer = CmafMuxer::new(layout, MediaTime::ZERO, 1)?;
    let mut film = material.film(fps)?;
    let mut judge = Judge::new(sets)?;
    let (mut sent, mut gathered, mut index) = (Sent::default(), Vec::new(), 0_u64);
    let at = |index: u64| MediaTime::from_nanos(index * 1_000_000_000 / u64::from(fps));
    while let Some(bytes) = film.next() {
        let picture = material::camera_picture(bytes)?;
        let frame = encoder
            .encode(&picture, at(index), false)?
            .context("no frame is skipped")?;
        judge.compare(&frame.data, bytes, CAMERA)?;
        gathered.push(frame);
        index += 1;
        if index % u64::from(fps / 2).max(1) == 0 {
            let until = at(index);
            let ready = packets
                .iter()
                .take_while(|packet| packet.at < until)
                .count();
            let heard: Vec<SoundPacket> = packets.drain(..ready.min(25)).collect();
            let chunk = muxer.chunk(&gathered, &heard, until)?;
            sent.message(chunk.bytes.len());
            gathered.clear();
        }
    }
    Ok((sent, judge.mean(), sound_bytes))
}

fn sound(material: &Material, settings: &ProfileSettings) -> Result<VecDeque<SoundPacket>> {
    let mut encoder = AudioEncoder::new(&settings.sound)?;
    let mut packets = VecDeque::new();
    let mut at = MediaTime::ZERO;
    for block in material.sound.chunks_exact(960) {
        packets.extend(encoder.push(block, at)?);
        at = at.plus(AudioEncoder::PACKET_SPAN);
    }
    Ok(packets)
}

fn screen(material: &Material, settings: &ProfileSettings) -> Result<(Sent, f64)> {
    let (width, height) = SCREEN;
    let fps = u64::from(settings.screen.frames_per_s);
    let mut encoder = VideoEncoder::new(VideoSettings::screen(&settings.screen, width, height))?;
    let sets = encoder.parameter_sets().clone();
    let video = Some(VideoLayout {
        width,
        height,
        sets: sets.clone(),
    });
    let layout = Layout {
        video,
        sound_pre_skip: None,
    };
    let mut muxer = CmafMuxer::new(layout, MediaTime::ZERO, 1)?;
    let mut judge = Judge::new(sets)?;
    let mut sent = Sent::default();
    for second in 0..u64::from(SECONDS) {
        // Between two seconds nothing changes, and what does not change is not encoded.
        let page = usize::try_from(second / 10)? % material.pages.len();
        let shown = marked(&material.pages[page].bgrx, second);
        let bytes = material::i420(&shown)?;
        let picture = I420Ref::tight(width, height, &bytes)?;
        let at = MediaTime::from_millis(second * 1_000);
        let Some(frame) = encoder.encode(&picture, at, false)? else {
            continue;
        };
        judge.compare(&frame.data, &bytes, SCREEN)?;
        let until = at.plus(Duration::from_millis(1_000 / fps));
        sent.message(muxer.chunk(&[frame], &[], until)?.bytes.len());
    }
    Ok((sent, judge.mean()))
}

/// Fills a clicked answer every four seconds and draws a clock that moves each second.
fn marked(page: &[u8], second: u64) -> Vec<u8> {
    let mut bytes = page.to_vec();
    let mut fill = |left: usize, top: usize, wide: usize, high: usize, shade: u8| {
        for row in top..top + high {
            let from = (row * 1_920 + left) * 4;
            bytes[from..from + wide * 4].fill(shade);
        }
    };
    let answer = usize::try_from(second / 4 % 4).unwrap_or(0);
    fill(524, 330 + answer * 84, 20, 20, 40);
    for digit in 0..6_usize {
        let value = usize::try_from(second).unwrap_or(0) * (digit + 3) % 10;
        fill(1_700 + digit * 26, 40, 18, 8 + value * 2, 60);
    }
    bytes
}

/// Decodes what was encoded and compares it with its source.
struct Judge {
    decoder: Decoder,
    sets: Option<ParameterSets>,
    sum_db: f64,
    count: f64,
}

impl Judge {
    fn new(sets: ParameterSets) -> Result<Self> {
        Ok(Self {
            decoder: Decoder::new()?,
            sets: Some(sets),
            sum_db: 0.0,
            count: 0.0,
        })
    }

    fn compare(&mut self, data: &[u8], source: &[u8], (width, height): (u32, u32)) -> Result<()> {
        let annexb = annexb_of(data, self.sets.take().as_ref())?;
        let Some(seen) = self.decoder.decode(&annexb)? else {
            return Ok(());
        };
        let wide = usize::try_from(width)?;
        let rows = seen.y().chunks(seen.strides().0).zip(source.chunks(wide));
        let sum: u64 = rows
            .take(usize::try_from(height)?)
            .flat_map(|(seen, source)| seen.iter().zip(source))
            .map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2))
            .sum();
        // Noise on a whole display has a sum that fits no 32 bits.
        let sum = f64::from(u32::try_from(sum.max(256) / 256)?) * 256.0;
        let mean = sum / f64::from(width * height);
        self.sum_db += 10.0 * (255.0 * 255.0 / mean).log10();
        self.count += 1.0;
        Ok(())
    }

    fn mean(&self) -> f64 {
        self.sum_db / self.count
    }
}

/// The stills of camera and display; the camera's are taken from its luma, the colours cost little.
fn stills(material: &Material, settings: &ThumbnailSettings) -> Result<Sent> {
    let mut sent = Sent::default();
    let mut film = material.film(10)?;
    let every = usize::try_from(settings.period.as_secs().max(1) * 10)?;
    let mut index = 0_usize;
    while let Some(bytes) = film.next() {
        if index.is_multiple_of(every) {
            let luma = bytes[..material::bytes_of(CAMERA)].to_vec();
            let grey = image::GrayImage::from_raw(CAMERA.0, CAMERA.1, luma).context("a picture")?;
            sent.message(still(&image::DynamicImage::from(grey).to_rgb8(), settings)?);
            let page = &material.pages[index / 100 % material.pages.len()];
            let shown = image::RgbaImage::from_raw(SCREEN.0, SCREEN.1, page.bgrx.clone());
            let shown = image::DynamicImage::from(shown.context("a page")?).to_rgb8();
            sent.message(still(&shown, settings)?);
        }
        index += 1;
    }
    Ok(sent)
}

fn still(picture: &image::RgbImage, settings: &ThumbnailSettings) -> Result<usize> {
    let height = settings.width * picture.height() / picture.width();
    let small = imageops::resize(picture, settings.width, height, FilterType::Triangle);
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, settings.jpeg_quality).encode_image(&small)?;
    Ok(bytes.len())
}

fn kbit_per_s(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) * 8.0 / 1_000.0 / f64::from(SECONDS)
}

const CHUNK_HEADER_BYTES: usize = 160;
const BEAT_BYTES: usize = 200;
const WEBSOCKET_BYTES: usize = 14;
const TLS_BYTES: usize = 22;
const SEGMENT_BYTES: usize = 1_448;
const TCP_IP_BYTES: usize = 52;
