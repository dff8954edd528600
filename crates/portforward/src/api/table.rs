//! Pods as the rows that kubectl prints.

use std::time::SystemTime;

use serde_json::{json, Value};

use crate::pods::{Phase, PodView};

use super::object::metadata;

/// The table of `views`, whose ages are those at `now`. Columns beyond the fifth are for `-o wide`.
pub(super) fn of(views: &[PodView], now: SystemTime) -> Value {
    let column = |name: &str, priority: u8| {
        json!({"name": name, "type": "string", "format": if name == "Name" { "name" } else { "" },
            "description": "", "priority": priority})
    };
    let rows = views.iter().map(|view| {
        let running = view.containers.iter().filter(|(_, phase)| *phase == Phase::Running).count();
        let ready = format!("{running}/{}", view.containers.len());
        let address =
            view.addresses.first().map_or_else(|| "<none>".to_owned(), ToString::to_string);
        let status = match view.phase {
            Phase::Running => "Running",
            Phase::Stopped => "Completed",
        };
        let cells = json!([view.name, ready, status, "0", age(view.created, now), address]);
        let object = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata(view)});
        json!({"cells": cells, "object": object})
    });
    let columns = [
        column("Name", 0),
        column("Ready", 0),
        column("Status", 0),
        column("Restarts", 0),
        column("Age", 0),
        column("IP", 1),
    ];
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": "1"},
        "columnDefinitions": columns, "rows": rows.collect::<Vec<_>>()})
}

/// How long ago that was, in the largest unit that tells more than one of it.
fn age(created: Option<SystemTime>, now: SystemTime) -> String {
    let Some(age) = created.and_then(|at| now.duration_since(at).ok()) else {
        return "<unknown>".to_owned();
    };
    let units = [("d", DAY), ("h", HOUR), ("m", MINUTE)];
    let fitting = units.into_iter().find(|(_, unit)| age.as_secs() >= 2 * unit);
    fitting.map_or_else(
        || format!("{}s", age.as_secs()),
        |(name, unit)| format!("{}{name}", age.as_secs() / unit),
    )
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn ages_are_told_as_kubectl_does() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100 * DAY);
        for (seconds, told) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (2 * HOUR, "2h"),
            (47 * HOUR, "47h"),
            (3 * DAY, "3d"),
        ] {
            assert_eq!(age(Some(now - Duration::from_secs(seconds)), now), told);
        }
        assert_eq!(age(None, now), "<unknown>");
        assert_eq!(age(Some(now + Duration::from_secs(1)), now), "<unknown>");
    }
}
