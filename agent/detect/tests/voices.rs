//! The detectors of voices on voices that espeak-ng speaks, and on sounds that are none.

#![expect(clippy::tests_outside_test_module, reason = "the whole file is a test")]

mod sounds;

use qorgan_detect::{
    AnotherVoice, Detector, Input, Listener, Scored, SeveralVoices, Talking, Voices, Whisper,
    replay,
};
use qorgan_protocol::limits::SCORED_INPUT_BYTES_MAX;
use qorgan_protocol::time::Now;
use sounds::{RATE, add, breath, keys, music, room, samples, spoken};

#[test]
fn another_voice_is_heard_after_enrolment_and_the_candidates_own_is_not() {
    let mut ears = Ears::new();
    ears.listener.begin_reading();
    ears.hear(&spoken(CANDIDATE, READING));
    assert!(ears.listener.read_pieces() >= 4);
    ears.listener.end_reading().expect("one clear voice");

    let own = ears.hear(&spoken(CANDIDATE, TALK));
    assert!(!own.fired(&AnotherVoice), "{own:?}");
    let silence = ears.hear(&vec![0.0; 25 * RATE]);
    assert!(!silence.fired(&AnotherVoice), "{silence:?}");

    let mut quiet = spoken(OTHER, TALK);
    quiet.iter_mut().for_each(|level| *level *= 0.316); // -10 dB
    let other = ears.hear(&quiet);
    let flagged = other.best(&AnotherVoice);
    assert!(flagged.score >= AnotherVoice.threshold(), "{flagged:?}");
    kept_scores_the_same(&AnotherVoice, flagged);
}

#[test]
fn speech_that_the_room_drowns_is_taken_for_nobodys() {
    let mut ears = Ears::new();
    ears.listener.begin_reading();
    ears.hear(&spoken(CANDIDATE, READING));
    ears.listener.end_reading().expect("one clear voice");
    let mut sound = room(40 * RATE, 3);
    sound.iter_mut().for_each(|level| *level *= 0.35);
    // 3 dB above the room: of whom it is, nobody can tell.
    let talk = spoken(CANDIDATE, TALK).repeat(2);
    add(&mut sound, 5 * RATE, &talk, 0.5);
    let own = ears.hear(&sound);
    assert!(!own.fired(&AnotherVoice), "{own:?}");
}

#[test]
fn before_enrolment_several_voices_are_told_but_never_another() {
    let mut ears = Ears::new();
    let one = ears.hear(&spoken(CANDIDATE, TALK));
    assert!(one.of(&AnotherVoice).is_empty());
    assert!(!one.fired(&SeveralVoices), "{one:?}");

    let two = ears.hear(&spoken(OTHER, TALK));
    assert!(two.of(&AnotherVoice).is_empty());
    let flagged = two.best(&SeveralVoices);
    assert!(flagged.score >= SeveralVoices.threshold(), "{flagged:?}");
    kept_scores_the_same(&SeveralVoices, flagged);
}

#[test]
fn a_minute_of_talk_is_steady_talking_and_one_question_read_aloud_is_not() {
    let mut ears = Ears::new();
    let mut question = spoken(CANDIDATE, TALK);
    question.resize(50 * RATE, 0.0);
    let once = ears.hear(&question);
    assert!(!once.fired(&Talking), "{once:?}");

    let steady = ears.hear(&spoken(CANDIDATE, READING).repeat(2));
    let flagged = steady.best(&Talking);
    assert!(flagged.score >= Talking.threshold(), "{flagged:?}");
    kept_scores_the_same(&Talking, flagged);
}

#[test]
fn whisper_is_told_from_a_voice() {
    let mut ears = Ears::new();
    let voiced = ears.hear(&in_a_room(&spoken(CANDIDATE, READING)));
    assert!(!voiced.fired(&Whisper), "{voiced:?}");

    ears.hear(&vec![0.0; 25 * RATE]);
    let whispered = ears.hear(&in_a_room(&spoken("en+whisper", READING)));
    let flagged = whispered.best(&Whisper);
    assert!(flagged.score >= Whisper.threshold(), "{flagged:?}");
    kept_scores_the_same(&Whisper, flagged);
}

#[test]
fn keys_breath_music_and_the_room_are_no_voices() {
    for sound in [
        keys(SOUND, 5),
        breath(SOUND, 7),
        music(SOUND, 11),
        room(SOUND, 13),
    ] {
        let mut ears = Ears::new();
        let said = ears.hear(&sound);
        assert!(ears.speech_share < 0.05, "{}", ears.speech_share);
        for detector in [&SeveralVoices as &dyn Detector, &Whisper, &Talking] {
            assert!(!said.fired(detector), "{said:?}");
        }
    }
}

#[test]
fn a_reading_by_two_voices_is_no_enrolment() {
    let mut ears = Ears::new();
    ears.listener.begin_reading();
    ears.hear(&[spoken(CANDIDATE, TALK), spoken(OTHER, TALK)].concat());
    let error = ears.listener.end_reading().expect_err("two voices");
    assert!(error.to_string().contains("more than one voice"), "{error}");
    let nothing = Ears::new().listener.end_reading();
    nothing.expect_err("nothing was read");
}

fn kept_scores_the_same(detector: &dyn Detector, scored: &Scored) {
    let input = scored.input().expect("what was scored");
    assert!(input.len() <= SCORED_INPUT_BYTES_MAX);
    let again = replay(detector.name(), &input).expect("the same detector");
    let apart = (again.value() - scored.score.value()).abs();
    assert!(apart < 1e-3, "{again:?} for {scored:?}");
}

fn in_a_room(sound: &[f32]) -> Vec<f32> {
    let mut room: Vec<f32> = room(sound.len() + 3 * RATE, 3);
    room.iter_mut().for_each(|level| *level *= 0.02);
    add(&mut room, 3 * RATE, sound, 0.3);
    room
}

/// A listener with every detector of voices behind it.
struct Ears {
    listener: Listener,
    detectors: Vec<Box<dyn Detector>>,
    speech_share: f64,
}

/// What the detectors said.
#[derive(Debug)]
struct Said(Vec<(&'static str, Scored)>);

impl Ears {
    fn new() -> Self {
        Self {
            listener: Listener::load().expect("the models as committed"),
            detectors: qorgan_detect::microphone_detectors(),
            speech_share: 0.0,
        }
    }

    fn hear(&mut self, sound: &[f32]) -> Said {
        let mut said = Vec::new();
        for block in samples(sound).chunks(RATE / 50) {
            let heard = self.listener.hear(block).expect("the models run");
            if let Some(voices) = heard {
                self.speech_share = self.speech_share.max(voices.speech_share());
                said.extend(scores(&mut self.detectors, voices));
            }
        }
        Said(said)
    }
}

fn scores(detectors: &mut [Box<dyn Detector>], voices: &Voices) -> Vec<(&'static str, Scored)> {
    let looked = detectors.iter_mut().filter_map(|detector| {
        let looked = detector.look(Now::default(), Input::Voices(voices));
        let scored = looked.expect("it needs no model")?;
        Some((detector.name(), scored))
    });
    looked.collect()
}

impl Said {
    fn of(&self, detector: &dyn Detector) -> Vec<&Scored> {
        let of = self.0.iter().filter(|(name, _)| *name == detector.name());
        of.map(|(_, scored)| scored).collect()
    }

    fn best(&self, detector: &dyn Detector) -> &Scored {
        let scores = self.of(detector).into_iter();
        scores
            .max_by(|one, two| one.score.value().total_cmp(&two.score.value()))
            .expect("something was scored")
    }

    fn fired(&self, detector: &dyn Detector) -> bool {
        let scores = self.of(detector).into_iter();
        scores
            .filter(|scored| scored.score >= detector.threshold())
            .count()
            > 0
    }
}

const CANDIDATE: &str = "en-us+klatt4";
const OTHER: &str = "en+f5";
const READING: &str = "Every candidate reads this sentence aloud before the exam begins, so that \
    the agent knows the voice. The weather in the mountains was bright and cold that morning, and \
    nobody hurried. We walked along the river until the bridge, and then we turned back.";
const TALK: &str = "The answer to question number seven is the second one, I am sure about it. For \
    the next question you should look at the table, and then choose the largest number.";
const SOUND: usize = 20 * RATE;
