//! Lists of people and admission sheets, good and bad.

#[cfg(test)]
mod tests {
    use qorgan_protocol::incident::Allowance;
    use qorgan_server_core::fault::{FaultKind, NoteKind};
    use qorgan_server_core::sheets::{
        POSITIVE_RATING_DEFAULT, Rating, Role, foreign_disciplines, read_admission, read_people,
    };

    #[test]
    fn kazakh_headings_semicolons_and_a_byte_order_mark_are_read() {
        let sheet = "\u{feff}ЖСН;Тегі;Аты;Әкесінің аты;Рөлі;Тілі;Факультет;Курс;Топ\n\
            040101500001;Әбілқасымова;Гүлнұр;Өмірбекқызы;;қаз;Жалпы медицина;2;ЖМ-21-03\n\
            proctor.1;Серікұлы;Ерлан;;проктор;;;;\n";

        let people = read_people("people.csv", sheet.as_bytes())
            .expect("a good list")
            .rows;

        assert_eq!(people.len(), 2);
        assert_eq!(people[0].full_name(), "Әбілқасымова Гүлнұр Өмірбекқызы");
        assert_eq!(people[0].role, Role::Candidate);
        assert_eq!(people[0].group.as_deref(), Some("ЖМ-21-03"));
        assert_eq!(people[0].year.as_deref(), Some("2"));
        assert_eq!(people[1].role, Role::Proctor);
        assert!(people[1].password.is_none());
    }

    #[test]
    fn russian_headings_and_commas_are_read() {
        let sheet = "Логин,Фамилия,Имя\nivan,Иванов,\"Иван, младший\"\n";

        let people = read_people("people.csv", sheet.as_bytes())
            .expect("a good list")
            .rows;

        assert_eq!(people[0].given_name.as_deref(), Some("Иван, младший"));
    }

    #[test]
    fn every_wrong_field_is_named_with_line_and_column() {
        let sheet = "login;тегі;аты;тілі\na b;А;Б;kk\nc;;Б;de\nC;А;Б;ru\nd;А;Б\n";

        let faults = read_people("people.csv", sheet.as_bytes()).expect_err("five faults");

        let found: Vec<_> = faults
            .iter()
            .map(|fault| {
                (
                    fault.place.line,
                    fault.place.column.as_deref(),
                    fault.kind.word(),
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                (Some(2), Some("login"), "bad-login"),
                (Some(3), Some("тегі"), "empty-field"),
                (Some(3), Some("тілі"), "bad-word"),
                (Some(4), Some("login"), "repeated-login"),
                (Some(5), None, "wrong-fields"),
            ]
        );
    }

    #[test]
    fn both_lists_ask_the_same_of_a_login() {
        let long = "a".repeat(65);
        let logins = ["a b", "A", "a", "", "", long.as_str()];
        let sheet = |heading: &str, rest: &str| {
            let lines = logins.map(|login| format!("{login}{rest}\n")).concat();
            format!("{heading}\n{lines}")
        };
        let people = read_people("p.csv", sheet("login;тегі;аты", ";А;Б").as_bytes());
        let admission = read_admission(
            "a.csv",
            sheet("login;жр", ";90").as_bytes(),
            POSITIVE_RATING_DEFAULT,
        );

        for faults in [people.expect_err("bad"), admission.expect_err("bad")] {
            let found: Vec<_> = faults
                .iter()
                .map(|fault| (fault.place.line, fault.kind.word()))
                .collect();
            assert_eq!(
                found,
                [
                    (Some(2), "bad-login"),
                    (Some(4), "repeated-login"),
                    (Some(5), "empty-field"),
                    (Some(6), "empty-field"),
                    (Some(7), "long-field"),
                ]
            );
        }
    }

    #[test]
    fn a_missing_heading_is_told_with_the_names_it_may_have() {
        let faults = read_people("people.csv", "аты\nГүлнұр\n".as_bytes()).expect_err("no login");

        assert!(faults.iter().any(|fault| matches!(&fault.kind,
            FaultKind::MissingColumn { names, .. } if names.contains("жсн"))));
    }

    /// Lists as offices save them: text, then the words of the notes that are told.
    #[test]
    fn lists_as_offices_save_them_are_read_and_what_was_skipped_or_guessed_is_told() {
        let cases: [(&str, &[&str]); 17] = [
            ("\r\nlogin;тегі;аты\na;Әли;Жан\n", &[]),
            (
                "Список студентов;;\n\nlogin;тегі;аты\na;Әли;Жан\n",
                &["skipped-lines"],
            ),
            ("sep=;\nlogin;тегі;аты\na;Әли;Жан\n", &[]),
            ("\"sep=,\"\nlogin,тегі,аты\na,Әли,Жан\n", &[]),
            ("login\tтегі\tаты\na\tӘли\tЖан\n", &[]),
            ("login;тегі;аты;\na;Әли;Жан;\n;;;\n", &[]),
            ("login;тегі;аты\na;Әли;Жан;;\n", &[]),
            ("login;тегі;аты\ra;Әли;Жан\r", &[]),
            ("№;login;тегі;аты\n1;a;Әли;Жан\n", &["skipped-column"]),
            ("login;ФИО\na;Әли Жан\n", &["split-names"]),
            ("login;\"тегі\n(фамилия)\";аты\na;Әли;Жан\n", &[]),
            ("ЛОГИН;ФАМИЛИЯ;ИМЯ\na;Әли;Жан\n", &[]),
            ("login;тегі;аты\n1;2;3\na;Әли;Жан\n", &["skipped-lines"]),
            (
                "login;тегі;аты\na;Әли;Жан\nlogin;тегі;аты\n",
                &["skipped-lines"],
            ),
            ("login;тегі;аты;\na;Әли;Жан;x\n", &["unnamed-column"]),
            ("Name;Login;Group\nӘли Жан;a;1\n", &["split-names"]),
            ("login;тегі;аты\na;Әлu;Жан\n", &["mixed-alphabets"]),
        ];
        for (text, words) in cases {
            let sheet = read_people("p.csv", text.as_bytes()).expect(text);
            let told: Vec<_> = sheet.notes.iter().map(|note| note.kind.word()).collect();
            assert_eq!(told, words, "{text}");
            assert_eq!(sheet.rows.len(), 1, "{text}");
            assert_eq!(sheet.rows[0].login, "a");
            assert_eq!(sheet.rows[0].given_name.as_deref(), Some("Жан"), "{text}");
        }
    }

    #[test]
    fn a_list_in_the_encoding_of_an_office_is_read_and_the_guess_is_told() {
        let files: [(&str, &[u8]); 4] = [
            ("Windows-1251", include_bytes!("data/people/cp1251.csv")),
            ("UTF-16 LE", include_bytes!("data/people/utf16le.csv")),
            ("UTF-16 BE", include_bytes!("data/people/utf16be.csv")),
            ("CP866", include_bytes!("data/people/cp866.csv")),
        ];
        for (name, bytes) in files {
            let sheet = read_people("p.csv", bytes).expect(name);
            assert_eq!(sheet.rows[0].full_name(), "Иванов Иван", "{name}");
            let encoding = name.to_owned();
            assert_eq!(sheet.notes[0].kind, NoteKind::Encoding { encoding });
        }
    }

    #[test]
    fn what_a_list_cannot_mean_is_told_with_line_column_and_word() {
        for (text, word, line) in [
            ("login;тегі;аты\na;А\u{7};Б\n", "hidden-character", Some(2)),
            (
                "login;тегі;аты\na;А;Б\u{202e}\n",
                "hidden-character",
                Some(2),
            ),
            (
                "login;тегі;аты\na\u{200b};А;Б\n",
                "hidden-character",
                Some(2),
            ),
            (
                "login;тегі;аты\na;\"А;Б\nб;В;Г\n",
                "unclosed-quote",
                Some(2),
            ),
            ("login;тегі;аты\na;?сел;Б\n", "lost-letters", Some(2)),
            ("жсн;тегі;аты\n4010150001;А;Б\n", "lost-zero", Some(2)),
            (
                "жсн;тегі;аты\n4,01015E+10;А;Б\n",
                "scientific-number",
                Some(2),
            ),
            (
                "login;тегі;аты\nAset;А;Б\naset;А;Б\n",
                "repeated-login",
                Some(3),
            ),
            (
                "login;тегі;аты\ncafé;А;Б\ncafe\u{301};А;Б\n",
                "repeated-login",
                Some(3),
            ),
            ("login;тегі;аты;email\na;А;Б;x@y,kz\n", "bad-email", Some(2)),
            (
                "login;тегі;аты;email\na;А;Б;a@b.kz;c@d.kz\n",
                "wrong-fields",
                Some(2),
            ),
            ("login;тегі\na;А\n", "missing-column", Some(1)),
            ("login;ФИО\na;Иванов\n", "one-name", Some(2)),
            ("PK\u{3}\u{4}xlsx", "other-file", None),
            ("<html><table>", "other-file", None),
            ("login;тегі;аты\n", "empty", None),
        ] {
            let faults = read_people("p.csv", text.as_bytes()).expect_err(text);
            let first = &faults[0];
            assert_eq!(
                (first.kind.word(), first.place.line),
                (word, line),
                "{text}"
            );
        }
    }

    #[test]
    fn numbers_that_a_spreadsheet_keeps_as_text_are_numbers() {
        for written in [
            "'040101500009",
            "=\"040101500009\"",
            "\"=\"\"040101500009\"\"\"",
        ] {
            let text = format!("жсн;тегі;аты\n{written};А;Б\n");
            let sheet = read_people("p.csv", text.as_bytes()).expect("good");
            assert_eq!(sheet.rows[0].login, "040101500009", "{written}");
        }
    }

    #[test]
    fn a_column_that_is_absent_and_an_empty_cell_say_nothing_and_a_dash_empties() {
        let text = "login;тегі;аты;топ;email\na;А;Б;;-\n";
        let row = read_people("p.csv", text.as_bytes())
            .expect("good")
            .rows
            .remove(0);
        assert_eq!((row.faculty, row.group), (None, None));
        assert_eq!((row.email.as_deref(), row.language), (Some(""), None));

        let text = "login;доп. время;доступность\nа;;\nб;-;нет\nв;30 мин;да\n";
        let sheet = read_admission("a.csv", text.as_bytes(), POSITIVE_RATING_DEFAULT);
        let rows = sheet.expect("good").rows;
        let said: Vec<_> = rows
            .iter()
            .map(|row| (row.extra_minutes, row.accessibility))
            .collect();
        let wanted = [(None, None), (Some(0), Some(false)), (Some(30), Some(true))];
        assert_eq!(said, wanted);
        assert!(rows.iter().all(|row| row.admitted.is_none()));
    }

    #[test]
    fn a_list_without_names_only_changes_who_is_known() {
        let sheet = read_people("p.csv", "login;топ\na;ЖМ-2\n".as_bytes()).expect("good");
        assert_eq!(sheet.rows[0].family_name, None);
        assert_eq!(sheet.rows[0].group.as_deref(), Some("ЖМ-2"));
    }

    #[test]
    fn words_of_registries_are_read_in_an_admission_sheet() {
        let text = "№;ИИН;ФИО;Группа;Код дисциплины;ЖР;Допущена\n\
            1;040101500001;Асанова Жанна;ЖМ-1;AN 101;87;Допущена\n\
            2;040101500002;Әлі Дос;ЖМ-1;an-101;12;Не допущен(а)\n";
        let sheet = read_admission("a.csv", text.as_bytes(), POSITIVE_RATING_DEFAULT);
        let sheet = sheet.expect("good");
        let admitted: Vec<_> = sheet.rows.iter().map(|row| row.admitted).collect();
        assert_eq!(admitted, [Some(true), Some(false)]);
        let of = ("AN101", "Анатомия");
        assert_eq!(foreign_disciplines("a.csv", &sheet.rows, of), []);
        let other = ("BX201", "Биохимия");
        assert_eq!(foreign_disciplines("a.csv", &sheet.rows, other).len(), 2);
    }

    #[test]
    fn every_name_of_a_column_is_read_in_a_heading_of_any_case() {
        for heading in ["язык обучения", "Оқу тілі", "LANGUAGE", "Язык"] {
            let text = format!("login;тегі;аты;{heading};курс\na;А;Б;казахский язык;2 курс\n");
            let sheet = read_people("p.csv", text.as_bytes()).expect(heading);
            assert_eq!(sheet.rows[0].language.as_deref(), Some("kk"), "{heading}");
            assert_eq!(sheet.rows[0].year.as_deref(), Some("2"));
            assert_eq!(sheet.notes, []);
        }
    }

    #[test]
    fn what_is_granted_is_read_in_every_language_and_left_where_nothing_stands() {
        let sheet = "логин;особые условия\nа;чтение вслух + помощник\nб;\nв;нет\n\
            г;Дауыстап оқу, helper\n";
        let rows = read_admission("a.csv", sheet.as_bytes(), POSITIVE_RATING_DEFAULT);
        let granted: Vec<_> = rows
            .expect("a good sheet")
            .rows
            .into_iter()
            .map(|row| row.allowances)
            .collect();
        let both = Some(vec![Allowance::ReadingAloud, Allowance::Helper]);
        assert_eq!(granted, [both.clone(), None, Some(Vec::new()), both]);

        let sheet = "логин;allowances\nа;helper + notes\n";
        let faults = read_admission("a.csv", sheet.as_bytes(), POSITIVE_RATING_DEFAULT);
        let faults = faults.expect_err("no such allowance");
        assert_eq!(faults[0].kind.word(), "bad-word");
        assert_eq!(faults[0].place.column.as_deref(), Some("allowances"));
    }

    #[test]
    //= tests/data/sop-2-28.md#7-admission
    //= type=test
    fn only_a_positive_rating_admits() {
        let sheet = "логин;ЖР\nа;50\nб;49,99\nв;100\n";

        let sheet = read_admission("zhr.csv", sheet.as_bytes(), POSITIVE_RATING_DEFAULT)
            .expect("a good sheet");

        let admitted: Vec<_> = sheet.rows.iter().map(|row| row.admitted).collect();
        assert_eq!(admitted, [Some(true), Some(false), Some(true)]);
    }

    #[test]
    //= tests/data/sop-2-28.md#7-admission
    //= type=test
    fn a_sheet_that_admits_against_its_own_rating_is_refused() {
        let sheet = "логин;ЖР;жіберілді\nа;30;иә\n";

        let faults = read_admission("zhr.csv", sheet.as_bytes(), POSITIVE_RATING_DEFAULT)
            .expect_err("contradiction");

        assert_eq!(faults[0].kind.word(), "rating-contradiction");
    }

    #[test]
    fn the_lists_of_the_demo_are_good_and_the_bad_ones_tell_every_fault() {
        let read = |name: &str| {
            std::fs::read(format!(
                "{}/../../tests/data/exam/{name}",
                env!("CARGO_MANIFEST_DIR")
            ))
            .expect("a committed file")
        };
        let positive = POSITIVE_RATING_DEFAULT;

        let people = read_people("p", &read("candidates.csv"))
            .expect("good")
            .rows;
        let rows = read_admission("a", &read("admission.csv"), positive);
        let rows = rows.expect("good").rows;
        let bad_people = read_people("p", &read("bad/candidates.csv")).expect_err("bad");
        let bad_rows = read_admission("a", &read("bad/admission.csv"), positive).expect_err("bad");

        assert_eq!((people.len(), rows.len()), (12, 11));
        assert_eq!(
            rows.iter()
                .filter(|row| row.admitted == Some(false))
                .count(),
            1
        );
        let lines = |faults: &[qorgan_server_core::fault::Fault]| {
            let mut lines: Vec<_> = faults.iter().filter_map(|fault| fault.place.line).collect();
            lines.dedup();
            lines
        };
        assert_eq!(lines(&bad_people), [3, 4, 5, 6, 7]);
        assert_eq!(lines(&bad_rows), [2, 3, 4, 5]);
    }

    #[test]
    fn ratings_are_read_in_both_notations_and_bounded() {
        assert_eq!(Rating::parse("72,5").map(Rating::hundredths), Some(7_250));
        assert_eq!(Rating::parse("72.05").map(Rating::hundredths), Some(7_205));
        for bad in ["", "-1", "100.01", "7e1", "+5", "1.234", "ж"] {
            assert_eq!(Rating::parse(bad), None, "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_readers_fail_otherwise_than_by_a_fault(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400),
        ) {
            let _people = read_people("a.csv", &bytes);
            let _rows = read_admission("a.csv", &bytes, POSITIVE_RATING_DEFAULT);
        }
    }
}
