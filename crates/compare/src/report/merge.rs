//! Several comparisons as one.
//!
//! Relays that want other settings for one workload than for another are compared apart, one
//! workload after the other. What was found belongs side by side all the same. Machine and stage
//! are those of the first comparison.

use crate::model::Comparison;

/// All of `parts` in one, in their order, if there are any. Subjects are the same if they have the
/// same name, and each behaviour is taken to be in one part only.
pub fn merged(parts: Vec<Comparison>) -> Option<Comparison> {
    let mut whole = parts.into_iter().reduce(joined)?;
    // It was between one of the parts and something else.
    whole.change = None;
    Some(whole)
}

fn joined(mut whole: Comparison, part: Comparison) -> Comparison {
    whole.seconds += part.seconds;
    for subject in part.subjects {
        if whole.subjects.iter().all(|known| known.name != subject.name) {
            whole.subjects.push(subject);
        }
    }
    whole.behaviours.extend(part.behaviours);
    whole.measurements.extend(part.measurements);
    for warning in part.warnings {
        if !whole.warnings.contains(&warning) {
            whole.warnings.push(warning);
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::lines;
    use crate::report::sample::measurement;

    fn part(subject: &str, workload: &str, warning: &str) -> Comparison {
        let measurement = measurement(subject, workload, 1, "");
        let warnings = vec![warning.to_owned()];
        Comparison { seconds: 2.0, warnings, ..lines::comparison(vec![measurement]) }
    }

    #[test]
    fn nothing_is_lost_and_nobody_is_twice() {
        let parts = vec![
            part("socat", "bulk 1 stream up", "Noisy."),
            part("socat", "idle links", "Noisy."),
            part("nginx", "idle links", "Hot."),
        ];
        let whole = merged(parts).expect("a comparison");
        let subjects: Vec<_> = whole.subjects.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(subjects, ["socat", "nginx"]);
        let workloads: Vec<_> = whole.measurements.iter().map(|m| m.workload.as_str()).collect();
        assert_eq!(workloads, ["bulk 1 stream up", "idle links", "idle links"]);
        assert_eq!(whole.warnings, ["Noisy.", "Hot."]);
        assert!((whole.seconds - 6.0).abs() < f64::EPSILON);
        assert!(merged(Vec::new()).is_none());
    }
}
