//! The answers to -V, -h, -hh and -hhh.
//!
//! Programs read them: the version is the third word of the second line of -V, features are found
//! with grep, and so are the names of addresses and options, at the beginnings of lines. So the shape
//! is socat's, and the lists are made from the tables that command lines are read with.

use std::fmt::Write;

use nix::sys::utsname::uname;

use super::keyword::{self, Usage};
use super::option;

/// The amount that is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Detail {
    /// -h
    Addresses,
    /// -hh: the commonest name of each option as well.
    Options,
    /// -hhh: all names of all.
    Everything,
}

/// The question that is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// -V
    Version,
    /// -h and its like
    Usage(Detail),
}

impl Question {
    /// The flag that asks a socat for it.
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::Version => "-V",
            Self::Usage(Detail::Addresses) => "-h",
            Self::Usage(Detail::Options) => "-hh",
            Self::Usage(Detail::Everything) => "-hhh",
        }
    }

    /// Tells what nsplice can do, and what the `other` socat can to which it hands over the rest:
    /// its own answer to the same question, if there is one.
    pub(crate) fn answer(self, other: Option<&str>) -> String {
        match (self, other) {
            (Self::Version, other) => version(other.unwrap_or_default()),
            (Self::Usage(detail), None) => usage(detail),
            (Self::Usage(detail), Some(other)) => {
                format!(
                    "{}\nWhat only a real socat can do is handed over to it:\n{other}",
                    usage(detail)
                )
            }
        }
    }
}

/// The program that this is.
const PROGRAM: &str = concat!("nsplice ", env!("CARGO_PKG_VERSION"));

/// The version of socat whose ways these are.
const VERSION: &str = "1.7.4.4";

/// What socat can be built with, and whether it is here.
const FEATURES: [(&str, bool); 32] = [
    ("STDIO", true),
    ("FDNUM", true),
    ("FILE", true),
    ("CREAT", true),
    ("GOPEN", true),
    ("TERMIOS", true),
    ("PIPE", true),
    ("UNIX", true),
    ("ABSTRACT_UNIXSOCKET", true),
    ("IP4", true),
    ("IP6", true),
    ("RAWIP", false),
    ("GENERICSOCKET", false),
    ("INTERFACE", false),
    ("TCP", true),
    ("UDP", false),
    ("SCTP", false),
    ("LISTEN", true),
    ("SOCKS4", false),
    ("SOCKS4A", false),
    ("VSOCK", true),
    ("PROXY", false),
    ("SYSTEM", true),
    ("EXEC", true),
    ("READLINE", false),
    ("TUN", false),
    ("PTY", false),
    ("OPENSSL", false),
    ("FIPS", false),
    ("LIBWRAP", false),
    ("SYCLS", false),
    ("FILAN", true),
];

const FLAGS: &[(&str, &str)] = &[
    ("-V", "tell version and features, and exit"),
    ("-h|-?", "tell flags and addresses, and exit"),
    ("-hh", "the same with the usual names of options"),
    ("-hhh", "the same with all names of options"),
    ("-d[ddd]", "tell more: warnings, notices, infos, debugging"),
    ("-d0..-d4", "tell as much as with that many d"),
    ("-D", "tell about the descriptors before carrying"),
    ("-ly[facility]", "messages to syslog (daemon)"),
    ("-lf<logfile>", "messages to a file"),
    ("-ls", "messages to stderr, as without any of these"),
    ("-lm[facility]", "messages to stderr until carrying begins, then to syslog"),
    ("-lp<progname>", "the program's name in messages"),
    ("-lu", "microseconds in messages"),
    ("-lh", "the host's name in messages"),
    ("-v", "show what is carried, as text"),
    ("-x", "show what is carried, in hexadecimal"),
    ("-r <file>", "copy what goes from left to right"),
    ("-R <file>", "copy what goes from right to left"),
    ("-b<size_t>", "bytes carried at once (8192)"),
    ("-s", "go on after errors"),
    ("-t<timeout>", "seconds for the second direction after the first has ended"),
    ("-T<timeout>", "seconds without anything carried, then end"),
    ("-u", "left to right only"),
    ("-U", "right to left only"),
    ("-g", "any option with any address"),
    ("-L <lockfile>", "make this lock file, or fail"),
    ("-W <lockfile>", "make this lock file, or wait until it is gone"),
    ("-4", "IPv4 where the address does not tell"),
    ("-6", "IPv6 where the address does not tell"),
    ("-0", "either where the address does not tell"),
    ("--statistics", "tell at the end how much was carried"),
];

/// -V, with the features of the `other` one. The second line has one number that looks like a version:
/// scripts take the last.
fn version(other: &str) -> String {
    let mut out = format!("{PROGRAM} in the place of socat\nsocat version {VERSION} on nsplice\n");
    if let Ok(system) = uname() {
        line(
            &mut out,
            format_args!(
                "   running on {} version {}, release {}, machine {}",
                system.sysname().to_string_lossy(),
                system.version().to_string_lossy(),
                system.release().to_string_lossy(),
                system.machine().to_string_lossy()
            ),
        );
    }
    out.push_str("features:\n");
    for (name, here) in FEATURES {
        match here || has_feature(other, name) {
            true => line(&mut out, format_args!("  #define WITH_{name} 1")),
            false => line(&mut out, format_args!("  #undef WITH_{name}")),
        }
    }
    out.push_str("  #define WITH_RETRY 1\n  #define WITH_MSGLEVEL 0 /*debug*/\n");
    out
}

/// Returns whether the answer of a socat to -V says that it can do this.
fn has_feature(answer: &str, name: &str) -> bool {
    answer.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some("#define")
            && words.next().and_then(|word| word.strip_prefix("WITH_")) == Some(name)
            && words.next() == Some("1")
    })
}

/// -h, -hh and -hhh
pub(crate) fn usage(detail: Detail) -> String {
    let mut out = format!("{PROGRAM} in the place of socat\nUsage:\n");
    out.push_str("socat [options] <bi-address> <bi-address>\n   options:\n");
    for (flag, meaning) in FLAGS {
        line(&mut out, format_args!("      {flag:<15} {meaning}"));
    }
    addresses(&mut out, detail);
    if detail > Detail::Addresses {
        options(&mut out, detail);
    }
    out
}

fn addresses(out: &mut String, detail: Detail) {
    let pipe = keyword::of(keyword::Keyword::Pipe);
    out.push_str("   bi-address:\n");
    line(out, format_args!("      {}[,<opts>]\tgroups={}", pipe.name, keyword::UNNAMED_PIPE));
    if detail == Detail::Everything {
        for alias in pipe.aliases {
            line(out, format_args!("      {alias} is an alias for {}", pipe.name));
        }
    }
    out.push_str("      <single-address>!!<single-address>\n      <single-address>\n");
    out.push_str("   single-address:\n      <address-head>[,<opts>]\n   address-head:\n");
    let mut rows = Vec::new();
    for row in keyword::TABLE {
        let usage = match row.usage {
            Usage::Exactly(names) => names.iter().map(|name| format!(":<{name}>")).collect(),
            Usage::File | Usage::Perhaps => ":<filename>".to_owned(),
            Usage::Descriptor => ":<num>".to_owned(),
            Usage::Command => ":<command-line>".to_owned(),
            Usage::Shell => ":<shell-command>".to_owned(),
        };
        rows.push((row.name, format!("      {}{usage}\tgroups={}", row.name, row.groups)));
        if detail == Detail::Everything {
            rows.extend(row.aliases.iter().map(|alias| {
                (*alias, format!("         {alias} is an alias name for {}", row.name))
            }));
        }
    }
    list(out, rows);
    if detail == Detail::Everything {
        out.push_str("         <num> is a short form for fd:<num>\n");
        out.push_str("         <filename> is a short form for gopen:<filename>\n");
    }
}

fn options(out: &mut String, detail: Detail) {
    out.push_str("   opts:\n      <opt>{,<opts>}:\n   opt:\n");
    let mut rows = Vec::new();
    for row in option::TABLE {
        let name = match detail {
            Detail::Everything => row.name,
            _ => row.common,
        };
        let (groups, phase, kind) = (row.groups, row.phase, row.kind.name());
        rows.push((name, format!("      {name}\tgroups={groups}\tphase={phase}\ttype={kind}")));
        if detail == Detail::Everything {
            rows.extend(
                row.aliases
                    .iter()
                    .map(|alias| (*alias, format!("      {alias} is an alias for {}", row.name))),
            );
        }
    }
    list(out, rows);
}

/// Adds lines in the order of their names.
fn list(out: &mut String, mut rows: Vec<(&str, String)>) {
    rows.sort();
    for (_, row) in rows {
        line(out, format_args!("{row}"));
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{text}");
}
