//! A measurement, as a line of JSON for programs and as a line of words for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::job::Job;
use super::latency::{Latencies, Quantile};
use super::meter::{Meter, Usage};
use super::process::Holdings;

/// Every number that a measurement can hold. The order is the order of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Payload per second, in units of 10^9 bits.
    GbitPerSecond,
    /// CPU seconds of the relay for 10^9 bytes of payload.
    CpuSecondsPerGb,
    /// Operations per second.
    PerSecond,
    /// CPU microseconds of the relay for each operation.
    CpuMicrosPerOperation,
    /// The excess of the median latency over that of a direct connect; computed for reports, not
    /// measured.
    AddedMicros,
    /// Median latency in microseconds.
    P50Micros,
    /// 90th percentile of latency in microseconds.
    P90Micros,
    /// 99th percentile of latency in microseconds.
    P99Micros,
    /// The longest latency in microseconds.
    MaxMicros,
    /// Memory of the relay for each idle link.
    BytesPerLink,
    /// CPU microseconds of the relay for each idle link and second.
    IdleMicrosPerLink,
    /// Processes of the relay for each link.
    ProcessesPerLink,
    /// Descriptors of the relay for each link.
    DescriptorsPerLink,
    /// Memory that a process has mapped in.
    ResidentBytes,
    /// The part of that which is its own, and no file's.
    OwnBytes,
    /// Share of one CPU that the relay used; several threads can make it more than 1.
    RelayBusy,
    /// Share of one CPU that this process used.
    LoadBusy,
    /// Share of one CPU that everything else on this machine used.
    OthersBusy,
    /// CPU microseconds of this process for each operation.
    LoadMicrosPerOperation,
    /// CPU seconds of this process for 10^9 bytes.
    LoadSecondsPerGb,
    /// Payload bytes that arrived.
    Bytes,
    /// Operations that were finished.
    Operations,
    /// Operations that failed.
    Failed,
    /// Links that were open.
    Links,
    /// Memory of the relay before the links were opened.
    BytesBefore,
    /// Memory of the relay with the links open.
    BytesAfter,
}

/// One peer, one case, one round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The name of the subject: which relay, or none.
    pub subject: String,
    /// The workload and its size.
    pub workload: String,
    /// The number of the repetition.
    pub round: u32,
    /// The way in which CPU and memory were measured.
    pub meter: String,
    /// The true length of the window, in seconds.
    pub seconds: f64,
    /// The figures that were found.
    pub figures: BTreeMap<Figure, f64>,
    /// The distribution of latencies, where there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latencies: Vec<Quantile>,
}

impl Measurement {
    /// A report without figures yet, over a span of `wall`.
    pub fn bare(job: &Job, meter: &Meter, wall: Duration) -> Self {
        Self {
            subject: job.peer.clone(),
            workload: job.workload.case(),
            round: job.round,
            meter: meter.name().to_owned(),
            seconds: wall.as_secs_f64(),
            figures: BTreeMap::new(),
            latencies: Vec::new(),
        }
    }

    /// A report that says how busy both sides were, which every workload with a window has.
    pub fn new(job: &Job, meter: &Meter, usage: &Usage) -> Self {
        let mut report = Self::bare(job, meter, usage.wall);
        report.figures.insert(Figure::LoadBusy, usage.own.as_secs_f64() / report.seconds);
        if let Some(relay) = usage.relay {
            report.figures.insert(Figure::RelayBusy, relay.as_secs_f64() / report.seconds);
        }
        if let Some(others) = usage.others {
            report.figures.insert(Figure::OthersBusy, others.as_secs_f64() / report.seconds);
        }
        report
    }

    /// A report of what a thread of this process did by itself in `wall`.
    pub fn of_thread(subject: &str, workload: &str, round: u32, wall: Duration) -> Self {
        Self {
            subject: subject.to_owned(),
            workload: workload.to_owned(),
            round,
            meter: "thread and children".to_owned(),
            seconds: wall.as_secs_f64(),
            figures: BTreeMap::new(),
            latencies: Vec::new(),
        }
    }

    /// Adds a count.
    pub fn set(&mut self, figure: Figure, count: usize) {
        self.figures.insert(figure, count as f64);
    }

    /// Adds what follows from `bytes` having arrived.
    ///
    /// # Errors
    /// When none did: a rate of zero is a broken relay, not a slow one.
    pub fn bytes(&mut self, bytes: u64, usage: &Usage) -> Result<(), Failure> {
        if bytes == 0 {
            return Err(Failure::Relay("no byte arrived in the measured window".to_owned()));
        }
        let gigabytes = bytes as f64 / 1e9;
        self.figures.insert(Figure::Bytes, bytes as f64);
        self.figures.insert(Figure::GbitPerSecond, gigabytes * 8.0 / self.seconds);
        self.figures.insert(Figure::LoadSecondsPerGb, usage.own.as_secs_f64() / gigabytes);
        if let Some(relay) = usage.relay {
            self.figures.insert(Figure::CpuSecondsPerGb, relay.as_secs_f64() / gigabytes);
        }
        Ok(())
    }

    /// Adds what follows from `count` operations having finished.
    ///
    /// # Errors
    /// When none did.
    pub fn operations(&mut self, count: usize, usage: &Usage) -> Result<(), Failure> {
        if count == 0 {
            return Err(Failure::Relay("no operation finished in the measured window".to_owned()));
        }
        let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / count as f64;
        self.set(Figure::Operations, count);
        self.figures.insert(Figure::PerSecond, count as f64 / self.seconds);
        self.figures.insert(Figure::LoadMicrosPerOperation, each(usage.own));
        if let Some(relay) = usage.relay {
            self.figures.insert(Figure::CpuMicrosPerOperation, each(relay));
        }
        Ok(())
    }

    /// Adds what follows from openings that took so long and used `cpu` in all.
    pub fn openings(&mut self, latencies: Latencies, cpu: Duration) {
        let count = latencies.count();
        self.set(Figure::Operations, count);
        let each = cpu.as_secs_f64() * 1e6 / count as f64;
        self.figures.insert(Figure::CpuMicrosPerOperation, each);
        self.latencies(latencies);
    }

    /// Adds percentiles.
    pub fn latencies(&mut self, latencies: Latencies) {
        self.latencies = latencies.into_quantiles();
        for quantile in &self.latencies {
            let figure = match quantile.share {
                0.5 => Figure::P50Micros,
                0.9 => Figure::P90Micros,
                0.99 => Figure::P99Micros,
                1.0 => Figure::MaxMicros,
                _ => continue,
            };
            self.figures.insert(figure, quantile.micros);
        }
    }

    /// Adds memory for each of `links`.
    pub fn memory(&mut self, before: u64, after: u64, links: usize) {
        self.figures.insert(Figure::BytesBefore, before as f64);
        self.figures.insert(Figure::BytesAfter, after as f64);
        self.figures.insert(Figure::BytesPerLink, (after as f64 - before as f64) / links as f64);
    }

    /// Adds the processes and descriptors that each of `links` has brought.
    pub fn holdings(&mut self, before: Holdings, after: Holdings, links: usize) {
        let mut set = |figure, before: usize, after: usize| {
            self.figures.insert(figure, (after as f64 - before as f64) / links as f64);
        };
        set(Figure::ProcessesPerLink, before.processes, after.processes);
        set(Figure::DescriptorsPerLink, before.descriptors, after.descriptors);
    }

    /// Adds what the relay used while `links` did nothing.
    pub fn idling(&mut self, usage: &Usage, links: usize) {
        if let Some(relay) = usage.relay {
            let each = relay.as_secs_f64() * 1e6 / self.seconds / links as f64;
            self.figures.insert(Figure::IdleMicrosPerLink, each);
        }
    }

    /// Writes it, JSON to stdout and words to stderr.
    pub fn tell(&self) {
        // If nobody reads, there is nobody to tell that.
        if let Ok(line) = serde_json::to_string(self) {
            let mut out = std::io::stdout().lock();
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        }
        let _ = writeln!(std::io::stderr(), "{}", self.readable());
    }

    fn readable(&self) -> String {
        let mut text = format!("{}, {}, round {}:", self.subject, self.workload, self.round);
        let mut separator = ' ';
        for (figure, &value) in &self.figures {
            if let Some(column) = figure.column() {
                let _ = write!(text, "{separator} {} {}", column.format(value), column.heading);
                separator = ',';
            }
        }
        text
    }
}

/// The look of a figure in a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its title, which is also its unit.
    pub heading: &'static str,
    /// The end of its scale that is the good one.
    pub better: Better,
    decimals: usize,
    scale: f64,
}

/// The good end of a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// More is better.
    More,
    /// Less is better.
    Less,
    /// It explains others and is not compared.
    Neither,
}

impl Column {
    /// The value as every report shows it: rounded, in the unit of the heading, thousands set
    /// apart.
    pub fn format(&self, value: f64) -> String {
        let plain = format!("{:.*}", self.decimals, value * self.scale);
        let whole = plain.find('.').unwrap_or(plain.len());
        let mut text = String::with_capacity(plain.len() + 4);
        for (at, c) in plain.char_indices() {
            let after_a_digit = text.ends_with(|c: char| c.is_ascii_digit());
            if at < whole && after_a_digit && (whole - at) % 3 == 0 {
                text.push(',');
            }
            text.push(c);
        }
        text
    }
}

impl Figure {
    /// Returns its column, for the figures that people compare; the others are for the JSON only.
    pub fn column(self) -> Option<Column> {
        let column =
            |heading, better, decimals, scale| Some(Column { heading, better, decimals, scale });
        match self {
            Self::GbitPerSecond => column("Gbit/s", Better::More, 1, 1.0),
            Self::CpuSecondsPerGb => column("CPU s/GB", Better::Less, 3, 1.0),
            Self::PerSecond => column("per s", Better::More, 0, 1.0),
            Self::CpuMicrosPerOperation => column("CPU us each", Better::Less, 1, 1.0),
            Self::AddedMicros => column("added us", Better::Less, 1, 1.0),
            Self::P50Micros => column("p50 us", Better::Less, 0, 1.0),
            Self::P90Micros => column("p90 us", Better::Less, 0, 1.0),
            Self::P99Micros => column("p99 us", Better::Less, 0, 1.0),
            // One unlucky moment of the machine decides it, so it is told and not compared.
            Self::MaxMicros => column("max us", Better::Neither, 0, 1.0),
            Self::BytesPerLink => column("bytes per link", Better::Less, 0, 1.0),
            Self::IdleMicrosPerLink => column("idle us/s per link", Better::Less, 2, 1.0),
            Self::ProcessesPerLink => column("processes per link", Better::Less, 2, 1.0),
            Self::DescriptorsPerLink => column("fds per link", Better::Less, 2, 1.0),
            Self::ResidentBytes => column("RSS KiB", Better::Less, 0, 1.0 / 1024.0),
            Self::OwnBytes => column("own KiB", Better::Less, 0, 1.0 / 1024.0),
            Self::RelayBusy => column("% relay CPU", Better::Neither, 0, 100.0),
            Self::LoadBusy => column("% load CPU", Better::Neither, 0, 100.0),
            Self::OthersBusy => column("% other CPU", Better::Neither, 0, 100.0),
            Self::LoadMicrosPerOperation => column("load us each", Better::Neither, 1, 1.0),
            Self::LoadSecondsPerGb => column("load s/GB", Better::Neither, 3, 1.0),
            Self::Bytes
            | Self::Operations
            | Self::Failed
            | Self::Links
            | Self::BytesBefore
            | Self::BytesAfter => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::job::{Direction, Workload};

    fn measurement() -> (Measurement, Usage) {
        let job = Job::new(Workload::Bulk { streams: 1, direction: Direction::Up });
        let usage = Usage {
            wall: Duration::from_secs(2),
            relay: Some(Duration::from_secs(1)),
            own: Duration::from_millis(500),
            others: None,
        };
        let meter = Meter::of_nothing();
        (Measurement::new(&job, &meter, &usage), usage)
    }

    #[test]
    fn figures_follow_from_counts() {
        let (mut report, usage) = measurement();
        report.bytes(4_000_000_000, &usage).expect("bytes arrived");
        assert!((report.figures[&Figure::GbitPerSecond] - 16.0).abs() < 1e-9);
        assert!((report.figures[&Figure::CpuSecondsPerGb] - 0.25).abs() < 1e-9);
        assert!((report.figures[&Figure::RelayBusy] - 0.5).abs() < 1e-9);
        report.operations(1000, &usage).expect("operations finished");
        assert!((report.figures[&Figure::CpuMicrosPerOperation] - 1000.0).abs() < 1e-9);
        report.memory(1000, 5000, 2);
        assert!((report.figures[&Figure::BytesPerLink] - 2000.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_at_all_is_a_failure() {
        let (mut report, usage) = measurement();
        assert!(report.bytes(0, &usage).is_err());
        assert!(report.operations(0, &usage).is_err());
    }

    #[test]
    fn json_comes_back_as_it_went() {
        let (mut report, usage) = measurement();
        report.bytes(1_000_000, &usage).expect("bytes arrived");
        let line = serde_json::to_string(&report).expect("JSON");
        assert!(line.contains("\"gbit_per_second\":"), "{line}");
        let back: Measurement = serde_json::from_str(&line).expect("our own JSON");
        assert_eq!(back, report);
    }

    #[test]
    fn thousands_are_set_apart() {
        let show = |figure: Figure, value| figure.column().expect("a column").format(value);
        assert_eq!(show(Figure::PerSecond, 999.4), "999");
        assert_eq!(show(Figure::PerSecond, 1234567.0), "1,234,567");
        assert_eq!(show(Figure::BytesPerLink, -5882.0), "-5,882");
        assert_eq!(show(Figure::BytesPerLink, -588.0), "-588");
        assert_eq!(show(Figure::CpuMicrosPerOperation, 12345.67), "12,345.7");
        assert_eq!(show(Figure::BytesPerLink, f64::INFINITY), "inf");
    }

    #[test]
    fn words_name_their_units() {
        let (mut report, usage) = measurement();
        report.bytes(4_000_000_000, &usage).expect("bytes arrived");
        let text = report.readable();
        assert!(
            text.starts_with("direct, bulk 1 stream up, round 1:  16.0 Gbit/s, 0.250 CPU s/GB"),
            "{text}"
        );
    }
}
