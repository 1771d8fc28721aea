//! What `mindseye serve` and `mindseye act`, which are in the library of serving, need of this program.

use anyhow::Result;
use mindseye_cameras::Sources;
use mindseye_serving::Program;

use crate::progress::stop_on_ctrl_c;
use crate::streams::{note, say};

/// Tasks, checkpoints, scenes and cameras of this program.
///
/// # Errors
/// When the system does not let Ctrl-C be caught.
pub fn program() -> Result<Program> {
    Ok(Program {
        task: |named, scene| Ok(super::load_task(named, scene)?),
        resolve: mindseye_assets::resolve,
        scene: |name| Ok(mindseye_sim::make(name, &mindseye_sim::SceneOptions::with_side(64)?)?),
        sources: Sources::standard().with("sim", super::cameras::simulated),
        stop: stop_on_ctrl_c()?,
        say: |line| say!("{line}"),
        note: |line| note!("{line}"),
    })
}
