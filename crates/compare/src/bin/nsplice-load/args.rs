//! The command line of `nsplice-load`, as structopt reads it.
//!
//! An option that the chosen workload does not know is an error, not a thing to ignore: a benchmark
//! that silently drops half of what it was asked is worse than none. Defaults are not clap's, for
//! which an option that lacks its value is one that was not given.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nsplice_compare::{Direction, Job, Workload};
use structopt::clap::AppSettings;
use structopt::StructOpt;

/// Longest window and warm-up taken: an hour. Beyond it a typing error is likelier than a wish.
const LONGEST_SECONDS: f64 = 3600.0;

/// Most links taken. Both ends of each are ours, so this is already two fds each; ports run out
/// long before.
const MOST_LINKS: usize = 100_000;

/// Largest request: what fits socket buffers many times over, so that neither side can fill both at
/// once.
const LARGEST_REQUEST: usize = 16 * 1024 * 1024;

/// Most ports that are looked for.
const MOST_PORTS: usize = 1000;

/// A request to `nsplice-load`.
#[derive(Debug, PartialEq, StructOpt)]
#[structopt(
    name = "nsplice-load",
    about = "What the scripts need beside `nsplice compare`: load through a relay that runs, and tables",
    after_help = "Load prints one JSON line on stdout, the readable form on stderr.\n\
                  Exit status: 0 done, 1 not measured, 2 usage error.",
    no_version,
    global_setting = AppSettings::DisableVersion,
    setting = AppSettings::SubcommandRequiredElseHelp,
    setting = AppSettings::DisableHelpSubcommand
)]
pub(crate) enum Command {
    /// Move bytes one way
    Bulk(Bulk),
    /// Exchange requests and replies
    Pingpong(Pingpong),
    /// Connect, exchange 64 B, close
    Connect(Connect),
    /// Start PROGRAM - TCP4:localhost:PORT for each link
    Start(Start),
    /// Print free TCP ports of 127.0.0.1, outside the range of outgoing connections
    Ports {
        #[structopt(value_name = "N", parse(try_from_str = ports))]
        count: usize,
    },
    /// Print the directories in which control groups are made, a line each
    Hierarchies,
    /// Print comparisons (.json) and measurements (.jsonl, lines of load) as one comparison
    Merge {
        #[structopt(value_name = "FILE", required = true, parse(from_os_str))]
        files: Vec<PathBuf>,
    },
    /// Print a comparison or measurements side by side
    Table {
        #[structopt(value_name = "FILE", parse(from_os_str))]
        file: PathBuf,
    },
    /// Print the same as tables of Markdown, for a document
    Markdown {
        #[structopt(value_name = "FILE", parse(from_os_str))]
        file: PathBuf,
    },
    /// Print the six figures of it that README has
    Summary {
        #[structopt(value_name = "FILE", parse(from_os_str))]
        file: PathBuf,
    },
}

#[derive(Debug, PartialEq, StructOpt)]
pub(crate) struct Bulk {
    /// Streams at once [default: 1]
    #[structopt(long, value_name = "N", parse(try_from_str = links))]
    streams: Option<usize>,
    /// up or down [default: up]
    #[structopt(long, value_name = "WAY", parse(try_from_str = direction))]
    direction: Option<Direction>,
    #[structopt(flatten)]
    pub(crate) through: Through,
    #[structopt(flatten)]
    time: Time,
}

#[derive(Debug, PartialEq, StructOpt)]
pub(crate) struct Pingpong {
    /// Links at once [default: 64]
    #[structopt(long, value_name = "N", parse(try_from_str = links))]
    links: Option<usize>,
    /// Bytes of a request, and of its reply [default: 1024]
    #[structopt(long, value_name = "BYTES", parse(try_from_str = size))]
    size: Option<usize>,
    #[structopt(flatten)]
    pub(crate) through: Through,
    #[structopt(flatten)]
    time: Time,
}

#[derive(Debug, PartialEq, StructOpt)]
pub(crate) struct Connect {
    /// Connections at once [default: 1]
    #[structopt(long, value_name = "N", parse(try_from_str = links))]
    parallel: Option<usize>,
    #[structopt(flatten)]
    pub(crate) through: Through,
    #[structopt(flatten)]
    time: Time,
}

#[derive(Debug, PartialEq, StructOpt)]
pub(crate) struct Start {
    /// The program to start [default: socat]
    #[structopt(long, value_name = "PATH", parse(from_os_str))]
    program: Option<PathBuf>,
    /// The name of the row [default: direct]
    #[structopt(long, value_name = "NAME")]
    peer: Option<String>,
    /// Number of the repetition [default: 1]
    #[structopt(long, value_name = "N")]
    round: Option<u32>,
    #[structopt(flatten)]
    time: Time,
}

// Where the load enters the relay, and where it leaves it. (A doc comment would become the help of
// the commands that have it.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, StructOpt)]
pub(crate) struct Through {
    /// Address of the relay; without it the client connects straight to the origin
    #[structopt(long, value_name = "ADDR:PORT", parse(try_from_str = address))]
    pub(crate) relay: Option<SocketAddr>,
    /// Address of our origin, to which the relay forwards [default: 127.0.0.1:0]
    #[structopt(long, value_name = "ADDR:PORT", parse(try_from_str = address))]
    pub(crate) origin: Option<SocketAddr>,
}

// The time that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, StructOpt)]
struct Time {
    /// Length of the measured window [default: 3]
    #[structopt(
        long,
        value_name = "S",
        allow_hyphen_values = true,
        parse(try_from_str = seconds)
    )]
    seconds: Option<Duration>,
    /// Unmeasured time before it [default: 0.5]
    #[structopt(
        long,
        value_name = "S",
        allow_hyphen_values = true,
        parse(try_from_str = seconds)
    )]
    warmup: Option<Duration>,
}

impl Bulk {
    /// Returns the job that this is.
    pub(crate) fn job(&self) -> Job {
        let streams = self.streams.unwrap_or(1);
        let direction = self.direction.unwrap_or(Direction::Up);
        self.time.of(Workload::Bulk { streams, direction })
    }
}

impl Pingpong {
    /// Returns the job that this is.
    pub(crate) fn job(&self) -> Job {
        let (links, size) = (self.links.unwrap_or(64), self.size.unwrap_or(1024));
        self.time.of(Workload::PingPong { links, size })
    }
}

impl Connect {
    /// Returns the job that this is.
    pub(crate) fn job(&self) -> Job {
        self.time.of(Workload::Connect { parallel: self.parallel.unwrap_or(1) })
    }
}

impl Start {
    /// Returns the job that this is.
    pub(crate) fn job(&self) -> Job {
        let mut job = self.time.of(Workload::Start);
        if let Some(peer) = &self.peer {
            peer.clone_into(&mut job.peer);
        }
        job.round = self.round.unwrap_or(job.round);
        job
    }

    /// Returns the program to start.
    pub(crate) fn program(&self) -> &Path {
        self.program.as_deref().unwrap_or_else(|| Path::new("socat"))
    }
}

impl Time {
    fn of(self, workload: Workload) -> Job {
        let job = Job::new(workload);
        Job {
            window: self.seconds.unwrap_or(job.window),
            warmup: self.warmup.unwrap_or(job.warmup),
            ..job
        }
    }
}

fn links(text: &str) -> Result<usize, String> {
    number(text, MOST_LINKS)
}

fn size(text: &str) -> Result<usize, String> {
    number(text, LARGEST_REQUEST)
}

fn ports(text: &str) -> Result<usize, String> {
    number(text, MOST_PORTS)
}

fn number(text: &str, most: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("`{text}` is not a number from 1 to {most}")),
    }
}

fn direction(text: &str) -> Result<Direction, String> {
    match text {
        "up" => Ok(Direction::Up),
        "down" => Ok(Direction::Down),
        _ => Err(format!("`{text}` is neither up nor down")),
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is not an address such as 127.0.0.1:8080"))
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=LONGEST_SECONDS).contains(&seconds) => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err(format!("`{text}` is not a number of seconds from 0 to {LONGEST_SECONDS}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use structopt::clap::ErrorKind;

    fn parse(line: &str) -> Result<Command, structopt::clap::Error> {
        Command::from_iter_safe(["nsplice-load"].into_iter().chain(line.split_whitespace()))
    }

    #[test]
    fn a_full_line_is_read() {
        let line = "bulk --streams 16 --direction=down --relay 127.0.0.1:7 --origin 127.0.0.1:8 \
                    --seconds 0.5 --warmup 0";
        let Ok(Command::Bulk(bulk)) = parse(line) else { panic!("{line} was refused") };
        let job = bulk.job();
        assert_eq!(job.workload, Workload::Bulk { streams: 16, direction: Direction::Down });
        assert_eq!(bulk.through.relay, Some(SocketAddr::from(([127, 0, 0, 1], 7))));
        assert_eq!(bulk.through.origin.map(|origin| origin.port()), Some(8));
        assert_eq!((job.window, job.warmup), (Duration::from_millis(500), Duration::ZERO));
    }

    #[test]
    fn what_is_not_said_is_as_a_job_has_it() {
        let Ok(Command::Pingpong(pingpong)) = parse("pingpong") else { panic!("refused") };
        assert_eq!(pingpong.job(), Job::new(Workload::PingPong { links: 64, size: 1024 }));
        let Ok(Command::Connect(connect)) = parse("connect") else { panic!("refused") };
        assert_eq!(connect.job(), Job::new(Workload::Connect { parallel: 1 }));
        let Ok(Command::Start(start)) = parse("start") else { panic!("refused") };
        assert_eq!((start.job(), start.program()), (Job::new(Workload::Start), Path::new("socat")));
    }

    #[test]
    fn starts_have_a_name_and_a_round() {
        let line = "start --program /bin/socat --peer socat --round 3";
        let Ok(Command::Start(start)) = parse(line) else { panic!("{line} was refused") };
        assert_eq!(start.program(), Path::new("/bin/socat"));
        let job = start.job();
        assert_eq!((job.peer.as_str(), job.round), ("socat", 3));
    }

    #[test]
    fn other_verbs() {
        assert_eq!(parse("ports 2").ok(), Some(Command::Ports { count: 2 }));
        assert_eq!(parse("hierarchies").ok(), Some(Command::Hierarchies));
        assert_eq!(parse("table x").ok(), Some(Command::Table { file: "x".into() }));
        assert_eq!(parse("markdown x").ok(), Some(Command::Markdown { file: "x".into() }));
        assert_eq!(parse("summary x").ok(), Some(Command::Summary { file: "x".into() }));
        let files = vec![PathBuf::from("x"), PathBuf::from("y")];
        assert_eq!(parse("merge x y").ok(), Some(Command::Merge { files }));
        assert_eq!(parse("bulk --help").unwrap_err().kind, ErrorKind::HelpDisplayed);
    }

    #[test]
    fn mistakes_are_named() {
        for (line, named) in [
            ("flood", "flood"),
            ("bulk --streams", "--streams"),
            ("bulk --streams 0", "from 1 to"),
            ("bulk --size 3", "--size"),
            ("start --peer a --peer b", "--peer"),
            ("bulk --direction sideways", "neither"),
            ("bulk extra", "extra"),
            ("bulk --seconds -1", "from 0 to"),
            ("bulk --seconds nan", "from 0 to"),
            ("connect --relay nowhere", "127.0.0.1:8080"),
            ("start --relay 127.0.0.1:7", "--relay"),
            ("bulk --program socat", "--program"),
            ("merge", "<FILE>"),
            ("hierarchies x", "x"),
            ("ports", "<N>"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.use_stderr() && error.message.contains(named), "{line}: {error}");
        }
        assert!(parse("").unwrap_err().use_stderr());
    }
}
