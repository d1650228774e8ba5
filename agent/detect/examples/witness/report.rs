//! Plays every minute and says what came of it, chapter by chapter.

use std::collections::BTreeMap;

use anyhow::Result;
use qorgan_protocol::incident::IncidentKind;

use crate::figures::{Hourly, Page, Rate, delays, equal_error};
use crate::films::{Event, Film, Manner, Met, Outcome, films};
use crate::hearing::{Enrolled, Hearing, LEVELS_DB, Quiet, Tape, hearings};
use crate::likeness::{self, Likenesses};
use crate::people::{People, Photo, Tone};
use crate::plot::Plot;
use crate::tapes::Scene;
use crate::{Asked, each};

/// Minutes before the camera; returns the honest ones.
pub(crate) fn pictures(
    page: &mut Page,
    plot: &mut Plot,
    people: &People,
    asked: Asked,
) -> Result<Hourly> {
    let photos: Vec<_> = people.photos.iter().collect();
    let met = each(&photos, |photo| Met::check_in(people, photo))?;
    let met: Vec<_> = met.into_iter().flatten().collect();
    let mut films = films(people, &met)?;
    if asked.quick {
        films = films.into_iter().step_by(4).collect();
    }
    let outcomes = each(&films, Film::play)?;
    let played: Vec<_> = films.iter().zip(&outcomes).collect();
    if asked.tells {
        tell(&played);
    }
    page.heading("Before the camera");
    page.line(&format!(
        "{} pictures of {} candidates, cut out, moved and lit; thresholds were chosen on {} and the \
         others are reported: {}.",
        met.len(),
        count(&photos.iter().map(|one| one.person.as_str()).collect::<Vec<_>>()),
        people.names(true),
        people.names(false)
    ));
    let doubted = Rate::count(met.iter().filter_map(|one| one.doubted));
    page.line(&format!(
        "Checked in against another picture of themselves and taken for somebody else: {}.",
        doubted.words()
    ));
    page.line("");
    events(page, plot, &played);
    page.line("");
    by_condition(page, &played);
    page.line("");
    Ok(honest_pictures(page, plot, &played))
}

fn tell(played: &[(&Film<'_>, &Outcome)]) {
    for (film, outcome) in played {
        let missed = film.event != Event::Honest && outcome.delay.is_none();
        if missed || !outcome.flagged.is_empty() {
            let (_, name) = name_of(&film.event);
            println!(
                "{} {name} {}: delay {:?}, else {:?}",
                film.candidate.photo.file,
                film.manner.word(),
                outcome.delay,
                outcome.flagged
            );
        }
    }
}

const fn name_of(event: &Event<'_>) -> (usize, &'static str) {
    match event {
        Event::Second(..) => (0, "second face"),
        Event::Away => (1, "nobody"),
        Event::Covered(_) => (2, "camera covered"),
        Event::Frozen => (3, "camera frozen"),
        Event::Swapped(_) => (4, "person swapped"),
        Event::Honest => (5, "honest"),
    }
}

fn events(page: &mut Page, plot: &mut Plot, played: &[(&Film<'_>, &Outcome)]) {
    let mut rows = Vec::new();
    for kind in 0..5 {
        for chosen_on in [true, false] {
            let of: Vec<_> = played
                .iter()
                .filter(|(film, _)| name_of(&film.event).0 == kind)
                .filter(|(film, _)| film.candidate.photo.chosen_on == chosen_on)
                .collect();
            let Some((film, _)) = of.first() else {
                continue;
            };
            let (_, name) = name_of(&film.event);
            let found: Vec<_> = of.iter().filter_map(|(_, outcome)| outcome.delay).collect();
            let recall = Rate::count(of.iter().map(|(_, outcome)| outcome.delay.is_some()));
            let prompt = Rate::count(
                of.iter()
                    .map(|(_, outcome)| outcome.delay.is_some_and(|delay| delay <= PROMPT_S)),
            );
            let aim = match film.event {
                Event::Swapped(_) | Event::Honest => "none set for a delay".to_owned(),
                Event::Second(..) | Event::Away | Event::Covered(_) | Event::Frozen => {
                    prompt.against(0.99)
                }
            };
            rows.push(vec![
                name.to_owned(),
                part(chosen_on).to_owned(),
                recall.words(),
                prompt.words(),
                delays(&found),
                aim,
            ]);
            if !chosen_on {
                plot.delays.push((name, found));
            }
        }
    }
    let head = [
        "event",
        "people",
        "found",
        "within 5 s",
        "delay: median, p95",
        "99 % within 5 s",
    ];
    page.table(&head, &rows);
}

pub(crate) const fn part(chosen_on: bool) -> &'static str {
    if chosen_on { "chosen on" } else { "reported" }
}

/// Recall by light, glasses and skin; false incidents stand in the table of honest minutes.
fn by_condition(page: &mut Page, played: &[(&Film<'_>, &Outcome)]) {
    let manners = Manner::OF_EVENTS.map(|manner| {
        let is = move |film: &Film<'_>| film.manner == manner;
        row_of(manner.word(), played, is)
    });
    let tones = Tone::ALL.map(|tone| {
        let is = move |film: &Film<'_>| film.candidate.photo.tone == tone;
        row_of(tone.word(), played, is)
    });
    let head = [
        "found of",
        "second face",
        "nobody",
        "camera covered",
        "camera frozen",
        "person swapped",
    ];
    page.table(&head, &[manners.to_vec(), tones.to_vec()].concat());
    page.line("");
    page.line(
        "Skin is grouped by its typology angle as the picture shows it. Nobody in the pictures wears \
         glasses: they are drawn. Heads do not turn in a still, so that looking away is measured for \
         false incidents alone.",
    );
}

fn row_of(
    name: &str,
    played: &[(&Film<'_>, &Outcome)],
    is: impl Fn(&Film<'_>) -> bool,
) -> Vec<String> {
    let mut row = vec![name.to_owned()];
    for kind in 0..5 {
        let of = played
            .iter()
            .filter(|(film, _)| name_of(&film.event).0 == kind && is(film));
        let rate = Rate::count(of.map(|(_, outcome)| outcome.delay.is_some()));
        row.push(if rate.of == 0 {
            "-".to_owned()
        } else {
            format!("{} of {}", rate.hits, rate.of)
        });
    }
    row
}

fn honest_pictures(page: &mut Page, plot: &mut Plot, played: &[(&Film<'_>, &Outcome)]) -> Hourly {
    let honest = |is: &dyn Fn(&Film<'_>) -> bool| {
        let of = played
            .iter()
            .filter(|(film, _)| film.event == Event::Honest && is(film));
        falsely(of.map(|(_, outcome)| *outcome), &[])
    };
    let mut rows = Vec::new();
    let mut row = |name: &str, (hourly, kinds): (Hourly, String)| {
        rows.push(vec![name.to_owned(), hourly.words(), kinds]);
        hourly
    };
    for manner in Manner::ALL {
        let hourly = row(manner.word(), honest(&|film| film.manner == manner));
        plot.honest.push((manner.word(), hourly));
    }
    for tone in Tone::ALL {
        row(
            tone.word(),
            honest(&|film| film.candidate.photo.tone == tone),
        );
    }
    for chosen_on in [true, false] {
        row(
            &format!("people {}", part(chosen_on)),
            honest(&|film| film.candidate.photo.chosen_on == chosen_on),
        );
    }
    let all = row("all", honest(&|_| true));
    page.table(
        &["honest minutes", "false incidents an hour", "which"],
        &rows,
    );
    all
}

/// Counts what was flagged, but kinds that are true of such minutes.
#[expect(single_use_lifetimes, reason = "an anonymous one cannot stand there")]
fn falsely<'a>(
    outcomes: impl IntoIterator<Item = &'a Outcome>,
    but: &[IncidentKind],
) -> (Hourly, String) {
    let mut hourly = Hourly::default();
    let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
    for outcome in outcomes {
        hourly.minutes += 1.0;
        for (kind, _) in outcome
            .flagged
            .iter()
            .filter(|(kind, _)| !but.contains(kind))
        {
            hourly.events += 1;
            *kinds.entry(kind.word().to_owned()).or_default() += 1;
        }
    }
    let kinds = kinds.iter().map(|(kind, count)| format!("{kind} {count}"));
    (hourly, kinds.collect::<Vec<_>>().join(", "))
}

/// Minutes before the microphone; returns the honest ones of a common exam.
pub(crate) fn sounds(
    page: &mut Page,
    plot: &mut Plot,
    enrolled: &[Enrolled],
    asked: Asked,
) -> Result<Hourly> {
    let mut hearings = hearings(enrolled, if asked.quick { 1 } else { 2 });
    if asked.quick {
        hearings = hearings.into_iter().step_by(3).collect();
    }
    let outcomes = each(&hearings, Hearing::play)?;
    let played: Vec<_> = hearings.iter().zip(&outcomes).collect();
    if asked.tells {
        for (hearing, outcome) in &played {
            if let Tape::Honest(quiet) = hearing.tape
                && !outcome.flagged.is_empty()
            {
                let name = &hearing.own.reader.name;
                println!("{name} {}: {:?}", quiet.word(), outcome.flagged);
            }
        }
    }
    page.heading("Before the microphone");
    let names = |chosen_on: bool| {
        let of = enrolled.iter().filter(|one| one.chosen_on == chosen_on);
        of.map(|one| one.reader.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    page.line(&format!(
        "{} readers of LibriSpeech in English, each enrolled by what they read; thresholds were chosen \
         on {} and the others are reported: {}. Every other reader is the other voice.",
        enrolled.len(),
        names(true),
        names(false)
    ));
    page.line("");
    other_voices(page, plot, &played);
    page.line("");
    whispers(page, &played);
    page.line("");
    Ok(honest_sounds(page, plot, &played))
}

fn other_voices(page: &mut Page, plot: &mut Plot, played: &[(&Hearing<'_>, &Outcome)]) {
    let of = |scene: Option<Scene>, level: f32, chosen_on: bool| {
        let of = played.iter().filter(|(hearing, _)| match hearing.tape {
            Tape::Other(one, db, _) => {
                scene.is_none_or(|scene| scene == one)
                    && (db - level).abs() < 0.1
                    && hearing.own.chosen_on == chosen_on
            }
            Tape::Whisper(_) | Tape::Honest(_) => false,
        });
        of.map(|(_, outcome)| outcome.delay).collect::<Vec<_>>()
    };
    let mut rows = Vec::new();
    for scene in Scene::ALL.map(Some).into_iter().chain([None]) {
        let mut points = Vec::new();
        for db in LEVELS_DB {
            let (chosen, reported) = (of(scene, db, true), of(scene, db, false));
            let found: Vec<_> = reported.iter().flatten().copied().collect();
            let rate = Rate::count(reported.iter().map(Option::is_some));
            points.push((db, rate));
            let aims = scene.is_none() && (db + 10.0).abs() < 0.1;
            rows.push(vec![
                scene.map_or("all three", Scene::word).to_owned(),
                format!("{db:.0} dB"),
                Rate::count(chosen.iter().map(Option::is_some)).words(),
                rate.words(),
                delays(&found),
                if aims {
                    rate.against(0.9)
                } else {
                    String::new()
                },
            ]);
            if aims {
                plot.delays.push(("another voice at -10 dB", found));
            }
        }
        if let Some(scene) = scene {
            plot.voices.push((scene.word(), points));
        }
    }
    let head = [
        "another voice",
        "level",
        "found: chosen on",
        "found: reported",
        "delay: median, p95",
        "90 % at -10 dB",
    ];
    page.table(&head, &rows);
}

fn whispers(page: &mut Page, played: &[(&Hearing<'_>, &Outcome)]) {
    let mut rows = Vec::new();
    for level in [-20.0, -15.0, -10.0] {
        let of = played.iter().filter(|(hearing, _)| {
            matches!(hearing.tape, Tape::Whisper(db) if (db - level).abs() < 0.1_f32)
        });
        let rate = Rate::count(of.map(|(_, outcome)| outcome.delay.is_some()));
        rows.push(vec![format!("{level:.0} dB"), rate.words()]);
    }
    page.table(
        &[
            "whisper of ten seconds (speech with its voice taken out)",
            "found",
        ],
        &rows,
    );
}

fn honest_sounds(page: &mut Page, plot: &mut Plot, played: &[(&Hearing<'_>, &Outcome)]) -> Hourly {
    let of = |is: &dyn Fn(Quiet) -> bool| {
        let of = played
            .iter()
            .filter(|(hearing, _)| matches!(hearing.tape, Tape::Honest(quiet) if is(quiet)));
        of.map(|(_, outcome)| *outcome).collect::<Vec<_>>()
    };
    let mut rows = Vec::new();
    for quiet in Quiet::ALL {
        let outcomes = of(&|one| one == quiet);
        // Reading aloud all the time is steady talking, and television is speech.
        let but: &[IncidentKind] = if quiet.is_common() {
            &[]
        } else {
            &[IncidentKind::Talking]
        };
        let (hourly, kinds) = falsely(outcomes.iter().copied(), but);
        plot.honest.push((quiet.word(), hourly));
        rows.push(vec![quiet.word().to_owned(), hourly.words(), kinds]);
    }
    let (common, kinds) = falsely(of(&Quiet::is_common).iter().copied(), &[]);
    rows.push(vec![
        "the first five: a common exam".to_owned(),
        common.words(),
        kinds,
    ]);
    page.table(
        &["honest minutes", "false incidents an hour", "which"],
        &rows,
    );
    page.line("");
    page.line(
        "Steady talking is not counted where somebody reads all the time: it is true then. Minutes of one \
         reader are the same 40 s of speech in other noise, so that hours are not independent.",
    );
    common
}

/// Equal error rates of faces and voices.
pub(crate) fn likenesses(
    page: &mut Page,
    people: Option<&People>,
    enrolled: &[Enrolled],
) -> Result<()> {
    page.heading("Who is who, over three seconds");
    let mut rows = Vec::new();
    let mut row = |name: &str, of: &str, found: &Likenesses| {
        let (rate, bound) = equal_error(&found.own, &found.others);
        let (own, others) = (count_of(&found.own), count_of(&found.others));
        // As many errors as would still show none in so many trials, at 95 %.
        let open = 3.0 / f64::from(own.max(1));
        let verdict = if own == 0 || others == 0 {
            "not measured"
        } else if rate > 0.01 {
            "MISSED"
        } else if open > 0.01 {
            "met here, not proved: that takes 300 trials of one person"
        } else {
            "met"
        };
        rows.push(vec![
            name.to_owned(),
            of.to_owned(),
            own.to_string(),
            others.to_string(),
            format!("{:.1} %", rate * 100.0),
            format!("{:.2}", bound.abs()),
            extremes(found),
            verdict.to_owned(),
        ]);
    };
    if let Some(people) = people {
        for chosen_on in [true, false] {
            let found = likeness::faces(people, |photo: &Photo| photo.chosen_on == chosen_on)?;
            let words = "face, another day's picture, four lights";
            row(words, part(chosen_on), &found.other_day);
            let words = "face, the same picture, four lights";
            row(words, part(chosen_on), &found.other_light);
            let words = "face, the same picture, glasses drawn";
            row(words, part(chosen_on), &found.glasses);
        }
    }
    for chosen_on in [true, false] {
        let of: Vec<_> = enrolled
            .iter()
            .filter(|one| one.chosen_on == chosen_on)
            .collect();
        for (name, room_db) in [
            ("voice, quiet room", -40.0),
            ("voice, room at -10 dB", -10.0),
        ] {
            row(
                name,
                part(chosen_on),
                &likeness::voices(&of, room_db, 48_000)?,
            );
        }
    }
    let head = [
        "trial",
        "people",
        "of one person",
        "of two",
        "equal error",
        "at",
        "least like own, most like other",
        "1 %",
    ];
    page.table(&head, &rows);
    Ok(())
}

fn extremes(found: &Likenesses) -> String {
    let least = found.own.iter().copied().reduce(f32::min);
    let most = found.others.iter().copied().reduce(f32::max);
    match (least, most) {
        (Some(least), Some(most)) => format!("{:.2}, {:.2}", least.abs(), most.abs()),
        (None, _) | (_, None) => "-".to_owned(),
    }
}

fn count_of(values: &[f32]) -> u32 {
    u32::try_from(values.len()).unwrap_or(u32::MAX)
}

fn count(names: &[&str]) -> usize {
    let names: std::collections::BTreeSet<_> = names.iter().collect();
    names.len()
}

/// Languages of the exam, spoken by espeak-ng.
pub(crate) fn languages(page: &mut Page, enrolled: &[(&'static str, [Enrolled; 2])]) -> Result<()> {
    page.heading("Languages");
    let mut rows = Vec::new();
    for (language, pair) in enrolled {
        let mut jobs = Vec::new();
        for (own, other) in [(0, 1), (1, 0)] {
            for scene in Scene::ALL {
                jobs.push(Hearing {
                    own: &pair[own],
                    tape: Tape::Other(scene, -10.0, &pair[other].reader),
                    seed: 7,
                });
            }
            for seed in 0..3 {
                jobs.push(Hearing {
                    own: &pair[own],
                    tape: Tape::Honest(Quiet::Reads),
                    seed,
                });
            }
        }
        let outcomes = each(&jobs, Hearing::play)?;
        let played = || jobs.iter().zip(&outcomes);
        let others = played().filter(|(job, _)| matches!(job.tape, Tape::Other(..)));
        let found = Rate::count(others.map(|(_, outcome)| outcome.delay.is_some()));
        let honest = played().filter(|(job, _)| matches!(job.tape, Tape::Honest(_)));
        let honest = honest.map(|(_, outcome)| outcome);
        let (hourly, kinds) = falsely(honest, &[IncidentKind::Talking]);
        rows.push(vec![
            (*language).to_owned(),
            found.words(),
            hourly.words(),
            kinds,
        ]);
    }
    let head = [
        "language",
        "another voice at -10 dB found",
        "false incidents an hour, reading aloud",
        "which",
    ];
    page.table(&head, &rows);
    page.line("");
    page.line(
        "Two voices of espeak-ng each: no recorded Kazakh or Russian is at hand, so that nothing is \
         proved for people who speak them.",
    );
    Ok(())
}

const PROMPT_S: f64 = 5.0;
