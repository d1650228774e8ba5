//! Minutes of exam before a camera, and what the eyes make of them.

use core::time::Duration;

use anyhow::{Context as _, Result};
use qorgan_agent_core::looking::Looking;
use qorgan_agent_core::sighting::Sighting;
use qorgan_detect::{Acquaintance, FaceFinder, Known, ThingFinder};
use qorgan_protocol::incident::{Edge, IncidentKind};
use qorgan_protocol::time::Now;

use crate::numbers::real;
use crate::people::{Cut, People, Photo};
use crate::scene::{Frame, Lens, Light, Pose, Stage};
use crate::sounds::Chance;

/// Pictures a second: the detectors look once or twice a second and pass over the rest.
pub(crate) const PICTURES_A_SECOND: u32 = 2;

/// What happens in a minute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Event<'a> {
    /// Nothing that should be flagged.
    Honest,
    /// Somebody steps in beside the candidate, so large against them.
    Second(&'a Cut, f32),
    /// Another person takes the seat.
    Swapped(&'a Photo),
    /// The candidate leaves.
    Away,
    /// Something is held before the lens.
    Covered(Lens),
    /// The camera repeats one picture.
    Frozen,
}

impl PartialEq for Cut {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self, other)
    }
}

impl PartialEq for Photo {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self, other)
    }
}

impl Event<'_> {
    pub(crate) const fn expected(&self) -> Option<IncidentKind> {
        match self {
            Self::Honest => None,
            Self::Second(..) => Some(IncidentKind::SecondFace),
            Self::Swapped(_) => Some(IncidentKind::Impersonation),
            Self::Away => Some(IncidentKind::NobodyInView),
            Self::Covered(_) => Some(IncidentKind::CameraCovered),
            Self::Frozen => Some(IncidentKind::CameraFrozen),
        }
    }
}

/// One minute.
#[derive(Debug)]
pub(crate) struct Film<'a> {
    pub(crate) candidate: &'a Met<'a>,
    pub(crate) event: Event<'a>,
    pub(crate) manner: Manner,
    pub(crate) seed: u64,
}

/// How the minute is beside its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Manner {
    Steady,
    Dim,
    Side,
    Behind,
    Changing,
    Bends,
    Glasses,
    Poster,
    Still,
}

impl Manner {
    pub(crate) const ALL: [Self; 9] = [
        Self::Steady,
        Self::Dim,
        Self::Side,
        Self::Behind,
        Self::Changing,
        Self::Bends,
        Self::Glasses,
        Self::Poster,
        Self::Still,
    ];
    /// Those of light, and glasses.
    pub(crate) const OF_EVENTS: [Self; 5] = [
        Self::Steady,
        Self::Dim,
        Self::Side,
        Self::Behind,
        Self::Glasses,
    ];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Steady => "even light",
            Self::Dim => "dim room, noisy sensor",
            Self::Side => "light from the side",
            Self::Behind => "light from behind",
            Self::Changing => "lamp goes off and on",
            Self::Bends => "bends out of view for 1.5 s",
            Self::Glasses => "glasses put on (drawn)",
            Self::Poster => "poster of a face behind",
            Self::Still => "sits still, quiet sensor",
        }
    }

    pub(crate) fn light(self, t: f32) -> Light {
        let even = Light {
            room: 1.0,
            person: 1.0,
            side: 0.0,
            noise: 2.0,
        };
        match self {
            Self::Steady | Self::Bends | Self::Glasses | Self::Poster => even,
            Self::Dim => Light {
                room: 0.35,
                person: 0.4,
                noise: 5.0,
                ..even
            },
            Self::Side => Light { side: 0.6, ..even },
            Self::Behind => Light {
                room: 1.5,
                person: 0.45,
                ..even
            },
            Self::Changing => {
                let gain = if (20.0..40.0).contains(&t) { 0.5 } else { 1.0 };
                Light {
                    room: gain,
                    person: gain,
                    ..even
                }
            }
            Self::Still => Light { noise: 0.8, ..even },
        }
    }
}

/// What came of one minute.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// From the event to its flag, in seconds; `None` where it was missed.
    pub(crate) delay: Option<f64>,
    /// What else was flagged, and when.
    pub(crate) flagged: Vec<(IncidentKind, f64)>,
}

impl Outcome {
    /// Takes what is said at `t` of an event that begins at `began`.
    pub(crate) fn note(
        &mut self,
        said: &[Sighting],
        expected: Option<IncidentKind>,
        (began, t): (f32, f32),
    ) {
        for said in said {
            let new = matches!(said.edge, Edge::Began | Edge::Moment);
            if new && Some(said.kind) == expected && t >= began {
                self.delay.get_or_insert_with(|| f64::from(t - began));
            } else if new {
                self.flagged.push((said.kind, f64::from(t)));
            }
        }
    }
}

/// A candidate after check-in.
#[derive(Debug)]
pub(crate) struct Met<'a> {
    pub(crate) photo: &'a Photo,
    known: Known,
    /// Whether another picture of the same person, as photo on file, was taken for somebody else.
    pub(crate) doubted: Option<bool>,
}

impl<'a> Met<'a> {
    /// Checks a candidate in; `None` where their picture is not one to know them by.
    pub(crate) fn check_in(people: &People, photo: &'a Photo) -> Result<Option<Self>> {
        let finder = FaceFinder::load()?;
        let mut meeting = Acquaintance::load()?;
        let on_file = people
            .photos
            .iter()
            .find(|one| one.person == photo.person && one.file != photo.file);
        let compared = match on_file {
            Some(on_file) => meeting.photo(&finder, on_file.frame.picture()?)?,
            None => false,
        };
        let mut looking = Looking::new(Vec::new()).with_faces(finder);
        looking.meet(meeting);
        let mut stage = Stage::new(0, 77);
        for second in 0..20_u16 {
            let t = f32::from(second);
            let pose = sitting(t, 150.0, 0.0);
            let frame = stage.shoot(&[(&photo.cut, pose)], Manner::Steady.light(t), Lens::Open);
            if let Some(known) = looking.picture(at(t), frame.picture()?).learnt {
                let doubted = compared.then(|| looking.photo_on_file(at(t), &known).is_some());
                return Ok(Some(Self {
                    photo,
                    known,
                    doubted,
                }));
            }
        }
        Ok(None)
    }
}

impl Film<'_> {
    /// When it happens: at no whole second.
    fn begins(&self) -> f32 {
        Chance(self.seed | 1).between(8.0, 14.0)
    }

    /// Plays the minute to the eyes, until its event is flagged.
    pub(crate) fn play(&self) -> Result<Outcome> {
        let mut looking = Looking::new(qorgan_detect::camera_detectors())
            .with_faces(FaceFinder::load()?)
            .with_things(ThingFinder::load()?);
        looking.expect(&self.candidate.known, self.seed)?;
        let room = usize::try_from(self.seed % 4)?;
        let mut stage = Stage::new(room, self.seed);
        let (began, mut frozen) = (self.begins(), None);
        let mut outcome = Outcome {
            delay: None,
            flagged: Vec::new(),
        };
        for picture in 0..60 * PICTURES_A_SECOND {
            let t =
                f32::from(u16::try_from(picture)?) / f32::from(u16::try_from(PICTURES_A_SECOND)?);
            let frame = self.shoot(&mut stage, t, &mut frozen);
            let looked = looking.picture(at(t), frame.picture()?);
            anyhow::ensure!(looked.failed.is_empty(), "{:?}", looked.failed);
            outcome.note(&looked.said, self.event.expected(), (began, t));
            let over = began + LASTS;
            if outcome.delay.is_some() || (self.event != Event::Honest && t > over) {
                break;
            }
        }
        Ok(outcome)
    }

    fn shoot(&self, stage: &mut Stage, t: f32, frozen: &mut Option<Frame>) -> Frame {
        let began = self.begins();
        let since = t - began;
        if self.event == Event::Frozen
            && since >= 0.0
            && let Some(frame) = frozen
        {
            return frame.clone();
        }
        let lens = match self.event {
            Event::Covered(lens) if since >= 0.0 => lens,
            Event::Covered(_)
            | Event::Honest
            | Event::Second(..)
            | Event::Swapped(_)
            | Event::Away
            | Event::Frozen => Lens::Open,
        };
        let frame = stage.shoot(&self.actors(t, since), self.manner.light(t), lens);
        *frozen = Some(frame.clone());
        frame
    }

    fn actors(&self, t: f32, since: f32) -> Vec<(&Cut, Pose)> {
        let photo = self.candidate.photo;
        let sizes = [120.0, 150.0, 180.0];
        let size = sizes[usize::try_from(self.seed % 3).unwrap_or_default()];
        let phase = real(usize::try_from(self.seed % 60).unwrap_or_default()) / 10.0;
        let mut own = sitting(t, size, phase);
        own.glasses = self.manner == Manner::Glasses;
        if self.manner == Manner::Still {
            own = sitting(t / 40.0, size, phase);
        }
        if self.manner == Manner::Bends && (25.0..26.5).contains(&t) {
            own.y += 400.0;
        }
        // A step out of view takes a second; the event is when the face has left.
        let stepped = |begins: f32| ((since - begins + 1.0).clamp(0.0, 1.0)) * 600.0;
        let mut actors = Vec::new();
        match self.event {
            Event::Honest | Event::Covered(_) | Event::Frozen => {}
            Event::Second(other, ratio) => {
                let side = if self.seed.is_multiple_of(2) {
                    1.0
                } else {
                    -1.0
                };
                let away = (1.0 - (since + 1.0).clamp(0.0, 1.0)) * 400.0;
                let pose = Pose {
                    x: own.x + side * (size * 0.55 + size * ratio * 0.75 + away),
                    y: own.y - size * 0.3,
                    face: size * ratio,
                    roll: -own.roll,
                    glasses: false,
                };
                actors.push((other, pose));
            }
            Event::Swapped(other) => {
                let pose = Pose {
                    x: own.x - (1.0 - (since + 1.0).clamp(0.0, 1.0)) * 600.0,
                    ..own
                };
                own.x += stepped(-2.0);
                actors.push((&other.cut, pose));
            }
            Event::Away => own.x += stepped(0.0),
        }
        actors.push((&photo.cut, own));
        if self.manner == Manner::Poster {
            let poster = Pose {
                x: 560.0,
                y: 70.0,
                face: size * 0.22,
                roll: 0.0,
                glasses: false,
            };
            actors.insert(0, (&photo.cut, poster));
        }
        actors
    }
}

/// Somebody who sits before the camera and is alive.
pub(crate) fn sitting(t: f32, face: f32, phase: f32) -> Pose {
    let swing = |seconds: f32| (core::f32::consts::TAU * t / seconds + phase).sin();
    Pose {
        x: 320.0 + 16.0 * swing(7.3) + 6.0 * swing(2.1),
        y: 235.0 + 7.0 * swing(5.1),
        face: face * (1.0 + 0.05 * swing(11.0)),
        roll: 0.05 * swing(9.0),
        glasses: false,
    }
}

/// Every minute that is played, in order: honest ones and events.
pub(crate) fn films<'a>(people: &'a People, met: &'a [Met<'a>]) -> Result<Vec<Film<'a>>> {
    let mut films = Vec::new();
    let mut seed = 0_u64;
    for (number, candidate) in met.iter().enumerate() {
        let mut add = |event: Event<'a>, manner: Manner| {
            seed += 1;
            let seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
            films.push(Film {
                candidate,
                event,
                manner,
                seed,
            });
        };
        // Five of the nine kinds of honest minutes each, so that all come equally often.
        for take in 0..5 {
            let manner = Manner::ALL[(number * 5 + take) % Manner::ALL.len()];
            add(Event::Honest, manner);
        }
        let manner = |take: usize| Manner::OF_EVENTS[(number + take) % Manner::OF_EVENTS.len()];
        for take in 0..2 {
            let ratio = [0.5, 0.7, 0.95][(number + take) % 3];
            let who = (number * 2 + take) % people.bystanders.len().max(1);
            let other = people.bystanders.get(who).context("no groups")?;
            add(Event::Second(other, ratio), manner(take));
        }
        let person = &candidate.photo.person;
        let others: Vec<_> = people
            .photos
            .iter()
            .filter(|one| one.person != *person)
            .collect();
        for take in 0..2 {
            let other = others.get((number * 5 + take * 4) % others.len().max(1));
            add(
                Event::Swapped(other.context("one person only")?),
                manner(take),
            );
        }
        for take in 0..2 {
            add(Event::Away, manner(take));
            add(Event::Frozen, manner(take + 2));
        }
        for lens in [Lens::Black, Lens::Finger, Lens::Paper, Lens::Cloth] {
            add(Event::Covered(lens), Manner::Steady);
        }
    }
    Ok(films)
}

pub(crate) fn at(seconds: f32) -> Now {
    Now::from_origin(Duration::from_secs_f32(seconds))
}

/// An event is over after so many seconds; a random look at who sits there comes within 20 s.
const LASTS: f32 = 30.0;
