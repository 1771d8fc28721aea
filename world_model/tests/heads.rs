//! Heads beside a model: read when asked for, bound to their model, saved alone.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use crate::support::{PATCH, data, origin, recipe, run};
use mindseye_interface::Seed;
use mindseye_world_model::heads::ensemble::{Ensemble, EnsembleConfig};
use mindseye_world_model::heads::policy::PolicyConfig;
use mindseye_world_model::heads::state_probe::StateProbeConfig;
use mindseye_world_model::{
    AnyCheckpoint, Checkpoint, Context, Error, Head, InferenceOptions, Plans, Policy, SampleSource, StateProbe,
};
use mindseye_world_model::{WeightSource, values_of};

/// A checkpoint in `folder`, trained for a few steps from `encoder`'s recipe.
fn saved(folder: &Path, steps: usize) -> Checkpoint {
    let config = recipe(steps, PATCH, false, "sigreg = 0.02");
    let data = data(&config, 6);
    let (model, report) = run(&config, &data, &folder.join("run"), false, None).unwrap();
    let checkpoint = Checkpoint::of_run(model, report, config, &data, origin()).unwrap();
    checkpoint.save(folder).unwrap();
    checkpoint
}

fn policy(checkpoint: &Checkpoint, seed: u64) -> Policy {
    let config = PolicyConfig { hidden: 16, layers: 1, ..PolicyConfig::for_model(&checkpoint.config.model, 2) };
    Policy::build(config, WeightSource::fresh(Seed::new(seed))).unwrap()
}

fn state_probe(checkpoint: &Checkpoint) -> StateProbe {
    let config = StateProbeConfig::for_model(&checkpoint.config.model, vec!["x_px".into()], vec![1.0]);
    StateProbe::build(config, WeightSource::fresh(Seed::new(1))).unwrap()
}

/// Names, contents and times of the files in `folder`.
fn files(folder: &Path) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
    let files = std::fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|file| file.path().is_file());
    let read = |file: std::fs::DirEntry| {
        let modified = file.metadata().unwrap().modified().unwrap();
        (file.file_name().into_string().unwrap(), (std::fs::read(file.path()).unwrap(), modified))
    };
    files.map(read).collect()
}

#[test]
fn saving_a_head_writes_one_file_and_touches_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = saved(folder.path(), 2);
    std::fs::write(folder.path().join("foreign.safetensors"), "someone else's").unwrap();
    checkpoint.save_head(folder.path(), &state_probe(&checkpoint)).unwrap();
    let before = files(folder.path());
    checkpoint.save_head(folder.path(), &policy(&checkpoint, 1)).unwrap();
    let mut after = files(folder.path());
    assert!(after.remove(Policy::FILE).is_some());
    assert_eq!(before, after);
}

#[test]
fn a_new_folder_gets_the_other_files_byte_for_byte_and_the_new_head() {
    let [folder, new_folder] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let checkpoint = saved(folder.path(), 2);
    checkpoint.save_head(folder.path(), &policy(&checkpoint, 1)).unwrap();
    state_probe(&checkpoint).save(&folder.path().join("readout.safetensors")).unwrap();
    let loaded = Checkpoint::load(folder.path()).unwrap();
    let before = files(folder.path());
    loaded.save_with_head(new_folder.path(), &policy(&checkpoint, 2)).unwrap();
    assert_eq!(files(folder.path()), before);
    let mut copied = files(new_folder.path());
    let new = copied.remove(Policy::FILE).unwrap().0;
    assert_ne!(new, before[Policy::FILE].0);
    assert_eq!(copied.keys().collect::<Vec<_>>(), ["config.json", "model.safetensors", "readout.safetensors"]);
    assert!(copied.iter().all(|(name, (bytes, _))| *bytes == before[name].0));

    // In the checkpoint's own folder the head alone is written.
    loaded.save_with_head(folder.path(), &policy(&checkpoint, 2)).unwrap();
    let mut after = files(folder.path());
    assert_eq!(after.insert(Policy::FILE.into(), before[Policy::FILE].clone()).unwrap().0, new);
    assert_eq!(after, before);
}

#[test]
fn a_folder_that_was_moved_away_is_not_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = saved(folder.path(), 2);
    let gone = folder.path().join("gone");
    for written in [
        checkpoint.save(&gone),
        checkpoint.save_head(&gone, &policy(&checkpoint, 1)),
        Checkpoint::load(folder.path()).unwrap().save_with_head(&gone, &policy(&checkpoint, 1)),
    ] {
        let error = written.unwrap_err().to_string();
        assert!(error.contains("gone") && error.contains("No such file"), "{error}");
        assert!(!gone.exists());
    }
}

#[test]
fn a_new_model_leaves_the_heads_of_an_earlier_one_which_are_refused() {
    let [folder, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (earlier, later) = (saved(folder.path(), 2), saved(other.path(), 3));
    earlier.save_head(folder.path(), &policy(&earlier, 1)).unwrap();
    let of_earlier = files(folder.path()).remove(Policy::FILE).unwrap();
    later.save(folder.path()).unwrap();
    assert_eq!(files(folder.path())[Policy::FILE], of_earlier);
    let error = Checkpoint::load(folder.path()).unwrap_err().to_string();
    assert!(error.contains(Policy::FILE) && error.contains(earlier.fingerprint()), "{error}");
}

#[test]
fn heads_are_read_on_first_use_and_only_once() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = saved(folder.path(), 2);
    checkpoint.save_head(folder.path(), &policy(&checkpoint, 1)).unwrap();
    std::fs::write(folder.path().join(StateProbe::FILE), "broken").unwrap();
    let loaded = AnyCheckpoint::load(folder.path()).unwrap();
    assert_eq!(loaded.fingerprint(), checkpoint.fingerprint());
    let head = loaded.head::<Policy>().unwrap().unwrap();
    let written = values_of(policy(&checkpoint, 1).weights()).unwrap();
    assert_eq!(values_of(head.weights()).unwrap(), written);
    assert!(Arc::ptr_eq(&head, &loaded.head::<Policy>().unwrap().unwrap()));
    assert!(loaded.head::<Ensemble>().unwrap().is_none());
    let broken = loaded.head::<StateProbe>().unwrap_err().to_string();
    assert!(broken.contains(StateProbe::FILE), "{broken}");
    assert!(loaded.heads().unbound().is_empty());
}

#[test]
fn a_head_whose_weights_have_changed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = saved(folder.path(), 2);
    checkpoint.save_head(folder.path(), &policy(&checkpoint, 1)).unwrap();
    let path = folder.path().join(Policy::FILE);
    let written = std::fs::read(&path).unwrap();
    assert!(AnyCheckpoint::load(folder.path()).unwrap().head::<Policy>().unwrap().is_some());
    // The lowest bit of one number: still a number that could have been trained.
    let mut changed = written.clone();
    let number = changed.len() - 400;
    changed[number - number % 4] ^= 1;
    std::fs::write(&path, changed).unwrap();
    let error = AnyCheckpoint::load(folder.path()).unwrap().head::<Policy>().unwrap_err().to_string();
    assert!(error.contains(Policy::FILE) && error.contains("weights_fingerprint: expected "), "{error}");
    std::fs::write(&path, written).unwrap();
    assert!(AnyCheckpoint::load(folder.path()).unwrap().head::<Policy>().unwrap().is_some());
}

#[test]
fn a_head_of_another_model_of_equal_shape_is_refused() {
    let [one, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (first, second) = (saved(one.path(), 2), saved(other.path(), 3));
    assert_eq!((first.fingerprint().len(), first.fingerprint() == second.fingerprint()), (64, false));
    first.save_head(other.path(), &policy(&first, 1)).unwrap();
    let loaded = AnyCheckpoint::load(other.path()).unwrap();
    let error = loaded.head::<Policy>().unwrap_err().to_string();
    for part in [Policy::FILE, "model_fingerprint", first.fingerprint(), second.fingerprint()] {
        assert!(error.contains(part) && !error.contains('\n'), "{error}");
    }
    assert!(Checkpoint::load(other.path()).is_err());
}

#[test]
fn a_head_without_a_fingerprint_loads_and_is_reported_and_former_names_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = saved(folder.path(), 2);
    policy(&checkpoint, 1).save(&folder.path().join(Policy::FILE)).unwrap();
    state_probe(&checkpoint).save(&folder.path().join("readout.safetensors")).unwrap();
    let loaded = Checkpoint::load(folder.path()).unwrap();
    assert!(loaded.policy.is_some() && loaded.state_probe.is_some());
    let unbound = ["policy.safetensors", "readout.safetensors"].map(|name| folder.path().join(name));
    assert_eq!(loaded.heads().unbound(), unbound);
    loaded.save(folder.path()).unwrap();
    let bound = Checkpoint::load(folder.path()).unwrap();
    assert!(bound.heads().unbound().is_empty() && bound.state_probe.is_some());
}

#[test]
fn the_fingerprint_is_that_of_the_weights() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = saved(folder.path(), 2);
    let mut config = Checkpoint::load_config(folder.path()).unwrap();
    config.scene = "elsewhere".into();
    std::fs::write(folder.path().join("config.json"), serde_json::to_vec(&config).unwrap()).unwrap();
    let loaded = AnyCheckpoint::load(folder.path()).unwrap();
    assert_eq!(loaded.fingerprint(), checkpoint.fingerprint(), "another config, the same weights");
    assert_eq!(loaded.origin.unwrap().scene, "elsewhere");
}

#[test]
fn a_checkpoint_gives_the_dynamics_of_its_heads_or_names_the_missing_one() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = saved(folder.path(), 2);
    let ensemble = Ensemble::initialise(EnsembleConfig::for_model(&checkpoint.config.model, 2), Seed::new(1)).unwrap();
    checkpoint.save_head(folder.path(), &ensemble).unwrap();
    let loaded = AnyCheckpoint::load(folder.path()).unwrap();
    let dynamics = |samples| loaded.dynamics(&InferenceOptions { samples, ..InferenceOptions::default() });
    let start = mindseye_world_model::Latent::global(vec![0.1; 8]);
    let plans = Plans::new(3, 2, 4, vec![0.2; 24]).unwrap();
    let samples = |samples| dynamics(samples).unwrap().rollout(&Context::of(&start), &plans).unwrap().samples();
    assert_eq!((samples(SampleSource::One), samples(SampleSource::Ensemble)), (1, 3));
    let missing = dynamics(SampleSource::Stochastic { samples: 4 }).unwrap_err();
    assert!(matches!(missing, Error::MissingHead { .. }), "{missing}");
}

#[test]
fn a_folder_of_no_known_family_is_refused_by_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let error = |path: &std::path::Path| AnyCheckpoint::load(path).unwrap_err().to_string();
    let empty = error(folder.path());
    assert!(empty.contains("jepa") && empty.contains("lewm") && empty.contains("got none"), "{empty}");
    let missing = error(&folder.path().join("nowhere"));
    assert!(missing.contains("nowhere") && missing.contains("no such folder"), "{missing}");
    // What the reader of a config says of a broken one, not that there is none.
    for broken in ["", "[[[", "{\"format\": "] {
        std::fs::write(folder.path().join("config.json"), broken).unwrap();
        let broken = error(folder.path());
        assert!(broken.contains("config.json") && !broken.contains("got none"), "{broken}");
    }
}
