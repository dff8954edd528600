//! `nsplice targets`: what the node has, and what listens there.
//!
//! People get a table, programs get JSON; with `--watch` both are told of each change. What could not be
//! seen is told on standard error, and by the exit code.

use std::io;

use nsplice_backend::{Detail, ErrorKind, Node, Problem};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::filter::Filter;
use crate::output::{print, tell};
use crate::request::{OutputFormat, TargetsRequest};
use crate::terminal;

mod change;
mod outlet;
mod page;
mod watch;

/// Looks and prints, once or until it is told to stop.
pub(crate) fn run(request: &TargetsRequest) -> Result<Exit, Failure> {
    let node = Node::open(&request.options)?;
    if request.watch {
        return watch::run(node, request.filter.clone(), request.format);
    }
    let roster = node.roster(Detail::Inside, |entry| request.filter.passes(entry));
    let text = match request.format {
        OutputFormat::Table => page::table(&roster.targets, terminal::width()),
        OutputFormat::Json => page::json(&roster)?,
    };
    print(&text).map_err(Failure::system("write to standard output"))?;
    for problem in &roster.problems {
        tell(io::stderr(), &page::warning(problem));
    }
    let exit = exit_of(&roster.problems);
    if !roster.targets.is_empty() {
        return Ok(exit);
    }
    let nothing = match request.filter {
        Filter::All => "there are no pods, containers or named network namespaces",
        Filter::Text(_) | Filter::Pattern(_) => "no target passes the filter",
    };
    tell(io::stderr(), nothing);
    // Who asks for something of a name wants to know whether it is there.
    match (exit, &request.filter) {
        (Exit::Done, Filter::Text(_) | Filter::Pattern(_)) => Ok(Exit::NoSuchTarget),
        _ => Ok(exit),
    }
}

/// What fails is graver than what is forbidden.
fn exit_of(problems: &[Problem]) -> Exit {
    let kinds = || problems.iter().filter_map(|problem| problem.kind);
    let gravest = kinds().find(|kind| *kind != ErrorKind::Privilege).or_else(|| kinds().next());
    gravest.map_or(Exit::Done, Exit::of_backend)
}

#[cfg(test)]
pub(crate) mod tests;
