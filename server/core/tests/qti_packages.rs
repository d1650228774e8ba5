//! Packages of QTI 3, good and bad.

use qorgan_protocol::assessment::{AssessmentTest, Block, Interaction, Response, score};
use qorgan_protocol::time::WallTime;
use qorgan_server_core::fault::{Fault, FaultKind};
use qorgan_server_core::qti::{Identifiers, Package, Stated, read_package};

const MANIFEST: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<manifest xmlns="http://www.imsglobal.org/xsd/qti/qtiv3p0/imscp_v1p1" identifier="m">
  <resources>
    <resource identifier="t" type="imsqti_test_xmlv3p0" href="test.xml"/>
    <resource identifier="i1" type="imsqti_item_xmlv3p0" href="items/q1.xml"/>
    <resource identifier="i2" type="imsqti_item_xmlv3p0" href="items/q2.xml"/>
  </resources>
</manifest>"#;

const TEST: &str = r#"<qti-assessment-test xmlns="http://www.imsglobal.org/xsd/imsqtiasi_v3p0"
    identifier="t" title="Қалыпты физиология" xml:lang="kk">
  <qti-test-part identifier="p" navigation-mode="nonlinear" submission-mode="simultaneous">
    <qti-assessment-section identifier="s" title="1" visible="true">
      <qti-assessment-item-ref identifier="q1" href="items/q1.xml"/>
      <qti-assessment-item-ref identifier="q2" href="items/q2.xml"/>
    </qti-assessment-section>
  </qti-test-part>
</qti-assessment-test>"#;

const SINGLE: &str = r#"<qti-assessment-item xmlns="http://www.imsglobal.org/xsd/imsqtiasi_v3p0"
    identifier="q1" title="Кезбе жүйке" adaptive="false" time-dependent="false" xml:lang="kk">
  <qti-response-declaration identifier="RESPONSE" cardinality="single" base-type="identifier">
    <qti-correct-response><qti-value>B</qti-value></qti-correct-response>
  </qti-response-declaration>
  <qti-item-body>
    <p>Суретке <em>қараңыз</em>.</p>
    <p><img src="../pictures/heart.png" alt="Жүректің сызбасы"/></p>
    <qti-choice-interaction response-identifier="RESPONSE" max-choices="1">
      <qti-prompt>Жүректің жиырылу жиілігін қай жүйке баяулатады?</qti-prompt>
      <qti-simple-choice identifier="A">Симпатикалық жүйке</qti-simple-choice>
      <qti-simple-choice identifier="B">Кезбе жүйке</qti-simple-choice>
    </qti-choice-interaction>
  </qti-item-body>
  <qti-response-processing template="https://purl.imsglobal.org/spec/qti/v3p0/rptemplates/match_correct.xml"/>
</qti-assessment-item>"#;

const MULTIPLE: &str = r#"<qti-assessment-item xmlns="http://www.imsglobal.org/xsd/imsqtiasi_v3p0"
    identifier="q2" title="Қан" xml:lang="kk">
  <qti-response-declaration identifier="RESPONSE" cardinality="multiple" base-type="identifier">
    <qti-correct-response><qti-value>C</qti-value><qti-value>A</qti-value></qti-correct-response>
  </qti-response-declaration>
  <qti-item-body>
    <qti-choice-interaction response-identifier="RESPONSE" max-choices="0">
      <qti-prompt>Қайсысы қан жасушасы?</qti-prompt>
      <qti-simple-choice identifier="A">Эритроцит</qti-simple-choice>
      <qti-simple-choice identifier="B">Нейрон</qti-simple-choice>
      <qti-simple-choice identifier="C">Лейкоцит</qti-simple-choice>
    </qti-choice-interaction>
  </qti-item-body>
</qti-assessment-item>"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    //= tests/data/sop-2-28.md#3-test-application
    //= type=test
    fn a_good_package_gives_items_pictures_and_keys_in_order() {
        let test = read(&good()).expect("a good package");

        assert_eq!(test.title, "Қалыпты физиология");
        assert_eq!(test.items.len(), 2);
        assert_eq!(test.pictures.len(), 1);
        let item = &test.items[0];
        assert_eq!(item.correct, ["B"]);
        assert!(matches!(&item.body[0], Block::Text { text } if text == "Суретке қараңыз."));
        assert!(matches!(&item.body[1], Block::Picture { picture, alt }
            if *picture == test.pictures[0].id && alt == "Жүректің сызбасы"));
        assert!(
            matches!(&test.items[1].interaction, Interaction::MultipleChoice { choices, .. }
            if choices.len() == 3)
        );
        let response = Response::choices(vec!["C".to_owned(), "A".to_owned()]);
        assert_eq!(score(&test.items[1], &response), 1);
    }

    #[test]
    fn every_fault_is_told_not_only_the_first() {
        let mut package = good();
        put(
            &mut package,
            "items/q1.xml",
            &SINGLE.replace("<qti-value>B", "<qti-value>E"),
        );
        put(
            &mut package,
            "items/q2.xml",
            &MULTIPLE.replace("Қайсысы қан жасушасы?", " "),
        );
        package.remove("pictures/heart.png");

        let faults = read(&package).expect_err("three faults");

        let words: Vec<_> = faults.iter().map(|fault| fault.kind.word()).collect();
        assert_eq!(words, ["unknown-correct", "missing-file", "no-prompt"]);
        assert_eq!(faults[0].place.file, "items/q1.xml");
        assert_eq!(faults[0].place.item.as_deref(), Some("q1"));
        assert_eq!(faults[0].place.line, Some(3));
        assert_eq!(faults[1].place.line, Some(8));
    }

    #[test]
    fn the_technical_check_finds_language_count_title_and_control_form() {
        let stated = Stated {
            language: "ru".to_owned(),
            title: Some("Анатомия".to_owned()),
            items: Some(20),
            control_form: Some("oral".to_owned()),
            ..Stated::default()
        };

        let faults = read_as(&good(), &stated).expect_err("nothing agrees");

        for word in [
            "wrong-language",
            "wrong-title",
            "wrong-count",
            "wrong-control-form",
        ] {
            assert!(
                faults.iter().any(|fault| fault.kind.word() == word),
                "{word}"
            );
        }
    }

    #[test]
    fn an_unknown_element_is_refused_rather_than_skipped() {
        let mut package = good();
        let changed = MULTIPLE.replace("<qti-item-body>", "<qti-item-body><script>x</script>");
        put(&mut package, "items/q2.xml", &changed);

        let faults = read(&package).expect_err("script");

        assert!(
            matches!(&faults[0].kind, FaultKind::UnknownElement { element, .. }
            if element == "script")
        );
    }

    #[test]
    fn what_the_kiosk_does_not_do_is_refused_by_name() {
        let interaction =
            "<qti-choice-interaction response-identifier=\"RESPONSE\" max-choices=\"0\"";
        for (attribute, value) in [("shuffle", "true"), ("min-choices", "2")] {
            let asked = format!("{interaction} {attribute}=\"{value}\"");
            let faults = faults_of(&MULTIPLE.replace(interaction, &asked));
            assert!(
                matches!(&faults[..], [FaultKind::BadAttribute { attribute: found, .. }]
                if found == attribute),
                "{faults:?}"
            );
        }
        for (attribute, value) in [("shuffle", "false"), ("min-choices", "1")] {
            let asked = format!("{interaction} {attribute}=\"{value}\"");
            with_item(&MULTIPLE.replace(interaction, &asked)).expect("asks for nothing");
        }
        let adaptive = faults_of(&MULTIPLE.replace("title=", "adaptive=\"true\" title="));
        assert_eq!(adaptive[0].word(), "bad-attribute");
    }

    #[test]
    fn a_weight_or_a_condition_of_an_item_is_refused_by_name() {
        let reference = "<qti-assessment-item-ref identifier=\"q2\" href=\"items/q2.xml\"/>";
        for child in [
            "<qti-weight identifier=\"W\" value=\"2\"/>",
            "<qti-pre-condition/>",
            "<qti-time-limits max-time=\"60\"/>",
        ] {
            let mut package = good();
            let with = reference.replace("/>", &format!(">{child}</qti-assessment-item-ref>"));
            put(&mut package, "test.xml", &TEST.replace(reference, &with));
            let faults = read(&package).expect_err("refused");
            assert_eq!(faults[0].kind.word(), "unknown-element", "{child}");
        }
    }

    #[test]
    fn a_question_that_stands_in_the_body_is_the_prompt() {
        let prompt = "<qti-prompt>Қайсысы қан жасушасы?</qti-prompt>";
        let body = "<qti-item-body>";
        let asked = "<qti-item-body><p>Қан.</p><p>Қайсысы <b>жасуша</b>?</p>";
        let item = MULTIPLE.replace(prompt, "").replace(body, asked);

        let test = with_item(&item).expect("read");

        assert_eq!(test.items[1].prompt, "Қайсысы жасуша?");
        assert!(matches!(&test.items[1].body[..], [Block::Text { text }] if text == "Қан."));
    }

    #[test]
    fn what_stands_after_the_choices_is_not_shown_before_them() {
        let end = "</qti-choice-interaction>";
        let faults = faults_of(&MULTIPLE.replace(end, &format!("{end}<p>Соңы.</p>")));

        assert!(
            matches!(&faults[..], [FaultKind::AfterChoices { element }] if element == "p"),
            "{faults:?}"
        );
    }

    #[test]
    fn choices_that_differ_in_a_power_alone_stay_two_and_equal_ones_are_refused() {
        let item = MULTIPLE
            .replace("Эритроцит", "10<sup>2</sup>")
            .replace("Нейрон", "10<sup>3</sup>");
        let test = with_item(&item).expect("two choices");
        let Interaction::MultipleChoice { choices, .. } = &test.items[1].interaction else {
            panic!("a multiple choice");
        };
        assert_eq!(choices[0].text, "10²");

        let faults = faults_of(&MULTIPLE.replace("Нейрон", "Эритроцит"));
        assert_eq!(faults[0].word(), "same-choices");
    }

    #[test]
    fn addresses_and_folders_as_programs_write_them_are_found() {
        let mut package = Package::new();
        for (name, bytes) in good() {
            package.insert(format!("Тест/тест/{name}"), bytes);
        }
        let item = package.remove("Тест/тест/items/q1.xml").expect("there");
        package.insert("Тест/тест/items/q 1.xml".to_owned(), item);
        let test = TEST.replace("items/q1.xml", "items/q%201.xml");
        put(&mut package, "Тест/тест/test.xml", &test);
        let manifest = MANIFEST.replace("items/q1.xml", "items\\q%201.xml");
        put(&mut package, "Тест/тест/imsmanifest.xml", &manifest);

        read(&package).expect("a folder in a folder, blanks and backslashes");
    }

    #[test]
    fn an_address_of_another_machine_is_called_one() {
        let mut package = good();
        let away = SINGLE.replace("../pictures/heart.png", "https://a.kz/heart.png");
        put(&mut package, "items/q1.xml", &away);

        let faults = read(&package).expect_err("refused");

        assert_eq!(faults[0].kind.word(), "foreign-address");
    }

    #[test]
    fn tags_of_a_language_in_every_spelling_are_that_language() {
        for tag in ["kk", "kk-KZ", "kk_KZ", "kaz", "KK"] {
            with_item(&MULTIPLE.replace("lang=\"kk\"", &format!("lang=\"{tag}\""))).expect(tag);
        }
    }

    #[test]
    fn a_package_of_another_format_is_called_by_its_name() {
        let old = MANIFEST.replace("imsqti_test_xmlv3p0", "imsqti_test_xmlv2p2");
        let mut package = good();
        put(&mut package, "imsmanifest.xml", &old);
        let faults = read(&package).expect_err("QTI 2");
        assert!(
            matches!(&faults[0].kind, FaultKind::ForeignFormat { format } if format == "QTI 2.x")
        );

        let mut package = Package::new();
        put(&mut package, "quiz.xml", "<?xml version=\"1.0\"?><quiz/>");
        let faults = read(&package).expect_err("Moodle");
        assert_eq!(faults[0].kind.word(), "foreign-format");

        let items = MANIFEST.replace("imsqti_test_xmlv3p0", "webcontent");
        let mut package = good();
        put(&mut package, "imsmanifest.xml", &items);
        let faults = read(&package).expect_err("no test");
        assert_eq!(faults[0].kind, FaultKind::ItemsWithoutTest { count: 2 });
    }

    #[test]
    fn a_single_choice_with_two_right_choices_is_a_fault() {
        let mut package = good();
        let changed = MULTIPLE.replace("\"multiple\"", "\"single\"");
        put(&mut package, "items/q2.xml", &changed);

        let faults = read(&package).expect_err("cardinality");

        assert_eq!(faults[0].kind.word(), "cardinality");
    }

    #[test]
    fn a_name_that_leads_out_of_the_package_is_refused() {
        let mut package = good();
        package.insert("../passwd".to_owned(), Vec::new());
        assert_eq!(
            read(&package).expect_err("dots")[0].kind,
            FaultKind::BadFileName
        );

        let mut package = good();
        let changed = SINGLE.replace("../pictures/heart.png", "../../../etc/passwd");
        put(&mut package, "items/q1.xml", &changed);
        assert_eq!(
            read(&package).expect_err("dots")[0].kind.word(),
            "foreign-address"
        );
    }

    #[test]
    fn a_picture_that_is_no_picture_is_refused() {
        let mut package = good();
        package.insert("pictures/heart.png".to_owned(), b"<svg/>".to_vec());

        assert_eq!(
            read(&package).expect_err("svg")[0].kind.word(),
            "bad-picture"
        );
    }

    #[test]
    fn the_demo_exam_is_good_and_the_bad_one_tells_each_items_fault() {
        let good = read(&folder("kk")).expect("good");
        assert_eq!((good.items.len(), good.pictures.is_empty()), (20, false));

        let faults = read(&folder("bad/qti")).expect_err("bad");

        for file in [
            "bad-01",
            "bad-02",
            "bad-03",
            "bad-04",
            "bad-05",
            "bad-06",
            "assessment",
        ] {
            let name = format!("{file}.xml");
            assert!(
                faults.iter().any(|fault| fault.place.file == name),
                "{name}: {faults:?}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_fail_otherwise_than_by_a_fault(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300),
            cut in 0usize..1_000,
        ) {
            let mut package = good();
            package.insert("items/q2.xml".to_owned(), bytes);
            let shorter = SINGLE.as_bytes().get(..cut).unwrap_or(SINGLE.as_bytes()).to_vec();
            package.insert("items/q1.xml".to_owned(), shorter);

            proptest::prop_assert!(read(&package).is_err());
        }
    }

    fn good() -> Package {
        let mut package = Package::new();
        put(&mut package, "imsmanifest.xml", MANIFEST);
        put(&mut package, "test.xml", TEST);
        put(&mut package, "items/q1.xml", SINGLE);
        put(&mut package, "items/q2.xml", MULTIPLE);
        package.insert("pictures/heart.png".to_owned(), png());
        package
    }

    fn png() -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image::RgbImage::new(8, 8)
            .write_to(&mut bytes, image::ImageFormat::Png)
            .expect("writes");
        bytes.into_inner()
    }

    /// Returns the faults of a package whose second item is `item`.
    fn faults_of(item: &str) -> Vec<FaultKind> {
        let mut package = good();
        put(&mut package, "items/q2.xml", item);
        let faults = read(&package).err().unwrap_or_default();
        faults.into_iter().map(|fault| fault.kind).collect()
    }

    /// Returns a package whose one item is `item`, in the test called `test.xml`.
    fn with_item(item: &str) -> Result<AssessmentTest, Vec<Fault>> {
        let mut package = good();
        put(&mut package, "items/q2.xml", item);
        read(&package)
    }

    fn folder(name: &str) -> Package {
        let root = format!(
            "{}/../../tests/data/exam/{name}",
            env!("CARGO_MANIFEST_DIR")
        );
        let mut package = Package::new();
        let mut open = vec![std::path::PathBuf::from(&root)];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).expect("a committed folder") {
                let path = entry.expect("readable").path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    let name = path.strip_prefix(&root).expect("inside").to_string_lossy();
                    package.insert(name.into_owned(), std::fs::read(&path).expect("readable"));
                }
            }
        }
        package
    }

    fn put(package: &mut Package, name: &str, text: &str) {
        package.insert(name.to_owned(), text.as_bytes().to_vec());
    }

    fn read(package: &Package) -> Result<AssessmentTest, Vec<Fault>> {
        let stated = Stated {
            language: "kk".to_owned(),
            ..Stated::default()
        };
        read_as(package, &stated)
    }

    fn read_as(package: &Package, stated: &Stated) -> Result<AssessmentTest, Vec<Fault>> {
        let mut next = 0u8;
        let mut random = || {
            next = next.wrapping_add(1);
            [next; 10]
        };
        let mut identifiers = Identifiers {
            at: WallTime::from_unix_ms(1_790_000_000_000),
            random: &mut random,
        };
        read_package(package, stated, &mut identifiers)
    }
}
