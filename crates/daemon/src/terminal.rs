//! Text for a terminal that is as wide as it is.
//!
//! Only a terminal has a width: what goes to a file or to another program is not broken, so that a
//! line of it can be searched for.

use std::io;
use std::os::fd::AsFd;

use nsplice_sys::TerminalSize;

/// Columns that any terminal has. Help is no wider, wherever it goes.
const PLAIN: usize = 80;

/// Returns the width of standard output; `None` if it is no terminal.
pub(crate) fn width() -> Option<usize> {
    size().map(|size| size.columns.into())
}

/// Returns the size of standard output; `None` if it is no terminal.
pub(crate) fn size() -> Option<TerminalSize> {
    nsplice_sys::terminal_size(io::stdout().as_fd())
}

/// `text` with its long lines broken for standard output, and for [`PLAIN`] columns at most.
pub(crate) fn fit_help(text: &str) -> String {
    let width = width().map_or(PLAIN, |width| width.min(PLAIN));
    text.lines().flat_map(|line| broken(line, last_column(line), width)).collect()
}

/// `line` in lines, each with its newline, of at most `width` columns where blanks allow it. All but
/// the first are indented by `indent`; where that leaves too little room, it is not broken.
pub(crate) fn broken(line: &str, indent: usize, width: usize) -> Vec<String> {
    if line.chars().count() <= width || indent + LEAST > width {
        return vec![format!("{line}\n")];
    }
    let mut lines = Vec::new();
    let mut current: String = line.chars().take(indent).collect();
    let mut is_fresh = true;
    for word in line.chars().skip(indent).collect::<String>().split(' ') {
        let gap = usize::from(!is_fresh);
        if !is_fresh && current.chars().count() + gap + word.chars().count() > width {
            lines.push(format!("{}\n", current.trim_end()));
            current = " ".repeat(indent);
            is_fresh = true;
        }
        if !is_fresh {
            current.push(' ');
        }
        current.push_str(word);
        is_fresh = false;
    }
    lines.push(format!("{}\n", current.trim_end()));
    lines
}

/// Columns that text is worth to be broken for.
const LEAST: usize = 12;

/// Finds where the last column of `line` begins: behind its last gap of two blanks or more.
fn last_column(line: &str) -> usize {
    let behind = line.rfind("  ").map_or(0, |gap| gap + 2);
    line[..behind].chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_go_on_below_where_they_began() {
        let line = "    --to <ADDR>    The address inside the target [default: localhost]";
        let lines = broken(line, last_column(line), 45);
        assert_eq!(
            lines,
            [
                "    --to <ADDR>    The address inside the\n",
                "                   target [default:\n",
                "                   localhost]\n",
            ]
        );
        assert_eq!(broken(line, last_column(line), 80), [format!("{line}\n")]);
    }

    #[test]
    fn what_cannot_be_broken_is_left_whole() {
        let word = "x".repeat(50);
        assert_eq!(broken(&word, 0, 40), [format!("{word}\n")]);
        let line = format!("{}  a b c", "x".repeat(30));
        assert_eq!(broken(&line, last_column(&line), 33), [format!("{line}\n")], "no room");
        assert_eq!(broken("", 0, 40), ["\n"]);
    }

    #[test]
    fn nothing_but_blanks_is_lost() {
        let line = "é words of  any kind and length, some of_them_longer_than_others are";
        for width in 26..80 {
            let lines = broken(line, 0, width);
            assert!(lines.iter().all(|line| line.chars().count() <= width + 1), "{lines:?}");
            let words: Vec<_> = lines.iter().flat_map(|line| line.split_whitespace()).collect();
            assert_eq!(words, line.split_whitespace().collect::<Vec<_>>());
        }
    }
}
