//! Real moving pictures, spoken sound, and pages of text.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use qorgan_encode::I420Ref;
use yuv::{BufferStoreMut, YuvConversionMode, YuvPlanarImageMut, YuvRange, YuvStandardMatrix};

/// Seconds of everything.
pub(crate) const SECONDS: u32 = 40;
/// Size of the display.
pub(crate) const SCREEN: (u32, u32) = (1_920, 1_080);
/// Size of the camera.
pub(crate) const CAMERA: (u32, u32) = (640, 480);

/// Everything that the figures are taken on.
pub(crate) struct Material {
    dir: tempfile::TempDir,
    /// Mono samples at 48 kHz.
    pub(crate) sound: Vec<i16>,
    /// Pages of an exam.
    pub(crate) pages: Vec<Page>,
}

/// A picture of the display in both forms.
#[derive(Clone)]
pub(crate) struct Page {
    /// Four bytes a pixel, blue first, as the X server keeps it.
    pub(crate) bgrx: Vec<u8>,
}

impl Material {
    /// Decodes the material, or returns nothing where there is none.
    pub(crate) fn prepare() -> Result<Option<Self>> {
        let root = std::env::var_os("QORGAN_TESTDATA")
            .map_or_else(|| PathBuf::from("../shared/testdata"), PathBuf::from);
        let film = root.join("video/iot_one-by-one.mp4");
        if !film.is_file() {
            return Ok(None);
        }
        let dir = tempfile::tempdir()?;
        let scale = "scale=640:480:force_original_aspect_ratio=increase,crop=640:480";
        // The film has ten pictures a second: at fifteen it runs faster, none is shown twice.
        for (name, speed, fps) in [("10", "1", "10"), ("15", "1.5", "15")] {
            let filter = format!("{scale},setpts=PTS/{speed},fps={fps}");
            let out = dir.path().join(name);
            decode(
                &film,
                &["-vf", &filter, "-f", "rawvideo", "-pix_fmt", "yuv420p"],
                &out,
            )?;
        }
        let filter = format!("{scale},setpts=PTS/1.5,fps=15");
        let out = dir.path().join("yuyv");
        decode(
            &film,
            &["-vf", &filter, "-f", "rawvideo", "-pix_fmt", "yuyv422"],
            &out,
        )?;
        let spoken = dir.path().join("sound");
        let form = ["-f", "s16le", "-ar", "48000", "-ac", "1"];
        decode(&root.join("speech/silero_test.wav"), &form, &spoken)?;
        let bytes = fs::read(&spoken)?;
        let (pairs, _) = bytes.as_chunks::<2>();
        let sound = pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect();
        let pages = (1..=4)
            .map(|number| page(dir.path(), number))
            .collect::<Result<_>>()?;
        Ok(Some(Self { dir, sound, pages }))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Opens the camera's film at 10 or 15 pictures a second.
    pub(crate) fn film(&self, frames_per_s: u32) -> Result<Film> {
        Film::open(
            &self.path(&frames_per_s.to_string()),
            bytes_of(CAMERA) * 3 / 2,
        )
    }
}

/// Raw pictures of one size, one after another.
pub(crate) struct Film {
    file: File,
    picture: Vec<u8>,
}

impl Film {
    pub(crate) fn open(path: &Path, picture_bytes: usize) -> Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            picture: vec![0; picture_bytes],
        })
    }

    /// Returns the next picture, or nothing at the end.
    pub(crate) fn next(&mut self) -> Option<&[u8]> {
        self.file.read_exact(&mut self.picture).ok()?;
        Some(&self.picture)
    }
}

pub(crate) fn camera_picture(bytes: &[u8]) -> Result<I420Ref<'_>> {
    Ok(I420Ref::tight(CAMERA.0, CAMERA.1, bytes)?)
}

/// Converts a page as the capture of displays does.
pub(crate) fn i420(bgrx: &[u8]) -> Result<Vec<u8>> {
    let (width, height) = SCREEN;
    let mut image = YuvPlanarImageMut::alloc(width, height, yuv::YuvChromaSubsampling::Yuv420);
    yuv::bgra_to_yuv420(
        &mut image,
        bgrx,
        width * 4,
        YuvRange::Limited,
        YuvStandardMatrix::Bt709,
        YuvConversionMode::Balanced,
    )?;
    let bytes = |plane: BufferStoreMut<'_, u8>| match plane {
        BufferStoreMut::Borrowed(bytes) => bytes.to_vec(),
        BufferStoreMut::Owned(bytes) => bytes,
    };
    Ok([image.y_plane, image.u_plane, image.v_plane]
        .map(bytes)
        .concat())
}

/// Enlarges a picture of the film to the whole display, each pixel to nine.
pub(crate) fn enlarged(film: &[u8]) -> Vec<u8> {
    let side = |pixels: u32| usize::try_from(pixels).unwrap_or(usize::MAX);
    let (width, height) = (side(SCREEN.0), side(SCREEN.1));
    let mut out = Vec::new();
    let mut from = 0;
    for part in [1, 2, 2] {
        let (wide, high) = (width / 3 / part, height / 3 / part);
        let rows = side(CAMERA.1) / part;
        for row in film[from..].chunks(wide).take(high) {
            let row: Vec<u8> = row.iter().flat_map(|&value| [value; 3]).collect();
            (0..3).for_each(|_| out.extend_from_slice(&row));
        }
        from += wide * rows;
    }
    out
}

/// Fills a display with values that nothing foretells; the same state gives the same ones.
pub(crate) fn noise(state: &mut u32) -> Vec<u8> {
    (0..bytes_of(SCREEN) * 3 / 2)
        .map(|_| {
            *state ^= *state << 13;
            *state ^= *state >> 17;
            *state ^= *state << 5;
            state.to_le_bytes()[0]
        })
        .collect()
}

pub(crate) fn bytes_of((width, height): (u32, u32)) -> usize {
    usize::try_from(width * height).unwrap_or(usize::MAX)
}

fn decode(input: &Path, form: &[&str], output: &Path) -> Result<()> {
    let seconds = SECONDS.to_string();
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-i"])
        .arg(input)
        .args(form)
        .args(["-t", &seconds])
        .arg(output)
        .status()
        .context("ffmpeg is needed")?;
    ensure!(status.success(), "ffmpeg decodes {}", input.display());
    Ok(())
}

/// Draws a page of an exam: a list, a question and four answers.
fn page(dir: &Path, number: u32) -> Result<Page> {
    let path = dir.join(format!("page{number}.png"));
    let question = format!(
        "{number}. Пациент 54 лет жалуется на давящую боль за грудиной при подъёме\n\
         на третий этаж, боль проходит в покое через {number} минуты. Анализы в норме.\n\
         Какое исследование нужно провести первым?\n\n\
         ○ Велоэргометрия\n\n○ Эхокардиография с нагрузкой {number}0 Вт\n\n○ Коронарография\n\n\
         ○ Суточное мониторирование ЭКГ"
    );
    let list: String = (1..=20)
        .map(|line| format!("{line}-сұрақ  ·  жауап берілді\n"))
        .collect();
    let font = Command::new("fc-match")
        .args(["-f", "%{file}", "Noto Sans"])
        .output()?;
    let font = String::from_utf8(font.stdout)?;
    let status = Command::new("convert")
        .args([
            "-size",
            "1920x1080",
            "xc:#f6f7f9",
            "-font",
            &font,
            "-fill",
            "#1d2733",
        ])
        .args([
            "-pointsize",
            "22",
            "-interline-spacing",
            "18",
            "-annotate",
            "+60+120",
            &list,
        ])
        .args(["-pointsize", "34", "-annotate", "+520+200", &question])
        .arg(&path)
        .status()
        .context("ImageMagick is needed")?;
    ensure!(status.success(), "ImageMagick draws a page");
    let picture = image::open(&path)?.to_rgba8();
    ensure!(
        picture.dimensions() == SCREEN,
        "the page has the display's size"
    );
    let mut bgrx = picture.into_raw();
    for pixel in bgrx.as_chunks_mut::<4>().0 {
        pixel.swap(0, 2);
    }
    Ok(Page { bgrx })
}
