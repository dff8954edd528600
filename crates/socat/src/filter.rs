//! Filters of bytes that pass: line ends, readbytes, escape, dumps and raw copies.
//!
//! For each block of a lane, in this order:
//!
//! 1. no more is read at once than `-b` says, and than is left of the source's `readbytes`;
//! 2. the source's `escape` character ends the lane; it and what follows it are not passed on;
//! 3. line ends are converted from what the source writes to what the sink wants;
//! 4. what is left, if anything, is dumped (`-v`, `-x`) and copied (`-r`, `-R`).
//!
//! `readbytes` and `escape` thus see bytes as they were read, dumps and copies see them as they are
//! written. A lane without any of this gets no filter, and may be spliced: the block size alone
//! cannot be observed from outside.

mod lines;

use std::num::NonZeroU64;

use nsplice_relay::{Filter, Pass};

use crate::dump::{Copies, Direction, Dump, Layout, RawCopy};
use crate::fault::Fault;
use crate::journal::{Journal, Level};
use crate::language::{Address, Flags, Opt, Spec};

use lines::{conversion, Conversion, LineEnd};

/// The filters of every link of a command line.
#[derive(Debug, Clone)]
pub(crate) struct Filters {
    forth: Recipe,
    back: Recipe,
    block: usize,
    journal: Journal,
}

impl Filters {
    /// Reads what `flags` and the addresses' options ask for. Opens the files of `-r` and `-R`.
    pub(crate) fn new(
        flags: &Flags,
        first: &Spec,
        second: &Spec,
        journal: &Journal,
    ) -> Result<Self, Fault> {
        let copies = Copies::open(flags)?;
        let layout = Layout::of(flags);
        let recipe = |source, sink, copy| Recipe::new(reader(source), writer(sink), layout, copy);
        Ok(Self {
            forth: recipe(first, second, copies.forth),
            back: recipe(second, first, copies.back),
            block: flags.block.max(1),
            journal: journal.clone(),
        })
    }

    /// The filter of one link's lane; none if nothing is to be done to its bytes.
    pub(crate) fn lane(&self, direction: Direction) -> Option<Box<dyn Filter>> {
        let recipe = match direction {
            Direction::Forth => &self.forth,
            Direction::Back => &self.back,
        };
        let Recipe { budget, escape, conversion, layout, copy } = recipe.clone();
        let is_idle = budget.is_none()
            && escape.is_none()
            && conversion.is_none()
            && layout.is_none()
            && copy.is_none();
        if is_idle {
            return None;
        }
        Some(Box::new(Lane {
            block: self.block,
            budget: budget.map(NonZeroU64::get),
            escape,
            conversion,
            dump: layout.map(|layout| Dump::new(layout, direction)),
            copy,
            journal: self.journal.clone(),
        }))
    }
}

/// What one way through the addresses asks for.
#[derive(Debug, Clone)]
struct Recipe {
    budget: Option<NonZeroU64>,
    escape: Option<u8>,
    conversion: Option<Conversion>,
    layout: Option<Layout>,
    copy: Option<RawCopy>,
}

impl Recipe {
    fn new(
        source: &Address,
        sink: &Address,
        layout: Option<Layout>,
        copy: Option<RawCopy>,
    ) -> Self {
        // 0 means no limit; so does a negative number, which socat takes for a very large one.
        let budget = source.number(Opt::ReadBytes).and_then(|bytes| u64::try_from(bytes).ok());
        // Numbers that are no byte are taken, and never found.
        let escape = source.number(Opt::Escape).and_then(|byte| u8::try_from(byte).ok());
        Self {
            budget: budget.and_then(NonZeroU64::new),
            escape,
            conversion: conversion(line_end(source), line_end(sink)),
            layout,
            copy,
        }
    }
}

/// The filter of one lane.
#[derive(Debug)]
struct Lane {
    block: usize,
    /// What `readbytes` still allows.
    budget: Option<u64>,
    escape: Option<u8>,
    conversion: Option<Conversion>,
    dump: Option<Dump>,
    copy: Option<RawCopy>,
    journal: Journal,
}

impl Filter for Lane {
    fn block(&self) -> usize {
        let budget = self.budget.and_then(|budget| usize::try_from(budget).ok());
        budget.map_or(self.block, |budget| budget.clamp(1, self.block))
    }

    fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Pass {
        let (bytes, mut pass) = self.within_budget(bytes);
        let bytes = match self.escape.and_then(|escape| position(bytes, escape)) {
            Some(end) => {
                self.journal.tell(Level::Info, "escape char found in input");
                pass = Pass::End;
                bytes.get(..end).unwrap_or_default()
            }
            None => bytes,
        };
        let start = out.len();
        match self.conversion {
            Some(conversion) => conversion.convert(bytes, out),
            None => out.extend_from_slice(bytes),
        }
        let written = out.get(start..).unwrap_or_default();
        if !written.is_empty() {
            if let Some(dump) = &mut self.dump {
                dump.show(written, &self.journal);
            }
            if let Some(copy) = &self.copy {
                copy.append(written, &self.journal);
            }
        }
        pass
    }
}

impl Lane {
    /// What `readbytes` allows of `bytes`, and whether it allows any more.
    fn within_budget<'a>(&mut self, bytes: &'a [u8]) -> (&'a [u8], Pass) {
        let Some(budget) = &mut self.budget else { return (bytes, Pass::More) };
        let allowed = usize::try_from(*budget).unwrap_or(usize::MAX);
        let bytes = bytes.get(..allowed).unwrap_or(bytes);
        *budget = budget.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        (bytes, if *budget == 0 { Pass::End } else { Pass::More })
    }
}

fn position(bytes: &[u8], wanted: u8) -> Option<usize> {
    bytes.iter().position(|byte| *byte == wanted)
}

/// The address that is read from.
fn reader(spec: &Spec) -> &Address {
    match spec {
        Spec::One(address) => address,
        Spec::Split { read, .. } => read,
    }
}

/// The address that is written to.
fn writer(spec: &Spec) -> &Address {
    match spec {
        Spec::One(address) => address,
        Spec::Split { write, .. } => write,
    }
}

/// The line ends of `address`; of several options the last one counts.
fn line_end(address: &Address) -> LineEnd {
    let named = |option| match option {
        Opt::Crnl => Some(LineEnd::Crnl),
        Opt::Cr => Some(LineEnd::Cr),
        _ => None,
    };
    let mut settings = address.options.iter().rev();
    settings.find_map(|setting| named(setting.option)).unwrap_or(LineEnd::Raw)
}

#[cfg(test)]
mod tests;
