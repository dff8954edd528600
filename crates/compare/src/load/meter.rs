//! CPU and memory of the relay, from outside it.
//!
//! A control group is the right instrument: it counts threads, children that come and go (socat has
//! one for each connection), and for memory also what the kernel holds for the group: sockets,
//! pipes, epoll entries. Which files tell it depends on the hierarchy:
//!
//! | | v2 | v1 |
//! |---|---|---|
//! | CPU | `cpu.stat`, line `usage_usec` | `cpuacct.usage`, nanoseconds |
//! | memory | `memory.current` | `memory.usage_in_bytes`; socket buffers are counted apart |
//!
//! What is left of the machine's CPU time (`/proc/stat`) went to others. On a shared machine it
//! tells a slow relay from a disturbed measurement.
//!
//! A directory is asked for whichever of these it has. Running threads are brought up to date at
//! each timer tick, so a reading may be some milliseconds old: windows should be seconds.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::resource::{getrusage, UsageWho};
use nix::sys::time::TimeValLike;
use nsplice_trial::process::ticks;

use super::failure::Failure;
use super::process::{self, Holdings};

/// A meter: the origin of the numbers.
#[derive(Debug)]
pub struct Meter {
    source: Source,
}

#[derive(Debug)]
enum Source {
    Group {
        cpu: CpuFile,
        memory: Vec<PathBuf>,
        members: PathBuf,
    },
    Process(u32),
    /// There is a relay, and nobody has said which process it is.
    Unknown,
    /// There is no relay.
    Nothing,
}

#[derive(Debug, PartialEq, Eq)]
enum CpuFile {
    Stat(PathBuf),
    Nanoseconds(PathBuf),
}

impl Meter {
    /// Returns a meter for where there is no relay.
    pub fn of_nothing() -> Self {
        Self { source: Source::Nothing }
    }

    /// Finds the counters in `groups`, else those of process `pid`. Without either the relay's
    /// costs are unknown, and so are those of everybody else.
    ///
    /// # Errors
    /// When groups are named and none counts CPU time.
    pub fn open(groups: &[PathBuf], pid: Option<u32>) -> Result<Self, Failure> {
        let source = if !groups.is_empty() {
            Self::group(groups)?
        } else if let Some(pid) = pid {
            process::cpu(pid)?;
            Source::Process(pid)
        } else {
            Source::Unknown
        };
        Ok(Self { source })
    }

    fn group(groups: &[PathBuf]) -> Result<Source, Failure> {
        let find = |name: &str| groups.iter().map(|g| g.join(name)).find(|path| path.is_file());
        let cpu = if let Some(path) = find("cpuacct.usage") {
            CpuFile::Nanoseconds(path)
        } else if let Some(path) = groups
            .iter()
            .map(|g| g.join("cpu.stat"))
            .find(|path| fs::read_to_string(path).is_ok_and(|text| usage_usec(&text).is_some()))
        {
            // v1 has a cpu.stat too, but with throttling only, hence the look inside.
            CpuFile::Stat(path)
        } else {
            let names: Vec<_> = groups.iter().map(|g| g.display().to_string()).collect();
            return Err(Failure::Usage(format!(
                "the control group {} has neither a cpu.stat with usage_usec nor a cpuacct.usage",
                names.join(", ")
            )));
        };
        let memory = ["memory.current"]
            .into_iter()
            .chain(["memory.usage_in_bytes", "memory.kmem.tcp.usage_in_bytes"])
            .filter_map(find)
            .collect();
        let members = find("cgroup.procs").unwrap_or_default();
        Ok(Source::Group { cpu, memory, members })
    }

    /// The name of this instrument, for the report.
    pub fn name(&self) -> &'static str {
        match &self.source {
            Source::Group { cpu: CpuFile::Stat(_), .. } => "cgroup v2",
            Source::Group { .. } => "cgroup v1",
            Source::Process(_) => "process tree",
            Source::Unknown | Source::Nothing => "none",
        }
    }

    /// CPU time that the relay has used so far.
    ///
    /// # Errors
    /// When the counter is gone, as it is when the relay's group was removed.
    pub fn cpu(&self) -> Result<Option<Duration>, Failure> {
        match &self.source {
            Source::Group { cpu: CpuFile::Stat(path), .. } => {
                let text = read(path)?;
                let micros = usage_usec(&text).ok_or_else(|| {
                    Failure::Relay(format!("no usage_usec in {}", path.display()))
                })?;
                Ok(Some(Duration::from_micros(micros)))
            }
            Source::Group { cpu: CpuFile::Nanoseconds(path), .. } => {
                Ok(Some(Duration::from_nanos(counter(path)?)))
            }
            Source::Process(pid) => process::cpu(*pid).map(Some),
            Source::Unknown | Source::Nothing => Ok(None),
        }
    }

    /// Bytes that the relay holds now.
    ///
    /// # Errors
    /// As for [`Meter::cpu`].
    pub fn memory(&self) -> Result<Option<u64>, Failure> {
        match &self.source {
            Source::Group { memory, .. } if memory.is_empty() => Ok(None),
            Source::Group { memory, .. } => {
                let mut bytes = 0;
                for path in memory {
                    bytes += counter(path)?;
                }
                Ok(Some(bytes))
            }
            Source::Process(pid) => process::memory(*pid).map(Some),
            Source::Unknown | Source::Nothing => Ok(None),
        }
    }

    /// The processes of the relay now; none where there is no relay.
    ///
    /// # Errors
    /// As for [`Meter::cpu`].
    pub fn processes(&self) -> Result<Vec<u32>, Failure> {
        match &self.source {
            Source::Group { members, .. } => {
                Ok(read(members)?.lines().filter_map(|line| line.parse().ok()).collect())
            }
            Source::Process(pid) => process::tree(*pid),
            Source::Unknown | Source::Nothing => Ok(Vec::new()),
        }
    }

    /// Returns what those processes hold, where there is a relay and its processes are ours to look
    /// at.
    ///
    /// # Errors
    /// As for [`Meter::cpu`].
    pub fn holdings(&self) -> Result<Option<Holdings>, Failure> {
        match &self.source {
            Source::Unknown | Source::Nothing => Ok(None),
            _ => Ok(process::holdings(&self.processes()?)),
        }
    }

    /// Starts a measured window.
    ///
    /// # Errors
    /// As for [`Meter::cpu`].
    pub fn open_window(&self) -> Result<Window<'_>, Failure> {
        Ok(Window {
            meter: self,
            relay: self.cpu()?,
            own: own_cpu()?,
            machine: machine_cpu().filter(|_| !matches!(self.source, Source::Unknown)),
            start: Instant::now(),
        })
    }
}

/// How much longer than it was meant to be a window is open while nothing was counted in it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A span of time with the counters as they stood at its start.
#[derive(Debug)]
pub struct Window<'m> {
    meter: &'m Meter,
    relay: Option<Duration>,
    own: Duration,
    machine: Option<Duration>,
    start: Instant,
}

/// The CPU and memory used in a window.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Its length.
    pub wall: Duration,
    /// CPU time of the relay.
    pub relay: Option<Duration>,
    /// CPU time of this process.
    pub own: Duration,
    /// CPU time of everything else on this machine, where that can be told.
    pub others: Option<Duration>,
}

impl Window<'_> {
    /// Returns the time for which it has been open.
    pub fn age(&self, now: Instant) -> Duration {
        now - self.start
    }

    /// Returns whether it has been open for `length` and something was counted in it, or nothing for so
    /// much longer that nothing will be. A relay that did not get the processor in a short window is not
    /// a broken one, and where an operation takes longer than the window one of them is a measurement.
    pub fn is_over(&self, now: Instant, length: Duration, has_counted: bool) -> bool {
        let length = if has_counted { length } else { length + PATIENCE };
        self.age(now) >= length
    }

    /// Ends it.
    ///
    /// # Errors
    /// As for [`Meter::cpu`].
    pub fn close(self) -> Result<Usage, Failure> {
        let wall = self.start.elapsed();
        let relay = match (self.relay, self.meter.cpu()?) {
            (Some(before), Some(after)) => Some(after.saturating_sub(before)),
            _ => None,
        };
        let own = own_cpu()?.saturating_sub(self.own);
        let ours = own + relay.unwrap_or_default();
        let others = match (self.machine, machine_cpu()) {
            (Some(before), Some(after)) => Some(after.saturating_sub(before).saturating_sub(ours)),
            _ => None,
        };
        Ok(Usage { wall, relay, own, others })
    }
}

fn own_cpu() -> Result<Duration, Failure> {
    cpu_of(UsageWho::RUSAGE_SELF)
}

/// CPU time of the children that this process has waited for.
///
/// # Errors
/// When the system does not tell.
pub(crate) fn children_cpu() -> Result<Duration, Failure> {
    cpu_of(UsageWho::RUSAGE_CHILDREN)
}

/// CPU time of `who`.
///
/// # Errors
/// When the system does not tell.
pub(crate) fn cpu_of(who: UsageWho) -> Result<Duration, Failure> {
    let usage = getrusage(who).map_err(|error| Failure::system("read our own CPU time", error))?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}

/// CPU time that the whole machine has spent on anything. No reason to fail if it cannot be had: it
/// only explains.
fn machine_cpu() -> Option<Duration> {
    busy_ticks(&fs::read_to_string("/proc/stat").ok()?).map(ticks)
}

/// The first line of `/proc/stat` without idle and iowait, and without the guest times, which are
/// in user already.
fn busy_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    let mut next = || fields.next()?.parse::<u64>().ok();
    let (user, nice, system) = (next()?, next()?, next()?);
    let (_idle, _iowait) = (next()?, next()?);
    let (irq, softirq, steal) = (next()?, next()?, next()?);
    Some(user + nice + system + irq + softirq + steal)
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path)
        .map_err(|error| Failure::system(format!("read {}", path.display()), error))
}

fn counter(path: &Path) -> Result<u64, Failure> {
    let text = read(path)?;
    text.trim()
        .parse()
        .map_err(|_| Failure::Relay(format!("{} holds {text:?}, not a number", path.display())))
}

fn usage_usec(text: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix("usage_usec "))
        .and_then(|value| value.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_stat_of_v2_is_read_and_that_of_v1_is_not_mistaken_for_it() {
        let v2 = "usage_usec 123456\nuser_usec 100000\nsystem_usec 23456\nnr_periods 0\n";
        assert_eq!(usage_usec(v2), Some(123_456));
        let v1 = "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n";
        assert_eq!(usage_usec(v1), None);
        assert_eq!(usage_usec("usage_usec x\n"), None);
    }

    #[test]
    fn the_machine_is_busy_with_all_but_idling() {
        let stat = "cpu  1 2 4 1000 2000 8 16 32 64 128\ncpu0 9 9 9 9 9 9 9 9 9 9\n";
        assert_eq!(busy_ticks(stat), Some(63));
        assert_eq!(busy_ticks("intr 1 2 3"), None);
    }

    #[test]
    fn a_window_in_which_nothing_was_counted_stays_open_for_a_while() {
        let meter = Meter::open(&[], None).expect("a meter without a relay");
        let window = meter.open_window().expect("a window");
        let (length, start) = (Duration::from_secs(1), window.start);
        let is_over = |seconds, has_counted| {
            window.is_over(start + Duration::from_secs(seconds), length, has_counted)
        };
        assert!(!is_over(0, true) && is_over(1, true));
        assert!(!is_over(1, false) && is_over(11, false));
    }

    #[test]
    fn a_directory_without_counters_is_a_usage_error() {
        let failure = Meter::open(&[PathBuf::from("/proc")], None).expect_err("no counters there");
        assert_eq!(failure.exit_code(), 2);
    }

    #[test]
    fn a_relay_that_cannot_be_counted_is_not_taken_for_others() {
        let usage = |meter: &Meter| meter.open_window().and_then(Window::close).expect("a window");
        let unknown = Meter::open(&[], None).expect("nothing is asked for");
        assert_eq!((unknown.name(), usage(&unknown).others), ("none", None));
        assert!(usage(&Meter::of_nothing()).others.is_some());
    }

    #[test]
    fn our_own_process_can_be_the_relay() {
        let meter = Meter::open(&[], Some(std::process::id())).expect("we are alive");
        assert_eq!(meter.name(), "process tree");
        let usage = meter.open_window().and_then(Window::close).expect("a window");
        assert!(usage.relay.is_some());
    }
}
