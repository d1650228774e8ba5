//! A text as records of fields (RFC 4180), each with the line where it begins.

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// The line, from 1.
    pub(super) line: u32,
    /// The fields as written, without their quotes.
    pub(super) fields: Vec<String>,
}

impl Record {
    /// Tells whether nothing stands in it.
    pub(super) fn is_blank(&self) -> bool {
        self.fields.iter().all(|field| field.trim().is_empty())
    }
}

/// Says what ended the reading too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// A field that was quoted in this line is never closed.
    Unclosed(u32),
    /// There are more records than asked for.
    Full,
}

/// Reads at most `max` records; `first` is the number of the first line. Blank lines are none.
pub(super) fn records(
    text: &str,
    delimiter: char,
    first: u32,
    max: usize,
) -> (Vec<Record>, Option<Stop>) {
    let mut reader = Reader {
        rest: text.chars(),
        delimiter,
        line: first,
    };
    let mut read = Vec::new();
    loop {
        let line = reader.line;
        let (fields, end) = reader.record();
        let record = Record { line, fields };
        if let End::Unclosed(line) = end {
            return (read, Some(Stop::Unclosed(line)));
        }
        if record.fields.len() > 1 || !record.is_blank() {
            if read.len() >= max {
                return (read, Some(Stop::Full));
            }
            read.push(record);
        }
        if end == End::Text {
            return (read, None);
        }
    }
}

struct Reader<'a> {
    rest: core::str::Chars<'a>,
    delimiter: char,
    line: u32,
}

/// What ended a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Field,
    Line,
    Text,
    Unclosed(u32),
}

impl Reader<'_> {
    fn record(&mut self) -> (Vec<String>, End) {
        let mut fields = Vec::new();
        loop {
            let mut field = String::new();
            let end = self.field(&mut field);
            fields.push(field);
            if end != End::Field {
                return (fields, end);
            }
        }
    }

    fn field(&mut self, field: &mut String) -> End {
        let mut ahead = self.rest.clone();
        if ahead.next() == Some('"') {
            self.rest = ahead;
            let opened = self.line;
            if !self.quoted(field) {
                return End::Unclosed(opened);
            }
        }
        loop {
            match self.rest.next() {
                None => return End::Text,
                Some('\n') => {
                    self.line = self.line.saturating_add(1);
                    return End::Line;
                }
                Some(character) if character == self.delimiter => return End::Field,
                Some(character) => field.push(character),
            }
        }
    }

    /// Reads up to the closing quote; tells whether there is one.
    fn quoted(&mut self, field: &mut String) -> bool {
        while let Some(character) = self.rest.next() {
            if character != '"' {
                if character == '\n' {
                    self.line = self.line.saturating_add(1);
                }
                field.push(character);
                continue;
            }
            let mut ahead = self.rest.clone();
            if ahead.next() != Some('"') {
                return true;
            }
            self.rest = ahead;
            field.push('"');
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(u32, Vec<String>)> {
        let (read, stop) = records(text, ';', 1, 100);
        assert_eq!(stop, None);
        read.into_iter()
            .map(|record| (record.line, record.fields))
            .collect()
    }

    #[test]
    fn a_record_knows_its_line_after_blank_lines_and_lines_inside_quotes() {
        let read = lines("\na;b\n\n\n\"c\nd\";\"e\"\"f\"\ng;h \"i\"");
        let wanted: [(u32, [&str; 2]); 3] = [
            (2, ["a", "b"]),
            (5, ["c\nd", "e\"f"]),
            (7, ["g", "h \"i\""]),
        ];
        assert_eq!(
            read,
            wanted.map(|(line, f)| (line, f.map(str::to_owned).to_vec()))
        );
    }

    #[test]
    fn a_quote_that_is_never_closed_is_told_by_its_line() {
        let (read, stop) = records("a;b\nc;\"d\ne;f\n", ';', 1, 100);
        assert_eq!((read.len(), stop), (1, Some(Stop::Unclosed(2))));
    }

    #[test]
    fn no_more_records_are_read_than_asked_for() {
        let (read, stop) = records("a\nb\nc\n", ';', 1, 2);
        assert_eq!((read.len(), stop), (2, Some(Stop::Full)));
    }

    proptest::proptest! {
        #[test]
        fn what_is_well_formed_reads_as_the_csv_crate_reads_it(
            rows in proptest::collection::vec(
                proptest::collection::vec("[a-zа-я;\"\n ]{0,6}", 2..4), 0..5),
        ) {
            let quote = |field: &String| format!("\"{}\"", field.replace('"', "\"\""));
            let line = |row: &Vec<String>| row.iter().map(quote).collect::<Vec<_>>().join(";");
            let text = rows.iter().map(line).collect::<Vec<_>>().join("\n");
            let mut reader = csv::ReaderBuilder::new()
                .delimiter(b';').has_headers(false).flexible(true).from_reader(text.as_bytes());
            let wanted: Vec<Vec<String>> = reader
                .records()
                .map(|row| row.expect("well formed").iter().map(str::to_owned).collect())
                .collect();
            let read: Vec<Vec<String>> = lines(&text).into_iter().map(|(_, row)| row).collect();
            proptest::prop_assert_eq!(read, wanted);
        }
    }
}
