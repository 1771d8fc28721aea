//! What verbs that are in libraries (of serving, of encoders) need of this program.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use mindseye_cameras::Sources;
use mindseye_encoders::{EncoderCommand, Surroundings};
use mindseye_interface::Seed;
use mindseye_runs::{Outline, OutlinedBody, TopView};
use mindseye_serving::{Program, Supplied};
use mindseye_sim::figure::Solid;

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
        checkpoint: |named, scene| Ok(mindseye_assets::checkpoint_or(named, scene)?),
        world: |name, side| Ok(Arc::new(mindseye_sim::benchmark(name, &mindseye_sim::SceneOptions::with_side(side)?)?)),
        top_view,
        scene: |name| Ok(mindseye_sim::make(name, &mindseye_sim::SceneOptions::with_side(64)?)?),
        sources: Sources::standard().with("sim", super::cameras::simulated),
        stop: stop_on_ctrl_c()?,
        say: |line| say!("{line}"),
        note: |line| note!("{line}"),
    })
}

/// An episode of the scene `name` from above.
fn top_view(name: &str, episode: Seed) -> Supplied<TopView> {
    let figure = mindseye_sim::scene(name)?.figure(&mindseye_sim::Factors::default(), episode)?;
    let outline = |solid: &Solid| Outline { rgb: solid.rgb, corners: solid.outline() };
    let bodies = figure.bodies.iter().map(|body| {
        let solids = body.solids.iter().map(outline).collect();
        OutlinedBody { name: body.name.to_owned(), solids }
    });
    Ok(TopView {
        side_m: figure.side_m,
        floor_rgb: figure.floor_rgb,
        fixed: figure.fixed.iter().map(outline).collect(),
        bodies: bodies.collect(),
        poses: Box::new(move |state| {
            let poses = figure.poses(state);
            let place = poses.iter().map(|pose| {
                let (at, (_, _, turn)) = (&pose.translation, pose.rotation.euler_angles());
                [f64::from(at.x), f64::from(at.y), f64::from(turn)]
            });
            place.collect()
        }),
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
