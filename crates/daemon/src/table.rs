//! Tables as kubectl prints them: a heading in capitals, columns by blanks.
//!
//! On a terminal the last column, which is where sentences stand, goes on below its beginning.

use crate::terminal::broken;

use nsplice_backend::shown;

/// A table of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

/// Blanks between columns.
const GAP: usize = 3;

impl<const N: usize> Table<N> {
    /// A table with headings only.
    pub(crate) fn new(headings: [&str; N]) -> Self {
        Self { rows: vec![headings.map(str::to_owned)] }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| shown(&cell).into_owned()));
    }

    /// Adds a row of cells that a terminal may be shown as they are, however long.
    pub(crate) fn row_as_it_is(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }

    /// The same table without those of the columns `spare`, from the first on, that leave less room to
    /// the last one than it takes, or `least`.
    pub(crate) fn squeezed(&self, width: usize, spare: &[usize], least: usize) -> String {
        let widths = self.widths();
        let last = N.saturating_sub(1);
        let needed = widths.get(last).map_or(0, |width| *width.min(&least));
        let mut kept = [true; N];
        for column in spare {
            let before: usize = (0..last).filter(|at| kept[*at]).map(|at| widths[at] + GAP).sum();
            if before + needed <= width {
                break;
            }
            kept[*column] = false;
        }
        self.lines(&widths, &kept, Some(width))
    }
}

impl<const N: usize> Table<N> {
    /// The table for so many columns, or for as many as it takes.
    pub(crate) fn fitted(&self, width: Option<usize>) -> String {
        self.lines(&self.widths(), &[true; N], width)
    }

    fn widths(&self) -> [usize; N] {
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }

    /// The table of the columns that are `kept`, the last of which is broken.
    fn lines(&self, widths: &[usize; N], kept: &[bool; N], width: Option<usize>) -> String {
        let last = N.saturating_sub(1);
        let indent = (0..last).filter(|at| kept[*at]).map(|at| widths[at] + GAP).sum();
        let lines = self.rows.iter().flat_map(|row| {
            let cells = row.iter().zip(widths).zip(kept).filter(|(_, kept)| **kept);
            let line: String =
                cells.map(|((cell, width), _)| format!("{cell:<0$}", width + GAP)).collect();
            broken(line.trim_end(), indent, width.unwrap_or(usize::MAX))
        });
        lines.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["TOOL", "PATH"]);
        table.row(["nsenter".to_owned(), "/usr/bin/nsenter".to_owned()]);
        table.row(["a".to_owned(), String::new()]);
        assert_eq!(table.fitted(None), "TOOL      PATH\nnsenter   /usr/bin/nsenter\na\n");
    }

    #[test]
    fn columns_that_can_be_spared_make_room_for_the_last() {
        let mut table = Table::new(["TARGET", "ID", "PID", "PORTS"]);
        table.row(["pod/web", "0123456789ab", "4947", "127.0.0.1:80 nginx"].map(str::to_owned));
        let first = |width| {
            let text = table.squeezed(width, &[1, 2], 18);
            text.lines().next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(first(50), "TARGET ID PID PORTS");
        assert_eq!(first(49), "TARGET PID PORTS");
        assert_eq!(first(34), "TARGET PORTS");
        assert_eq!(first(5), "TARGET PORTS", "those that are left have to do");
        assert_eq!(
            table.squeezed(34, &[1, 2], 18).lines().nth(1),
            Some("pod/web   127.0.0.1:80 nginx")
        );
    }

    #[test]
    fn the_last_column_goes_on_below_its_beginning() {
        let mut table = Table::new(["BACKEND", "DETAIL"]);
        let reason = "cannot enter the network namespace of pid/1: Operation not permitted";
        table.row(["setns".to_owned(), reason.to_owned()]);
        assert_eq!(
            table.fitted(Some(40)),
            "BACKEND   DETAIL\n\
             setns     cannot enter the network\n          \
                       namespace of pid/1: Operation\n          not permitted\n"
        );
        assert_eq!(table.fitted(Some(20)).lines().count(), 2, "too little room to break it");
    }
}
