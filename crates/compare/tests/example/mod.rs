//! A comparison that nobody measured, but could have: for tests of reports, and to see what they
//! look like.
//!
//! Figures lie about those of README's machine. Rounds scatter by a few percent in a way that is
//! the same each time.

use std::collections::BTreeMap;
use std::time::Duration;

use nsplice_compare::{
    Behaviour, Comparison, Direction, Figure, Machine, Measurement, Passed, Quantile, StageFacts,
    SubjectFacts, SubjectKind, Verdict, Workload, SCHEMA,
};

/// Shares of latencies, in thousandths.
const PER_MILLE: [u16; 11] = [10, 50, 100, 250, 500, 750, 900, 950, 990, 999, 1000];

/// Name, kind, command, and what its CPU, its latency and its memory are by those of `setns`.
const SUBJECTS: [(&str, SubjectKind, &str, f64, f64, f64); 8] = [
    (
        "setns",
        SubjectKind::Backend,
        "nsplice forward pid/4242 18080:8080 --backend setns",
        1.0,
        1.0,
        1.0,
    ),
    (
        "setns-copy",
        SubjectKind::Backend,
        "nsplice forward pid/4242 18081:8080 --backend setns --no-splice",
        1.7,
        1.04,
        1.0,
    ),
    (
        "external",
        SubjectKind::Backend,
        "nsplice forward pid/4242 18082:8080 --backend external",
        43.0,
        118.0,
        190.0,
    ),
    (
        "dial",
        SubjectKind::Backend,
        "nsplice forward tcp/127.0.0.1 18083:8080 --backend dial",
        0.97,
        0.96,
        1.0,
    ),
    ("haproxy-splice", SubjectKind::Peer, "127.0.0.1:18084, pid 5151", 1.21, 1.3, 1.9),
    ("rinetd", SubjectKind::Peer, "127.0.0.1:18085, pid 5152", 1.12, 1.1, 5.4),
    ("direct", SubjectKind::Direct, "connect(2) inside the namespace", 0.0, 0.42, 0.0),
    ("floor", SubjectKind::Floor, "the same system calls in a bare loop", 0.92, 0.97, 0.4),
];

const WORKLOADS: [Workload; 10] = [
    Workload::Connect { parallel: 1 },
    Workload::Connect { parallel: 8 },
    Workload::Connect { parallel: 64 },
    Workload::PingPong { links: 1, size: 64 },
    Workload::PingPong { links: 64, size: 1024 },
    Workload::PingPong { links: 16, size: 16384 },
    Workload::Bulk { streams: 1, direction: Direction::Up },
    Workload::Bulk { streams: 1, direction: Direction::Down },
    Workload::Bulk { streams: 16, direction: Direction::Down },
    Workload::Idle { links: 2000, opening: Duration::from_secs(3) },
];

/// A name, a group, what is expected, and which subjects fail it with which words.
type Line = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

const BEHAVIOURS: [Line; 9] = [
    ("whole-1GiB-up", "bytes", "all 1,073,741,824 bytes arrive, in order", &[]),
    ("one-byte-dribble", "bytes", "each byte arrives before the next is sent", &[]),
    ("half-close-down-0s", "half-close", "the reply arrives after the client's FIN", &[]),
    (
        "half-close-down-0.7s",
        "half-close",
        "the reply arrives 0.7 s after the client's FIN",
        &[
            (
                "external",
                "the link ended 0.51 s after the FIN, 0 of 65,536 bytes of the reply arrived",
            ),
            ("rinetd", "the link ended at once, 0 of 65,536 bytes of the reply arrived"),
        ],
    ),
    (
        "half-close-down-10s",
        "half-close",
        "the reply arrives 10 s after the client's FIN",
        &[
            (
                "external",
                "the link ended 0.51 s after the FIN, 0 of 65,536 bytes of the reply arrived",
            ),
            ("rinetd", "the link ended at once, 0 of 65,536 bytes of the reply arrived"),
        ],
    ),
    (
        "reset-up",
        "reset",
        "a reset by the client arrives as a reset",
        &[
            ("external", "the server saw an orderly end"),
            ("rinetd", "the server saw an orderly end"),
        ],
    ),
    (
        "refused",
        "opening",
        "the client sees a reset or an end, within a second",
        &[("haproxy-splice", "answered <html> & \"503\"\u{1b}[31m: <script>alert(1)</script>")],
    ),
    ("target-gone", "opening", "links to a namespace that is gone fail; others live on", &[]),
    ("nothing-left-behind", "resources", "no process, pipe or socket is left after 100 links", &[]),
];

/// A comparison with so many rounds, in which nsplice's CPU is `factor` times the usual.
pub(crate) fn comparison(rounds: u32, factor: f64) -> Comparison {
    let limits =
        [("open_files", Some(1_048_576)), ("pipe_pages_soft", Some(16_384)), ("pids", None)];
    let tools = [("socat", Some("1.7.4.4")), ("nsenter", Some("2.38.1")), ("rinetd", None)];
    Comparison {
        schema: SCHEMA.to_owned(),
        version: "0.1.0".to_owned(),
        started: "2026-11-25T09:39:44Z".to_owned(),
        seconds: 171.6,
        machine: Machine {
            kernel: "6.18.1".to_owned(),
            processor: "AMD EPYC 7B13".to_owned(),
            cpus: 2,
            memory: 8_323_584_000,
            congestion_control: "cubic".to_owned(),
            limits: limits.map(|(name, limit)| (name.to_owned(), limit)).into(),
            tools: tools.map(|(name, v)| (name.to_owned(), v.map(str::to_owned))).into(),
            meter: "cgroup v2".to_owned(),
            placement: "load on CPU 0, relays on CPU 1".to_owned(),
        },
        stage: StageFacts {
            target: Some("docker/web".to_owned()),
            origin: "127.0.0.1:8080".to_owned(),
            namespace: Some("net:[4026532281]".to_owned()),
        },
        subjects: subjects(),
        behaviours: BEHAVIOURS.map(behaviour).into(),
        measurements: (1..=rounds).flat_map(|round| measurements(round, factor)).collect(),
        warnings: vec![
            "3.1% of the CPU time was taken by the hypervisor (steal), which makes every figure larger than it is"
                .to_owned(),
        ],
        change: None,
    }
}

fn subjects() -> Vec<SubjectFacts> {
    let facts = |name: &str, kind, command: &str, missing: Option<&str>| SubjectFacts {
        name: name.to_owned(),
        kind,
        command: command.to_owned(),
        missing: missing.map(str::to_owned),
    };
    let mut subjects: Vec<SubjectFacts> = SUBJECTS
        .iter()
        .map(|&(name, kind, command, ..)| facts(name, kind, command, None))
        .collect();
    let why = "there is no docker-proxy in PATH";
    subjects.push(facts("docker-proxy", SubjectKind::Peer, "docker-proxy", Some(why)));
    subjects
}

fn behaviour((name, group, expected, failing): Line) -> Behaviour {
    let relays = SUBJECTS.iter().filter(|(_, kind, ..)| !kind.is_yardstick());
    let verdicts = relays.map(|&(subject, ..)| {
        let failed = failing.iter().find(|(one, _)| *one == subject);
        let (result, seen) = match failed {
            Some((_, seen)) => (Passed::No, *seen),
            None if name == "target-gone" && subject == "dial" => {
                (Passed::NotTried, "a plain dial has no namespace that could go")
            }
            None => (Passed::Yes, "as expected"),
        };
        let known = (result == Passed::No && subject == "external")
            .then(|| "socat(1) ends half a second after the first EOF".to_owned());
        Verdict { subject: subject.to_owned(), result, seen: seen.to_owned(), known }
    });
    let verdicts = verdicts.collect();
    Behaviour {
        name: name.to_owned(),
        expected: expected.to_owned(),
        group: group.to_owned(),
        verdicts,
    }
}

fn measurements(round: u32, factor: f64) -> Vec<Measurement> {
    let mut all = Vec::new();
    for (w, workload) in WORKLOADS.into_iter().enumerate() {
        for (s, &(name, kind, _, cpu, latency, memory)) in SUBJECTS.iter().enumerate() {
            let mut one = Measurement {
                subject: name.to_owned(),
                workload: workload.case(),
                round,
                meter: "cgroup v2".to_owned(),
                seconds: 3.0,
                figures: BTreeMap::new(),
                latencies: Vec::new(),
            };
            // Some numbers without a pattern, between -3% and 3%.
            let noise = |salt: usize| {
                let mixed =
                    (w * 31 + s * 17 + salt * 7 + round as usize * 13) * 2_654_435_761 % 601;
                1.0 + (mixed as f64 - 300.0) / 10_000.0
            };
            let ours = if kind == SubjectKind::Backend { factor } else { 1.0 };
            let cpu = cpu * ours * noise(1);
            let relayed = kind != SubjectKind::Direct;
            let mut set = |figure, value: f64| {
                one.figures.insert(figure, value);
            };
            match workload {
                Workload::Bulk { streams, .. } => {
                    let cpu = if name == "external" { 1.1 * noise(1) } else { cpu };
                    let drag = if relayed { 1.0 + cpu / 2.0 } else { 0.7 };
                    set(Figure::GbitPerSecond, 43.0 / drag / (streams as f64).powf(0.05));
                    if relayed {
                        set(Figure::CpuSecondsPerGb, 0.17 * cpu);
                    }
                }
                Workload::Connect { parallel } => {
                    let each = 88.0 * latency.max(0.3) * noise(2) * (parallel as f64).powf(0.6);
                    set(Figure::PerSecond, parallel as f64 * 1e6 / each);
                    if relayed {
                        set(Figure::CpuMicrosPerOperation, 62.0 * cpu);
                    }
                    distribute(&mut one, each);
                }
                Workload::PingPong { links, size } => {
                    let cpu = if name == "external" { 1.6 * noise(1) } else { cpu };
                    let latency = if name == "external" { 1.9 } else { latency };
                    let each = (21.0 + size as f64 / 900.0) * latency * noise(2) * links as f64;
                    set(Figure::PerSecond, links as f64 * 1e6 / each);
                    if relayed {
                        set(Figure::CpuMicrosPerOperation, (11.0 + size as f64 / 2600.0) * cpu);
                    }
                    distribute(&mut one, each);
                }
                Workload::Idle { .. } if relayed => {
                    set(Figure::BytesPerLink, 5_882.0 * memory * noise(3));
                    set(Figure::IdleMicrosPerLink, if name == "rinetd" { 0.04 } else { 0.0 });
                    set(Figure::ProcessesPerLink, if name == "external" { 1.0 } else { 0.0 });
                    set(Figure::DescriptorsPerLink, if name == "external" { 5.0 } else { 2.0 });
                }
                Workload::Idle { .. } | Workload::Start => continue,
            }
            let others = if name == "rinetd" && round == 2 { 0.6 } else { 0.03 };
            one.figures
                .extend(BTreeMap::from([(Figure::LoadBusy, 0.7), (Figure::OthersBusy, others)]));
            all.push(one);
        }
    }
    all
}

/// Gives `one` latencies around `median`, with a long tail.
fn distribute(one: &mut Measurement, median: f64) {
    for per_mille in PER_MILLE {
        let share = f64::from(per_mille) / 1e3;
        let tail = (1.0 - share).max(0.0004).powf(-0.22) / 0.5_f64.powf(-0.22);
        one.latencies.push(Quantile { share, micros: median * tail });
        let figure = match per_mille {
            500 => Figure::P50Micros,
            900 => Figure::P90Micros,
            990 => Figure::P99Micros,
            1000 => Figure::MaxMicros,
            _ => continue,
        };
        one.figures.insert(figure, median * tail);
    }
}
