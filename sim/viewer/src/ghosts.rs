//! What the agent imagines, in the scene: the best plan as bodies along its rollout, the candidates as their ends, all
//! of them with their paths, and samples of the best plan's outcome as a fan. States are read from latents by the state
//! probe; the planner itself plans with latents.

use std::collections::HashMap;
use std::sync::Arc;

use bevy::asset::RenderAssetUsages;
use bevy::light::NotShadowCaster;
use bevy::mesh::{Indices, PrimitiveTopology};
use bevy::prelude::*;
use mindseye_runs::{ImaginedPlan, TickRecord};

use crate::session::{Display, Session};
use crate::stage::Stage;
use crate::theme;

/// Candidates whose ends are drawn as bodies: more cover each other.
const DRAWN_ENDS: usize = 14;
/// Width of the path of the best plan, metres; of the others a third.
const PATH_M: f32 = 0.009;
/// How high paths lie over the floor, metres: above walls and bodies, so that nothing hides them.
const PATH_Y_M: f32 = 0.066;
/// Levels of transparency and of energy that materials are kept for.
const LEVELS: f32 = 16.0;

/// Something imagined.
#[derive(Component)]
pub struct Ghost;

/// The materials of ghosts.
#[derive(Resource, Default)]
pub struct GhostMaterials {
    /// By colour and opacity.
    figures: HashMap<[u8; 4], Handle<StandardMaterial>>,
    /// For paths, whose corners have colours of their own.
    paths: Option<Handle<StandardMaterial>>,
}

impl GhostMaterials {
    fn of(
        &mut self,
        rgb: [f32; 3],
        opacity: f32,
        materials: &mut Assets<StandardMaterial>,
    ) -> Handle<StandardMaterial> {
        let level = |value: f32| (value.clamp(0.0, 1.0) * LEVELS).round() as u8;
        let key = [level(rgb[0]), level(rgb[1]), level(rgb[2]), level(opacity).max(1)];
        let [r, g, b, a] = key.map(|level| f32::from(level) / LEVELS);
        let make = || {
            materials.add(StandardMaterial {
                base_color: Color::srgba(r, g, b, a),
                alpha_mode: AlphaMode::Blend,
                unlit: true,
                ..default()
            })
        };
        self.figures.entry(key).or_insert_with(make).clone()
    }

    fn of_paths(&mut self, materials: &mut Assets<StandardMaterial>) -> Handle<StandardMaterial> {
        let white = || StandardMaterial {
            base_color: Color::WHITE,
            alpha_mode: AlphaMode::Blend,
            unlit: true,
            double_sided: true,
            cull_mode: None,
            depth_bias: 10.0,
            ..default()
        };
        self.paths.get_or_insert_with(|| materials.add(white())).clone()
    }
}

/// A ghost of all bodies in one state.
struct Figure {
    state: Vec<f64>,
    rgb: [f32; 3],
    opacity: f32,
}

/// A path over the floor.
struct Path {
    points: Vec<[f64; 2]>,
    rgb: [f32; 3],
    opacity: f32,
    width_m: f32,
}

/// What is drawn of a tick.
#[derive(Default)]
struct Imagined {
    figures: Vec<Figure>,
    paths: Vec<Path>,
}

/// Where the candidates' energies lie between the lowest (0) and the highest (1) of them.
fn share_of(energy: f32, candidates: &[ImaginedPlan]) -> f32 {
    let finite = || candidates.iter().map(|plan| plan.energy).filter(|energy| energy.is_finite());
    let (low, high) = (finite().fold(f32::INFINITY, f32::min), finite().fold(f32::NEG_INFINITY, f32::max));
    if high > low { ((energy - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 }
}

impl Imagined {
    fn of(session: &Session, record: &TickRecord) -> Self {
        let mut imagined = Self::default();
        let bodies = session.figure.bodies.len();
        // A path for every body: those that stay where they are have none worth seeing.
        let mut add_paths = |states: &[Vec<f64>], rgb: [f32; 3], opacity: f32, width_m: f32| {
            let start = record.read_state.as_deref().and_then(|read| session.state_of_probe(read));
            let all: Vec<_> = start.iter().chain(states).map(|state| session.figure.poses(state)).collect();
            for body in 0..bodies {
                let at = |poses: &Vec<nalgebra::Isometry3<f32>>| {
                    poses.get(body).map(|pose| [f64::from(pose.translation.x), f64::from(pose.translation.y)])
                };
                let points: Vec<[f64; 2]> = all.iter().filter_map(at).collect();
                imagined.paths.push(Path { points, rgb, opacity, width_m });
            }
        };
        let candidates = if session.display.candidates { record.candidates.as_slice() } else { &[] };
        for plan in candidates.iter().rev() {
            let share = share_of(plan.energy, candidates);
            add_paths(&session.states_of(plan), theme::energy(share), 0.5 - 0.3 * share, PATH_M / 3.0);
        }
        let samples = if session.display.samples { record.samples.as_slice() } else { &[] };
        for sample in samples {
            let states: Vec<_> = sample.iter().filter_map(|read| session.state_of_probe(read)).collect();
            add_paths(&states, theme::SAMPLE, 0.6, PATH_M / 2.5);
        }
        let best = record.best.as_ref().filter(|_| session.display.best);
        let best = best.map(|best| session.states_of(best)).unwrap_or_default();
        add_paths(&best, theme::BEST, 0.95, PATH_M);
        // Ends of evenly spaced candidates: good ones and bad ones.
        let every = candidates.len().div_ceil(DRAWN_ENDS).max(1);
        for plan in candidates.iter().step_by(every) {
            let share = share_of(plan.energy, candidates);
            if let Some(state) = session.states_of(plan).pop() {
                imagined.figures.push(Figure { state, rgb: theme::energy(share), opacity: 0.16 - 0.09 * share });
            }
        }
        // The farther ahead, the fainter.
        let horizon = best.len().max(1) as f32;
        for (chunk, state) in best.into_iter().enumerate() {
            let opacity = 0.62 - 0.42 * chunk as f32 / horizon;
            imagined.figures.push(Figure { state, rgb: theme::BEST, opacity });
        }
        imagined
    }
}

/// Which tick is drawn, and what of it.
type Drawn = (usize, [bool; 3]);

/// Draws the imagination of the shown tick anew when another is shown.
pub fn draw(
    mut commands: Commands,
    session: Res<Session>,
    stage: Res<Stage>,
    mut kept: ResMut<GhostMaterials>,
    mut meshes: ResMut<Assets<Mesh>>,
    mut materials: ResMut<Assets<StandardMaterial>>,
    ghosts: Query<Entity, With<Ghost>>,
    mut drawn: Local<Option<Drawn>>,
) {
    let Some(record) = session.shown() else { return };
    let Display { best: show_best, candidates: show_candidates, samples: show_samples, .. } = session.display;
    let key = (Arc::as_ptr(record) as usize, [show_best, show_candidates, show_samples]);
    if *drawn == Some(key) {
        return;
    }
    *drawn = Some(key);
    ghosts.iter().for_each(|ghost| commands.entity(ghost).despawn());
    let imagined = Imagined::of(&session, record);
    for (number, figure) in imagined.figures.iter().enumerate() {
        let material = kept.of(figure.rgb, figure.opacity, &mut materials);
        // Ghosts in one place are not equally large: equal faces would flicker.
        let scale = Vec3::new(1.0, 1.0 - 0.004 * (number % 40) as f32, 1.0);
        for (solids, pose) in stage.bodies.iter().zip(session.figure.poses(&figure.state)) {
            let body = stage.placement.transform(&pose);
            for (mesh, within, _) in solids {
                let transform = body * within.with_scale(scale);
                let drawn = (Mesh3d(mesh.clone()), MeshMaterial3d(material.clone()), transform);
                commands.spawn((Ghost, NotShadowCaster, drawn));
            }
        }
    }
    if let Some(ribbons) = ribbons(&imagined.paths, &stage) {
        let material = kept.of_paths(&mut materials);
        let drawn = (Mesh3d(meshes.add(ribbons)), MeshMaterial3d(material), Transform::default());
        commands.spawn((Ghost, NotShadowCaster, drawn));
    }
}

/// Flat ribbons along `paths`, with their colours, as one mesh; fading out towards their ends. `None` where nothing
/// moves: the renderer knows no empty meshes.
fn ribbons(paths: &[Path], stage: &Stage) -> Option<Mesh> {
    let (mut positions, mut normals, mut colours, mut indices) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::<u32>::new());
    for (number, path) in paths.iter().enumerate() {
        let height = PATH_Y_M + 0.00005 * number as f32;
        let points: Vec<Vec3> = path
            .points
            .iter()
            .map(|[x, y]| stage.placement.point([*x as f32, *y as f32, 0.0]).with_y(height))
            .collect();
        let segments = points.len().saturating_sub(1).max(1) as f32;
        for (segment, ends) in points.windows(2).enumerate() {
            let Some(along) = (ends[1] - ends[0]).try_normalize() else { continue };
            let side = Vec3::new(-along.z, 0.0, along.x) * path.width_m / 2.0;
            let first = positions.len() as u32;
            for (end, part) in [(ends[0], segment), (ends[1], segment + 1)] {
                let [r, g, b] = path.rgb;
                let opacity = path.opacity * (1.0 - 0.55 * part as f32 / segments);
                let linear = Color::srgba(r, g, b, opacity).to_linear().to_f32_array();
                for corner in [end - side, end + side] {
                    positions.push(corner.to_array());
                    normals.push([0.0, 1.0, 0.0]);
                    colours.push(linear);
                }
            }
            indices.extend([0, 1, 2, 2, 1, 3].map(|corner| first + corner));
        }
    }
    if indices.is_empty() {
        return None;
    }
    let mesh = Mesh::new(PrimitiveTopology::TriangleList, RenderAssetUsages::RENDER_WORLD)
        .with_inserted_attribute(Mesh::ATTRIBUTE_POSITION, positions)
        .with_inserted_attribute(Mesh::ATTRIBUTE_NORMAL, normals)
        .with_inserted_attribute(Mesh::ATTRIBUTE_COLOR, colours)
        .with_inserted_indices(Indices::U32(indices));
    Some(mesh)
}
