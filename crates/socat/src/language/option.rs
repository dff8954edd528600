//! The options of addresses: their names and aliases, the kind of their values, where they apply.
//!
//! An option is known to nsplice, known to socat alone, or unknown; names are read without regard to
//! case. Each suits the addresses it shares a group with. The tables are in `option/table.rs` and
//! `option/foreign.rs`.

mod fitness;
mod foreign;
mod opt;
mod table;

use crate::fault::Fault;

use super::group::Groups;

pub(crate) use opt::Opt;
pub(crate) use table::{Row, TABLE};

/// Finds the option that is called `word`. It must suit an address of the groups `suits`; `None` is -g,
/// with which every option suits every address.
pub(crate) fn find(word: &str, suits: Option<Groups>) -> Result<&'static Row, Fault> {
    let check = |groups: Groups| match suits {
        Some(suits) if !suits.and(Groups::APPL).and(Groups::PROCESS).meet(groups) => {
            Err(Fault::new(format_args!(
                "parseopts_table(): option \"{word}\" not supported with this address type"
            )))
        }
        _ => Ok(()),
    };
    if let Some(row) = row(word) {
        return check(row.groups).map(|()| row);
    }
    let is = |name: &str| name.eq_ignore_ascii_case(word);
    match foreign::FOREIGN.iter().find(|(_, names)| names.split(' ').any(is)) {
        Some((groups, _)) => {
            check(*groups)?;
            Err(Fault::not_implemented(format_args!("option \"{word}\"")))
        }
        None => Err(Fault::new(format_args!("parseopts_table(): unknown option \"{word}\""))),
    }
}

/// The row of the option that is called `name`.
pub(crate) fn row(name: &str) -> Option<&'static Row> {
    let is = |other: &str| other.eq_ignore_ascii_case(name);
    TABLE.iter().find(|row| is(row.name) || row.aliases.iter().any(|alias| is(alias)))
}
