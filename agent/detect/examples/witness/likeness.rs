//! Who is who: equal error rates of faces and voices over three seconds.

use anyhow::Result;
use qorgan_detect::{
    Decimator, FaceFinder, FaceNumbers, FaceTemplate, Manner as Speech, Recogniser,
    SPEECH_FRAME_SAMPLES, Speaker, VoiceActivity, VoiceEmbedding,
};

use crate::films::{Manner, sitting};
use crate::hearing::Enrolled;
use crate::people::{People, Photo};
use crate::scene::{Lens, Stage};
use crate::sounds::{add, room, samples};
use crate::tapes::from_db;

/// Likenesses: of one person, and of two.
#[derive(Debug, Default)]
pub(crate) struct Likenesses {
    pub(crate) own: Vec<f32>,
    pub(crate) others: Vec<f32>,
}

/// What the faces gave.
#[derive(Debug, Default)]
pub(crate) struct FaceTrials {
    /// Check-in and exam from two pictures of one person, against pictures of others.
    pub(crate) other_day: Likenesses,
    /// Check-in and exam from one picture, in other light, against the same others.
    pub(crate) other_light: Likenesses,
    /// The same with glasses drawn in the exam.
    pub(crate) glasses: Likenesses,
}

/// Compares everybody with everybody, `wanted` by whether thresholds were chosen on them.
pub(crate) fn faces(people: &People, wanted: impl Fn(&Photo) -> bool) -> Result<FaceTrials> {
    let (finder, recogniser) = (FaceFinder::load()?, Recogniser::load()?);
    let look = |photo: &Photo, manner: Manner, from: u16, count: u16| -> Result<Vec<FaceNumbers>> {
        let mut stage = Stage::new(usize::from(from % 4), u64::from(from) + 5);
        let mut found = Vec::new();
        for second in from..from + count {
            let t = f32::from(second);
            let mut pose = sitting(t, 150.0, 0.3);
            pose.glasses = manner == Manner::Glasses;
            let light = manner.light(t);
            let frame = stage.shoot(&[(&photo.cut, pose)], light, Lens::Open);
            let faces = finder.find(frame.picture()?)?;
            if let Some(face) = faces.main() {
                found.extend(recogniser.numbers(frame.picture()?, face)?);
            }
        }
        Ok(found)
    };
    let photos: Vec<_> = people.photos.iter().filter(|one| wanted(one)).collect();
    let (mut looks, mut trials) = (Vec::new(), FaceTrials::default());
    for photo in &photos {
        let template = FaceTemplate::new(Vec::new(), look(photo, Manner::Steady, 0, 8)?);
        let probes = [
            look(photo, Manner::Steady, 31, 3)?,
            look(photo, Manner::Dim, 41, 3)?,
            look(photo, Manner::Side, 52, 3)?,
            look(photo, Manner::Behind, 63, 3)?,
        ];
        let glasses = look(photo, Manner::Glasses, 74, 3)?;
        if let Some(template) = &template {
            let own = middle(template, &glasses).map(|distance| -distance);
            trials.glasses.own.extend(own);
        }
        looks.push((*photo, template, probes));
    }
    for (photo, template, _) in &looks {
        let Some(template) = template else { continue };
        for (other, _, probes) in &looks {
            let distances = probes.iter().filter_map(|three| middle(template, three));
            if photo.file == other.file {
                trials.other_light.own.extend(distances.map(|one| -one));
            } else if photo.person == other.person {
                trials.other_day.own.extend(distances.map(|one| -one));
            } else {
                let distances: Vec<_> = distances.map(|one| -one).collect();
                trials.other_day.others.extend(&distances);
                trials.other_light.others.extend(&distances);
                trials.glasses.others.extend(&distances);
            }
        }
    }
    Ok(trials)
}

/// The middle distance of the looks of three seconds.
fn middle(template: &FaceTemplate, looks: &[FaceNumbers]) -> Option<f32> {
    let mut distances: Vec<f32> = looks.iter().map(|one| template.distance(one)).collect();
    distances.sort_by(f32::total_cmp);
    distances.get(distances.len() / 2).copied()
}

/// Prints against windows of three seconds of what was said later, in a room so loud.
pub(crate) fn voices(enrolled: &[&Enrolled], room_db: f32, window: usize) -> Result<Likenesses> {
    let speaker = Speaker::load()?;
    let mut talks = Vec::new();
    for one in enrolled {
        let mut sound = room(one.reader.talk.len(), 17);
        sound
            .iter_mut()
            .for_each(|level| *level *= from_db(room_db));
        add(&mut sound, 0, &one.reader.talk, 1.0);
        talks.push(windows(&speaker, &sound, window)?);
    }
    let mut found = Likenesses::default();
    for (at, one) in enrolled.iter().enumerate() {
        let print = one.print();
        for (from, talk) in talks.iter().enumerate() {
            let list = if at == from {
                &mut found.own
            } else {
                &mut found.others
            };
            list.extend(
                talk.iter()
                    .map(|voice| print.likeness(Speech::Clear, voice)),
            );
        }
    }
    Ok(found)
}

fn windows(speaker: &Speaker, sound: &[f32], window: usize) -> Result<Vec<VoiceEmbedding>> {
    let (mut narrow, mut speech) = (Vec::new(), Vec::new());
    Decimator::default().push(&samples(sound), &mut narrow);
    let mut activity = VoiceActivity::load()?;
    let (frames, _) = narrow.as_chunks::<SPEECH_FRAME_SAMPLES>();
    for frame in frames {
        if activity.probability(frame)? >= 0.5 {
            speech.extend_from_slice(frame);
        }
    }
    let windows = speech.chunks_exact(window);
    windows.map(|window| Ok(speaker.embed(window)?)).collect()
}
