//! Sample acts.

use std::collections::BTreeSet;
use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};
use qorgan_documents::{
    ActData, ActRenderer, ActSettings, Candidate, Decision, Evidence, Form1Box, Institution,
    Language, Moment, RecordingReference, Sanction, Still, Verification,
};
use qorgan_protocol::time::WallTime;

pub(crate) fn settings() -> ActSettings {
    let mut settings = ActSettings::new(Institution::new(
        "«Қорған медицина университеті» КЕАҚ",
        "НАО «Медицинский университет Корган»",
    ));
    settings.logo = Some(logo());
    settings
}

pub(crate) fn renderer() -> ActRenderer {
    ActRenderer::new(settings())
}

pub(crate) fn act(language: Language) -> ActData {
    ActData {
        number: "2026-1-000042".to_owned(),
        language,
        discipline: "Жалпы патология".to_owned(),
        proctor: "Омарова Гүлнұр Һәкімқызы".to_owned(),
        candidate: Candidate {
            name: "Әбдіқадырұлы Ғалымжан Өмірзақұлы".to_owned(),
            faculty: "Жалпы медицина".to_owned(),
            year: "3".to_owned(),
            group: "ЖМ-305".to_owned(),
        },
        seen_at: Moment::new(WallTime::from_unix_ms(1_795_424_709_000), 300).expect("a civil date"),
        boxes: BTreeSet::from([Form1Box::MobilePhone, Form1Box::OtherScreen]),
        other: vec![other(language).to_owned()],
        decision: None,
        evidence: evidence(language),
        recording: RecordingReference {
            link: "https://exam.example/r/0192f0c1-7d5a-7c3e-9b1f-5a2e7c9d4b10".to_owned(),
            root: [0x5c; 32],
        },
        verification: Verification {
            url: "https://exam.example/v/k7Qm2xT9wZr4".to_owned(),
            act_hash: [0xa7; 32],
            validity: validity(language).to_owned(),
        },
    }
}

pub(crate) fn decision() -> Decision {
    Decision {
        sanction: Sanction::AnnulResult,
        members: [
            "Сүлейменов Ықылас Қайратұлы".to_owned(),
            "Петрова Анна Викторовна".to_owned(),
        ],
    }
}

fn other(language: Language) -> &'static str {
    match language {
        Language::Kazakh => "14:07:31 — емтихан терезесінен шығу (4 с)",
        Language::Russian => "14:07:31 — выход из окна экзамена (4 с)",
        Language::English => "14:07:31 — the exam window was left (4 s)",
    }
}

fn validity(language: Language) -> &'static str {
    match language {
        Language::Kazakh => "тіркелген 23.11.2026",
        Language::Russian => "зарегистрирован 23.11.2026",
        Language::English => "registered 23 November 2026",
    }
}

fn evidence(language: Language) -> Vec<Evidence> {
    let kinds = match language {
        Language::Kazakh => ["ұялы телефон көрінді", "екінші экран"],
        Language::Russian => ["виден мобильный телефон", "второй экран"],
        Language::English => ["phone seen", "second display"],
    };
    let pictures = [
        picture(640, 480, 0, ImageFormat::Jpeg),
        picture(480, 270, 0, ImageFormat::Png),
    ];
    kinds
        .into_iter()
        .zip(pictures)
        .zip(["14:05:09", "14:06:40"])
        .map(|((kind, still), time)| Evidence {
            still,
            time: time.to_owned(),
            kind: kind.to_owned(),
            caption: format!("{time}: {kind}"),
        })
        .collect()
}

/// Draws a picture with soft gradients and hard edges, as a camera's still has.
pub(crate) fn picture(width: u32, height: u32, seed: u32, format: ImageFormat) -> Still {
    let mut image = RgbImage::new(width, height);
    let dark = u8::try_from(seed % 40).expect("below forty");
    for (x, y, pixel) in image.enumerate_pixels_mut() {
        let dx = i64::from(x) - i64::from(width / 2);
        let dy = i64::from(y) - i64::from(height / 2);
        let inside = dx * dx + dy * dy < i64::from(height * height / 9);
        let slope = u8::try_from(x * 255 / width).expect("below the width");
        let grain = u8::try_from((x * 31 + y * 17 + seed) % 13).expect("below thirteen");
        *pixel = if inside {
            Rgb([200 - slope / 4, 160 + grain, 130 + grain])
        } else {
            Rgb([40 + dark + slope / 3, 70 + slope / 4 + grain, 110 + grain])
        };
    }
    let mut bytes = Vec::new();
    image
        .write_to(&mut Cursor::new(&mut bytes), format)
        .expect("memory takes any picture");
    Still::new(bytes).expect("the encoder wrote a picture")
}

fn logo() -> Still {
    picture(160, 160, 0, ImageFormat::Png)
}
