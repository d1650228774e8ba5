//! What Form 1 prints, judged by poppler and qpdf.

use qorgan_documents::{ActRenderer, DocumentError, Form1Box, Language};
use rqrr::PreparedImage;

use crate::samples::{act, decision, renderer, settings};
use crate::tools::{text_of, tool, write};

//= tests/data/sop-2-28.md#17-act
//= type=test
#[test]
fn the_act_reads_the_same_in_each_language_as_when_it_was_last_looked_at() {
    let renderer = renderer();
    for language in Language::ALL {
        let pdf = renderer.render(&act(language)).expect("a complete act");

        insta::assert_snapshot!(format!("form_1_{}", language.code()), text_of(&pdf));
    }
}

//= tests/data/sop-2-28.md#17-act
//= type=test
#[test]
fn no_act_without_a_recorded_decision_prints_an_annulment() {
    let renderer = renderer();
    for language in Language::ALL {
        let mut undecided = act(language);
        undecided.boxes = Form1Box::ALL.into();
        let mut decided = undecided.clone();
        decided.decision = Some(decision());

        let without = text_of(&renderer.render(&undecided).expect("a complete act"));
        let with = text_of(&renderer.render(&decided).expect("a complete act"));

        for word in ["жою", "аннулир", "annul"] {
            assert!(!without.to_lowercase().contains(word), "{word}: {without}");
        }
        assert!(!without.contains("Сүлейменов"));
        let annulment = match language {
            Language::Kazakh => "білім алушының емтихан нәтижелерін жою",
            Language::Russian => "аннулировать результаты экзамена обучающегося",
            Language::English => "the candidate's examination result is annulled",
        };
        assert!(with.contains(annulment), "{with}");
        assert!(with.contains("Сүлейменов Ықылас Қайратұлы"), "{with}");
    }
}

#[test]
fn a_name_that_looks_like_markup_is_printed_as_it_was_typed() {
    let name = r##"#panic("x") *Ә* _b_ $y$ `c` <d> @e \f "g" 'h' //i [j] {k} ~ -- ..."##;
    let mut act = act(Language::Kazakh);
    act.candidate.name = name.to_owned();
    act.discipline = "#image(\"/act.json\")".to_owned();

    let text = text_of(&renderer().render(&act).expect("a complete act"));

    assert!(text.contains(name), "{text}");
    assert!(text.contains("#image(\"/act.json\")"), "{text}");
}

#[test]
fn equal_acts_give_equal_bytes() {
    let act = act(Language::Russian);
    let warm = renderer();

    let first = warm.render(&act).expect("a complete act");
    let second = warm.render(&act).expect("a complete act");
    let cold = ActRenderer::new(settings())
        .render(&act)
        .expect("a complete act");

    assert!(first == second && first == cold);
}

#[test]
fn qpdf_finds_nothing_wrong_with_an_act() {
    let folder = tempfile::tempdir().expect("a folder for the document");
    let pdf = renderer()
        .render(&act(Language::Kazakh))
        .expect("a complete act");
    let path = write(folder.path(), "act.pdf", &pdf);

    let output = tool("qpdf", "qpdf", &["--check", &path]);

    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_printed_code_leads_to_the_verification_page_and_names_nobody() {
    let folder = tempfile::tempdir().expect("a folder for the document");
    let act = act(Language::Kazakh);
    let pdf = renderer().render(&act).expect("a complete act");
    let path = write(folder.path(), "act.pdf", &pdf);
    let stem = folder.path().join("page");
    let stem = stem.to_str().expect("temporary folders have plain names");

    let output = tool(
        "pdftoppm",
        "poppler-utils",
        &["-r", "150", "-gray", &path, stem],
    );

    assert!(output.status.success(), "{output:?}");
    let links: Vec<String> = pages(folder.path())
        .iter()
        .flat_map(|page| codes(page))
        .collect();
    assert_eq!(links, [act.verification.url]);
}

#[test]
fn an_act_without_logo_stills_and_other_facts_is_complete() {
    let mut settings = settings();
    settings.logo = None;
    let mut act = act(Language::English);
    act.evidence.clear();
    act.other.clear();

    let text = text_of(
        &ActRenderer::new(settings)
            .render(&act)
            .expect("a complete act"),
    );

    assert!(!text.contains("Evidence"), "{text}");
    assert!(text.contains("ACT No 2026-1-000042"), "{text}");
}

#[test]
fn a_still_that_only_claims_to_be_a_picture_is_refused() {
    let mut act = act(Language::Kazakh);
    act.evidence[0].still =
        qorgan_documents::Still::new(b"\xff\xd8\xff nothing".as_slice()).expect("a signature");

    let refused = renderer().render(&act);

    assert!(
        matches!(refused, Err(DocumentError::Form { .. })),
        "{refused:?}"
    );
}

#[test]
fn more_stills_than_people_read_are_refused() {
    let mut act = act(Language::Kazakh);
    act.evidence = vec![act.evidence[0].clone(); 49];

    let refused = renderer().render(&act);

    assert!(matches!(
        refused,
        Err(DocumentError::TooManyStills { stills: 49 })
    ));
}

/// Reads every page that pdftoppm wrote, in order.
fn pages(folder: &std::path::Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "pgm"))
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).expect("the page was written"))
        .collect()
}

/// Returns what the codes on a page say.
fn codes(page: &[u8]) -> Vec<String> {
    let picture = image_of(page);
    PreparedImage::prepare_from_greyscale(picture.0, picture.1, |x, y| picture.2[y * picture.0 + x])
        .detect_grids()
        .iter()
        .map(|grid| grid.decode().expect("the code is printed whole").1)
        .collect()
}

/// Splits a binary PGM into width, height and pixels.
fn image_of(page: &[u8]) -> (usize, usize, Vec<u8>) {
    let mut fields = page.splitn(4, |byte| byte.is_ascii_whitespace());
    let mut number = || -> usize {
        let field = fields.next().expect("a PGM has a header");
        String::from_utf8_lossy(field).parse().unwrap_or(0)
    };
    let _magic = number();
    let (width, height) = (number(), number());
    let pixels = page[page.len() - width * height..].to_vec();
    (width, height, pixels)
}
