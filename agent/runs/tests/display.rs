//! What ticks record for people.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::support::{advance, apart, checkpoint_folder, setup, task};
use mindseye_interface::Seed;
use mindseye_runs::{Detail, InteractiveRun, RunSetup};
use mindseye_world_model::heads::state_probe::StateProbeConfig;
use mindseye_world_model::{Checkpoint, Head, StateProbe, WeightSource};

fn shown(scene: &str, detail: Detail) -> InteractiveRun {
    InteractiveRun::new(RunSetup { detail, ..setup(scene) }).unwrap()
}

#[test]
fn a_tick_shows_what_was_considered_and_what_is_expected() {
    for scene in ["two_room", "push_t"] {
        let mut run = shown(scene, Detail { candidates: 24, ..Detail::default() });
        let record = advance(&mut run, 2).pop().unwrap();
        let (horizon, width) = (task(scene).horizon_chunks, run.probe_names().len());
        assert!((12..=24).contains(&record.candidates.len()), "{scene}: {}", record.candidates.len());
        assert!(record.candidates.is_sorted_by(|a, b| a.energy <= b.energy), "{scene}");
        let best = record.best.clone().unwrap();
        assert_eq!(Some(&best.energy), record.report.planning_energies.last(), "{scene}");
        assert!(best.energy <= record.candidates[0].energy, "{scene}");
        assert_eq!(best.actions, record.report.plan.values(), "{scene}");
        for plan in record.candidates.iter().chain([&best]) {
            assert_eq!((plan.states.len(), plan.end.len()), (horizon, record.latent.len()), "{scene}");
            assert!(plan.states.iter().all(|state| state.len() == width), "{scene}");
        }
        let listed = record.candidates.iter().find(|plan| plan.actions == best.actions);
        assert!(listed.is_none_or(|listed| listed.states == best.states), "{scene}: imagined alike in any company");
        assert_eq!(record.strip.len(), horizon, "{scene}");
        assert!(record.samples.is_empty() && record.spread.is_empty(), "{scene} has one predictor");
        assert!(record.display_ms > 0.0);
    }
}

#[test]
fn the_state_probe_reads_about_the_true_state_and_the_plan_leads_towards_the_goal() {
    let mut run = shown("two_room", Detail::default());
    assert_eq!(run.names(), run.probe_names());
    let records = advance(&mut run, 3);
    for record in &records {
        let read: Vec<f64> = record.read_state.as_ref().unwrap().iter().map(|value| f64::from(*value)).collect();
        assert!(apart(&read, &record.state) < 0.1, "{read:?}, not {:?}", record.state);
    }
    let best = records[0].best.as_ref().unwrap();
    let end: Vec<f64> = best.states.last().unwrap().iter().map(|value| f64::from(*value)).collect();
    let goal = records[0].goal_state.as_ref().unwrap();
    assert!(apart(&end, goal) < apart(&records[0].state, goal));
}

#[test]
fn memory_recalls_the_nearest_tick_before() {
    let mut run = shown("two_room", Detail::NONE);
    let records = advance(&mut run, 4);
    assert_eq!(records[0].recalled, None, "nothing is stored yet");
    for record in &records[2..] {
        let recalled = record.recalled.unwrap();
        assert!((0.0..=1.0).contains(&recalled.kernel_density));
        let latent_of = |tick: u64| &records[tick as usize].latent;
        let far = |tick: u64| -> f32 { latent_of(tick).iter().zip(&record.latent).map(|(a, b)| (a - b).powi(2)).sum() };
        let nearest = (0..record.tick).min_by(|&a, &b| far(a).total_cmp(&far(b)));
        assert_eq!(recalled.nearest_tick, nearest);
    }
}

#[test]
fn what_is_not_asked_for_is_not_there() {
    let record = shown("two_room", Detail::NONE).advance().unwrap();
    assert!(record.candidates.is_empty() && record.strip.is_empty() && record.report.candidates.is_empty());
    assert!(record.best.is_some() && record.image.is_some() && record.read_state.is_some());
    assert!(record.steps.iter().all(|step| step.image.is_some()));
    assert_eq!(record.steps.len(), 5);
}

/// The model of `bridge`, which comes with a stochastic predictor and an ensemble, beside a state probe with fresh
/// weights; without the files called `without`. Its heads are read from the folder when they are needed.
fn bridge_with_probe(without: &[&str]) -> (tempfile::TempDir, RunSetup) {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(checkpoint_folder("bridge")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !without.contains(&name.as_str()) {
            std::fs::copy(&path, folder.path().join(name)).unwrap();
        }
    }
    let checkpoint = Checkpoint::load(folder.path()).unwrap();
    let names = vec!["agent_x_m".to_owned(), "agent_y_m".to_owned(), "turn_rad".to_owned()];
    let config = StateProbeConfig::for_model(&checkpoint.config.model, names, vec![0.1; 3]);
    let probe = StateProbe::build(config, WeightSource::fresh(Seed::new(3))).unwrap();
    checkpoint.save_head(folder.path(), &probe).unwrap();
    let checkpoint = Arc::new(Checkpoint::load(folder.path()).unwrap());
    let mut task = task("bridge");
    task.weights = BTreeMap::from([("goal_distance".to_owned(), 1.0)]);
    task.planner = serde_json::from_str(r#"{"kind": "icem", "samples": 16, "iterations": 2, "elites": 4}"#).unwrap();
    task.samples = None;
    let detail = Detail { samples: 5, ..Detail::default() };
    (folder, RunSetup { source: (&checkpoint).into(), task, detail, ..setup("bridge") })
}

#[test]
fn samples_of_the_outcome_are_read_where_the_model_has_them() {
    let tick_without = |files: &[&str]| {
        let (_folder, setup) = bridge_with_probe(files);
        InteractiveRun::new(setup).unwrap().advance().unwrap()
    };
    let (stochastic, ensemble) = (tick_without(&[]), tick_without(&["stochastic.safetensors"]));
    let neither = tick_without(&["stochastic.safetensors", "ensemble.safetensors"]);
    assert_eq!(stochastic.samples.len(), 5);
    assert!((2..=5).contains(&ensemble.samples.len()), "{} members", ensemble.samples.len());
    for record in [&stochastic, &ensemble] {
        assert_eq!(record.spread.len(), 9);
        assert!(record.samples.iter().all(|sample| sample.len() == 9 && sample[0].len() == 3));
        let count = record.samples.len() as f32;
        for chunk in 0..9 {
            let variance = |dimension: usize| {
                let values = record.samples.iter().map(|sample| sample[chunk][dimension]);
                let mean = values.clone().sum::<f32>() / count;
                values.map(|value| (value - mean).powi(2)).sum::<f32>() / count
            };
            let expected = ((variance(0) + variance(1)) / 2.0).sqrt();
            assert!((record.spread[chunk] - expected).abs() < 1e-4 * (1.0 + expected), "{:?}", record.spread);
        }
    }
    assert!(ensemble.spread.iter().all(|spread| *spread > 0.0), "members differ: {:?}", ensemble.spread);
    assert!(neither.samples.is_empty() && neither.spread.is_empty());
    assert_eq!(stochastic.digest(), neither.digest(), "the decision is the same");
}

#[test]
fn old_ticks_lose_their_images_and_keep_their_numbers() {
    let mut setup = setup("two_room");
    setup.task.mode = serde_json::from_str(r#"{"kind": "mode_1"}"#).unwrap();
    setup.task.replan_every = Some(1);
    let mut run = InteractiveRun::new(setup).unwrap();
    let records = advance(&mut run, mindseye_runs::IMAGE_TICKS + 2);
    let images = run.history().iter().map(|record| record.image.is_some()).collect::<Vec<_>>();
    assert_eq!(images.iter().filter(|image| **image).count(), mindseye_runs::IMAGE_TICKS);
    assert!(!images[0] && !images[1] && images[2]);
    let old = &run.history()[1];
    assert!(old.goal_image.is_none() && old.steps.iter().all(|step| step.image.is_none()));
    assert_eq!((old.digest(), &old.read_state), (records[1].digest(), &records[1].read_state));
}
