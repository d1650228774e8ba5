//! The sections of the settings file.

use std::path::PathBuf;

use qorgan_protocol::wire::TextIn;
use serde::Deserialize;

/// Own certificate files; empty paths take the built-in authority.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsFiles {
    /// PEM chain, leaf first.
    pub certificate: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
}

/// The name of a time zone in the IANA database.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TimeZoneName(String);

impl TimeZoneName {
    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TimeZoneName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        match jiff::tz::TimeZone::get(&name) {
            Ok(_zone) => Ok(Self(name)),
            Err(error) => Err(format!("`{name}` is no IANA time zone: {error}")),
        }
    }
}

/// The URL of a PostgreSQL database, or nothing. It may hold a password, so nothing prints it.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "String")]
pub struct DatabaseUrl(String);

/// Says that a text names no PostgreSQL database. The text is not repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "no PostgreSQL database is named (expected postgres://USER@HOST/DATABASE; the password can stand \
     in PGPASSWORD or in the file ~/.pgpass)"
)]
pub struct DatabaseUrlError;

impl DatabaseUrl {
    /// Tells whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the text, to be given to the database alone.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_empty() {
            "none"
        } else {
            "postgres://…"
        })
    }
}

impl std::str::FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, DatabaseUrlError> {
        let known = ["postgres://", "postgresql://"];
        let parameters = text.split_once('?').map_or("", |(_, rest)| rest);
        let mut parameters = parameters.split('&').filter(|pair| !pair.is_empty());
        let are_known = parameters.all(|pair| {
            let name = pair.split('=').next().unwrap_or_default();
            PARAMETERS.contains(&name)
        });
        let address = known.iter().find_map(|start| text.strip_prefix(start));
        let names = address.is_some_and(|address| {
            let address = address.split('?').next().unwrap_or_default();
            let name = address.split_once('/').map_or("", |(_, name)| name);
            !name.is_empty() || text.contains("dbname=")
        });
        if text.is_empty() || names && are_known {
            Ok(Self(text.to_owned()))
        } else {
            Err(DatabaseUrlError)
        }
    }
}

/// What may stand behind a URL's `?`; anything else would be printed by the database's library.
const PARAMETERS: [&str; 9] = [
    "dbname",
    "host",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

impl TryFrom<String> for DatabaseUrl {
    type Error = DatabaseUrlError;

    fn try_from(text: String) -> Result<Self, DatabaseUrlError> {
        text.parse()
    }
}

/// Who holds the exams.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InstitutionSettings {
    /// Name in Kazakh.
    pub name_kk: String,
    /// Name in Russian.
    pub name_ru: String,
    /// Name in English.
    pub name_en: String,
    /// Whom candidates call.
    pub support: String,
    /// The zone that times are shown in.
    pub time_zone: TimeZoneName,
}

impl Default for InstitutionSettings {
    fn default() -> Self {
        Self {
            name_kk: "Университет".to_owned(),
            name_ru: "Университет".to_owned(),
            name_en: "University".to_owned(),
            support: "+7 727 000 00 00".to_owned(),
            time_zone: TimeZoneName("Asia/Almaty".to_owned()),
        }
    }
}

/// What one Argon2id hash costs (OWASP's choice by default), and how many are computed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "PasswordSettings")]
pub struct PasswordCost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Parallel lanes.
    pub lanes: u32,
    /// Threads that hash; 0 takes half of the cores.
    pub threads: u32,
}

impl Default for PasswordCost {
    fn default() -> Self {
        Self {
            memory_kib: 19_456,
            passes: 2,
            lanes: 1,
            threads: 0,
        }
    }
}

/// The section as it is written, before it is judged.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PasswordSettings {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    threads: u32,
}

impl Default for PasswordSettings {
    fn default() -> Self {
        let PasswordCost {
            memory_kib,
            passes,
            lanes,
            threads,
        } = PasswordCost::default();
        Self {
            memory_kib,
            passes,
            lanes,
            threads,
        }
    }
}

impl TryFrom<PasswordSettings> for PasswordCost {
    type Error = String;

    fn try_from(typed: PasswordSettings) -> Result<Self, String> {
        let work = u64::from(typed.memory_kib) * u64::from(typed.passes);
        if typed.memory_kib < MEMORY_KIB_MIN || work < WORK_MIN {
            return Err(format!(
                "a password's hash must take at least {MEMORY_KIB_MIN} KiB, and {WORK_MIN} KiB in all \
                 passes together: else a stolen database gives its passwords away"
            ));
        }
        if typed.memory_kib > MEMORY_KIB_MAX || typed.passes > PASSES_MAX {
            return Err(format!(
                "a password's hash may take at most {MEMORY_KIB_MAX} KiB and {PASSES_MAX} passes: else \
                 nobody signs in in time"
            ));
        }
        if !(1..=LANES_MAX).contains(&typed.lanes) {
            return Err(format!("a password's hash has 1 to {LANES_MAX} lanes"));
        }
        Ok(Self {
            memory_kib: typed.memory_kib,
            passes: typed.passes,
            lanes: typed.lanes,
            threads: typed.threads,
        })
    }
}

/// The least of OWASP's equal choices for Argon2id: 7 MiB in five passes.
const MEMORY_KIB_MIN: u32 = 7_168;
const WORK_MIN: u64 = 35_840;
const MEMORY_KIB_MAX: u32 = 1_048_576;
const PASSES_MAX: u32 = 32;
const LANES_MAX: u32 = 16;

/// How long people and programs stay signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignInSettings {
    /// A client's token ends so many minutes after its last use.
    pub client_minutes: u32,
    /// A client's token ends so many hours after the sign-in, however it is used.
    pub client_hours_max: u32,
    /// A member of staff is signed out so many minutes after the last use.
    pub staff_minutes: u32,
    /// A member of staff is signed out so many hours after the sign-in, however much is done.
    pub staff_hours_max: u32,
    /// A password that the server made and handed out is good for so many days.
    pub code_days: u32,
    /// Whether staff must set up a second factor at the first sign-in.
    pub staff_totp_required: bool,
}

impl Default for SignInSettings {
    fn default() -> Self {
        Self {
            client_minutes: 30,
            client_hours_max: 16,
            staff_minutes: 60,
            staff_hours_max: 12,
            code_days: 90,
            staff_totp_required: true,
        }
    }
}

/// Rate limits: account and device first, network only far above a full lab. A network is one IPv4
/// address or the /64 of an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Wrong passwords for one account in fifteen minutes: from one network, and from each device that
    /// signed in before. All networks where it never did have three times as many together; beyond them
    /// each such network has three more a day, within wider bounds (SECURITY.md).
    pub account_tries: u32,
    /// Wrong passwords from one device in fifteen minutes.
    pub device_tries: u32,
    /// Codes of a second factor for one account in fifteen minutes.
    pub code_tries: u32,
    /// Sign-ins from one network in a minute.
    pub address_tries_per_minute: u32,
    /// Connections of one network at once; trusted proxies are not counted.
    pub address_connections: u32,
    /// How many of these may belong to nobody who is signed in; those idle longest go first.
    pub address_strangers: u32,
    /// How many candidates sit exams at once; the system must allow files and connections for them.
    pub candidates: u32,
    /// How long a connection may take for its handshake, and for the head of each request, so that it may
    /// be idle for so long; clients keep theirs for `IDLE_KEPT_SECONDS` of the protocol's limits.
    pub header_seconds: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            account_tries: 10,
            device_tries: 40,
            code_tries: 5,
            address_tries_per_minute: 3_000,
            address_connections: 16_384,
            address_strangers: 2_048,
            candidates: 2_000,
            header_seconds: 20,
        }
    }
}

/// How many bits a second an agent may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bandwidth {
    /// At most 150 kbit/s for all streams together.
    Economy,
    /// At most 300 kbit/s.
    Standard,
    /// The full quality.
    Rich,
}

impl Bandwidth {
    /// Returns the word on the wire and in SQL.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Economy => "economy",
            Self::Standard => "standard",
            Self::Rich => "rich",
        }
    }
}

/// Defaults of new sittings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExamDefaults {
    /// How much an agent may send.
    pub bandwidth: Bandwidth,
    /// Programs that are reported when they run.
    pub deny_processes: Vec<String>,
    /// Programs that are never reported.
    pub allow_processes: Vec<String>,
    /// How long recordings are kept after the attempt, in days.
    pub retention_days: u32,
}

impl Default for ExamDefaults {
    fn default() -> Self {
        let names = [
            "anydesk",
            "teamviewer",
            "rustdesk",
            "zoom",
            "discord",
            "obs",
        ];
        Self {
            bandwidth: Bandwidth::Standard,
            deny_processes: names.map(str::to_owned).to_vec(),
            allow_processes: Vec::new(),
            retention_days: 365,
        }
    }
}

/// Texts shown at check-in, by language; paragraphs are parted by an empty line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Texts {
    /// The consent text's version; raise it with every change.
    pub consent_version: String,
    /// Consent in Kazakh.
    pub consent_kk: String,
    /// Consent in Russian.
    pub consent_ru: String,
    /// Consent in English.
    pub consent_en: String,
    /// The instruction's version.
    pub instruction_version: String,
    /// Instruction in Kazakh.
    pub instruction_kk: String,
    /// Instruction in Russian.
    pub instruction_ru: String,
    /// Instruction in English.
    pub instruction_en: String,
}

impl Texts {
    /// Returns the consent in every language.
    #[must_use]
    pub fn consent(&self) -> TextIn {
        TextIn {
            kk: self.consent_kk.clone(),
            ru: self.consent_ru.clone(),
            en: self.consent_en.clone(),
        }
    }

    /// Returns the instruction in every language.
    #[must_use]
    pub fn instruction(&self) -> TextIn {
        TextIn {
            kk: self.instruction_kk.clone(),
            ru: self.instruction_ru.clone(),
            en: self.instruction_en.clone(),
        }
    }
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            consent_version: "2026-4".to_owned(),
            consent_kk: CONSENT_KK.to_owned(),
            consent_ru: CONSENT_RU.to_owned(),
            consent_en: CONSENT_EN.to_owned(),
            instruction_version: "2026-1".to_owned(),
            instruction_kk: INSTRUCTION_KK.to_owned(),
            instruction_ru: INSTRUCTION_RU.to_owned(),
            instruction_en: INSTRUCTION_EN.to_owned(),
        }
    }
}

const CONSENT_KK: &str = "Емтихан кезінде камераңыз, микрофоныңыз және экраныңыз жазылады. \
Жазба тіркелуден басталып, емтихан тапсырылғанда аяқталады.\n\n\
Осы компьютердегі бағдарлама проктор назар аударатын сәттерді белгілейді: камера алдында бір адам ба \
және сол адам ба, ол қайда қарайды, қолында телефон бар ма, басқа біреу сөйлей ме, қандай терезелер \
ашық. Бағдарлама ештеңе шешпейді: әр сәтті адамдар қарайды. Бетіңіз бен даусыңыз туралы білгені осы \
компьютерде шифрланып тұрады және жазба жеткізілгенде жойылады; сондай сәттердің суреті мен дыбысы жазбаға кіреді.\n\n\
Жазбаны тек емтихан өткізуге жауапты қызметкерлер көреді. Ол сақтау мерзімі біткенше шифрланып \
сақталады.\n\n\
Келіспесеңіз, тестілеу орталығына хабарласыңыз: емтиханды орталықта тапсыра аласыз.";
const CONSENT_RU: &str = "Во время экзамена записываются ваша камера, микрофон и экран. Запись \
начинается с регистрации и заканчивается сдачей экзамена.\n\n\
Программа на этом компьютере отмечает моменты, на которые проктору стоит взглянуть: один ли человек \
перед камерой и тот же ли, куда он смотрит, нет ли в руках телефона, говорит ли кто-то ещё, какие \
окна открыты. Она ничего не решает: каждый момент смотрят люди. То, что она узнала о вашем лице и \
голосе, хранится зашифрованным на этом компьютере и удаляется, когда запись доставлена; изображения и звук таких моментов входят в \
запись.\n\n\
Запись видят только сотрудники, ответственные за экзамен. Она хранится в зашифрованном виде до \
конца срока хранения.\n\n\
Если вы не согласны, обратитесь в центр тестирования: экзамен можно сдать в центре.";
const CONSENT_EN: &str = "During the exam your camera, your microphone and your screen are \
recorded. Recording starts with check-in and ends when the exam is submitted.\n\n\
A program on this computer marks moments that a proctor should look at: whether one person sits before \
the camera and the same one, where they look, whether there is a phone, whether somebody else speaks, which \
windows are open. It decides nothing: people look at each moment. What it learns of your face and \
voice is kept encrypted on this computer and deleted once the recording is delivered; pictures and sound of such moments belong to the \
recording.\n\n\
Only the staff who are responsible for the exam see the recording. It is kept encrypted until its \
term ends.\n\n\
If you do not agree, call the testing centre: you can sit the exam there.";
const INSTRUCTION_KK: &str = "Емтиханды жалғыз, тыныш бөлмеде тапсырыңыз. Телефонды, жазбаларды \
және басқа құрылғыларды алып тастаңыз.\n\n\
Камера, микрофон және экран бүкіл емтихан бойы қосулы болуы тиіс. Біреуі үзілсе, сұрақтар \
жабылады және ол қайта қосылғанда ашылады.\n\n\
Басқа терезеге ауыспаңыз. Әр жауап бірден сақталады. Көмек керек болса, қол көтеріңіз.";
const INSTRUCTION_RU: &str = "Сдавайте экзамен в одиночестве, в тихой комнате. Уберите телефон, \
записи и другие устройства.\n\n\
Камера, микрофон и экран должны работать весь экзамен. Если что-то прервётся, вопросы \
закрываются и открываются снова, когда всё вернётся.\n\n\
Не переходите в другие окна. Каждый ответ сохраняется сразу. Если нужна помощь, поднимите руку.";
const INSTRUCTION_EN: &str = "Sit the exam alone, in a quiet room. Put away your phone, your notes \
and other devices.\n\n\
Camera, microphone and screen must run during the whole exam. If one of them stops, the questions \
are covered, and shown again when it is back.\n\n\
Do not switch to other windows. Each response is saved at once. If you need help, raise your hand.";
