//! Cells in columns, broken into blocks where all columns side by side are too wide.
//!
//! A cell is a value and a remark. Values end at the same place and remarks begin at the same
//! place, so that medians can be compared down a column whatever stands in brackets behind them.
//! The first column is repeated in each block, and a row that has nothing in a block is left out of
//! it.
//!
//! What comes from outside (names, phrases) is made plain first: a control character could move the
//! cursor or recolour the terminal of whoever reads the report.

use std::fmt::{self, Write as _};

/// Text that is to fit into so many columns.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) text: String,
    pub(super) width: usize,
}

impl Sheet {
    pub(super) fn new(width: usize) -> Self {
        Self { text: String::new(), width }
    }

    pub(super) fn push_str(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub(super) fn push(&mut self, c: char) {
        self.text.push(c);
    }
}

impl fmt::Write for Sheet {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text.write_str(text)
    }
}

/// Between two columns.
const GAP: usize = 2;

/// One cell.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    value: String,
    remark: String,
}

impl Cell {
    /// A cell that is compared with those above and below it.
    pub(super) fn new(value: impl Into<String>, remark: impl Into<String>) -> Self {
        Self { value: value.into(), remark: remark.into() }
    }

    fn width(&self, value: usize) -> usize {
        let remark = self.remark.chars().count();
        value + if remark == 0 { 0 } else { 1 + remark }
    }
}

/// A table with a name for each row.
#[derive(Debug)]
pub(super) struct Grid {
    headings: Vec<String>,
    rows: Vec<(String, Vec<Cell>)>,
}

impl Grid {
    /// An empty one with these columns behind that of the names.
    pub(super) fn new(headings: impl IntoIterator<Item = String>) -> Self {
        Self { headings: headings.into_iter().map(|h| plain(&h)).collect(), rows: Vec::new() }
    }

    /// Adds a row, one cell for each heading.
    pub(super) fn row(&mut self, name: &str, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push((plain(name), cells.into_iter().collect()));
    }

    /// Writes it, each line with two spaces in front.
    pub(super) fn write(&self, text: &mut Sheet) {
        let names = self.rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let widths: Vec<(usize, usize)> =
            (0..self.headings.len()).map(|c| self.widths(c)).collect();
        let mut first = 0;
        while first < widths.len() {
            let mut end = first;
            let mut line = 2 + names;
            while end < widths.len() && (end == first || line + GAP + widths[end].1 <= text.width) {
                line += GAP + widths[end].1;
                end += 1;
            }
            self.write_block(text, names, first, &widths[first..end]);
            first = end;
        }
    }

    /// The width of the values of column `c`, heading included, and that of its cells.
    fn widths(&self, c: usize) -> (usize, usize) {
        let cells = || self.rows.iter().filter_map(|(_, cells)| cells.get(c));
        let heading = self.headings[c].chars().count();
        let value = cells().map(|cell| cell.value.chars().count()).max().unwrap_or(0).max(heading);
        (value, cells().map(|cell| cell.width(value)).max().unwrap_or(0).max(value))
    }

    fn write_block(&self, text: &mut Sheet, names: usize, first: usize, widths: &[(usize, usize)]) {
        let mut line = |name: &str, cells: &[Cell]| {
            let mut line = format!("  {name:<names$}");
            for (cell, &(value, all)) in cells.iter().zip(widths) {
                let mut shown = format!("{:>value$}", cell.value);
                if !cell.remark.is_empty() {
                    let _ = write!(shown, " {}", cell.remark);
                }
                let _ = write!(line, "{:GAP$}{shown:<all$}", "");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        };
        let end = first + widths.len();
        let headings: Vec<Cell> =
            self.headings[first..end].iter().map(|h| Cell::new(h.clone(), "")).collect();
        line("", &headings);
        for (name, cells) in &self.rows {
            let cells = cells.get(first..end).unwrap_or_default();
            if cells.iter().any(|cell| !cell.value.is_empty()) {
                line(name, cells);
            }
        }
    }
}

/// `text` with every control character spelled out.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            plain.extend(c.escape_default());
        } else {
            plain.push(c);
        }
    }
    plain
}

/// `words` in lines that fit into `text`, the first with `first` in front, the others indented by
/// as much.
pub(super) fn wrap(text: &mut Sheet, first: &str, words: &str) {
    let indent = first.chars().count();
    text.push_str(first);
    let mut column = indent;
    for word in plain(words).split_whitespace() {
        let width = word.chars().count();
        if column > indent && column + 1 + width > text.width {
            let _ = write!(text, "\n{:indent$}", "");
            column = indent;
        } else if column > indent {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += width;
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: usize = 80;

    #[test]
    fn values_end_and_remarks_begin_at_the_same_place() {
        let mut grid = Grid::new(["us".to_owned(), "per s".to_owned()]);
        grid.row("a", [Cell::new("1", "(1 - 2)"), Cell::new("7", "")]);
        grid.row("long", [Cell::new("1,000", "(9 - 9)"), Cell::new("-", "")]);
        let mut sheet = Sheet::new(WIDTH);
        grid.write(&mut sheet);
        let text = sheet.text;
        let expected = [
            "           us           per s",
            "  a         1 (1 - 2)      7",
            "  long  1,000 (9 - 9)      -",
        ];
        let got: Vec<&str> = text.lines().collect();
        assert_eq!(got.len(), 3);
        for (got, expected) in got.iter().zip(expected) {
            let squeezed = |s: &str| s.split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(squeezed(got), squeezed(expected));
        }
        let ends = |line: &str, of: &str| line.find(of).map(|at| at + of.len());
        assert_eq!(ends(got[1], "1 ").map(|at| at - 1), ends(got[2], "1,000"), "{text}");
        assert_eq!(got[1].find('('), got[2].find('('), "{text}");
    }

    #[test]
    fn too_many_columns_go_on_below_with_their_names() {
        let mut grid = Grid::new((0..9).map(|c| format!("column {c}")));
        grid.row("name", (0..9).map(|c| Cell::new(format!("{c}"), "(some - remark)")));
        let mut sheet = Sheet::new(WIDTH);
        grid.write(&mut sheet);
        let text = sheet.text;
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert_eq!(text.matches("column").count(), 9, "{text}");
        assert!(text.lines().filter(|line| line.starts_with("  name")).count() > 1, "{text}");
    }

    #[test]
    fn nothing_from_outside_steers_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
    }

    #[test]
    fn sentences_are_broken_between_words() {
        let mut sheet = Sheet::new(WIDTH);
        wrap(&mut sheet, "  - ", &"word ".repeat(60));
        let text = sheet.text;
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("    word")), "{text}");
        assert_eq!(text.matches("word").count(), 60);
    }
}
