//! Lists of people and admission sheets, good and bad.

#[cfg(test)]
mod tests {
    use qorgan_protocol::incident::Allowance;
    use qorgan_server_core::fault::FaultKind;
    use qorgan_server_core::sheets::{
        POSITIVE_RATING_DEFAULT, Rating, Role, read_admission, read_people,
    };

    #[test]
    fn kazakh_headings_semicolons_and_a_byte_order_mark_are_read() {
        let sheet = "\u{feff}ЖСН;Тегі;Аты;Әкесінің аты;Рөлі;Тілі;Факультет;Курс;Топ\n\
            040101500001;Әбілқасымова;Гүлнұр;Өмірбекқызы;;қаз;Жалпы медицина;2;ЖМ-21-03\n\
            proctor.1;Серікұлы;Ерлан;;проктор;;;;\n";

        let people = read_people("people.csv", sheet.as_bytes()).expect("a good list");

        assert_eq!(people.len(), 2);
        assert_eq!(people[0].full_name(), "Әбілқасымова Гүлнұр Өмірбекқызы");
        assert_eq!(people[0].role, Role::Candidate);
        assert_eq!(people[0].group, "ЖМ-21-03");
        assert_eq!(people[1].role, Role::Proctor);
        assert!(people[1].password.is_none());
    }

    #[test]
    fn russian_headings_and_commas_are_read() {
        let sheet = "Логин,Фамилия,Имя\nivan,Иванов,\"Иван, младший\"\n";

        let people = read_people("people.csv", sheet.as_bytes()).expect("a good list");

        assert_eq!(people[0].given_name, "Иван, младший");
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

    #[test]
    fn bytes_of_another_encoding_are_told_by_line() {
        let mut sheet = b"login;last name;first name\na;b;c\nd;".to_vec();
        sheet.extend([0xC0, 0xE1]);
        sheet.extend(b";f\n");

        let faults = read_people("people.csv", &sheet).expect_err("windows-1251");

        assert_eq!(faults[0].kind, FaultKind::NotUtf8);
        assert_eq!(faults[0].place.line, Some(3));
    }

    #[test]
    fn what_is_granted_is_read_in_every_language_and_left_where_nothing_stands() {
        let sheet = "логин;особые условия\nа;чтение вслух + помощник\nб;\nв;нет\n\
            г;Дауыстап оқу, helper\n";
        let rows = read_admission("a.csv", sheet.as_bytes(), POSITIVE_RATING_DEFAULT);
        let granted: Vec<_> = rows
            .expect("a good sheet")
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

        let rows = read_admission("zhr.csv", sheet.as_bytes(), POSITIVE_RATING_DEFAULT)
            .expect("a good sheet");

        let admitted: Vec<_> = rows.iter().map(|row| row.admitted).collect();
        assert_eq!(admitted, [true, false, true]);
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

        let people = read_people("p", &read("candidates.csv")).expect("good");
        let rows = read_admission("a", &read("admission.csv"), positive).expect("good");
        let bad_people = read_people("p", &read("bad/candidates.csv")).expect_err("bad");
        let bad_rows = read_admission("a", &read("bad/admission.csv"), positive).expect_err("bad");

        assert_eq!((people.len(), rows.len()), (12, 11));
        assert_eq!(rows.iter().filter(|row| !row.admitted).count(), 1);
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
