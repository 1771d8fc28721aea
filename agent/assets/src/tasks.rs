//! Task files: what an agent is to do, and how it computes it.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use mindseye_agent::Task;
use mindseye_agent::directive::terms;
use mindseye_interface::config;
use mindseye_interface::text::did_you_mean;

use crate::{carried, find, resolve};

/// The task file that comes with `scene`; of other scenes and robots the one for recordings, `tasks/recorded.toml`.
///
/// # Errors
/// When there is neither.
pub fn task(scene: &str) -> Result<PathBuf> {
    find(&format!("tasks/{scene}.toml")).or_else(|error| find("tasks/recorded.toml").map_err(|_| error))
}

/// Names of the tasks that the program carries.
pub fn tasks() -> Vec<&'static str> {
    carried::names("tasks/").filter_map(|name| name.strip_suffix(".toml")).collect()
}

/// The task in the file `path`, or in the shipped one of that name; without a `path` the one that comes with `scene`.
/// `is_simulated` says that the scene is one of the simulator: the task of another scene is then refused. To a model of
/// somebody's robot it is settings like any others.
///
/// # Errors
/// When there is no such file, it is broken, of another scene, or weighs a cost term that does not exist.
pub fn load_task(path: Option<&Path>, scene: &str, is_simulated: bool) -> Result<Task> {
    let path = path.map_or_else(|| task(scene), named_task)?;
    let task: Task = config::load_with(&path, &resolve)?;
    if let Some(other) = task.scene.as_deref().filter(|other| *other != scene && is_simulated) {
        bail!("{}: scene: expected a task for {scene}, got one for {other}", path.display());
    }
    let terms = terms::ALL;
    if let Some(name) = task.weights.keys().find(|name| !terms.contains(&name.as_str())) {
        bail!("{}: weights: expected terms of {}, got {name}", path.display(), terms.join(", "));
    }
    Ok(task)
}

/// The task in the file `path`, or the shipped one of that name.
fn named_task(path: &Path) -> Result<PathBuf> {
    let (resolved, name) = (resolve(path), path.to_string_lossy());
    if !resolved.exists() && tasks().contains(&&*name) {
        return task(&name);
    }
    if !resolved.exists() {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        bail!("--task {name}: expected a file or a shipped task, got none{}", did_you_mean(&stem, tasks()));
    }
    Ok(resolved)
}
