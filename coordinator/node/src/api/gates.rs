//! What holds sagas back beside themselves: participants that are down, people's pauses, limits. Read from every partition's store; each judges
//! for itself whether a participant answers.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use sagaline_partition::gate::{Circuit, Gate};
use sagaline_partition::view;
use sagaline_schemas::Partition;

use super::error::ApiError;
use super::extract::blocking;
use super::model::{Down, GateLine, PausedBy};
use super::{Api, reader};

pub(super) async fn list(State(api): State<Api>) -> Result<Json<Vec<GateLine>>, ApiError> {
    blocking(move || lines(&api)).await.map(Json)
}

fn lines(api: &Api) -> Result<Vec<GateLine>, ApiError> {
    let mut lines = BTreeMap::new();
    for handle in api.node.partitions() {
        let reader = reader(&handle)?;
        for (subject, gate) in view::gates(&*reader.snapshot())? {
            add(&mut lines, subject, handle.number, gate);
        }
    }
    Ok(lines.into_values().collect())
}

/// A partition's gate, beside those of the others. Where they differ, the line tells of the longest outage and of the newest pause.
fn add(lines: &mut BTreeMap<String, GateLine>, subject: String, partition: Partition, gate: Gate) {
    let line = lines.entry(subject.clone()).or_insert_with(|| GateLine { subject, ..GateLine::default() });
    line.held += u64::from(gate.held);
    line.asking += u64::from(gate.asking);
    line.in_flight += u64::from(gate.in_flight);
    if let Circuit::Open { since, next, .. } = gate.circuit {
        let down = line.down.get_or_insert_with(|| Down { since, next, partitions: Vec::new() });
        (down.since, down.next) = (down.since.min(since), down.next.min(next));
        down.partitions.push(partition);
    }
    if let Some(paused) = gate.paused
        && line.paused.as_ref().is_none_or(|newest| newest.since < paused.since)
    {
        line.paused = Some(PausedBy { since: paused.since, by: paused.by, reason: paused.reason });
    }
}

#[cfg(test)]
mod tests {
    use sagaline_partition::gate::Paused;

    use super::*;

    #[test]
    fn a_line_tells_of_all_partitions() {
        let down = |since| Gate { circuit: Circuit::Open { since, next: since + 60, wait: 60 }, ..Gate::default() };
        let paused = Paused { since: 30, by: "ada".into(), reason: "a new release".into() };
        let mut lines = BTreeMap::new();
        add(&mut lines, "participant/payment".into(), 0, Gate { held: 3, in_flight: 2, ..down(20) });
        add(&mut lines, "participant/payment".into(), 1, Gate { held: 1, asking: 5, ..Gate::default() });
        add(&mut lines, "participant/payment".into(), 3, Gate { paused: Some(paused), ..down(10) });
        let line = &lines["participant/payment"];
        assert_eq!((line.held, line.asking, line.in_flight), (4, 5, 2));
        assert_eq!(line.down, Some(Down { since: 10, next: 70, partitions: vec![0, 3] }));
        assert_eq!(line.paused.as_ref().map(|paused| paused.by.as_str()), Some("ada"));
    }
}
