//! Measurements for tests of the reports.

use crate::load::report::Measurement;

/// One of `round`, with `figures` as members of a JSON object.
pub(super) fn measurement(subject: &str, workload: &str, round: u32, figures: &str) -> Measurement {
    let line = format!(
        r#"{{"subject":"{subject}","workload":"{workload}","round":{round},"meter":"cgroup v2","seconds":1.0,"figures":{{{figures}}}}}"#
    );
    serde_json::from_str(&line).expect("a measurement")
}
