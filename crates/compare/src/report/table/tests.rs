use super::*;
use crate::load::report::Measurement;
use crate::report::{lines, sample};

fn measurement(peer: &str, round: u32, gbit: f64, cpu: f64) -> Measurement {
    let figures = format!(r#""gbit_per_second":{gbit},"cpu_seconds_per_gb":{cpu},"bytes":64"#);
    sample::measurement(peer, "bulk", round, &figures)
}

fn lay_out(all: &[Measurement]) -> String {
    render(&lines::comparison(all.to_vec()))
}

#[test]
fn a_narrow_terminal_gets_more_and_shorter_lines() {
    let all: Vec<_> = ["direct", "floor", "setns", "external"]
        .iter()
        .map(|peer| measurement(peer, 1, 20.0, 0.4))
        .collect();
    let comparison = lines::comparison(all);
    let [wide, narrow] = [None, Some(60)].map(|width| render_within(&comparison, width));
    assert!(narrow.lines().all(|line| line.chars().count() <= 60), "{narrow}");
    assert!(narrow.lines().count() > wide.lines().count(), "{narrow}");
    assert_eq!(wide, render(&comparison));
}

fn row<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find(|l| l.trim_start().starts_with(name)).expect("a row")
}

#[test]
fn the_best_peer_is_found_for_each_figure_by_itself() {
    let all = [
        measurement("direct", 1, 90.0, 0.01),
        measurement("nsplice", 1, 20.0, 0.4),
        measurement("nsplice-copy", 1, 99.0, 0.1),
        measurement("fast", 1, 25.0, 1.0),
        measurement("lean", 1, 10.0, 0.5),
    ];
    let text = lay_out(&all);
    let last = row(&text, "nsplice / best peer");
    assert!(last.contains("0.80 (fast)") && last.contains("0.80 (lean)"), "{text}");
}

#[test]
fn without_peers_backends_are_rivals_and_yardsticks_never() {
    let mut backends = lines::comparison(vec![
        measurement("direct", 1, 90.0, 0.01),
        measurement("floor", 1, 50.0, 0.2),
        measurement("setns", 1, 40.0, 0.4),
        measurement("setns-copy", 1, 99.0, 0.1),
        measurement("external", 1, 10.0, 0.8),
    ]);
    for subject in backends.subjects.iter_mut().skip(2) {
        subject.kind = crate::model::SubjectKind::Backend;
    }
    let text = render(&backends);
    let best = row(&text, "setns / best other");
    assert!(best.contains("4.00 (external)") && best.contains("0.50 (external)"), "{text}");
    assert!(row(&text, "setns / floor").contains("2.00"), "{text}");
    assert!(text.find("direct") < text.find("floor") && text.find("floor") < text.find("setns"));
}

#[test]
fn a_stand_in_is_compared_with_its_original() {
    let all = [measurement("socat", 1, 10.0, 0.5), measurement("nsplice-socat", 1, 20.0, 0.1)];
    let text = lay_out(&all);
    let last = row(&text, "nsplice-socat / socat");
    assert!(last.contains("2.00") && last.contains("0.20"), "{text}");
}

#[test]
fn a_stand_in_is_no_rival() {
    let all = [
        measurement("nsplice", 1, 10.0, 0.5),
        measurement("nsplice-socat", 1, 20.0, 0.1),
        measurement("socat", 1, 5.0, 1.0),
    ];
    let text = lay_out(&all);
    let best = row(&text, "nsplice / best peer");
    assert!(best.contains("2.00 (socat)") && best.contains("0.50 (socat)"), "{text}");
}

#[test]
fn disturbed_rounds_give_way_to_calm_ones() {
    let disturb = |mut m: Measurement| {
        m.figures.insert(Figure::OthersBusy, 0.9);
        m
    };
    let all = [
        measurement("mixed", 1, 10.0, 0.5),
        disturb(measurement("mixed", 2, 2.0, 0.9)),
        disturb(measurement("unlucky", 1, 3.0, 0.7)),
    ];
    let text = lay_out(&all);
    assert!(row(&text, "mixed").contains("10.0 "), "{text}");
    assert!(row(&text, "unlucky ~").contains("3.0 "), "{text}");
}

#[test]
fn wide_spreads_are_marked_and_missing_cells_are_dashes() {
    let mut bare = measurement("bare", 1, 1.0, 1.0);
    bare.figures.remove(&Figure::CpuSecondsPerGb);
    let all = [
        measurement("socat", 1, 5.0, 0.9),
        measurement("socat", 2, 10.0, 1.0),
        measurement("socat", 3, 11.0, 1.1),
        bare,
    ];
    let text = lay_out(&all);
    assert!(text.contains("10.0 (5.0 - 11.0) !"), "{text}");
    assert!(text.contains("marked !: 1."), "{text}");
    assert!(text.contains("1.000 (0.900 - 1.100)\n"), "{text}");
    assert!(row(&text, "bare").ends_with('-'), "{text}");
}

#[test]
fn nothing_is_divided_by_nothing() {
    let nothing = [measurement("nsplice", 1, 0.0, 0.0), measurement("socat", 1, 0.0, 0.0)];
    let text = lay_out(&nothing);
    assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
}
