//! Uncompressed films and sounds.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::convert;
use crate::microphone::Mixer;
use crate::source::LossCause;

/// An open `.y4m` film in 4:2:0 that begins again at its end.
#[derive(Debug)]
pub(super) struct Y4m {
    file: BufReader<File>,
    first_frame: u64,
    frame_bytes: usize,
}

impl Y4m {
    pub(super) fn open(path: &Path, width: u32, height: u32) -> Result<Self, LossCause> {
        let file = File::open(path).map_err(|error| LossCause::of_text(&error.to_string()))?;
        let mut file = BufReader::new(file);
        let header = line(&mut file)?.ok_or_else(|| bad("it is empty"))?;
        let mut words = header.split(' ');
        if words.next() != Some("YUV4MPEG2") {
            return Err(bad("it is no YUV4MPEG2 file"));
        }
        for word in words {
            let right = match word.split_at_checked(1) {
                Some(("W", value)) => value.parse() == Ok(width),
                Some(("H", value)) => value.parse() == Ok(height),
                Some(("C", value)) => matches!(value, "420" | "420jpeg" | "420mpeg2" | "420paldv"),
                Some(_) | None => true,
            };
            if !right {
                return Err(bad(&format!(
                    "{word} does not fit {width}x{height} in 4:2:0"
                )));
            }
        }
        let first_frame = file
            .stream_position()
            .map_err(|error| bad(&error.to_string()))?;
        Ok(Self {
            file,
            first_frame,
            frame_bytes: convert::i420_bytes(width, height),
        })
    }

    pub(super) fn next(&mut self) -> Result<Vec<u8>, LossCause> {
        let mut mark = line(&mut self.file)?;
        if mark.is_none() {
            self.file
                .seek(SeekFrom::Start(self.first_frame))
                .map_err(|error| bad(&error.to_string()))?;
            mark = line(&mut self.file)?;
        }
        if !mark.is_some_and(|mark| mark.starts_with("FRAME")) {
            return Err(bad("a frame does not begin where it should"));
        }
        let mut frame = vec![0; self.frame_bytes];
        self.file
            .read_exact(&mut frame)
            .map_err(|error| bad(&error.to_string()))?;
        Ok(frame)
    }
}

fn line(file: &mut BufReader<File>) -> Result<Option<String>, LossCause> {
    let mut bytes = Vec::new();
    file.take(LINE_BYTES_MAX)
        .read_until(b'\n', &mut bytes)
        .map_err(|error| bad(&error.to_string()))?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let text = String::from_utf8(bytes).map_err(|_binary| bad("a header is no text"))?;
    Ok(Some(text.trim_end().to_owned()))
}

/// The samples of a WAV file, mixed to mono at our rate.
pub(super) struct Wav {
    pub(super) rate: u32,
    pub(super) samples: Vec<i16>,
}

impl Wav {
    pub(super) fn open(path: &Path) -> Result<Self, LossCause> {
        let bytes = std::fs::read(path).map_err(|error| LossCause::of_text(&error.to_string()))?;
        Self::parse(&bytes)
    }

    fn parse(bytes: &[u8]) -> Result<Self, LossCause> {
        let rest = bytes
            .strip_prefix(b"RIFF")
            .and_then(|rest| rest.get(4..))
            .and_then(|rest| rest.strip_prefix(b"WAVE"));
        let mut rest = rest.ok_or_else(|| bad("it is no WAV file"))?;
        let mut format = None;
        while let Some((head, tail)) = rest.split_first_chunk::<8>() {
            let [a, b, c, d, sizes @ ..] = *head;
            let size = usize::try_from(u32::from_le_bytes(sizes)).unwrap_or(usize::MAX);
            // A recorder that was cut off leaves a data size that is too large.
            let body = tail.get(..size).unwrap_or(tail);
            match [a, b, c, d] {
                [b'f', b'm', b't', b' '] => format = Some(read_format(body)?),
                [b'd', b'a', b't', b'a'] => {
                    let (channels, rate) = format.ok_or_else(|| bad("data before format"))?;
                    let (pairs, _) = body.as_chunks::<2>();
                    let samples = Mixer::new(channels, rate)
                        .mix(pairs.iter().map(|pair| i16::from_le_bytes(*pair)));
                    return if samples.is_empty() {
                        Err(bad("it holds no sample"))
                    } else {
                        Ok(Self { rate, samples })
                    };
                }
                _other => {}
            }
            rest = tail.get(size + size % 2..).unwrap_or_default();
        }
        Err(bad("it holds no data"))
    }
}

fn read_format(body: &[u8]) -> Result<(u16, u32), LossCause> {
    let short = || bad("its format is cut off");
    let (fields, _) = body.split_first_chunk::<16>().ok_or_else(short)?;
    let [c0, c1, n0, n1, r0, r1, r2, r3, .., b0, b1] = *fields;
    let coding = u16::from_le_bytes([c0, c1]);
    if !matches!(coding, PCM | EXTENSIBLE) || u16::from_le_bytes([b0, b1]) != 16 {
        return Err(bad("its samples are not 16-bit integers"));
    }
    Ok((
        u16::from_le_bytes([n0, n1]),
        u32::from_le_bytes([r0, r1, r2, r3]),
    ))
}

fn bad(why: &str) -> LossCause {
    LossCause::unsupported(format!("the simulated file cannot be played: {why}"))
}

const PCM: u16 = 1;
const EXTENSIBLE: u16 = 0xfffe;
const LINE_BYTES_MAX: u64 = 1_024;
