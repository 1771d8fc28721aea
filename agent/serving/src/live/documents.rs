//! What the page is told of a run, as JSON.

use std::sync::Arc;

use mindseye_agent::configurator::PlannerConfig;
use mindseye_runs::{ImaginedPlan, LatentMap, Note, TickRecord};
use serde_json::{Value, json};

use super::session::Session;

/// Most ticks of the charts: the newest.
const CHART_TICKS: usize = 600;

/// The run now, and tick number `at` as it was seen (the newest where it is none, or is no more). What a browser that
/// has already drawn tick `have` of this generation knows is left out.
pub(super) fn state(session: &mut Session, at: Option<usize>, have: Option<(u64, usize)>) -> Value {
    let run = &session.run;
    let have = have.filter(|(generation, _)| *generation == run.generation).map(|(_, tick)| tick);
    let newest = run.records.len().checked_sub(1);
    let shown = at.filter(|at| newest.is_some_and(|newest| *at <= newest)).or(newest);
    let record = shown.and_then(|shown| run.records.get(shown).cloned());
    let is_live = at.is_none() || shown == newest;
    let note = |note: &Note| json!({"number": note.number, "text": note.text, "age_secs": note.age().as_secs_f64()});
    let mut state = json!({
        "title": run.title(),
        "generation": run.generation,
        "newest": newest,
        "shown": shown,
        "steps_shown": run.steps_shown.min(record.as_ref().map_or(0, |record| record.steps.len())),
        "paused": run.is_paused,
        "speed": run.speed,
        "repeating": run.repeating.map(|(done, of)| json!({"done": done, "of": of})),
        "note": run.note.as_ref().map(note),
        "ended": run.ended,
        "settings": run.settings,
    });
    if !is_live {
        state["steps_shown"] = json!(0);
    }
    if have.is_none() {
        state["setup"] = json!({
            "names": session.names,
            "probe_names": session.probe_names,
            "control_step_secs": session.control_step_secs,
            "surprise_band": session.surprise_band,
            "planners": PlannerConfig::KINDS,
            "view": session.view,
            "start_poses": session.poses(&session.start),
            "goal_poses": session.poses(&session.goal),
        });
    }
    if have.is_none() || have != shown {
        state["series"] = series(&session.run.records);
        if let Some(record) = &record {
            state["tick"] = tick(session, record);
            state["map"] = map(session, record);
        }
    }
    state
}

/// A tick as it was seen.
fn tick(session: &Session, record: &TickRecord) -> Value {
    let report = &record.report;
    let plan = |plan: &ImaginedPlan| {
        let poses: Vec<_> = plan.states.iter().map(|read| session.poses_of_probe(read)).collect();
        json!({"energy": finite(f64::from(plan.energy)), "poses": poses})
    };
    let samples: Vec<Vec<_>> =
        record.samples.iter().map(|sample| sample.iter().map(|read| session.poses_of_probe(read)).collect()).collect();
    let steps: Vec<Value> = record
        .steps
        .iter()
        .map(|step| {
            json!({
                "state": step.state,
                "poses": session.poses(&step.state),
                "distance": step.distance,
                "moderate": step.moderate,
                "strict": step.strict,
                "image": step.image.is_some(),
            })
        })
        .collect();
    json!({
        "tick": record.tick,
        "step": record.step,
        "state": record.state,
        "poses": session.poses(&record.state),
        "goal_state": record.goal_state,
        "goal_poses": record.goal_state.as_ref().map(|state| session.poses(state)),
        "read_state": record.read_state,
        "has_image": record.image.is_some(),
        "has_goal_image": record.goal_image.is_some(),
        "camera_hidden": record.camera_hidden,
        "followed_recording": record.followed_recording,
        "commands": record.commands,
        "steps": steps,
        "strip": record.strip.len(),
        "best": record.best.as_ref().map(&plan),
        "candidates": record.candidates.iter().map(&plan).collect::<Vec<_>>(),
        "samples": samples,
        "spread": record.spread,
        "mode": report.mode.to_string(),
        "mode_reason": report.mode_reason.to_string(),
        "planning_ms": report.planning_ms,
        "display_ms": record.display_ms,
        "predicted_states": report.predicted_states,
        "fallback": report.fallback,
        "error": report.error,
        "recalled": record.recalled.map(|recalled| json!({
            "kernel_density": recalled.kernel_density,
            "nearest_tick": recalled.nearest_tick,
        })),
        "sub_goal": report.directive.sub_goal,
    })
}

/// A number, or nothing: JSON has no others.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// The charts: of the newest ticks.
fn series(records: &[Arc<TickRecord>]) -> Value {
    let records = &records[records.len().saturating_sub(CHART_TICKS)..];
    let of = |value: &dyn Fn(&TickRecord) -> Option<f64>| -> Vec<Option<f64>> {
        records.iter().map(|record| value(record).and_then(finite)).collect()
    };
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in records.iter().flat_map(|record| &record.report.energies) {
        let weighs = records.iter().any(|record| record.report.directive.weight(name).unwrap_or(0.0) != 0.0);
        if weighs && !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let weighted = |record: &TickRecord, name: &str| {
        let (_, energy) = record.report.energies.iter().find(|(known, _)| known == name)?;
        Some(f64::from(*energy) * f64::from(record.report.directive.weight(name).unwrap_or(0.0)))
    };
    let mut energies: Vec<(String, Vec<Option<f64>>)> =
        names.iter().map(|name| ((*name).to_owned(), of(&|record| weighted(record, name)))).collect();
    if records.iter().any(|record| record.report.predicted_value.is_some()) {
        energies.push(("critic".to_owned(), of(&|record| record.report.predicted_value.map(f64::from))));
    }
    json!({
        "ticks": records.iter().map(|record| record.tick).collect::<Vec<_>>(),
        "energies": energies,
        "surprise": of(&|record| record.surprise.or(record.report.surprise.map(f64::from))),
        "planning_ms": of(&|record| Some(record.report.planning_ms)),
        "distance": of(&|record| record.steps.last().map(|step| step.distance)),
    })
}

/// The path through the latent space until `record` over the newest ticks, the goal, and where its candidates end.
fn map(session: &mut Session, record: &TickRecord) -> Value {
    let until = session.run.records.len().min(record.tick as usize + 1);
    let newest = session.run.records.len().saturating_sub(CHART_TICKS);
    let path = session.run.records[newest..].iter().map(|record| record.latent.as_slice());
    let ends = record.candidates.iter().map(|plan| plan.end.as_slice());
    let all = path.chain(ends).chain([record.goal_latent.as_slice()]);
    let Some(map) = LatentMap::of(all, session.map.as_ref()) else { return Value::Null };
    let path = &session.run.records[until.saturating_sub(CHART_TICKS)..until];
    let path: Vec<[f64; 2]> = path.iter().filter_map(|record| map.place(&record.latent)).collect();
    let ends: Vec<[f64; 2]> = record.candidates.iter().filter_map(|plan| map.place(&plan.end)).collect();
    let document = json!({
        "path": path,
        "ends": ends,
        "best": record.best.as_ref().and_then(|best| map.place(&best.end)),
        "now": map.place(&record.latent),
        "goal": map.place(&record.goal_latent),
    });
    session.map = Some(map);
    document
}
