//! The printed words of Form 1: defaults from the procedure's forms, each of which an
//! institution can change.

use serde::{Deserialize, Serialize};

use crate::language::Language;

/// Declares the texts once, as the full set and as the changes an institution makes to it.
macro_rules! texts {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// Holds every printed word of Form 1 in one language.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        pub struct Form1Texts {
            $($(#[$doc])+ pub $name: String,)+
        }

        /// Holds the words that an institution changes; what is absent stays as it is.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Form1TextChanges {
            $($(#[$doc])+ #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<String>,)+
        }

        impl Form1Texts {
            /// Returns these texts with `changes` made.
            #[must_use]
            pub fn with(self, changes: Form1TextChanges) -> Self {
                Self { $($name: changes.$name.unwrap_or(self.$name),)+ }
            }
        }
    };
}

texts! {
    /// The form's own mark, right above the title.
    form_mark,
    /// The title before the number.
    title,
    /// The line under the title.
    subtitle,
    /// Label of the discipline.
    discipline,
    /// Label of those who drew the act up.
    members,
    /// Label of the candidate's name.
    candidate,
    /// Label of the faculty.
    faculty,
    /// Label of the year of study.
    year,
    /// Label of the group.
    group,
    /// Label of the date.
    date,
    /// Label of the time.
    time,
    /// The line above the boxes.
    description,
    /// First box.
    box_mobile_phone,
    /// Second box.
    box_crib_sheets,
    /// Third box.
    box_communication_devices,
    /// Fourth box.
    box_other_screen,
    /// Fifth box.
    box_left_seat,
    /// Sixth box.
    box_talking,
    /// What stands before the decision.
    in_view_of_this,
    /// The decision to annul, printed only when it was made.
    sanction_annul_result,
    /// What stands after the candidate's name.
    candidate_mark,
    /// The line above the signatures.
    acquainted,
    /// Label of the candidate's signature.
    candidate_signature,
    /// Label of the dean's signature.
    dean_signature,
    /// The blank date beside a signature.
    signature_date,
    /// Heading above the stills.
    evidence,
    /// Heading above the recording's link and root.
    recording,
    /// Label of the recording's link.
    recording_link,
    /// Label of the recording's root.
    recording_root,
    /// Heading beside the code.
    verification,
    /// Label of the verification link.
    verification_link,
    /// Label of the act's hash.
    act_hash,
    /// Label of the validity.
    validity,
    /// What the seal proves and what not.
    seal_note,
    /// What is said of the code to those who cannot see it; the link follows.
    code_alt,
    /// The page's place, with `{page}` and `{total}`.
    page,
}

impl Form1Texts {
    /// Returns the default texts in `language`.
    #[must_use]
    pub fn of(language: Language) -> Self {
        match language {
            Language::Kazakh => kazakh(),
            Language::Russian => russian(),
            Language::English => english(),
        }
    }
}

fn kazakh() -> Form1Texts {
    Form1Texts {
        form_mark: "1-үлгі".to_owned(),
        title: "АКТ №".to_owned(),
        subtitle: "емтихандағы тәртіп ережелерін бұзу туралы".to_owned(),
        discipline: "Пән:".to_owned(),
        members: "Осы актіні жасаған тұлғалардың тегі, аты, әкесінің аты:".to_owned(),
        candidate: "Білім алушының АТӘ:".to_owned(),
        faculty: "Факультет:".to_owned(),
        year: "Курс:".to_owned(),
        group: "Топ №:".to_owned(),
        date: "Күні:".to_owned(),
        time: "Уақыты:".to_owned(),
        description: "Бұзушылықтың сипаттамасы (керегін белгілеу / немесе астын сызу):".to_owned(),
        box_mobile_phone: "ұялы телефонды пайдалану".to_owned(),
        box_crib_sheets: "шпаргалкаларды пайдалану".to_owned(),
        box_communication_devices:
            "электрондық байланыс құралдарын пайдалану (құлаққаптар және т. б.)".to_owned(),
        box_other_screen: "басқа компьютер экранынан ақпаратты оқу".to_owned(),
        box_left_seat: "өздігінен орын ауыстыру, аудиториядан шығу".to_owned(),
        box_talking: "студенттер арасындағы әңгімелер".to_owned(),
        in_view_of_this: "Осы фактіні ескере отырып:".to_owned(),
        sanction_annul_result: "білім алушының емтихан нәтижелерін жою".to_owned(),
        candidate_mark: "(Білім алушының АТӘ)".to_owned(),
        acquainted: "Актімен таныстым:".to_owned(),
        candidate_signature: "Білім алушының қолы:".to_owned(),
        dean_signature: "Факультет деканы:".to_owned(),
        signature_date: "«____» ______________ 20____ ж.".to_owned(),
        evidence: "Дәлелдемелер".to_owned(),
        recording: "Жазба".to_owned(),
        recording_link: "Жазбаға сілтеме:".to_owned(),
        recording_root: "Жазбаның түбірлік хэші (SHA-256):".to_owned(),
        verification: "Тексеру".to_owned(),
        verification_link: "Тексеру сілтемесі:".to_owned(),
        act_hash: "Актінің хэші (SHA-256):".to_owned(),
        validity: "Жарамдылығы:".to_owned(),
        seal_note: "Құжатқа жүйенің электрондық мөрі басылады. Мөр құжаттың берілген сәттен бері \
            өзгермегенін растайды; ол Қазақстан Республикасының заңнамасы бойынша электрондық \
            цифрлық қолтаңба болып табылмайды."
            .to_owned(),
        code_alt: "Тексеру сілтемесі бар QR-код:".to_owned(),
        page: "{total} беттің {page}-беті".to_owned(),
    }
}

fn russian() -> Form1Texts {
    Form1Texts {
        form_mark: "Форма 1".to_owned(),
        title: "АКТ №".to_owned(),
        subtitle: "о нарушении правил поведения на экзамене".to_owned(),
        discipline: "Дисциплина:".to_owned(),
        members: "Фамилия, имя, отчество лиц, составивших настоящий акт:".to_owned(),
        candidate: "ФИО обучающегося:".to_owned(),
        faculty: "Факультет:".to_owned(),
        year: "Курс:".to_owned(),
        group: "Группа №:".to_owned(),
        date: "Дата:".to_owned(),
        time: "Время:".to_owned(),
        description: "Описание нарушения (нужное отметить или подчеркнуть):".to_owned(),
        box_mobile_phone: "использование мобильного телефона".to_owned(),
        box_crib_sheets: "использование шпаргалок".to_owned(),
        box_communication_devices: "использование электронных средств связи (наушники и др.)"
            .to_owned(),
        box_other_screen: "чтение информации с экрана другого компьютера".to_owned(),
        box_left_seat: "самовольная пересадка, выход из аудитории".to_owned(),
        box_talking: "разговоры между студентами".to_owned(),
        in_view_of_this: "С учётом данного факта:".to_owned(),
        sanction_annul_result: "аннулировать результаты экзамена обучающегося".to_owned(),
        candidate_mark: "(ФИО обучающегося)".to_owned(),
        acquainted: "С актом ознакомлен:".to_owned(),
        candidate_signature: "Подпись обучающегося:".to_owned(),
        dean_signature: "Декан факультета:".to_owned(),
        signature_date: "«____» ______________ 20____ г.".to_owned(),
        evidence: "Доказательства".to_owned(),
        recording: "Запись".to_owned(),
        recording_link: "Ссылка на запись:".to_owned(),
        recording_root: "Корневой хеш записи (SHA-256):".to_owned(),
        verification: "Проверка".to_owned(),
        verification_link: "Ссылка для проверки:".to_owned(),
        act_hash: "Хеш акта (SHA-256):".to_owned(),
        validity: "Действительность:".to_owned(),
        seal_note: "Документ скрепляется электронной печатью системы. Печать подтверждает, что \
            документ не изменялся с момента выдачи; она не является электронной цифровой \
            подписью по законодательству Республики Казахстан."
            .to_owned(),
        code_alt: "QR-код со ссылкой для проверки:".to_owned(),
        page: "страница {page} из {total}".to_owned(),
    }
}

fn english() -> Form1Texts {
    Form1Texts {
        form_mark: "Form 1".to_owned(),
        title: "ACT No".to_owned(),
        subtitle: "on a breach of the rules of conduct at an examination".to_owned(),
        discipline: "Discipline:".to_owned(),
        members: "Drawn up by:".to_owned(),
        candidate: "Candidate:".to_owned(),
        faculty: "Faculty:".to_owned(),
        year: "Year:".to_owned(),
        group: "Group No:".to_owned(),
        date: "Date:".to_owned(),
        time: "Time:".to_owned(),
        description: "Description of the breach (mark or underline):".to_owned(),
        box_mobile_phone: "use of a mobile phone".to_owned(),
        box_crib_sheets: "use of crib sheets".to_owned(),
        box_communication_devices: "use of electronic communication devices (headphones …)"
            .to_owned(),
        box_other_screen: "reading from another computer's screen".to_owned(),
        box_left_seat: "changing seat or leaving the room without leave".to_owned(),
        box_talking: "talking between students".to_owned(),
        in_view_of_this: "In view of this:".to_owned(),
        sanction_annul_result: "the candidate's examination result is annulled".to_owned(),
        candidate_mark: "(candidate)".to_owned(),
        acquainted: "I have read the act:".to_owned(),
        candidate_signature: "Candidate's signature:".to_owned(),
        dean_signature: "Dean of the faculty:".to_owned(),
        signature_date: "____ ______________ 20____".to_owned(),
        evidence: "Evidence".to_owned(),
        recording: "Recording".to_owned(),
        recording_link: "Link to the recording:".to_owned(),
        recording_root: "Root hash of the recording (SHA-256):".to_owned(),
        verification: "Verification".to_owned(),
        verification_link: "Verification link:".to_owned(),
        act_hash: "Hash of the act (SHA-256):".to_owned(),
        validity: "Validity:".to_owned(),
        seal_note: "The system seals this document digitally. The seal proves that the document \
            has not changed since it was issued; it is not an electronic digital signature \
            under the law of the Republic of Kazakhstan."
            .to_owned(),
        code_alt: "QR code with the verification link:".to_owned(),
        page: "page {page} of {total}".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_replaces_one_text_and_leaves_the_rest() {
        let changes = Form1TextChanges {
            group: Some("Топ:".to_owned()),
            ..Form1TextChanges::default()
        };

        let texts = Form1Texts::of(Language::Kazakh).with(changes);

        assert_eq!(texts.group, "Топ:");
        assert_eq!(texts.title, Form1Texts::of(Language::Kazakh).title);
    }

    #[test]
    fn a_text_that_the_form_does_not_have_is_refused_by_name() {
        let refused = serde_json::from_str::<Form1TextChanges>(r#"{"grupp": "Топ:"}"#);

        let message = refused.expect_err("there is no such text").to_string();
        assert!(message.contains("grupp"), "{message}");
    }
}
