//! What the agent imagines, in the scene: the best plan as bodies along its rollout, the candidates as their ends, all
//! of them with their paths, and several futures of the best plan as a fan. States are read from latents by the state
//! probe; the planner itself plans with latents.

use std::collections::HashMap;
use std::sync::Arc;

use bevy::asset::RenderAssetUsages;
use bevy::light::NotShadowCaster;
use bevy::mesh::{Indices, PrimitiveTopology};
use bevy::prelude::*;
use mindseye_runs::{ImaginedPlan, TickRecord};

use crate::session::{Session, Settings};
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

/// The materials of ghosts by colour and opacity.
#[derive(Resource, Default)]
pub struct GhostMaterials(HashMap<[u8; 4], Handle<StandardMaterial>>);

impl GhostMaterials {
    fn of(
        &mut self,
        rgb: [f32; 3],
        opacity: f32,
        materials: &mut Assets<StandardMaterial>,
    ) -> Handle<StandardMaterial> {
        let level = |value: f32| (value.clamp(0.0, 1.0) * LEVELS).round() as u8;
        let Settings { show_best, show_candidates, show_futures, .. } = session.settings;
    let key = (Arc::as_ptr(record) as usize, [show_best, show_candidates, show_futures]);
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
    let ribbon = ribbons(&imagined.paths, &stage);
    let white = StandardMaterial {
        base_color: Color::WHITE,
        alpha_mode: AlphaMode::Blend,
        unlit: true,
        double_sided: true,
        cull_mode: None,
        depth_bias: 10.0,
        ..default()
    };
    let drawn = (Mesh3d(meshes.add(ribbon)), MeshMaterial3d(materials.add(white)), Transform::default());
    commands.spawn((Ghost, NotShadowCaster, drawn));
}

/// Flat ribbons along `paths`, with their colours, as one mesh; fading out towards their ends.
fn ribbons(paths: &[Path], stage: &Stage) -> Mesh {
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
    Mesh::new(PrimitiveTopology::TriangleList, RenderAssetUsages::RENDER_WORLD)
        .with_inserted_attribute(Mesh::ATTRIBUTE_POSITION, positions)
        .with_inserted_attribute(Mesh::ATTRIBUTE_NORMAL, normals)
        .with_inserted_attribute(Mesh::ATTRIBUTE_COLOR, colours)
        .with_inserted_indices(Indices::U32(indices))
}
