//! The witness bench: how often the detectors are right, how often they disturb an honest
//! candidate, how soon they say so and what they cost, in one table and one plot.
//!
//! `cargo run -p qorgan-detect --example witness [-- PART... --quick --tell --out FOLDER]`
//!
//! It composes minutes of exam from the real faces and voices of `QORGAN_TESTDATA` (default
//! `../shared/testdata`) and plays them to the detectors with their patience, as the agent does,
//! with time handed in. `PART` is `pictures`, `liveness`, `sounds`, `languages`, `likeness` or
//! `cost`; without one, all. `--quick` plays a part of the minutes, `--tell` names each miss and false incident,
//! and `--out` keeps `figures.md` and `figures.svg`. Needs ffmpeg and espeak-ng; the comparison
//! with Python is skipped where its packages cannot be had.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench reads files and clocks, and prints"
)]

#[path = "../../tests/scenes/bent.rs"]
mod bent;
#[path = "../../tests/scenes/colours.rs"]
mod colours;
mod cost;
mod figures;
mod films;
mod hearing;
mod likeness;
mod liveness;
#[path = "../../tests/scenes/living.rs"]
mod living;
#[path = "../../src/numbers.rs"]
mod numbers;
mod people;
mod plot;
mod report;
mod scene;
#[path = "../../tests/sounds/mod.rs"]
mod sounds;
mod tapes;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};

use figures::{Hourly, Page};
use hearing::Enrolled;
use people::People;
use plot::Plot;

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) quick: bool,
    pub(crate) tells: bool,
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [measure, what, folder] = words.as_slice()
        && measure == "--measure"
    {
        return cost::run(what, Path::new(folder));
    }
    let has = |word: &str| words.iter().any(|one| one == word);
    let parts = [
        "pictures",
        "liveness",
        "sounds",
        "languages",
        "likeness",
        "cost",
    ];
    let all = !parts.iter().any(|part| has(part));
    let wants = |part: &str| all || has(part);
    let asked = Asked {
        quick: has("--quick"),
        tells: has("--tell"),
    };
    let root = std::env::var_os("QORGAN_TESTDATA")
        .map_or_else(|| PathBuf::from("../shared/testdata"), PathBuf::from);
    let faces = ["pictures", "liveness", "likeness", "cost"];
    let people = if faces.iter().any(|part| wants(part)) {
        People::read(&root)?
    } else {
        None
    };
    let enrolled = enrolled(&root)?;
    let (mut page, mut plot) = (Page::default(), Plot::default());
    page.line("# Figures of the witness");
    page.line("");
    page.line(
        "Made by `cargo run -p qorgan-detect --example witness -- --out agent/detect/figures`;",
    );
    page.line("in brackets is what so few trials leave open, at 95 %.");
    if asked.quick {
        page.line("");
        page.line("**A quick run (`--quick`): every fourth minute before the camera, every third of sound.**");
    }
    let eyes = before_the_camera(&mut page, &mut plot, people.as_ref(), (&root, asked), wants)?;
    let mut ears = None;
    if enrolled.is_empty() {
        page.line("Voices skipped: QORGAN_TESTDATA names no folder with LibriSpeech.");
    } else if wants("sounds") {
        ears = Some(report::sounds(&mut page, &mut plot, &enrolled, asked)?);
    }
    if let (Some(eyes), Some(ears)) = (eyes, ears) {
        in_all(&mut page, eyes, ears);
    }
    if wants("languages") {
        report::languages(&mut page, &languages()?)?;
    }
    if wants("likeness") {
        report::likenesses(&mut page, people.as_ref(), &enrolled)?;
    }
    if let (true, Some(people), false) = (wants("cost"), &people, enrolled.is_empty()) {
        cost::report(&mut page, people, &enrolled)?;
    }
    if let Some(folder) = words.iter().skip_while(|word| *word != "--out").nth(1) {
        std::fs::create_dir_all(folder)?;
        std::fs::write(Path::new(folder).join("figures.md"), &page.0)?;
        std::fs::write(Path::new(folder).join("figures.svg"), plot.svg())?;
    }
    Ok(())
}

/// Pictures and living faces; returns the honest minutes, where they were played.
fn before_the_camera(
    page: &mut Page,
    plot: &mut Plot,
    people: Option<&People>,
    (root, asked): (&Path, Asked),
    wants: impl Fn(&str) -> bool,
) -> Result<Option<Hourly>> {
    let Some(people) = people else {
        if wants("pictures") || wants("liveness") {
            page.line("Pictures skipped: QORGAN_TESTDATA names no folder with faces.");
        }
        return Ok(None);
    };
    let mut eyes = None;
    if wants("pictures") {
        eyes = Some(report::pictures(page, plot, people, asked)?);
    }
    if wants("liveness") {
        liveness::report(page, people, root)?;
    }
    Ok(eyes)
}

/// Both together, against the aim.
fn in_all(page: &mut Page, eyes: Hourly, ears: Hourly) {
    let (eyes_high, ears_high) = (eyes.interval().1, ears.interval().1);
    let (rate, high) = (eyes.rate() + ears.rate(), eyes_high + ears_high);
    let verdict = if high <= 1.0 {
        "met"
    } else if rate <= 1.0 {
        "met here, not proved: too few hours"
    } else {
        "MISSED"
    };
    page.line("");
    page.line(&format!(
        "In all, eyes and ears of a common exam: {rate:.1} false incidents an hour, at most {high:.1}; \
         the aim is 1: {verdict}. Alone, eyes: {}; ears: {}.",
        eyes.against(1.0),
        ears.against(1.0)
    ));
}

fn enrolled(root: &Path) -> Result<Vec<Enrolled>> {
    let readers = tapes::readers(&root.join("speech"))?;
    let half = readers.len() / 2;
    let readers = readers.into_iter().enumerate();
    readers
        .map(|(number, reader)| Enrolled::by_reading(reader, number < half))
        .collect()
}

fn languages() -> Result<Vec<(&'static str, [Enrolled; 2])>> {
    let pair = |language: &str, texts: [&str; 2]| {
        let of =
            |variant: &str| Enrolled::by_reading(tapes::synthetic(language, variant, texts), false);
        anyhow::Ok([of("m3")?, of("f5")?])
    };
    Ok(vec![
        ("Kazakh, synthetic", pair("kk", KAZAKH)?),
        ("Russian, synthetic", pair("ru", RUSSIAN)?),
        ("English, synthetic", pair("en-us", ENGLISH)?),
    ])
}

/// Does the work for each job on every core, and returns what came of it in order.
pub(crate) fn each<T: Sync, R: Send>(
    jobs: &[T],
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some((number, job)) = {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    jobs.get(number).map(|job| (number, job))
                } {
                    let result = work(job);
                    done.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((number, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(number, _)| *number);
    done.into_iter()
        .map(|(number, result)| result.with_context(|| format!("job {number}")))
        .collect()
}

const KAZAKH: [&str; 2] = [
    "Емтихан басталар алдында әр үміткер осы сөйлемді дауыстап оқиды, сонда бағдарлама оның \
     даусын таниды. Таңертең тауда ауа райы ашық әрі салқын болды, ешкім асыққан жоқ. Біз өзен \
     бойымен көпірге дейін жаяу жүріп, содан кейін кері қайттық.",
    "Жетінші сұрақтың жауабы екінші нұсқа, мен бұған сенімдімін. Келесі сұрақ үшін кестеге қарап, \
     ең үлкен санды таңдау керек. Содан кейін мәтінді тағы бір рет оқып шығамын.",
];
const RUSSIAN: [&str; 2] = [
    "Перед началом экзамена каждый участник читает это предложение вслух, чтобы программа узнала \
     его голос. Утром в горах было ясно и холодно, и никто не торопился. Мы прошли вдоль реки до \
     моста, а потом повернули обратно.",
    "Ответ на седьмой вопрос второй, я в этом уверен. Для следующего вопроса нужно посмотреть на \
     таблицу и выбрать самое большое число. Потом я ещё раз прочитаю весь текст.",
];
const ENGLISH: [&str; 2] = [
    "Every candidate reads this sentence aloud before the exam begins, so that the agent knows the \
     voice. The weather in the mountains was bright and cold that morning, and nobody hurried. We \
     walked along the river until the bridge, and then we turned back.",
    "The answer to question number seven is the second one, I am sure about it. For the next \
     question you should look at the table, and then choose the largest number. After that I will \
     read the whole text once more.",
];
