//! What verbs that are in libraries (of serving, of encoders) need of this program.

use std::sync::atomic::AtomicBool;

use anyhow::Result;
use mindseye_cameras::Sources;
use mindseye_encoders::{EncoderCommand, Surroundings};
use mindseye_serving::Program;

use crate::progress::{TerminalProgress, stop_on_ctrl_c};
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

/// Runs a verb of encoders.
///
/// # Errors
/// Those of the verb.
pub fn encoders(command: &EncoderCommand) -> Result<()> {
    static NEVER: AtomicBool = AtomicBool::new(false);
    let stop = if command.is_long() { stop_on_ctrl_c()? } else { &NEVER };
    let progress = TerminalProgress::stopped_by(stop);
    let surroundings = Surroundings {
        stop,
        progress: &progress,
        find: &|asset| Ok(mindseye_assets::find(asset)?),
        note: &|line| progress.note(line),
    };
    Ok(command.run(&surroundings, &mut |line| say!("{line}"))?)
}
