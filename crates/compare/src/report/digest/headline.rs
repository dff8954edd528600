//! The few figures that a comparison comes down to.

use super::{Case, Section};
use crate::load::report::Figure;

/// A figure that stands for its section where there is room for one line only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Headline<'a> {
    /// The name it has there.
    pub label: &'static str,
    /// Under which workload it was measured.
    pub case: &'a Case<'a>,
    /// The figure.
    pub figure: Figure,
}

/// The headlines of `cases`, in the order of columns.
pub(crate) fn headlines<'a>(cases: &'a [Case<'a>]) -> Vec<Headline<'a>> {
    // Of each section the first workload, of requests the one that most programs resemble.
    let first = |section| cases.iter().find(move |case| case.section == section);
    let requests = cases.iter().find(|case| case.workload.ends_with(" 1 KiB"));
    let requests = requests.or_else(|| first(Section::Requests));
    let one_link = cases.iter().find(|case| case.is_one_link());
    let picked = [
        ("open p50 us", first(Section::Opening), Figure::P50Micros),
        ("CPU us/open", first(Section::Opening), Figure::CpuMicrosPerOperation),
        ("added us", one_link, Figure::AddedMicros),
        ("CPU us/req", requests, Figure::CpuMicrosPerOperation),
        ("Gbit/s", first(Section::Bulk), Figure::GbitPerSecond),
        ("CPU s/GB", first(Section::Bulk), Figure::CpuSecondsPerGb),
        ("bytes/link", first(Section::Idle), Figure::BytesPerLink),
        ("exec p50 us", first(Section::Start), Figure::P50Micros),
    ];
    picked
        .into_iter()
        .filter_map(|(label, case, figure)| {
            let case = case.filter(|case| case.figures.contains(&figure))?;
            Some(Headline { label, case, figure })
        })
        .collect()
}
