//! Reports of a comparison, for people and for programs.
//!
//! Everything here is made from a [`Comparison`] and nothing else, so a report can be
//! made again, years later, from the JSON of a run.
//!
//! | module | what it makes |
//! |---|---|
//! | [`table`] | text for a terminal |
//! | [`html`] | one page that needs nothing but itself |
//! | [`json`] | the comparison as a file, and back; the schema is `SCHEMA.md` |
//! | [`markdown`] | tables for a document |
//! | [`merge`] | several comparisons as one |
//! | [`change`] | what is different from an older comparison |
//! | [`progress`] | what a long run is at, on stderr |
//!
//! [`digest`] stands between the measurements and what people read: it picks the rounds that count,
//! sums them up with [`stats`], and puts subjects and workloads in order. How a figure is rounded
//! and what its unit is called is said once, in [`Column`](crate::load::report::Column). So no two
//! of them can contradict each other.

pub mod change;
pub(crate) mod digest;
pub mod html;
pub mod json;
pub mod lines;
pub mod markdown;
pub mod merge;
pub(crate) mod progress;
#[cfg(test)]
mod sample;
pub(crate) mod stats;
pub mod table;

use crate::model::Comparison;

/// The facts about where `comparison` was made, as name and value, for every report alike.
fn facts(comparison: &Comparison) -> Vec<(&'static str, String)> {
    const GIB: f64 = (1u64 << 30) as f64;
    let machine = &comparison.machine;
    let stage = &comparison.stage;
    let mut facts = vec![
        (
            "machine",
            format!(
                "{}, {} CPU{}, {:.1} GiB, Linux {}, TCP {}",
                machine.processor,
                machine.cpus,
                if machine.cpus == 1 { "" } else { "s" },
                machine.memory as f64 / GIB,
                machine.kernel,
                machine.congestion_control
            ),
        ),
        (
            "target",
            format!(
                "{}, served at {}",
                stage.target.as_deref().unwrap_or("a namespace of its own"),
                stage.origin
            ) + &stage.namespace.as_ref().map_or_else(String::new, |n| format!(" in {n}")),
        ),
        ("counted by", machine.meter.clone()),
        ("placement", machine.placement.clone()),
    ];
    let listed = |pairs: Vec<String>| pairs.join(", ");
    let tools = machine.tools.iter().map(|(name, version)| match version {
        Some(version) => format!("{name} {version}"),
        None => format!("{name} (version unknown)"),
    });
    facts.push(("tools", listed(tools.collect())));
    let limits = machine.limits.iter().map(|(name, limit)| match limit {
        Some(limit) => format!("{name} {limit}"),
        None => format!("{name} unlimited"),
    });
    facts.push(("limits", listed(limits.collect())));
    facts.retain(|(_, value)| !value.is_empty());
    facts
}
