//! The command line of `nsplice-load`, in two steps: words into options, options into a
//! [`Command`].
//!
//! Every option takes one value. An option that the chosen workload does not know is an error, not
//! a thing to ignore: a benchmark that silently drops half of what it was asked is worse than none.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::failure::Failure;
use super::job::{Direction, Job, Workload};

/// What `--help` prints.
pub const HELP: &str = "\
nsplice-load: what the scripts need beside `nsplice compare`

load through a relay, client and origin in one process, to keep it busy:
  nsplice-load bulk     [--streams N] [--direction up|down]   bytes one way              (1, up)
  nsplice-load pingpong [--links N] [--size BYTES]            requests and replies       (64, 1024)
  nsplice-load connect  [--parallel K]                        connect, 64 B, 64 B, close (1)
    --relay ADDR:PORT     where the relay listens; without it the client connects straight to the origin
    --origin ADDR:PORT    where our origin listens, to which the relay forwards (127.0.0.1:0)

a program started for each link, PROGRAM - TCP4:localhost:PORT:
  nsplice-load start    [--program PATH] [--peer NAME] [--round N]
    --program PATH        what is started (socat)
    --peer NAME           the name of the row (direct)
    --round N             which repetition this is (1)

for all of these:
    --seconds S           length of the measured window (3)
    --warmup S            unmeasured time before it (0.5)

  nsplice-load ports N         print N free TCP ports of 127.0.0.1, outside the range of outgoing connections
  nsplice-load hierarchies     print the directories in which control groups are made, a line each
  nsplice-load merge FILE...   print comparisons (.json) and measurements (.jsonl, the lines of the above) as one comparison
  nsplice-load table FILE      print a comparison or measurements side by side
  nsplice-load markdown FILE   print the same as tables of Markdown, for a document
  nsplice-load summary FILE    print the six figures of it that README has

One JSON line goes to stdout, the readable form to stderr.
Exit status: 0 measured, 1 not measured, 2 usage.
";

/// Longest window and warm-up taken: an hour. Beyond it a typing error is likelier than a wish.
const LONGEST_SECONDS: f64 = 3600.0;

/// Most links taken. Both ends of each are ours, so this is already two fds each; ports run out
/// long before.
const MOST_LINKS: usize = 100_000;

/// Largest request: what fits socket buffers many times over, so that neither side can fill both at
/// once.
const LARGEST_REQUEST: usize = 16 * 1024 * 1024;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Run a workload through what is there.
    Measure(Job, Box<Setting>),
    /// Find free ports.
    Ports(usize),
    /// Find the directories of control groups.
    Hierarchies,
    /// Make one comparison of several.
    Merge(Vec<PathBuf>),
    /// Print measurements side by side.
    Table(PathBuf),
    /// Print them for a document.
    Markdown(PathBuf),
    /// Print a few of them for README.
    Summary(PathBuf),
    /// Print [`HELP`].
    Help,
}

/// What is there to be measured, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Where the relay listens; `None` connects straight to the origin.
    pub relay: Option<SocketAddr>,
    /// Where our origin listens.
    pub origin: SocketAddr,
    /// The program that is started for each connection, where the workload is that.
    pub program: PathBuf,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            relay: None,
            origin: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            program: PathBuf::from("socat"),
        }
    }
}

/// Reads a command line, without the program's name.
///
/// # Errors
/// [`Failure::Usage`] saying which word is wrong and what would be right.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, Failure> {
    let mut words = Vec::new();
    for arg in args {
        let word = arg
            .into_string()
            .map_err(|bad| Failure::Usage(format!("argument {} is not UTF-8", bad.display())))?;
        words.push(word);
    }
    if words.iter().any(|w| w == "--help" || w == "-h") {
        return Ok(Command::Help);
    }
    let mut words = words.into_iter();
    let Some(verb) = words.next() else {
        return Err(Failure::Usage("what to do is missing".to_owned()));
    };
    let rest: Vec<String> = words.collect();
    match verb.as_str() {
        "ports" => Ok(Command::Ports(number("ports", &only(&verb, rest)?, 1, 1000)?)),
        "hierarchies" if rest.is_empty() => Ok(Command::Hierarchies),
        "hierarchies" => Err(Failure::Usage("hierarchies takes no arguments".to_owned())),
        "table" => Ok(Command::Table(PathBuf::from(only(&verb, rest)?))),
        "markdown" => Ok(Command::Markdown(PathBuf::from(only(&verb, rest)?))),
        "summary" => Ok(Command::Summary(PathBuf::from(only(&verb, rest)?))),
        "merge" if rest.is_empty() => Err(Failure::Usage("merge takes files".to_owned())),
        "merge" => Ok(Command::Merge(rest.into_iter().map(PathBuf::from).collect())),
        "bulk" | "pingpong" | "connect" | "start" => job(&verb, Options::read(rest)?)
            .map(|(job, setting)| Command::Measure(job, Box::new(setting))),
        other => Err(Failure::Usage(format!(
            "{other:?} is not one of bulk, pingpong, connect, start, ports, hierarchies, merge, table, \
             markdown, summary"
        ))),
    }
}

fn job(verb: &str, mut options: Options) -> Result<(Job, Setting), Failure> {
    let workload = match verb {
        "bulk" => Workload::Bulk {
            streams: options.number("--streams", 1, MOST_LINKS)?.unwrap_or(1),
            direction: match options.take("--direction").as_deref() {
                None | Some("up") => Direction::Up,
                Some("down") => Direction::Down,
                Some(other) => {
                    return Err(Failure::Usage(format!(
                        "--direction {other:?} is neither up nor down"
                    )))
                }
            },
        },
        "pingpong" => Workload::PingPong {
            links: options.number("--links", 1, MOST_LINKS)?.unwrap_or(64),
            size: options.number("--size", 1, LARGEST_REQUEST)?.unwrap_or(1024),
        },
        "connect" => Workload::Connect {
            parallel: options.number("--parallel", 1, MOST_LINKS)?.unwrap_or(1),
        },
        _ => Workload::Start,
    };
    let mut job = Job::new(workload);
    let mut setting = Setting::default();
    if workload == Workload::Start {
        if let Some(program) = options.take("--program") {
            setting.program = PathBuf::from(program);
        }
        if let Some(peer) = options.take("--peer") {
            job.peer = peer;
        }
        if let Some(round) = options.parsed("--round", "a number")? {
            job.round = round;
        }
    } else {
        setting.relay = options.parsed("--relay", "an address and port such as 127.0.0.1:8080")?;
        if let Some(origin) = options
            .parsed::<SocketAddr>("--origin", "an address and port such as 127.0.0.1:8080")?
        {
            setting.origin = origin;
        }
    }
    if let Some(window) = options.seconds("--seconds")? {
        job.window = window;
    }
    if let Some(warmup) = options.seconds("--warmup")? {
        job.warmup = warmup;
    }
    options.finish(verb)?;
    Ok((job, setting))
}

fn only(verb: &str, rest: Vec<String>) -> Result<String, Failure> {
    match <[String; 1]>::try_from(rest) {
        Ok([word]) => Ok(word),
        Err(rest) => Err(Failure::Usage(format!("{verb} takes one argument, not {}", rest.len()))),
    }
}

fn number(what: &str, text: &str, least: usize, most: usize) -> Result<usize, Failure> {
    match text.parse() {
        Ok(n) if (least..=most).contains(&n) => Ok(n),
        _ => Err(Failure::Usage(format!("{what} {text:?} is not a number from {least} to {most}"))),
    }
}

/// Options as typed, in order; each is taken out by the one who knows it, and what stays is not
/// known.
struct Options(Vec<(String, String)>);

impl Options {
    fn read(words: Vec<String>) -> Result<Self, Failure> {
        let mut options = Vec::new();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            if !word.starts_with("--") {
                return Err(Failure::Usage(format!("{word:?} is not an option")));
            }
            if let Some((name, value)) = word.split_once('=') {
                options.push((name.to_owned(), value.to_owned()));
            } else if let Some(value) = words.next() {
                options.push((word, value));
            } else {
                return Err(Failure::Usage(format!("{word} needs a value")));
            }
        }
        Ok(Self(options))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(n, _)| n == name)?;
        Some(self.0.remove(at).1)
    }

    fn number(&mut self, name: &str, least: usize, most: usize) -> Result<Option<usize>, Failure> {
        self.take(name).map(|text| number(name, &text, least, most)).transpose()
    }

    fn parsed<T: FromStr>(&mut self, name: &str, wanted: &str) -> Result<Option<T>, Failure> {
        self.take(name)
            .map(|text| {
                text.parse().map_err(|_| Failure::Usage(format!("{name} {text:?} is not {wanted}")))
            })
            .transpose()
    }

    fn seconds(&mut self, name: &str) -> Result<Option<Duration>, Failure> {
        let Some(seconds) = self.parsed::<f64>(name, "a number of seconds")? else {
            return Ok(None);
        };
        if !(0.0..=LONGEST_SECONDS).contains(&seconds) {
            return Err(Failure::Usage(format!(
                "{name} {seconds} is not from 0 to {LONGEST_SECONDS} seconds"
            )));
        }
        Ok(Some(Duration::from_secs_f64(seconds)))
    }

    fn finish(self, verb: &str) -> Result<(), Failure> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => {
                Err(Failure::Usage(format!("{name} is not an option of {verb}, or is given twice")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Command, Failure> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn refusal(line: &str) -> String {
        match parse_line(line) {
            Err(failure) => {
                assert_eq!(failure.exit_code(), 2, "{line}");
                failure.to_string()
            }
            Ok(command) => panic!("{line} was taken as {command:?}"),
        }
    }

    #[test]
    fn a_full_line_is_read() {
        let line = "bulk --streams 16 --direction=down --relay 127.0.0.1:7 --origin 127.0.0.1:8 --seconds 0.5 \
                    --warmup 0";
        let Ok(Command::Measure(job, setting)) = parse_line(line) else {
            panic!("{line} was refused");
        };
        assert_eq!(job.workload, Workload::Bulk { streams: 16, direction: Direction::Down });
        assert_eq!(setting.relay, Some(SocketAddr::from(([127, 0, 0, 1], 7))));
        assert_eq!(setting.origin.port(), 8);
        assert_eq!(job.window, Duration::from_millis(500));
        assert_eq!(job.warmup, Duration::ZERO);
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let Ok(Command::Measure(job, _)) = parse_line("pingpong") else {
            panic!("refused");
        };
        assert_eq!(job.workload, Workload::PingPong { links: 64, size: 1024 });
        let Ok(Command::Measure(job, setting)) = parse_line("start") else {
            panic!("refused");
        };
        assert_eq!((job.workload, setting.program), (Workload::Start, PathBuf::from("socat")));
    }

    #[test]
    fn starts_have_a_name_and_a_round() {
        let line = "start --program /bin/socat --peer socat --round 3";
        let Ok(Command::Measure(job, setting)) = parse_line(line) else {
            panic!("{line} was refused");
        };
        assert_eq!(setting.program, PathBuf::from("/bin/socat"));
        assert_eq!((job.peer.as_str(), job.round), ("socat", 3));
    }

    #[test]
    fn other_verbs() {
        assert_eq!(parse_line("ports 2").ok(), Some(Command::Ports(2)));
        assert_eq!(parse_line("hierarchies").ok(), Some(Command::Hierarchies));
        assert_eq!(parse_line("table x").ok(), Some(Command::Table(PathBuf::from("x"))));
        assert_eq!(parse_line("markdown x").ok(), Some(Command::Markdown(PathBuf::from("x"))));
        let two = vec![PathBuf::from("x"), PathBuf::from("y")];
        assert_eq!(parse_line("merge x y").ok(), Some(Command::Merge(two)));
        assert_eq!(parse_line("bulk --help").ok(), Some(Command::Help));
    }

    #[test]
    fn mistakes_are_named() {
        assert!(refusal("").contains("missing"));
        assert!(refusal("flood").contains("\"flood\""));
        assert!(refusal("bulk --streams").contains("--streams needs a value"));
        assert!(refusal("bulk --streams 0").contains("from 1 to"));
        assert!(refusal("bulk --size 3").contains("--size is not an option of bulk"));
        assert!(refusal("start --peer a --peer b").contains("twice"));
        assert!(refusal("bulk --direction sideways").contains("neither"));
        assert!(refusal("bulk extra").contains("not an option"));
        assert!(refusal("bulk --seconds -1").contains("from 0 to"));
        assert!(refusal("bulk --seconds nan").contains("from 0 to"));
        assert!(refusal("connect --relay nowhere").contains("127.0.0.1:8080"));
        assert!(refusal("start --relay 127.0.0.1:7").contains("--relay is not an option of start"));
        assert!(refusal("bulk --program socat").contains("--program is not an option of bulk"));
        assert!(refusal("merge").contains("takes files"));
        assert!(refusal("hierarchies x").contains("no arguments"));
        assert!(refusal("ports").contains("one argument"));
    }
}
