//! What the witness costs at its real pace, beside a plain Python pipeline that does the same work.
//!
//! Each run is a process of its own, so that its memory and its processor time are its own: every
//! second it is given one picture and a second of sound, and rests until the next.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use qorgan_agent_core::looking::Looking;
use qorgan_detect::{
    Acquaintance, AttentionReader, CoveredCamera, Decimator, Detector as _, FaceFinder,
    FrozenCamera, Input, Listener, Picture, Recogniser, SPEECH_FRAME_SAMPLES, Seen, Speaker,
    ThingFinder, VoiceActivity,
};

use crate::figures::{Page, percentile};
use crate::films::{Manner, at, sitting};
use crate::hearing::{BLOCK, Enrolled, Hearing, Quiet, Tape};
use crate::people::People;
use crate::scene::{Frame, Lens, Stage};
use crate::sounds::{RATE, samples};

/// What a run took: processor time a second of exam in ms, most memory in MB, and how long 95 % of
/// the pictures took at most in ms, by the clock and on the processor alone.
#[derive(Debug, Clone, Copy)]
struct Taken {
    processor: f64,
    memory: f64,
    slowest: f64,
    busiest: f64,
}

/// Measures and adds a chapter to the page.
pub(crate) fn report(page: &mut Page, people: &People, enrolled: &[Enrolled]) -> Result<()> {
    page.heading("What it costs");
    if !Path::new("/proc/self/task").exists() {
        page.line("Skipped: processor time is read from Linux's own books.");
        return Ok(());
    }
    let folder = std::env::temp_dir().join(format!("qorgan-witness-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let measured = prepare(&folder, people, enrolled).and_then(|()| measure(page, &folder));
    fs::remove_dir_all(&folder)?;
    measured
}

fn measure(page: &mut Page, folder: &Path) -> Result<()> {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load
        .split_whitespace()
        .take(2)
        .collect::<Vec<_>>()
        .join(", ");
    page.line(&format!(
        "One picture of 640x480 and a second of sound each second for {SECONDS} s. Load of the machine \
         before (1 and 5 minutes): {load}, on {} cores.",
        std::thread::available_parallelism().map_or(0, usize::from)
    ));
    page.line("");
    let own = std::env::current_exe()?;
    let ours = |what: &str| taken(Command::new(&own).args(["--measure", what]).arg(folder));
    let empty = ours("empty")?;
    let mut rows = Vec::new();
    let mut row = |what: &str, run: Taken, aims: bool| {
        let more = run.memory - empty.memory;
        let mut row = vec![
            what.to_owned(),
            format!("{:.1} %", run.processor / 10.0),
            format!("{:.0} MB", run.memory),
            format!("{more:.0} MB"),
            format!("{:.0} ms", run.slowest),
            format!("{:.0} ms", run.busiest),
        ];
        row.push(if aims {
            let met = [run.processor <= 200.0, more <= 200.0, run.slowest <= 300.0];
            met.map(|met| if met { "met" } else { "MISSED" }).join(", ")
        } else {
            String::new()
        });
        rows.push(row);
    };
    row("nothing but reading the material", empty, false);
    for (what, words) in EXAMS {
        row(&format!("all detectors, {words}"), ours(what)?, true);
    }
    let missing = match rival(folder) {
        Ok(runs) => {
            for ((_, words), run) in EXAMS.iter().zip(runs) {
                row(&format!("plain Python, {words}"), run, false);
            }
            None
        }
        Err(error) => Some(error),
    };
    let head = [
        "run",
        "of one core",
        "memory at most",
        "beside an empty run",
        "picture to word, p95",
        "of it on the processor",
        "aims: 20 %, 200 MB, 300 ms",
    ];
    page.table(&head, &rows);
    page.line("");
    match missing {
        Some(error) => page.line(&format!("Plain Python: skipped, {error:#}.")),
        None => page.line(
            "Plain Python is MediaPipe's face mesh with iris and the same other models in ONNX Runtime, \
             one thread each, at the same pace, without keeping what was scored.",
        ),
    }
    page.line("");
    parts(page, folder)
}

fn prepare(folder: &Path, people: &People, enrolled: &[Enrolled]) -> Result<()> {
    let photo = people.photos.first().context("a face")?;
    let own = enrolled.first().context("a voice")?;
    let mut stage = Stage::new(0, 5);
    for second in 0..SECONDS {
        let t = f32::from(second);
        let pose = sitting(t, 150.0, 0.0);
        let frame = stage.shoot(&[(&photo.cut, pose)], Manner::Steady.light(t), Lens::Open);
        fs::write(folder.join(format!("{second}.i420")), frame.bytes())?;
    }
    for ((what, _), quiet) in EXAMS.iter().zip([Quiet::OneQuestion, Quiet::Reads]) {
        let tape = Tape::Honest(quiet);
        let (sound, _) = Hearing { own, tape, seed: 1 }.sound();
        let pcm = samples(&sound);
        let bytes: Vec<u8> = pcm.iter().flat_map(|level| level.to_le_bytes()).collect();
        fs::write(folder.join(format!("{what}.pcm")), bytes)?;
    }
    fs::write(folder.join("print"), own.print().to_bytes())?;
    Ok(())
}

fn taken(command: &mut Command) -> Result<Taken> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = said.lines().last().unwrap_or_default();
    let numbers: Vec<f64> = last
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    match numbers.as_slice() {
        [processor, memory, slowest, busiest] => Ok(Taken {
            processor: *processor,
            memory: *memory,
            slowest: *slowest,
            busiest: *busiest,
        }),
        [] | [_] | [_, _] | [_, _, _] | [_, _, _, _, _, ..] => {
            anyhow::bail!(
                "{}",
                errors.lines().last().unwrap_or("nothing was measured")
            )
        }
    }
}

/// The other side, in the environment that `QORGAN_RIVAL_PYTHON` names or that is made once.
fn rival(folder: &Path) -> Result<Vec<Taken>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/witness/rival");
    let python = match std::env::var_os("QORGAN_RIVAL_PYTHON") {
        Some(python) => PathBuf::from(python),
        None => make_python(&here)?,
    };
    let run = |what: &str| {
        let mut command = Command::new(&python);
        command
            .arg(here.join("rival.py"))
            .args([what, &SECONDS.to_string()]);
        command.arg(folder);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("models"));
        command.envs([("OMP_NUM_THREADS", "1"), ("GLOG_minloglevel", "3")]);
        taken(&mut command).context("the Python pipeline does not run")
    };
    EXAMS.iter().map(|(what, _)| run(what)).collect()
}

fn make_python(here: &Path) -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    let folder = target.join("qorgan-rival");
    let python = folder.join("bin/python");
    if !folder.join("made").exists() {
        let mut venv = Command::new("python3");
        quietly(venv.args(["-m", "venv", "--clear"]).arg(&folder))?;
        let mut install = Command::new(&python);
        install.args(["-m", "pip", "install", "--quiet", "--no-deps", "-r"]);
        quietly(install.arg(here.join("requirements.txt")))?;
        fs::write(folder.join("made"), "")?;
    }
    Ok(python)
}

fn quietly(command: &mut Command) -> Result<()> {
    let output = command.output().context("no Python")?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let why = errors.lines().last().unwrap_or_default().to_owned();
    ensure!(output.status.success(), "its packages cannot be had: {why}");
    Ok(())
}

/// One run, in a process of its own; prints what it took.
pub(crate) fn run(what: &str, folder: &Path) -> Result<()> {
    let mut eyes = None;
    let mut ears = None;
    if what != "empty" {
        eyes = Some(met(folder)?);
        let mut listener = Listener::load()?;
        let print = qorgan_detect::VoicePrint::from_bytes(&fs::read(folder.join("print"))?)?;
        listener.compare_with(print.into());
        ears = Some((
            listener,
            Looking::new(qorgan_detect::microphone_detectors()),
        ));
    }
    let exam = if what == "empty" { EXAMS[0].0 } else { what };
    let sound = sound(folder, exam)?;
    let (before, began) = (processor_ms()?, Instant::now());
    let (mut slow, mut busy) = (Vec::new(), Vec::new());
    for (second, block) in (0..SECONDS).zip(sound.chunks(RATE)) {
        let t = f32::from(second) + 20.0;
        let frame = frame(folder, second)?;
        let (asked, ran) = (Instant::now(), processor_ms()?);
        if let Some(eyes) = &mut eyes {
            let looked = eyes.picture(at(t), frame.picture()?);
            ensure!(looked.failed.is_empty(), "{:?}", looked.failed);
        }
        slow.push(asked.elapsed().as_secs_f64() * 1_000.0);
        busy.push(processor_ms()? - ran);
        if let Some((listener, ears)) = &mut ears {
            for block in block.chunks(BLOCK) {
                ears.sound(at(t), block);
                if let Some(voices) = listener.hear(block)? {
                    ears.voices(at(t), voices);
                }
            }
        }
        let due = Duration::from_secs(u64::from(second) + 1);
        sleep(due.saturating_sub(began.elapsed()));
    }
    let processor = (processor_ms()? - before) / f64::from(SECONDS);
    let slowest = percentile(&slow, 95).unwrap_or_default();
    let busiest = percentile(&busy, 95).unwrap_or_default();
    println!(
        "{processor:.2} {:.2} {slowest:.2} {busiest:.2}",
        peak_megabytes()?
    );
    Ok(())
}

/// Eyes that know the candidate.
fn met(folder: &Path) -> Result<Looking> {
    let finder = FaceFinder::load()?;
    let mut meeting = Looking::new(Vec::new()).with_faces(finder);
    meeting.meet(Acquaintance::load()?);
    let mut known = None;
    for second in 0..SECONDS.min(15) {
        let frame = frame(folder, second)?;
        let looked = meeting.picture(at(f32::from(second)), frame.picture()?);
        known = known.or(looked.learnt);
    }
    let mut eyes = Looking::new(qorgan_detect::camera_detectors())
        .with_faces(FaceFinder::load()?)
        .with_things(ThingFinder::load()?);
    eyes.expect(&known.context("nobody was met")?, 3)?;
    Ok(eyes)
}

fn frame(folder: &Path, second: u16) -> Result<Frame> {
    let bytes = fs::read(folder.join(format!("{second}.i420")))?;
    Frame::of_bytes(&bytes).context("a whole picture")
}

fn sound(folder: &Path, exam: &str) -> Result<Vec<i16>> {
    let bytes = fs::read(folder.join(format!("{exam}.pcm")))?;
    let (pairs, _) = bytes.as_chunks::<2>();
    Ok(pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect())
}

/// What each part takes, and how often it is asked.
fn parts(page: &mut Page, folder: &Path) -> Result<()> {
    let rows = [parts_of_eyes(folder)?, parts_of_ears(folder)?].concat();
    let rows = rows.iter().map(|(part, once, often, second)| {
        vec![
            (*part).to_owned(),
            format!("{once:.1} ms"),
            (*often).to_owned(),
            format!("{:.1} %", second / 10.0),
        ]
    });
    let rows: Vec<_> = rows.collect();
    page.table(&["part", "once", "how often", "of one core"], &rows);
    Ok(())
}

/// A part, what it takes once, how often it is asked, and what it takes a second.
type Part = (&'static str, f64, &'static str, f64);

fn parts_of_eyes(folder: &Path) -> Result<Vec<Part>> {
    let (finder, recogniser) = (FaceFinder::load()?, Recogniser::load()?);
    let attention = AttentionReader::load()?;
    let frames = (0..10).map(|second| frame(folder, second));
    let frames = frames.collect::<Result<Vec<_>>>()?;
    let found = finder.find(frames[0].picture()?)?;
    let face = found.main().context("a face")?;
    let each = |look: &mut dyn FnMut(Picture<'_>) -> Result<()>| -> Result<f64> {
        let before = processor_ms()?;
        for frame in &frames {
            look(frame.picture()?)?;
        }
        Ok((processor_ms()? - before) / 10.0)
    };
    let mut things = ThingFinder::load()?;
    let (mut covered, mut frozen) = (CoveredCamera::default(), FrozenCamera::default());
    let mut second = 0.0;
    let lens = each(&mut |picture| {
        second += 1.0;
        covered.look(at(second), Input::Picture(picture))?;
        frozen.look(at(second), Input::Picture(picture))?;
        Ok(())
    })?;
    let quick = each(&mut |picture| Ok(finder.quick(picture).map(drop)?))?;
    let slow = each(&mut |picture| Ok(finder.slow(picture).map(drop)?))?;
    let numbers = each(&mut |picture| Ok(recogniser.numbers(picture, face).map(drop)?))?;
    let pose = each(&mut |picture| Ok(attention.read(picture, face).map(drop)?))?;
    let mut second = 0.0;
    let phone = each(&mut |picture| {
        let faces = &found;
        second += 4.0;
        Ok(things.look(at(second), Seen { picture, faces }).map(drop)?)
    })?;
    Ok(vec![
        ("things in the hand", phone, "every 4 s", phone / 4.0),
        ("covered and frozen", lens, "each second", lens),
        (
            "faces at 320 pixels, one person",
            quick,
            "each second",
            quick,
        ),
        (
            "faces at 640, nobody or several",
            slow,
            "each second instead",
            slow,
        ),
        (
            "whose face",
            numbers,
            "every 12.5 s by chance",
            numbers / 12.5,
        ),
        ("head and eyes", pose, "each second", pose),
    ])
}

fn parts_of_ears(folder: &Path) -> Result<Vec<Part>> {
    let mut narrow = Vec::new();
    Decimator::default().push(&sound(folder, EXAMS[1].0)?, &mut narrow);
    let (mut activity, speaker) = (VoiceActivity::load()?, Speaker::load()?);
    let (frames, _) = narrow.as_chunks::<SPEECH_FRAME_SAMPLES>();
    let before = processor_ms()?;
    for frame in frames.iter().take(310) {
        activity.probability(frame)?;
    }
    let silero = (processor_ms()? - before) / 10.0;
    let before = processor_ms()?;
    for piece in narrow.chunks_exact(24_000).skip(2).take(10) {
        speaker.embed(piece)?;
    }
    let campp = (processor_ms()? - before) / 10.0;
    Ok(vec![
        ("speech or not, 31 frames", silero, "each second", silero),
        (
            "whose voice, 1.5 s",
            campp,
            "each 1.5 s of speech",
            campp / 1.5,
        ),
    ])
}

/// What this process's threads have run, from Linux's own books.
fn processor_ms() -> Result<f64> {
    let mut all = 0.0;
    for task in fs::read_dir("/proc/self/task")? {
        let book = fs::read_to_string(task?.path().join("schedstat"))?;
        let nanos = book.split_whitespace().next().context("a number")?;
        all += nanos.parse::<f64>()? / 1e6;
    }
    Ok(all)
}

fn peak_megabytes() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kilobytes.context("VmHWM")?.parse::<f64>()? / 1_024.0)
}

const SECONDS: u16 = 30;
const EXAMS: [(&str, &str); 2] = [
    ("usual", "typing, one question read aloud"),
    ("busiest", "reading aloud all the time"),
];
