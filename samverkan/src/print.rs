//! What is written to the terminal: tables, fields, times and progress.
//!
//! On a terminal there is colour, and it never carries meaning alone; anywhere else there is none, and lines are as
//! long as what is in them. With `--json` the node's own answer is written instead, unchanged. Times are those of the
//! reader's time zone, with its offset.

use std::io::{self, IsTerminal as _, Write as _};

use comfy_table::{Cell, ContentArrangement, Table, presets};
use format::Timestamp;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use serde_json::Value;

/// How this run writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    json: bool,
    colour: bool,
}

impl Printer {
    /// Writes JSON if asked to, and in colour where that is seen and not unwanted.
    pub(crate) fn new(json: bool, colourless: bool) -> Self {
        Self { json, colour: !json && !colourless && io::stdout().is_terminal() }
    }

    /// Writes the node's answer as it is if JSON is asked for; else what `show` writes.
    pub(crate) fn answer(self, answer: &Value, show: impl FnOnce()) {
        if self.json {
            line(&format!("{answer:#}"));
        } else {
            show();
        }
    }

    /// Whether JSON is asked for.
    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// Words that stand out on a terminal.
    pub(crate) fn strong(self, text: &str) -> String {
        if self.colour { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// A marking, in the colour of its traffic light on a terminal; the words say it all.
    pub(crate) fn marking(self, text: &str) -> String {
        let code = match text.split("TLP:").nth(1).and_then(|rest| rest.split_whitespace().next()) {
            _ if !self.colour => return text.to_owned(),
            Some("RED") => "1;31",
            Some("AMBER" | "AMBER+STRICT") => "1;33",
            Some("GREEN") => "1;32",
            _ => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// A table with a heading for each column; a sentence instead when it has no rows.
    pub(crate) fn table(self, headings: &[&str], rows: Vec<Vec<String>>, none: &str) {
        if rows.is_empty() {
            line(none);
            return;
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(headings.iter().map(|heading| Cell::new(self.strong(heading))));
        if io::stdout().is_terminal() {
            table.set_content_arrangement(ContentArrangement::Dynamic);
        } else {
            table.force_no_tty();
        }
        for row in rows {
            table.add_row(row.iter().map(|cell| visible(cell)));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        line(&table.trim_fmt());
    }

    /// Named values below each other, those without a value left out; further lines of a value stand below its first.
    pub(crate) fn fields(self, fields: &[(&str, String)]) {
        let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
            let gap = " ".repeat(width - name.chars().count());
            let value = visible(value).replace('\n', &format!("\n{}", " ".repeat(width + 2)));
            line(&format!("{}{gap}  {value}", self.strong(name)));
        }
    }
}

/// Writes a line to standard output. Whoever reads it may have stopped, as `head` does.
pub(crate) fn line(text: &str) {
    if writeln!(io::stdout(), "{text}").is_err() {
        std::process::exit(0);
    }
}

/// Writes a line to standard error, beside what the verb gives.
pub(crate) fn aside(text: &str) {
    // There is nowhere left to say that it failed.
    _ = writeln!(io::stderr(), "{text}");
}

/// Text from elsewhere without what would move a terminal's cursor or turn the reading direction.
pub(crate) fn visible(text: &str) -> String {
    let disturbs = |c: char| (c.is_control() && c != '\n' && c != '\t') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if disturbs(c) { '\u{fffd}' } else { c }).collect()
}

/// A time as the reader's clock shows it, with the offset from UTC.
pub(crate) fn time(at: Timestamp) -> String {
    time_in(at, TimeZone::system())
}

fn time_in(at: Timestamp, zone: TimeZone) -> String {
    let instant = jiff::Timestamp::from_millisecond(at.as_ms()).unwrap_or_default();
    instant.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}

/// A time in an answer, as the reader's clock shows it; nothing where there is none.
pub(crate) fn time_of(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).map(|text| text.parse().map_or_else(|_| text.to_owned(), time)).unwrap_or_default()
}

/// A fingerprint in groups of four, as people read it to each other: four lines of four groups.
pub(crate) fn groups(fingerprint: &str) -> Vec<String> {
    let digits: Vec<char> = fingerprint.chars().collect();
    let groups: Vec<String> = digits.chunks(4).map(|group| group.iter().collect()).collect();
    groups.chunks(4).map(|row| row.join(" ")).collect()
}

/// A size for people.
pub(crate) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// Progress over so many bytes, or over as many as there will be, on a terminal alone.
pub(crate) fn progress(what: &str, bytes: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match bytes {
        Some(bytes) => (ProgressBar::new(bytes), "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {eta}"),
        None => (ProgressBar::new_spinner(), "{msg} {spinner} {binary_bytes}"),
    };
    let bar = bar.with_message(what.to_owned());
    ProgressStyle::with_template(template).map_or(bar.clone(), |style| bar.with_style(style))
}

/// Progress over so many rows, on a terminal alone.
pub(crate) fn progress_rows(what: &'static str, rows: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(rows).with_message(what);
    ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} {eta}").map_or(bar.clone(), |style| bar.with_style(style))
}

/// Progress by counting, on a terminal alone.
pub(crate) fn counting(what: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    ProgressStyle::with_template("{msg} {spinner} {human_pos}").map_or(bar.clone(), |style| bar.with_style(style))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_in_rows_of_four_groups() {
        let rows = groups(&"0123456789abcdef".repeat(4));
        assert_eq!(rows.len(), 4);
        assert_eq!(rows[0], "0123 4567 89ab cdef");
    }

    #[test]
    fn times_are_shown_with_their_offset() {
        let at: Timestamp = "2026-11-22T08:30:00.000Z".parse().unwrap();
        assert_eq!(time_in(at, TimeZone::get("Europe/Stockholm").unwrap()), "2026-11-22 09:30:00 +01:00");
        assert_eq!(time_of(Some(&Value::String("soon".into()))), "soon");
    }

    #[test]
    fn text_from_elsewhere_cannot_steer_the_terminal() {
        assert_eq!(visible("a\u{1b}[2Jb\u{202e}c\td\n"), "a\u{fffd}[2Jb\u{fffd}c\td\n");
    }

    #[test]
    fn colour_only_adds_to_words() {
        let (plain, bright) = (Printer { json: false, colour: false }, Printer { json: false, colour: true });
        assert_eq!(plain.marking("HEMLIG TLP:RED"), "HEMLIG TLP:RED");
        assert_eq!(bright.marking("HEMLIG TLP:RED"), "\u{1b}[1;31mHEMLIG TLP:RED\u{1b}[0m");
    }
}
