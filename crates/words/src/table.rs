//! Rows and columns for a terminal or a pipe.
//!
//! Every cell is escaped when it comes in ([`crate::text::escape`]), so a table cannot drive a
//! terminal whatever a task's text is. Columns are padded to their widest cell and separated by
//! one blank; no blanks end a line. Only when a width is given are cells wrapped or cut.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar;

use crate::text::{escape, width};

/// Columns of the terminal that a column which may wrap keeps at least.
const WRAPPED_WIDTH_MIN: usize = 20;

/// Columns of the terminal that a column which may be cut keeps at least.
const CUT_WIDTH_MIN: usize = 6;

/// Whether the output may be coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Text only: a pipe, or `NO_COLOR`.
    Plain,
    /// A terminal: the header is bold.
    Colour,
}

/// On which side of its column a cell stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// At the left: text.
    Left,
    /// At the right: numbers.
    Right,
}

/// What becomes of a column when the line is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It keeps its width: numbers, dates.
    Keep,
    /// Its cells are cut, with `…` at the end.
    Cut,
    /// Its cells go on in further lines, broken at blanks where there are any. One column at most.
    Wrap,
}

#[derive(Debug, Clone)]
struct Column {
    title: &'static str,
    align: Align,
    fit: Fit,
    /// Of the widest cell; 0 while all are empty.
    width: usize,
}

/// Cells in rows and columns.
#[derive(Debug, Clone, Default)]
pub struct Table {
    columns: Vec<Column>,
    /// All cells, row after row, one behind the other: a text for each would be an allocation each.
    text: String,
    /// Where each cell ends in `text`.
    ends: Vec<usize>,
    has_header: bool,
}

impl Table {
    /// A table whose first line is a header.
    pub fn new(columns: &[(&'static str, Align, Fit)]) -> Self {
        let column = |&(title, align, fit)| Column { title, align, fit, width: 0 };
        let columns = columns.iter().map(column).collect();
        Self { columns, text: String::new(), ends: Vec::new(), has_header: true }
    }

    /// A table of names and values without a header; the values wrap.
    pub fn pairs() -> Self {
        let columns = [("", Align::Left, Fit::Keep), ("", Align::Left, Fit::Wrap)];
        Self { has_header: false, ..Self::new(&columns) }
    }

    /// Adds a row. Missing cells are empty, cells too many are left out.
    pub fn push<C: AsRef<str>>(&mut self, row: impl IntoIterator<Item = C>) {
        let mut row = row.into_iter();
        for _ in 0..self.columns.len() {
            match row.next() {
                Some(cell) => self.cell(cell.as_ref()),
                None => self.cell(""),
            }
        }
    }

    /// Adds the next cell; cells fill rows from left to right. A table must have columns.
    pub(crate) fn cell(&mut self, cell: &str) {
        let cell = escape(cell);
        let place = self.ends.len() % self.columns.len();
        let column = &mut self.columns[place];
        column.width = column.width.max(width(&cell));
        self.text.push_str(&cell);
        self.ends.push(self.text.len());
    }

    /// Rows, the header not counted.
    pub fn row_count(&self) -> usize {
        self.ends.len().checked_div(self.columns.len()).unwrap_or(0)
    }

    /// A cell as it is shown, counted from 0; empty where there is none.
    pub fn get(&self, row: usize, column: usize) -> &str {
        if row >= self.row_count() || column >= self.columns.len() {
            return "";
        }
        let index = row * self.columns.len() + column;
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied();
        let range = start.unwrap_or(0)..self.ends.get(index).copied().unwrap_or(0);
        self.text.get(range).unwrap_or_default()
    }

    /// Lays the table out; every line ends with a line end. Columns that are empty in all rows are
    /// left out, and a table without rows is empty text. `width_max` is the terminal's width in
    /// columns, if lines should be fitted to it; they may still be longer when there are many
    /// columns and little room.
    pub fn render(&self, width_max: Option<usize>, style: Style) -> String {
        if self.ends.is_empty() {
            return String::new();
        }
        let shown: Vec<usize> =
            (0..self.columns.len()).filter(|index| self.columns[*index].width > 0).collect();
        let widths = self.widths(&shown, width_max);
        let line_bytes = widths.iter().sum::<usize>() + widths.len();
        let mut text = String::with_capacity((self.row_count() + 2) * (line_bytes + 1));
        if self.has_header {
            let titles: Vec<&str> = shown.iter().map(|index| self.columns[*index].title).collect();
            let bold = style == Style::Colour;
            text.push_str(if bold { "\u{1b}[1m" } else { "" });
            self.line(&mut text, &shown, &widths, &titles);
            text.push_str(if bold { "\u{1b}[0m" } else { "" });
            text.push('\n');
        }
        let mut cells: Vec<&str> = Vec::with_capacity(shown.len());
        for row in 0..self.row_count() {
            cells.clear();
            cells.extend(shown.iter().map(|column| self.get(row, *column)));
            self.row(&mut text, &shown, &widths, &cells);
        }
        text
    }

    /// The width of each shown column, made to fit as far as their kinds allow.
    fn widths(&self, shown: &[usize], width_max: Option<usize>) -> Vec<usize> {
        let title_width = |column: &Column| if self.has_header { width(column.title) } else { 0 };
        let mut widths: Vec<usize> = shown
            .iter()
            .map(|index| self.columns[*index].width.max(title_width(&self.columns[*index])))
            .collect();
        let Some(width_max) = width_max else { return widths };
        let gaps = widths.len().saturating_sub(1);
        for (fit, floor) in [(Fit::Wrap, WRAPPED_WIDTH_MIN), (Fit::Cut, CUT_WIDTH_MIN)] {
            while let Some(excess) = (widths.iter().sum::<usize>() + gaps).checked_sub(width_max) {
                let can_shrink = |place: &usize| {
                    self.columns[shown[*place]].fit == fit && widths[*place] > floor
                };
                let widest = (0..widths.len()).filter(can_shrink).max_by_key(|at| widths[*at]);
                let Some(widest) = widest.filter(|_| excess > 0) else { break };
                // Cut columns give way one step at a time, so that the widest gives most.
                let step = if fit == Fit::Wrap { excess } else { 1 };
                widths[widest] = widths[widest].saturating_sub(step).max(floor);
            }
        }
        widths
    }

    /// Writes one row, in several lines if its wrapping cell needs them.
    fn row(&self, text: &mut String, shown: &[usize], widths: &[usize], cells: &[&str]) {
        let overlong = (0..cells.len()).find(|place| {
            self.columns[shown[*place]].fit == Fit::Wrap && width(cells[*place]) > widths[*place]
        });
        let Some(place) = overlong else {
            self.line(text, shown, widths, cells);
            text.push('\n');
            return;
        };
        let mut cells = cells.to_vec();
        for part in wrap(cells[place], widths[place]) {
            cells[place] = part;
            self.line(text, shown, widths, &cells);
            text.push('\n');
            cells.fill("");
        }
    }

    /// Writes one line without its end.
    fn line(&self, text: &mut String, shown: &[usize], widths: &[usize], cells: &[&str]) {
        let start = text.len();
        for (place, cell) in cells.iter().enumerate() {
            if place > 0 {
                text.push(' ');
            }
            let mut columns = width(cell);
            let cell = if columns > widths[place] {
                columns = widths[place];
                cut(cell, widths[place])
            } else {
                Cow::Borrowed(*cell)
            };
            let padding = widths[place] - columns;
            let align = self.columns[shown[place]].align;
            if align == Align::Right {
                pad(text, padding);
            }
            text.push_str(&cell);
            if align == Align::Left {
                pad(text, padding);
            }
        }
        text.truncate(start + text[start..].trim_end_matches(' ').len());
    }
}

fn pad(text: &mut String, columns: usize) {
    text.extend(std::iter::repeat_n(' ', columns));
}

/// Bytes of the longest beginning of `text` that is at most `columns` wide.
fn fitting(text: &str, columns: usize) -> usize {
    let mut taken = 0;
    for (at, c) in text.char_indices() {
        taken += c.width().unwrap_or(0);
        if taken > columns {
            return at;
        }
    }
    text.len()
}

/// Cuts a text to exactly `columns` columns, the last of them `…`.
fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    let Some(room) = columns.checked_sub(1) else { return Cow::Borrowed("") };
    let kept = &text[..fitting(text, room)];
    let mut short = String::with_capacity(kept.len() + 4);
    short.push_str(kept);
    // A wide character that did not fit leaves a column over.
    pad(&mut short, room - width(kept).min(room));
    short.push('…');
    Cow::Owned(short)
}

/// Breaks a text into parts of at most `columns` columns, at blanks where there are any.
fn wrap(text: &str, columns: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = fitting(rest, columns);
        if end == 0 {
            // Narrower than its first character: one character a line, or it would never end.
            end = rest.chars().next().map_or(rest.len(), char::len_utf8);
        }
        let breaks_word = end < rest.len() && !rest[end..].starts_with(' ');
        if breaks_word && let Some(blank) = rest[..end].rfind(' ').filter(|at| *at > 0) {
            end = blank;
        }
        let (part, after) = rest.split_at(end);
        rest = after.trim_start_matches(' ');
        Some(part.trim_end_matches(' '))
    })
}

#[cfg(test)]
mod tests;
