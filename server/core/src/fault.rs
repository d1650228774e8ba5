//! What is wrong with a file that somebody gave us, and where.

use core::fmt;

/// Where a fault lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// The file, as it is called inside the folder or archive.
    pub file: String,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The item's own identifier, in a test.
    pub item: Option<String>,
    /// The column's heading, in a sheet.
    pub column: Option<String>,
}

impl Place {
    /// Names a whole file.
    #[must_use]
    pub fn file(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            ..Self::default()
        }
    }

    /// Names a line of a file.
    #[must_use]
    pub fn line(file: &str, line: u32) -> Self {
        Self {
            line: Some(line),
            ..Self::file(file)
        }
    }

    /// Returns the place with the item named.
    #[must_use]
    pub fn of_item(mut self, item: &str) -> Self {
        self.item = (!item.is_empty()).then(|| item.to_owned());
        self
    }

    /// Returns the place with the column named.
    #[must_use]
    pub fn in_column(mut self, column: &str) -> Self {
        self.column = Some(column.to_owned());
        self
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(item) = &self.item {
            write!(f, " [{item}]")?;
        }
        if let Some(column) = &self.column {
            write!(f, " «{column}»")?;
        }
        Ok(())
    }
}

/// One fault of an import.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What; its text also tells the remedy.
    pub kind: FaultKind,
}

impl Fault {
    /// Joins a place and a kind.
    #[must_use]
    pub const fn new(place: Place, kind: FaultKind) -> Self {
        Self { place, kind }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.kind.word())?;
        for (name, value) in self.kind.arguments() {
            write!(f, " {name}={value:?}")?;
        }
        Ok(())
    }
}

macro_rules! kinds {
    ($(#[$enum_doc:meta])* $enum:ident: $($(#[$doc:meta])* $name:ident $({ $($(#[$field_doc:meta])* $field:ident: $type:ty),+ $(,)? })? = $word:literal;)*) => {
        $(#[$enum_doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $enum {
            $($(#[$doc])* $name $({ $($(#[$field_doc])* $field: $type),+ })?,)*
        }

        impl $enum {
            /// Every word, in order.
            pub const WORDS: &'static [&'static str] = &[$($word,)*];

            /// Returns the key of its text.
            #[must_use]
            pub const fn word(&self) -> &'static str {
                match self { $(Self::$name { .. } => $word,)* }
            }

            /// Returns what its text is filled with.
            #[must_use]
            pub fn arguments(&self) -> Vec<(&'static str, String)> {
                match self {
                    $(Self::$name $({ $($field),+ })? => vec![$($((stringify!($field), $field.to_string())),+)?],)*
                }
            }
        }
    };
}

kinds! {
    /// What is wrong. Its word is the key of the text `fault-WORD`, which says what is wrong and
    /// what to do.
    FaultKind:
    /// Nothing was given.
    Empty = "empty";
    /// The file is larger than allowed.
    FileTooLarge {
        /// The most, in MiB.
        max_mib: usize,
    } = "file-too-large";
    /// There are more files than allowed.
    TooManyFiles {
        /// The most.
        max: usize,
    } = "too-many-files";
    /// The archive cannot be read.
    BadArchive {
        /// What the reader said.
        cause: String,
    } = "bad-archive";
    /// A name leads out of the folder.
    BadFileName = "bad-file-name";
    /// The text is not UTF-8.
    NotUtf8 = "not-utf8";
    /// The XML is not well formed.
    BadXml {
        /// What the reader said.
        cause: String,
    } = "bad-xml";
    /// A document type or entity definition.
    Doctype = "doctype";
    /// A reference to an entity that is not one of XML's five.
    Entity {
        /// Its name.
        entity: String,
    } = "entity";
    /// Nested too deep, or too many elements.
    TooComplex = "too-complex";
    /// An element outside the supported subset of QTI 3.
    UnknownElement {
        /// Its name.
        element: String,
        /// Inside what it stands.
        parent: String,
    } = "unknown-element";
    /// An attribute is missing.
    MissingAttribute {
        /// On which element.
        element: String,
        /// Which.
        attribute: String,
    } = "missing-attribute";
    /// An attribute has a value that is not supported.
    BadAttribute {
        /// Which.
        attribute: String,
        /// Its value.
        value: String,
        /// What is right.
        expected: String,
    } = "bad-attribute";
    /// An element that must be there is not.
    MissingElement {
        /// Which.
        element: String,
        /// Inside what.
        parent: String,
    } = "missing-element";
    /// An element stands more than once.
    RepeatedElement {
        /// Which.
        element: String,
    } = "repeated-element";
    /// Text stands where none may.
    StrayText {
        /// Inside what.
        parent: String,
    } = "stray-text";
    /// No manifest in the package.
    NoManifest = "no-manifest";
    /// A file that is named is not there.
    MissingFile {
        /// Which.
        href: String,
    } = "missing-file";
    /// The package has no test.
    NoTest = "no-test";
    /// The package has more than one test.
    SeveralTests {
        /// How many.
        count: usize,
    } = "several-tests";
    /// The test has no items.
    NoItems = "no-items";
    /// The test has more items than allowed.
    TooManyItems {
        /// The most.
        max: usize,
    } = "too-many-items";
    /// Two items or choices have one identifier.
    RepeatedIdentifier {
        /// Which.
        identifier: String,
    } = "repeated-identifier";
    /// The question is empty.
    NoPrompt = "no-prompt";
    /// Fewer than two choices.
    FewChoices = "few-choices";
    /// No right choice is given.
    NoCorrect = "no-correct";
    /// The key names a choice that is not there.
    UnknownCorrect {
        /// Which.
        choice: String,
    } = "unknown-correct";
    /// A single-choice item with several right choices, or the other way round.
    Cardinality {
        /// What is declared.
        declared: String,
        /// How many right choices there are.
        correct: usize,
        /// The most that may be chosen.
        choices_max: usize,
    } = "cardinality";
    /// The interaction and the declaration do not name each other.
    UnboundResponse {
        /// What the interaction names.
        response: String,
    } = "unbound-response";
    /// A picture that is neither PNG nor JPEG.
    BadPicture {
        /// Which file.
        href: String,
    } = "bad-picture";
    /// A picture without words for those who cannot see it.
    NoAlt {
        /// Which file.
        href: String,
    } = "no-alt";
    /// The file is of another format than QTI 3.
    ForeignFormat {
        /// What it is.
        format: String,
    } = "foreign-format";
    /// The manifest names items and no test.
    ItemsWithoutTest {
        /// How many items.
        count: usize,
    } = "items-without-test";
    /// Two files of an archive have one name.
    RepeatedFile {
        /// Which.
        name: String,
    } = "repeated-file";
    /// A reference leads out of the package, to another machine or folder.
    ForeignAddress {
        /// Which.
        href: String,
    } = "foreign-address";
    /// Raised or lowered text without characters of its own.
    Unshown {
        /// `sup` or `sub`.
        element: String,
        /// The text.
        text: String,
    } = "unshown";
    /// Two choices of an item read alike.
    SameChoices {
        /// What they say.
        text: String,
    } = "same-choices";
    /// Something stands after the choices, where the kiosk shows nothing.
    AfterChoices {
        /// Which element.
        element: String,
    } = "after-choices";
    /// The test is in another language than stated.
    WrongLanguage {
        /// What stands in the file.
        found: String,
        /// What was stated.
        expected: String,
    } = "wrong-language";
    /// The number of items is not the one stated (SOP 6).
    WrongCount {
        /// How many there are.
        found: usize,
        /// How many were stated.
        expected: usize,
    } = "wrong-count";
    /// The test's name is not the one stated (SOP 6).
    WrongTitle {
        /// What stands in the file.
        found: String,
        /// What was stated.
        expected: String,
    } = "wrong-title";
    /// The discipline's code is not the one stated (SOP 6).
    WrongDiscipline {
        /// What stands in the file.
        found: String,
        /// What was stated.
        expected: String,
    } = "wrong-discipline";
    /// The control form is not a test (SOP 6).
    WrongControlForm {
        /// What was stated.
        found: String,
    } = "wrong-control-form";
    /// A column that must be there is not.
    MissingColumn {
        /// Which.
        column: String,
        /// What it may be called.
        names: String,
    } = "missing-column";
    /// Two headings mean the same.
    RepeatedColumn {
        /// Which.
        column: String,
    } = "repeated-column";
    /// A line has more or fewer fields than the heading.
    WrongFields {
        /// How many.
        found: usize,
        /// How many the heading has.
        expected: usize,
    } = "wrong-fields";
    /// A quoted field is never closed.
    UnclosedQuote = "unclosed-quote";
    /// The file is no list but something else.
    OtherFile {
        /// What it is, such as XLSX.
        found: String,
    } = "other-file";
    /// A character that nobody sees: a control, a direction, a blank without width.
    HiddenCharacter {
        /// Its code, such as U+202E.
        code: String,
    } = "hidden-character";
    /// A full name is one word.
    OneName {
        /// It.
        name: String,
    } = "one-name";
    /// Letters were lost when the file was saved: question marks stand for them.
    LostLetters = "lost-letters";
    /// A number lost its digits to the notation of large numbers.
    ScientificNumber {
        /// It.
        number: String,
    } = "scientific-number";
    /// A personal number lost its leading zeros.
    LostZero {
        /// It.
        login: String,
        /// The one that is likely meant.
        likely: String,
    } = "lost-zero";
    /// What is granted to somebody who has checked in would change.
    FixedAllowances {
        /// Whose.
        login: String,
    } = "fixed-allowances";
    /// A picture in a format that is not read.
    PictureFormat {
        /// Which file.
        href: String,
        /// What it is, such as HEIC.
        format: String,
    } = "picture-format";
    /// A picture that ends too early.
    CutPicture {
        /// Which file.
        href: String,
    } = "cut-picture";
    /// A picture with more points than are read.
    HugePicture {
        /// Which file.
        href: String,
        /// Its width, in pixels.
        width: u32,
        /// Its height, in pixels.
        height: u32,
        /// The most, in millions of pixels.
        max: u32,
    } = "huge-picture";
    /// Two photos of one person.
    RepeatedPhoto {
        /// Whose.
        login: String,
        /// The other file.
        other: String,
    } = "repeated-photo";
    /// More lines than allowed.
    TooManyLines {
        /// The most.
        max: usize,
    } = "too-many-lines";
    /// A field that must be filled is empty.
    EmptyField = "empty-field";
    /// A field is longer than allowed.
    LongField {
        /// The most characters.
        max: usize,
    } = "long-field";
    /// A login has characters that are not allowed.
    BadLogin {
        /// It.
        login: String,
    } = "bad-login";
    /// A login stands twice in the file.
    RepeatedLogin {
        /// It.
        login: String,
        /// The first line that has it.
        first: u32,
    } = "repeated-login";
    /// Nobody has this login.
    UnknownLogin {
        /// It.
        login: String,
    } = "unknown-login";
    /// The login belongs to a member of staff.
    NotACandidate {
        /// It.
        login: String,
    } = "not-a-candidate";
    /// A row would give a right, which only an administrator does.
    RoleByAdministrator {
        /// Whose.
        login: String,
    } = "role-by-administrator";
    /// A row would set the password of a member of staff.
    StaffPassword {
        /// Whose.
        login: String,
    } = "staff-password";
    /// A word that is none of those allowed.
    BadWord {
        /// It.
        word: String,
        /// Those allowed.
        expected: String,
    } = "bad-word";
    /// A number that is none, or out of bounds.
    BadNumber {
        /// It.
        number: String,
        /// The least.
        min: u32,
        /// The most.
        max: u32,
    } = "bad-number";
    /// An e-mail address that is none.
    BadEmail {
        /// It.
        email: String,
    } = "bad-email";
    /// A password is too short.
    ShortPassword {
        /// The fewest characters.
        min: usize,
    } = "short-password";
    /// What the file was checked against changed before it was applied.
    Outdated = "outdated";
    /// A rating and the word beside it contradict each other.
    RatingContradiction {
        /// The rating.
        rating: String,
        /// The least that is positive.
        positive: String,
    } = "rating-contradiction";
}

/// What somebody should look at before an import is applied; it refuses nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// Where.
    pub place: Place,
    /// What.
    pub kind: NoteKind,
}

impl Note {
    /// Joins a place and a kind.
    #[must_use]
    pub const fn new(place: Place, kind: NoteKind) -> Self {
        Self { place, kind }
    }
}

kinds! {
    /// What is told. Its word is the key of the text `note-WORD`.
    NoteKind:
    /// The file names no encoding; it was read as this one.
    Encoding {
        /// Which.
        encoding: String,
    } = "encoding";
    /// Lines before the headings, or that repeat or number them, were skipped.
    SkippedLines {
        /// The first.
        first: u32,
        /// The last.
        last: u32,
    } = "skipped-lines";
    /// A column that is not needed was skipped.
    SkippedColumn {
        /// Its heading.
        column: String,
    } = "skipped-column";
    /// A column without a heading was skipped, though something stands in it.
    UnnamedColumn {
        /// Which, from 1.
        number: usize,
    } = "unnamed-column";
    /// The names stood in one column and were split.
    SplitNames {
        /// Its heading.
        column: String,
    } = "split-names";
    /// A word has letters of two alphabets that look alike.
    MixedAlphabets {
        /// It.
        word: String,
        /// Those of its letters that are of the rarer alphabet.
        letters: String,
    } = "mixed-alphabets";
    /// A login reads like another that is not the same.
    LooksLike {
        /// It.
        login: String,
        /// The other.
        other: String,
    } = "looks-like";
    /// A name has signs that names do not have.
    OddName {
        /// It.
        name: String,
    } = "odd-name";
    /// Files of a system, not of a person, were skipped.
    SkippedFiles {
        /// How many.
        count: usize,
    } = "skipped-files";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_tells_file_line_item_and_what() {
        let fault = Fault::new(
            Place::line("items/q7.xml", 12).of_item("q7"),
            FaultKind::UnknownCorrect {
                choice: "E".to_owned(),
            },
        );

        assert_eq!(
            fault.to_string(),
            "items/q7.xml:12 [q7]: unknown-correct choice=\"E\""
        );
    }

    #[test]
    fn no_two_faults_share_a_word() {
        let mut words = FaultKind::WORDS.to_vec();
        words.sort_unstable();
        words.dedup();

        assert_eq!(words.len(), FaultKind::WORDS.len());
    }
}
